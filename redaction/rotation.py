"""Rotating a bucket: its data keys move to a new epoch, the old bucket key is destroyed, every opener lets go of it.

After that, old pages, write-ahead logs and backups hold only what no key opens. What happens in the key-ring has no
transaction with the database; it is idempotent there, so a step that was cut off is simply taken again.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import update
from sqlmodel import Field as Column
from sqlmodel import Session, SQLModel, col, select

from crm_core import records
from protocol import event, times
from protocol.consent import SubjectId
from redaction import crash, disposition, replica
from redaction.disposition import DONE, DROPPED, JOURNALLED, RESEALED, Job
from runtime import outbox
from runtime.platform import Platform

READ: Final = 8_000  # data keys taken into memory at once
HANDFUL: Final = 800  # data keys put in their place in one transaction: about 10 ms


class Rotation(SQLModel, table=True):
    """One rotation of one bucket to a new epoch. Instants are ISO with milliseconds."""

    __tablename__ = "rotation"

    bucket: int = Column(primary_key=True)
    epoch: int = Column(primary_key=True)  # the new one
    ended: str  # JSON list of the older epochs that this rotation destroys
    rewrapped: int = 0  # data keys that moved to the new epoch
    began_at: str
    rewrapped_at: str | None = None
    destroyed_at: str | None = None  # older epochs overwritten and unlinked
    dropped_at: str | None = Column(default=None, index=True)  # no opener holds them any more

    @property
    def old(self) -> tuple[int, ...]:
        """The epochs that this rotation destroys."""
        return tuple(json.loads(self.ended))


def buckets(session: Session) -> list[int]:
    """The buckets in which a job waits for its key to be destroyed, or a rotation was cut off."""
    waiting = session.exec(select(Job.bucket).where(Job.step == JOURNALLED).distinct())
    pending = session.exec(select(Rotation.bucket).where(col(Rotation.dropped_at).is_(None)).distinct())
    return sorted({*waiting, *pending})


def rotate(platform: Platform, bucket: int) -> bool:
    """Carry the bucket's rotation as far as it goes now; True when no job of the bucket waits for it any more.

    Raises EvidenceError (a data key does not open: the bucket keeps its keys), KeyGone, RingError.
    """
    row = _begin(platform, bucket)
    if row is not None:
        if row.rewrapped_at is None and not _rewrap(platform, row):
            return False
        if row.destroyed_at is None and not _destroy(platform, row):
            return False
        if not _dropped(platform, row):
            return False
    return _let_go(platform, bucket)


def _begin(platform: Platform, bucket: int) -> Rotation | None:
    """The rotation under way, else a new one when a job waits for a key that still exists.

    The key-ring is asked under the write lock: of two workers only one begins, and no job joins in between.
    """
    crash.point("begin.before")
    with platform.database.write() as session:
        if (row := _pending(session, bucket)) is not None:
            return row
        if not any(job.epoch in platform.keyring.epochs(bucket) for job in _waiting(session, bucket)):
            return None
        at = platform.clock.now()
        epoch = platform.keyring.begin_rotation(bucket)
        old = [one for one in platform.keyring.epochs(bucket) if one < epoch]
        row = Rotation(bucket=bucket, epoch=epoch, ended=json.dumps(old), began_at=times.iso_ms(at))
        session.add(row)
        crash.point("begin.within")
    crash.point("begin.after")
    return row


def _rewrap(platform: Platform, row: Rotation) -> bool:
    """Move all data keys of the bucket; False while a job has survivors that are not journalled.

    Keys are wrapped anew without any lock, and put in their place a few at a time: nobody else, who only wants to
    write down a read, waits for more than one such handful. A key that changed meanwhile is taken up again.
    """
    crash.point("rewrap.before")
    while True:
        with platform.database.read() as session:
            if _unjournalled(session, row.bucket) or not _still(session, row):
                return False
            keys = records.behind(session, row.bucket, row.epoch, READ)
        for start in range(0, len(keys), HANDFUL):
            moves = records.wrapped_anew(platform, row.bucket, keys[start : start + HANDFUL], row.epoch)
            with platform.database.write() as session:
                if not _still(session, row):
                    return False  # another worker was faster, and a later rotation may be under way
                records.move(session, moves)
                _progress(session, row, rewrapped=Rotation.rewrapped + len(moves))
                crash.point("rewrap.within")
        if len(keys) < READ:
            break
    replica.write(platform, row.bucket)
    with platform.database.write() as session:
        if not _still(session, row) or records.behind(session, row.bucket, row.epoch, 1):
            return False  # somebody wrapped with the old key meanwhile: again at the next pass
        _progress(session, row, rewrapped_at=times.iso_ms(platform.clock.now()))
    crash.point("rewrap.after")
    return True


def _still(session: Session, row: Rotation) -> bool:
    """Whether the rotation is under way."""
    dropped = session.exec(
        select(Rotation.dropped_at).where(Rotation.bucket == row.bucket, Rotation.epoch == row.epoch)
    ).one()
    return dropped is None


def _progress(session: Session, row: Rotation, **values: Any) -> None:
    session.execute(
        update(Rotation).where(col(Rotation.bucket) == row.bucket, col(Rotation.epoch) == row.epoch).values(**values)
    )


def _destroy(platform: Platform, row: Rotation) -> bool:
    """Destroy the old bucket keys; False when one is still needed.

    Under the write lock, so that no writer can wrap a data key with an old epoch between our look and the end of it.
    What the replica holds was read before that; whoever has a newer data key since has it in the journal or in a
    database that the new epoch opens.
    """
    crash.point("destroy.before")
    with platform.database.write() as session:
        at = platform.clock.now()  # a clock that cannot be believed stops us here
        if _unjournalled(session, row.bucket) or not _still(session, row):
            return False
        if records.behind(session, row.bucket, row.epoch, 1):
            _progress(session, row, rewrapped_at=None)
            return False  # committed first; the keys go at the next pass
        for epoch in row.old:
            platform.keyring.destroy(row.bucket, epoch)
        _progress(session, row, destroyed_at=times.iso_ms(at))
        crash.point("destroy.within")
    crash.point("destroy.after")
    return True


def _dropped(platform: Platform, row: Rotation) -> bool:
    """Whether every opener has let go of the old keys; marks it."""
    if not all(platform.keyring.dropped(row.bucket, epoch) for epoch in row.old):
        return False
    with platform.database.write() as session:
        stored = session.get_one(Rotation, (row.bucket, row.epoch))
        stored.dropped_at = stored.dropped_at or times.iso_ms(platform.clock.now())
        session.add(stored)
    return True


def _let_go(platform: Platform, bucket: int) -> bool:
    """Move the jobs whose key nobody holds any more from journalled to dropped; True when none is left waiting."""
    crash.point("dropped.before")
    with platform.database.write() as session:
        waiting = _waiting(session, bucket)
        free = [job for job in waiting if job.epoch is None or platform.keyring.dropped(bucket, job.epoch)]
        for job in free:
            _shredded(session, job, platform.clock.now())
        crash.point("dropped.within")
    crash.point("dropped.after")
    return len(free) == len(waiting)


def _shredded(session: Session, job: Job, at: datetime) -> None:
    """Only now is a field shredded: before this, some process could still have opened it."""
    job.step, job.destroyed_at = DROPPED, times.iso_ms(at)
    session.add(job)
    for row in disposition.of_job(session, job.id):
        if row.action != "shred":
            continue
        row.state, row.at = DONE, job.destroyed_at
        session.add(row)
        data = {"field": row.field, "job": job.id, "generation": job.generation}
        row.event = outbox.emit(
            session,
            event.VALUE_SHREDDED,
            at=at,
            records=[(SubjectId(job.subject), data | {"bucket": job.bucket, "epoch": job.epoch})],
            key=f"{event.VALUE_SHREDDED}:{job.id}:{row.field}",
        )


def _pending(session: Session, bucket: int) -> Rotation | None:
    return session.exec(select(Rotation).where(Rotation.bucket == bucket, col(Rotation.dropped_at).is_(None))).first()


def _waiting(session: Session, bucket: int) -> Sequence[Job]:
    return session.exec(select(Job).where(Job.bucket == bucket, Job.step == JOURNALLED)).all()


def _unjournalled(session: Session, bucket: int) -> bool:
    return session.exec(select(Job.id).where(Job.bucket == bucket, Job.step == RESEALED)).first() is not None
