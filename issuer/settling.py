"""What follows a narrowing's commit: drain the reads in flight, record that the gate is shut, give the receipt.

A row is written with the narrowing and settled once all that is done, so a crash in between leaves something to
take up again: by the retry of the wallet, or by the worker.
"""

from datetime import datetime
from typing import Any

from sqlmodel import Field, Session, SQLModel, col, select

from issuer import receipts, signed
from issuer.credentials import Credential
from issuer.desk import Desk
from protocol import consent, event
from protocol.consent import Consent, Reference, SubjectId
from protocol.errors import EvidenceError
from protocol.times import iso_ms, parse
from runtime import crash, outbox
from runtime.platform import Platform

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
    session.add(row)
    session.flush()
    return row


def settle(desk: Desk, *ids: str) -> dict[str, Any] | None:
    """Drain once, then record each as shut. The receipt of the last one that has a receipt. Do it again as you like."""
    if not ids:
        return None
    crash.point("settle.before")
    desk.drain()
    answer: dict[str, Any] | None = None
    with desk.platform.database.write() as session:
        for id_ in ids:
            answer = _shut(session, desk.platform, session.get_one(Settling, id_)) or answer
        crash.point("settle.within")
    crash.point("settle.after")
    return answer


def unsettled(session: Session, limit: int = 100) -> list[str]:
    """Narrowings whose process ended before it had drained; those of grounds and catalogues are taken up there."""
    statement = (
        select(Settling.id)
        .where(col(Settling.settled_at).is_(None), col(Settling.kind).not_in(("ground", "catalogue")))
        .order_by(col(Settling.at))
    )
    return list(session.exec(statement.limit(limit)))


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
    if row.settled_at is not None:
        return receipts.of(session, row.by)
    at = platform.clock.now()
    row.settled_at = iso_ms(at)
    session.add(row)
    if row.kind in WITHOUT_SHUT:
        return None
    data = {"credential": row.ended, "by": row.by, "how": row.kind, "version": row.version}
    subject = None if row.kind == "ground" else SubjectId(row.subject)
    outbox.emit(session, event.CONSENT_SHUT, at=at, records=[(subject, data)], key=f"shut:{row.id}")
    return _receipt(session, platform, row, at) if row.kind in WITH_RECEIPT else None


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
