"""What ran out, by the date that its signer wrote: a column beside the bytes ends nothing, for what ends is destroyed.

A statement that proves nothing any more is put aside by name, once: its row says `unknown`, so it is denied, nothing is
destroyed over it, and the others go on. Whoever puts the row back as it was has it go on too.
"""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final, TypeVar

from sqlmodel import Session, col, select

from issuer import credentials, settling
from issuer.credentials import Credential
from protocol import event
from protocol.consent import Consent, SubjectId
from protocol.errors import EvidenceError
from protocol.ground import StatutoryGround
from protocol.times import iso
from runtime import dialect, outbox

LOG: Final = logging.getLogger("fieldgrant.issuer")
UNKNOWN: Final = "unknown"  # `ended_kind` of what was put aside; it has not ended, and the journal knows no end of it
T = TypeVar("T", Consent, StatutoryGround)


def ran_out(
    session: Session, kind: str, at: datetime, read: Callable[[Credential], T], *, limit: int | None = None
) -> list[tuple[Credential, T]]:
    """The next statements of a kind that ran out by `at`, as `read` proves them; none: there are no more.

    What cannot be proved is put aside, and a date that differs from the signed one put right, in this transaction.
    """
    statement = (
        select(Credential)
        # a row that cannot be named cannot be put aside; the journal misses the statement that it was
        .where(Credential.kind == kind, *credentials.over(at), dialect.ours(session, col(Credential.id)))
        .order_by(col(Credential.valid_until), col(Credential.id))
        .limit(limit)
    )
    while rows := session.exec(statement).all():
        if found := [(row, said) for row in rows if (said := _said(session, row, at, read)) is not None]:
            return found
    return []


def _said(session: Session, row: Credential, at: datetime, read: Callable[[Credential], T]) -> T | None:
    try:
        said = read(row)
        if (said.id, said.digest) != (row.id, row.digest):
            raise EvidenceError("digest_mismatch", "the row is not of the statement that it holds", field="id")
    except settling.SPOILED as error:
        row.ended_kind = UNKNOWN
        _tell(session, row, getattr(error, "code", "spoiled"), at)
        return None
    if iso(said.valid_until) > iso(at):
        row.valid_until = iso(said.valid_until)
        _tell(session, row, "date_altered", at)
        return None
    return said


def _tell(session: Session, row: Credential, code: str, at: datetime) -> None:
    """Once for each: the row's name, and its customer where there is one."""
    session.add(row)
    session.flush()
    name = settling.name_of(row.id)
    LOG.error("what ran out is put aside: %s: %s", name, code)
    known = row.subject if isinstance(row.subject, str) and row.subject != credentials.EVERYONE else None
    if known is not None and credentials.version(session, SubjectId(known)) == 0:
        known = None  # somebody wrote it: it may be anything
    data = {"action": "expiry", "code": code, "credential": name}
    subject = None if known is None else SubjectId(known)
    outbox.emit(session, event.ATTEMPT_REFUSED, at=at, records=[(subject, data)], key=f"expiry:{code}:{name}")
