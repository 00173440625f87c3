"""Who was looked at: up to which version of their standing, and who is due to be looked at (again)."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import or_
from sqlmodel import Field as Column
from sqlmodel import Session, SQLModel, col, select

from issuer.credentials import Standing
from issuer.settling import Settling
from protocol import times
from protocol.consent import SubjectId
from redaction.disposition import DONE, Job
from runtime import bulk, dialect
from runtime.platform import Platform
from verifier.quarantine import Quarantine

RETRY: Final = timedelta(seconds=30)  # until evidence that could not be believed is looked at again

Seen = tuple[int, datetime | None]  # version of the standing, and when the next ground runs out by itself
Broken = tuple[int, str]  # version of the standing, and the code of why its evidence cannot be believed


class LapseRow(SQLModel, table=True):
    """How far a subject's standing has been looked at, and when to look again without being told."""

    __tablename__ = "lapse"

    subject: str = Column(primary_key=True)
    done_version: int  # every change of standing up to this one was looked at, its dispositions planned
    next_at: str | None = Column(default=None, index=True)  # when a ground runs out by itself
    retry_at: str | None = None  # not before this: the evidence could not be believed
    error: str | None = None  # stable code of why


def due(session: Session, at: datetime, limit: int = 500) -> list[SubjectId]:
    """Subjects whose standing moved since they were looked at, or one of whose grounds ran out by itself.

    Left out: those with a job under way (it ends first), those whose withdrawal still waits for reads in flight (its
    shut comes before what follows from it), and the quarantined ones: nothing is destroyed on suspicion.
    """
    now = times.iso_ms(at)
    statement = (
        select(Standing.subject)
        .outerjoin(LapseRow, col(LapseRow.subject) == col(Standing.subject))
        .where(
            or_(
                col(LapseRow.subject).is_(None),
                col(Standing.version) > col(LapseRow.done_version),
                col(LapseRow.next_at) <= now,
            ),
            or_(col(LapseRow.retry_at).is_(None), col(LapseRow.retry_at) <= now),
            *(col(Standing.subject).not_in(waits) for waits in WAITING),
        )
        .order_by(col(Standing.subject))
        .limit(limit)
    )
    found = session.exec(statement).all()
    if not all(map(dialect.is_text, found)):  # looked at in each row only where there are such: there may be millions
        found = session.exec(statement.where(dialect.ours(session, col(Standing.subject)))).all()
    return [SubjectId(subject) for subject in found]


WAITING: Final = (
    select(Job.subject).where(Job.step != DONE),
    select(Settling.subject).where(col(Settling.settled_at).is_(None)),
    select(Quarantine.subject),
)


def waiting(session: Session) -> frozenset[SubjectId]:
    """The subjects that are left alone for now: a job or a withdrawal is under way, or they are under quarantine."""
    return frozenset(SubjectId(subject) for waits in WAITING for subject in session.exec(waits))


def mark(session: Session, seen: Mapping[SubjectId, Seen]) -> None:
    """Remember that these subjects were looked at: at which version, and when to look again."""
    rows = [
        {
            "subject": subject,
            "done_version": version,
            "next_at": None if next_at is None else times.iso_ms(next_at),
            "retry_at": None,
            "error": None,
        }
        for subject, (version, next_at) in seen.items()
    ]
    bulk.execute(session, _marking(session), rows)


_MARKING: Final[dict[bool, Any]] = {}  # by engine: a statement that is a constant is compiled once


def _marking(session: Session) -> Any:
    known = _MARKING.get(dialect.is_sqlite(session))
    if known is None:
        insert = dialect.insert(session, LapseRow)
        changed = {name: insert.excluded[name] for name in ("done_version", "next_at", "retry_at", "error")}
        known = insert.on_conflict_do_update(index_elements=["subject"], set_=changed)
        _MARKING[dialect.is_sqlite(session)] = known
    return known


def remember(
    platform: Platform, idle: Mapping[SubjectId, Seen], broken: Mapping[SubjectId, Broken], at: datetime
) -> None:
    """One transaction for all subjects with nothing to do, and for those whose evidence cannot be believed."""
    if not idle and not broken:
        return
    with platform.database.write("keeper") as session:
        if idle:
            # the versions that we looked at, not the present ones: whatever moved meanwhile is looked at next time
            mark(session, idle)
        present = select(Standing.subject, Standing.version).where(col(Standing.subject).in_(broken))
        versions = dict(session.exec(present).all()) if broken else {}
        for subject, (version, code) in broken.items():
            if versions.get(SubjectId(subject)) != version:
                continue  # an ending was in the journal and not yet committed as we looked: it is due again at once
            row = session.get(LapseRow, subject) or LapseRow(subject=subject, done_version=0)
            row.retry_at, row.error = times.iso_ms(at + RETRY), code
            session.add(row)
