"""The end of archived fields: an archive key whose day has come is destroyed, and with it every copy of every box.

Which key is due is read off the key-ring, never off a row: whoever edits dates in the database neither hastens nor
delays anything. Destroying the key comes first, under the write lock (no restore and no opening is then under way);
the rows, the events and the certificates follow in batches. Killed in between, the next pass finds what is not erased
yet and rows whose key has ended, and goes on. A mark that a key ended is no proof that it is gone: nothing is certified
before `destroy` has returned. Why it ended, and who approved it, rests with that mark.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final

import orjson
from sqlmodel import Session, col, select

from protocol import certificate as certificates
from protocol import event, times
from protocol.consent import SubjectId
from redaction import archive, certificate, crash, disposition, terms
from redaction.archive import Archived
from redaction.disposition import DESTROYED
from runtime import outbox
from runtime.platform import Platform

BATCH: Final = 200  # boxes whose end is told in one transaction
DESTROY_BY: Final = "destroy_by"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why a key ends: its day (`destroy_by`), or a request that two officers signed (its id), and who approved it."""

    id: str = DESTROY_BY
    by: tuple[tuple[str, str], ...] = ()  # header members of the event: reader, role, approver


def due(platform: Platform, at: datetime) -> list[str]:
    """The archive keys whose day has come, wherever their private half lies."""
    keys = ((name, terms.due_at(name)) for name in platform.keyring.archive.names())
    return [name for name, day in keys if day is not None and day <= at]


def end_due(platform: Platform) -> int:
    """Destroy every key that is due and tell of all that ended with one; how many boxes ended.

    Raises ClockError when the clock cannot be believed: then nothing is destroyed; OSError where a file cannot be
    erased, once the others have come to their end.
    """
    at = platform.clock.now()
    failed: list[OSError] = []
    told = 0
    for name in (*platform.keyring.archive.unfinished(), *due(platform, at)):
        with _collected(failed):
            _erase(platform, name)
    for name in untold(platform):
        with _collected(failed):
            told += _tell(platform, name)
    if failed:
        raise failed[0]
    return told


@contextmanager
def _collected(failed: list[OSError]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        failed.append(error)


def end_key(platform: Platform, name: str, cause: Cause | None = None) -> None:
    """Destroy one archive key, now. The certificates follow with the next `end_due`. Again: nothing happens."""
    why = cause or Cause()
    crash.point("period.before")
    platform.clock.settled()
    with platform.database.write("keeper") as session:
        at = platform.clock.now()
        platform.keyring.archive.destroy(name, orjson.dumps([why.id, why.by]))
        _ended_event(session, platform, name, at)
        crash.point("period.within")
    crash.point("period.after")


def _erase(platform: Platform, name: str) -> None:
    """End a key that is due, or whose end was cut off. Others, who tell of theirs themselves, name no cause."""
    ring = platform.keyring.archive
    if ring.ended(name) and not ring.why(name):
        ring.destroy(name)
    else:
        end_key(platform, name)


def _why(platform: Platform, name: str) -> Cause:
    """Why a key ended: as it was said first, also by whoever was killed over it."""
    said = platform.keyring.archive.why(name)
    if not said:
        return Cause()
    id_, by = orjson.loads(said)
    return Cause(id=id_, by=tuple((member, value) for member, value in by))


def _ended_event(session: Session, platform: Platform, name: str, at: datetime) -> str:
    why = _why(platform, name)
    data = {"archive_key": name, "cause": why.id}
    key = f"{event.ARCHIVE_ENDED}:{name}"
    return outbox.emit(session, event.ARCHIVE_ENDED, at=at, header=dict(why.by), records=[(None, data)], key=key)


def untold(platform: Platform) -> list[str]:
    """The keys that have ended and whose boxes still have rows."""
    with platform.database.read() as session:
        names = session.exec(select(Archived.archive_key).distinct()).all()
    return [name for name in names if _ended(platform, name)]


def _ended(platform: Platform, name: str) -> bool:
    try:
        return platform.keyring.archive.ended(name)
    except (ValueError, TypeError):  # somebody wrote something else there
        return False


def _tell(platform: Platform, name: str) -> int:
    """Remove the rows of an ended key, in batches, each with its events and certificates."""
    done = 0
    while True:
        crash.point("due.before")
        with platform.database.write("keeper") as session:
            subjects = session.exec(
                select(Archived.subject).where(Archived.archive_key == name).distinct().limit(BATCH)
            ).all()
            if not subjects:
                return done
            at = platform.clock.now()
            if not done:
                platform.keyring.archive.destroy(name)  # whoever marked it may have died before it was erased
            told = _ended_event(session, platform, name, at)  # the one there is, or a new one if they died before
            rows = session.exec(
                select(Archived)
                .where(Archived.archive_key == name, col(Archived.subject).in_(subjects))
                .order_by(col(Archived.subject), col(Archived.field), col(Archived.id))
            ).all()
            for subject, boxes in groupby(rows, key=lambda row: row.subject):
                _end(session, platform, SubjectId(subject), list(boxes), cause=told, at=at)
            done += len(rows)
            crash.point("due.within")
        crash.point("due.after")


def _end(
    session: Session, platform: Platform, subject: SubjectId, rows: list[Archived], *, cause: str, at: datetime
) -> None:
    """Take out a customer's boxes of one key, whose end the event `cause` tells of, and certify it."""
    ours = [row for row in rows if archive.authentic(platform, row)]
    for row in rows:
        if row not in ours:
            # whose box it was nobody can say by this row: nobody gets a certificate on its word
            data = {"code": "bad_archive_row", "digest": str(row.digest)}
            outbox.emit(session, event.ATTEMPT_REFUSED, at=at, records=[(None, data)])
        session.delete(row)
    events = [_destroyed(session, subject, row, at) for row in ours]
    if ours:
        certificate.issue(
            session,
            platform,
            subject,
            items=[_item(row) for row in ours],
            cause=cause,
            events=events,
            at=at,
        )


def _destroyed(session: Session, subject: SubjectId, row: Archived, at: datetime) -> str:
    disposition.mark(session, row.job, row.field_id, DESTROYED, times.iso_ms(at))
    data = {"field": row.field, "digest": row.digest, "archive_key": row.archive_key, "job": row.job}
    key = f"{event.VALUE_DESTROYED}:{row.job}:{row.field}"
    return outbox.emit(session, event.VALUE_DESTROYED, at=at, records=[(subject, data)], key=key)


def _item(row: Archived) -> certificates.Disposition:
    return certificates.Disposition(
        field=row.field_id,
        disposition=certificates.DESTROY,
        archive_digest=row.digest,
        archive_ground=row.ground,
        archive_period=row.period,
        archive_key=row.archive_key,
        destroy_by=times.parse(row.destroy_by, field="destroy_by"),
    )


def boxes(session: Session) -> dict[str, int]:
    """How many boxes lie under each archive key, by the rows."""
    rows: Iterable[str] = session.exec(select(Archived.archive_key))
    counts: dict[str, int] = {}
    for name in rows:
        counts[name] = counts.get(name, 0) + 1
    return counts
