"""Rotating a bucket: its data keys move to a new epoch, the old bucket key is destroyed, every opener lets go of it.

After that, old pages, write-ahead logs and backups hold only what no key opens. What happens in the key-ring has no
transaction with the database; it is idempotent there, so a step that was cut off is simply taken again.
"""

from collections.abc import Collection, Sequence
from typing import Final

from sqlalchemy import bindparam
from sqlmodel import Session, col, select

from crm_core import records
from protocol import times
from redaction import crash, freeing, rewrapping, rotations
from redaction.disposition import JOURNALLED, Job
from redaction.rotations import Going, Rotation, buckets
from runtime import bulk
from runtime.platform import Platform

__all__ = ["BUCKETS_AT_ONCE", "Rotation", "buckets", "rotate"]

BUCKETS_AT_ONCE: Final = 64  # that take each step together
KEYS_AT_ONCE: Final = 16  # buckets whose old keys are destroyed under one lock: each waits for the disk


def rotate(platform: Platform, buckets: Sequence[int]) -> frozenset[int]:
    """Carry the rotation of these buckets as far as it goes now; those of which no job waits for it any more.

    At most `BUCKETS_AT_ONCE`: what has to be done under the write lock is done for all of them. Raises EvidenceError (a
    data key does not open: the bucket keeps its keys), KeyGone, RingError.
    """
    platform.journal.refresh()
    rows = _begin(platform, buckets)
    platform.keyring.warm(row.bucket for row in rows.values() if row.destroyed_at is None)
    open_ = set(rows)
    # a column alone spares nothing: while an older key is there, each data key has to open under the new one
    noted = {bucket for bucket, row in rows.items() if row.rewrapped_at is not None}
    older = {bucket: _older(platform, bucket, rows[bucket].epoch) for bucket in noted}
    rewrapped = {one for one, epochs in older.items() if all(platform.keyring.erased(one, epoch) for epoch in epochs)}
    destroyed = {bucket for bucket in rewrapped if rows[bucket].destroyed_at is not None and not older[bucket]}
    rewrapped |= rewrapping.rewrap(platform, [row for bucket, row in rows.items() if bucket not in rewrapped])
    waiting = [rows[bucket] for bucket in sorted(rewrapped - destroyed)]
    for start in range(0, len(waiting), KEYS_AT_ONCE):
        destroyed |= _destroy(platform, waiting[start : start + KEYS_AT_ONCE])
    open_ -= _dropped(platform, [rows[bucket] for bucket in sorted(destroyed)])
    return freeing.let_go(platform, [bucket for bucket in buckets if bucket not in open_])


def _begin(platform: Platform, buckets: Sequence[int]) -> dict[int, Going]:
    """The rotations under way, else new ones where a job waits for a key that still exists.

    The new keys are made ahead, for that waits for the disk; one that nobody then needs is the next rotation's. Under
    the write lock the key-ring is asked: of two workers only one begins, and no job joins in between.
    """
    crash.point("begin.before")
    with platform.database.read() as session:
        going, _ = _pending(session, platform, buckets)
        new = _to_begin(session, platform, [one for one in buckets if one not in going])
    platform.keyring.begin_rotations(new)
    with platform.database.write("keeper") as session:
        at = times.iso_ms(platform.clock.now())
        going, void = _pending(session, platform, buckets)
        rotations.note(session, void, "dropped_at", at)
        new = _to_begin(session, platform, [one for one in buckets if one not in going])
        begun = platform.keyring.begin_rotations(new)
        epochs = {bucket: (epoch, _older(platform, bucket, epoch)) for bucket, epoch in begun.items()}
        rows = going | {row.bucket: row for row in rotations.begin(session, epochs, at)}
        crash.point("begin.within")
    crash.point("begin.after")
    return rows


def _pending(session: Session, platform: Platform, buckets: Sequence[int]) -> tuple[dict[int, Going], list[Going]]:
    """The rotations under way, by bucket, and those to an epoch that is not the newest: none of ours, or over."""
    rows = rotations.pending(session, buckets)
    newest = {row.bucket: max(platform.keyring.epochs(row.bucket), default=row.epoch) for row in rows}
    going = {row.bucket: row for row in rows if row.epoch == newest[row.bucket]}
    return going, [row for row in rows if row.epoch != newest[row.bucket]]


_WAITING: Final = select(Job.bucket, Job.id).where(col(Job.bucket).in_(bulk.these()), Job.step == bindparam("at"))


def _to_begin(session: Session, platform: Platform, buckets: Collection[int]) -> list[int]:
    """Those of the buckets in which a job waits for a key that still exists."""
    held: dict[int, set[int]] = {}
    for bucket, job in bulk.rows(session, _WAITING, buckets, at=JOURNALLED):
        for dropped in platform.journal.dropped(job):  # not what the row says: whoever edits it would spare the key
            held.setdefault(bucket, set()).add(dropped.epoch)
    return [bucket for bucket in buckets if bucket in held and held[bucket] & set(platform.keyring.epochs(bucket))]


def _older(platform: Platform, bucket: int, epoch: int) -> list[int]:
    """The epochs that a rotation to this one destroys."""
    return [one for one in platform.keyring.epochs(bucket) if one < epoch]


def _destroy(platform: Platform, rows: Sequence[Going]) -> frozenset[int]:
    """Destroy the old bucket keys; the buckets in which none is needed any more.

    Under the write lock, so that no writer can wrap a data key with an old epoch between our look and the end of it.
    What the replica holds was read before that; whoever has a newer data key since has it in the journal or in a
    database that the new epoch opens.
    """
    crash.point("destroy.before")
    with platform.database.write("keeper") as session:
        at = platform.clock.now()  # a clock that cannot be believed stops us here
        ready = rotations.ready(session, rows)
        needed = {row.bucket for row in ready if records.left_behind(session, row.bucket, row.epoch)}
        done = [row for row in ready if row.bucket not in needed]
        platform.keyring.destroy_all(
            [(row.bucket, epoch) for row in done for epoch in _older(platform, row.bucket, row.epoch)]
        )
        rotations.note(session, done, "destroyed_at", times.iso_ms(at))
        # at the next pass
        rotations.note(session, [row for row in ready if row.bucket in needed], "rewrapped_at", None)
        crash.point("destroy.within")
    crash.point("destroy.after")
    return frozenset(row.bucket for row in done)


def _dropped(platform: Platform, rows: Sequence[Going]) -> frozenset[int]:
    """The buckets whose old keys every opener has let go of; marks it."""
    old = {row.bucket: [(row.bucket, epoch) for epoch in row.old] for row in rows}
    dropped = platform.keyring.dropped_of(key for keys in old.values() for key in keys)
    free = [row for row in rows if dropped.issuperset(old[row.bucket])]
    if free:
        with platform.database.write("keeper") as session:
            rotations.note(session, rotations.still(session, free), "dropped_at", times.iso_ms(platform.clock.now()))
    return frozenset(row.bucket for row in free)
