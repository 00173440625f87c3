"""What follows a narrowing's commit: drain the reads in flight, record that the gate is shut, give the receipt.

A row is written with the narrowing and settled once all that is done, so a crash in between leaves something to
take up again: by the retry of the wallet, or by the worker. A row counts as far as the journal knows of its end: what
somebody planted or spoiled is put aside by name, and the others go on. `settled_at` only says where to look: that the
reads have ended is proved by our own event of it (`shut_event`).
"""

import logging
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import not_, update
from sqlalchemy.exc import IntegrityError, NoResultFound
from sqlmodel import Field, Session, SQLModel, col, select

from issuer import receipts, signed
from issuer.credentials import EVERYONE, Credential
from issuer.desk import Desk
from protocol import consent, event
from protocol.consent import Consent, Reference, SubjectId
from protocol.errors import EvidenceError
from protocol.times import iso_ms, parse
from runtime import crash, dialect, outbox
from runtime.outbox import OutboxEvent
from runtime.platform import Platform

LOG: Final = logging.getLogger("fieldgrant.issuer")
SPOILED: Final = (EvidenceError, NoResultFound, IntegrityError, ValueError, KeyError, TypeError, AttributeError)
"""How a row fails that will never be settled; anything else (a full disk, a locked database) is tried again."""
_NAME: Final = re.compile(r"([a-z]+:)?urn:uuid:[0-9a-f-]{36}")
WITH_RECEIPT = frozenset({"withdrawn", "narrowed", "revoked"})
WITHOUT_SHUT = frozenset(
    {"enrolled", "unenrolled"}
)  # no consent ended here; those of a wallet that ended have their own


class Settling(SQLModel, table=True):
    """One narrowing: what ended (`ended`), by which credential (`by`), and when all that follows was done."""

    __tablename__ = "settling"

    id: str = Field(primary_key=True)
    kind: str  # withdrawn | narrowed | revoked | expired | enrolled | unenrolled | ground | catalogue
    subject: str
    ended: str
    by: str
    version: int
    at: str
    settled_at: str | None = Field(default=None, index=True)


def begin(session: Session, kind: str, *, subject: str, ended: str, by: str, version: int, at: datetime) -> Settling:
    """Note, in the narrowing's transaction, what is to follow.

    The id is the narrowing credential's, else kind and end.
    """
    row = Settling(
        id=by if kind in WITH_RECEIPT else f"{kind}:{ended}",
        kind=kind, subject=subject, ended=ended, by=by, version=version, at=iso_ms(at),
    )  # fmt: skip
    # over whatever somebody may have put there: the id of an end by time is known beforehand
    merged = session.merge(row)
    session.flush()
    return merged


def settle(desk: Desk, *ids: str) -> dict[str, Any] | None:
    """Drain once, then record each as shut. The receipt of the last one that has a receipt. Do it again as you like."""
    if not ids:
        return None
    _drain(desk)
    return _note(desk, ids)


def _drain(desk: Desk) -> None:
    crash.point("settle.before")
    desk.drain()


def _note(desk: Desk, ids: Sequence[str]) -> dict[str, Any] | None:
    """Record each as shut, for the reads have been waited for; as `settle`."""
    desk.platform.journal.refresh()
    answer: dict[str, Any] | None = None
    with desk.platform.database.write() as session:
        for id_ in ids:
            answer = _shut(session, desk.platform, session.get_one(Settling, id_)) or answer
        crash.point("settle.within")
    crash.point("settle.after")
    return answer


def settle_again(desk: Desk, subject: SubjectId) -> None:
    """Before something sent again is acknowledged: drain, whatever our columns say, and settle what is open of them.

    The first time may have been committed and then have failed because its reads had not ended.
    """
    with desk.platform.database.read() as session:
        ids = [*unsettled(session, subject=subject), *marked(session, desk.platform, subject)]
    if ids:
        settle_each(desk, ids)
    else:
        desk.drain()


def settle_each(desk: Desk, ids: Sequence[str]) -> int:
    """Settle these together; where that fails each on its own, and put aside what cannot be. How many were settled."""
    if not ids:
        return 0
    _drain(desk)  # apart from what may fail of a row: nothing is put aside whose reads have not ended
    try:
        _note(desk, ids)
    except SPOILED:
        return sum(_alone(desk, id_) for id_ in ids)
    return len(ids)


def _alone(desk: Desk, id_: str) -> bool:
    try:
        _note(desk, [id_])
    except SPOILED as error:
        put_aside(desk.platform, id_, getattr(error, "code", "spoiled"))
        return False
    return True


def put_aside_misnamed(desk: Desk) -> int:
    """Put aside what `misnamed` finds, once the reads have ended: the journal may know the end. How many."""
    with desk.platform.database.read() as session:
        ids = misnamed(session)
    if ids:
        desk.drain()
    for id_ in ids:
        put_aside(desk.platform, id_, "misnamed")
    return len(ids)


def put_aside(platform: Platform, id_: str, code: str) -> None:
    """Take a row that cannot be settled out of the way, on record by its name. Its reads have been waited for.

    Where the journal knows the end, it is recorded as shut all the same.
    """
    name = name_of(id_)
    LOG.error("a row of settling is put aside: %s: %s", name, code)
    with platform.database.write() as session:
        at = platform.clock.now()
        session.connection().execute(update(Settling).where(col(Settling.id) == id_).values(settled_at=iso_ms(at)))
        row = session.get(Settling, id_)
        if row is not None and row.kind not in WITHOUT_SHUT and known(platform, row):
            _tell_shut(session, row, at)
        data = {"action": "settling", "code": code, "row": name}
        outbox.emit(session, event.ATTEMPT_REFUSED, at=at, records=[(None, data)], key=f"settling:{name}")


def put_foreign_aside(platform: Platform) -> None:
    """Take rows out of the way whose ids are no text: nobody can name one of them, they keep what they name waiting."""
    with platform.database.read() as session:
        foreign = (col(Settling.settled_at).is_(None), not_(dialect.ours(session, col(Settling.id))))
        if session.exec(select(Settling.kind).where(*foreign).limit(1)).first() is None:
            return
    LOG.error("rows of settling are put aside: %s", name_of(None))
    with platform.database.write() as session:
        at = platform.clock.now()
        session.connection().execute(update(Settling).where(*foreign).values(settled_at=iso_ms(at)))
        data = {"action": "settling", "code": "spoiled", "row": name_of(None)}
        outbox.emit(session, event.ATTEMPT_REFUSED, at=at, records=[(None, data)], key=f"settling:{name_of(None)}")


def name_of(id_: object) -> str:
    """A row's id as it may be told: who wrote another one may have put anything there."""
    return id_ if isinstance(id_, str) and _NAME.fullmatch(id_) else "of no form of ours"


def known(platform: Platform, row: Settling) -> bool:
    """Whether the journal knows of what a row says that it ended, and the row is named as ours are."""
    journal = platform.journal
    if row.id != (row.by if row.kind in WITH_RECEIPT else f"{row.kind}:{row.ended}"):
        return False
    if row.kind in ("enrolled", "excluded"):
        return row.ended in journal.named(SubjectId(row.subject))
    return journal.ended(row.ended)


def misnamed(session: Session, limit: int = 100) -> list[str]:
    """Rows for grounds and catalogues that nobody would take up: not named after what they are about."""
    rows = session.exec(
        select(Settling)
        .where(col(Settling.settled_at).is_(None), col(Settling.kind).in_(("ground", "catalogue")))
        .limit(limit)
    )
    return [row.id for row in rows if row.id != f"{row.kind}:{row.ended}" or not _there(session, row)]


def _there(session: Session, row: Settling) -> bool:
    found = session.get(Credential, row.ended)
    return found is not None and found.kind == row.kind and (row.kind == "catalogue" or row.subject == EVERYONE)


def unsettled(session: Session, limit: int = 100, *, subject: SubjectId | None = None) -> list[str]:
    """Narrowings (of one subject) whose process ended before it had drained, the oldest first.

    Those of grounds and catalogues are taken up there.
    """
    statement = (
        select(Settling.id)
        .where(col(Settling.settled_at).is_(None), col(Settling.kind).not_in(("ground", "catalogue")))
        .order_by(col(Settling.at))
    )
    if subject is not None:
        statement = statement.where(Settling.subject == subject)
    return list(session.exec(statement.limit(limit)))


def marked(session: Session, platform: Platform, subject: SubjectId) -> list[str]:
    """Ends of one subject that somebody else marked as settled: the journal knows of them, and no event of ours."""
    platform.journal.refresh()
    statement = select(Settling).where(
        Settling.subject == subject,
        col(Settling.settled_at).is_not(None),
        col(Settling.kind).not_in(("ground", "catalogue", *WITHOUT_SHUT)),
    )
    rows = session.exec(statement.order_by(col(Settling.at))).all()
    return [row.id for row in rows if known(platform, row) and shut_event(session, row.id) is None]


def shut_event(session: Session, id_: str) -> OutboxEvent | None:
    """Our own event that the reads under way at this end have ended; None while there is none.

    A row's `settled_at` anybody may have written who writes to the database, and nobody else this.
    """
    found = outbox.under(session, f"shut:{id_}")
    return found if found is not None and found.type == event.CONSENT_SHUT else None


def of(session: Session, answered: Credential) -> str:
    """The id to settle for a withdrawal or narrowing that was taken before;
    EvidenceError `foreign_ask` when it was neither.
    """
    if session.get(Settling, answered.id) is not None:
        return answered.id
    # the withdrawal inside a narrowing, sent by itself: the narrowing's receipt answers it
    statement = select(Settling.id).where(Settling.kind == "narrowed", Settling.ended == answered.about)
    found = session.exec(statement).first()
    if found is None:
        raise EvidenceError("foreign_ask", "this consent was given before, and not to narrow another", field="ask")
    return found


def _shut(session: Session, platform: Platform, row: Settling) -> dict[str, Any] | None:
    if not known(platform, row):
        raise EvidenceError("unknown_ending", "the journal knows of no such end", field="ended")
    at = platform.clock.now()
    told = None if row.kind in WITHOUT_SHUT else shut_event(session, row.id)
    if row.settled_at is None or (told is None and row.kind not in WITHOUT_SHUT):  # what somebody marked is not done
        row.settled_at = iso_ms(at)
        session.add(row)
    if told is None and row.kind not in WITHOUT_SHUT:
        _tell_shut(session, row, at)
    if row.kind not in WITH_RECEIPT:
        return None
    # the event commits with the receipt: without it there is none of ours, and what is put aside has only the event
    given = None if told is None else receipts.of(session, row.by)
    return _receipt(session, platform, row, at) if given is None else given


def _tell_shut(session: Session, row: Settling, at: datetime) -> None:
    data = {"credential": row.ended, "by": row.by, "how": row.kind, "version": row.version}
    subject = None if row.kind == "ground" else SubjectId(row.subject)
    outbox.emit(session, event.CONSENT_SHUT, at=at, records=[(subject, data)], key=f"shut:{row.id}")


def _receipt(session: Session, platform: Platform, row: Settling, shut_at: datetime) -> dict[str, Any]:
    answered = session.get_one(Credential, row.by)
    ended = session.get_one(Credential, row.ended)
    decided = parse(row.at, field="at")
    if row.kind == "narrowed":
        return receipts.issue(
            session, platform, answered, "narrowed", standing="living", decided=decided, shut_at=shut_at,
            about=consent_of(answered, platform), supersedes=Reference(ended.id, ended.digest),
        )  # fmt: skip
    return receipts.issue(
        session, platform, answered, row.kind, standing=row.kind, decided=decided, shut_at=shut_at,
        about=consent_of(ended, platform),
    )  # fmt: skip


def consent_of(row: Credential, platform: Platform) -> Consent:
    """The consent of a row, its signature verified anew. EvidenceError."""
    return consent.parse_consent(signed.reverify(row, platform, consent.CONSENT_TYPE))
