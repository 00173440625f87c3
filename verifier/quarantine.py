"""Quarantine: a subject whose rows cannot be what we wrote is denied everything until `reconcile` has looked."""

from datetime import datetime
from typing import Literal

from sqlalchemy import delete
from sqlmodel import Field, Session, SQLModel, col, select

from protocol import event
from protocol.consent import SubjectId
from runtime import dialect, outbox
from runtime.clock import iso

Cause = Literal["bad_mac", "missing", "catalogue", "below_floor"]


class Quarantine(SQLModel, table=True):
    """A subject under quarantine. Deleting the row frees nobody: what caused it is found again by the next read."""

    __tablename__ = "quarantine"

    subject: str = Field(primary_key=True)
    cause: str
    at: str


def put(session: Session, subject: SubjectId, cause: Cause, at: datetime) -> bool:
    """Put a subject under quarantine and tell it once; False when it was there already."""
    row = {"subject": subject, "cause": cause, "at": iso(at)}
    insert = dialect.insert(session, Quarantine).values(row).on_conflict_do_nothing().returning(Quarantine.subject)
    if session.connection().execute(insert).first() is None:
        return False
    data = {"state": "quarantined", "cause": cause}
    outbox.emit(session, event.SUBJECT_QUARANTINED, at=at, records=[(subject, data)])
    return True


def lift(session: Session, subject: SubjectId, at: datetime) -> bool:
    """End a quarantine, for `reconcile` alone; False when there was none."""
    if session.connection().execute(delete(Quarantine).where(col(Quarantine.subject) == subject)).rowcount != 1:
        return False
    outbox.emit(session, event.SUBJECT_QUARANTINED, at=at, records=[(subject, {"state": "lifted"})])
    return True


def among(session: Session, subjects: list[SubjectId]) -> set[SubjectId]:
    """Which of these subjects are under quarantine."""
    found = session.exec(select(Quarantine.subject).where(col(Quarantine.subject).in_(subjects)))
    return {SubjectId(subject) for subject in found}


def every(session: Session) -> list[tuple[SubjectId, str]]:
    """All subjects under quarantine with the cause, ascending."""
    rows = session.exec(select(Quarantine.subject, Quarantine.cause).order_by(col(Quarantine.subject)))
    return [(SubjectId(subject), cause) for subject, cause in rows]
