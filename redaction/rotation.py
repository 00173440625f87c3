"""Rotating a bucket: its data keys move to a new epoch, the old bucket key is destroyed, every opener lets go of it.

After that, old pages, write-ahead logs and backups hold only what no key opens. What happens in the key-ring has no
transaction with the database; it is idempotent there, so a step that was cut off is simply taken again.
"""

import json
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, delete, insert, tuple_, update
from sqlmodel import Field as Column
from sqlmodel import Session, SQLModel, col, func, select

from crm_core import records
from crm_core.records import Wrapped
from protocol import event, times
from protocol.errors import EvidenceError
from redaction import certificate, crash, disposition, replica, telling
from redaction.disposition import DONE, DROPPED, JOURNALLED, PLANNED, RESEALED, Job, Task
from redaction.pace import Pace
from redaction.telling import Told
from runtime import bulk
from runtime.platform import Platform

READ: Final = 8_000  # data keys taken into memory at once
HANDFUL: Final = 800  # data keys put in their place in one transaction: about 10 ms
BUCKETS_AT_ONCE: Final = 64  # that take each step together


KEYS_AT_ONCE: Final = 16  # buckets whose old keys are destroyed under one lock: each waits for the disk
_FREEING: Final = Pace(size=50, least=10, most=400)  # jobs that come to their end


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
        """The epochs that this rotation destroys, as it was noted; what is destroyed the key-ring says."""
        try:
            found = json.loads(self.ended)
        except ValueError:
            return ()
        return tuple(one for one in found if type(one) is int and one < self.epoch) if isinstance(found, list) else ()


Keys = tuple[Rotation, Sequence[Wrapped]]
Moves = tuple[Rotation, Sequence[dict[str, Any]]]

_COUNT: Final = (
    update(Rotation)
    .where(col(Rotation.bucket) == bindparam("of"), col(Rotation.epoch) == bindparam("under"))
    .values(rewrapped=Rotation.rewrapped + bindparam("more"))
)


def buckets(session: Session) -> list[int]:
    """The buckets in which a job waits for its key to be destroyed, or a rotation was cut off."""
    waiting = session.exec(select(Job.bucket).where(Job.step == JOURNALLED).distinct())
    pending = session.exec(select(Rotation.bucket).where(col(Rotation.dropped_at).is_(None)).distinct())
    return sorted({*waiting, *pending})


def rotate(platform: Platform, buckets: Sequence[int]) -> frozenset[int]:
    """Carry the rotation of these buckets as far as it goes now; those of which no job waits for it any more.

    At most `BUCKETS_AT_ONCE`: what has to be done under the write lock is done for all of them. Raises EvidenceError (a
    data key does not open: the bucket keeps its keys), KeyGone, RingError.
    """
    platform.journal.refresh()
    rows = _begin(platform, buckets)
    platform.keyring.warm(row.bucket for row in rows.values() if row.destroyed_at is None)
    open_ = set(rows)
    rewrapped = {bucket for bucket, row in rows.items() if row.rewrapped_at is not None}
    rewrapped |= _rewrap(platform, [row for bucket, row in rows.items() if bucket not in rewrapped])
    destroyed = {bucket for bucket in rewrapped if rows[bucket].destroyed_at is not None}
    waiting = [rows[bucket] for bucket in sorted(rewrapped - destroyed)]
    for start in range(0, len(waiting), KEYS_AT_ONCE):
        destroyed |= _destroy(platform, waiting[start : start + KEYS_AT_ONCE])
    open_ -= _dropped(platform, [rows[bucket] for bucket in sorted(destroyed)])
    return _let_go(platform, [bucket for bucket in buckets if bucket not in open_])


def _begin(platform: Platform, buckets: Sequence[int]) -> dict[int, Rotation]:
    """The rotations under way, else new ones where a job waits for a key that still exists.

    The new keys are made ahead, for that waits for the disk; one that nobody then needs is the next rotation's. Under
    the write lock the key-ring is asked: of two workers only one begins, and no job joins in between.
    """
    crash.point("begin.before")
    with platform.database.read() as session:
        new = _to_begin(session, platform, buckets)
    platform.keyring.begin_rotations(new)
    with platform.database.write("keeper") as session:
        at = times.iso_ms(platform.clock.now())
        _progress(session, _void(session, platform, buckets), dropped_at=at)
        new = _to_begin(session, platform, buckets)
        begun: list[dict[str, Any]] = []
        for bucket, epoch in platform.keyring.begin_rotations(new).items():
            old = json.dumps(_older(platform, bucket, epoch))
            begun.append({"bucket": bucket, "epoch": epoch, "ended": old, "began_at": at})
        if begun:  # one that says it is over, while the old key is there, is begun anew
            places = [(one["bucket"], one["epoch"]) for one in begun]
            session.execute(delete(Rotation).where(tuple_(col(Rotation.bucket), col(Rotation.epoch)).in_(places)))
            session.connection().execute(insert(Rotation), [one | {"rewrapped": 0} for one in begun])
        rows = _pending(session, buckets)
        crash.point("begin.within")
    crash.point("begin.after")
    return rows


_WAITING: Final = select(Job.bucket, Job.id).where(col(Job.bucket).in_(bulk.these()), Job.step == bindparam("at"))


def _to_begin(session: Session, platform: Platform, buckets: Sequence[int]) -> list[int]:
    pending = _pending(session, buckets)
    held: dict[int, set[int]] = {}
    for bucket, job in bulk.rows(session, _WAITING, buckets, at=JOURNALLED):
        for dropped in platform.journal.dropped(job):  # not what the row says: whoever edits it would spare the key
            held.setdefault(bucket, set()).add(dropped.epoch)
    return [
        bucket
        for bucket in buckets
        if bucket not in pending and held.get(bucket, set()) & set(platform.keyring.epochs(bucket))
    ]


def _void(session: Session, platform: Platform, buckets: Sequence[int]) -> list[Rotation]:
    """Rotations under way to an epoch that is not the newest: none of ours, or over."""
    open_ = select(Rotation).where(col(Rotation.bucket).in_(buckets), col(Rotation.dropped_at).is_(None))
    return [
        row for row in session.exec(open_) if row.epoch != max(platform.keyring.epochs(row.bucket), default=row.epoch)
    ]


def _older(platform: Platform, bucket: int, epoch: int) -> list[int]:
    """The epochs that a rotation to this one destroys."""
    return [one for one in platform.keyring.epochs(bucket) if one < epoch]


def _refuse_dropped(platform: Platform, keys: Sequence[Wrapped]) -> None:
    """No data key that was dropped gets a new life: who put an older record back would keep what was shredded.

    Raises EvidenceError `dropped_generation`.
    """
    if any(one.generation <= platform.journal.generation(one.subject) for one in keys):
        raise EvidenceError("dropped_generation", "a record rests under a data key that was dropped")


def _rewrap(platform: Platform, rows: Sequence[Rotation]) -> frozenset[int]:
    """Move all data keys of the buckets; which of them are done. Not one with survivors that are not journalled.

    Keys are wrapped anew without any lock, and put in their place a few at a time: nobody else, who only wants to
    write down a read, waits for more than one such handful. A key that changed meanwhile is taken up again.
    """
    crash.point("rewrap.before")
    with platform.database.read() as session:
        going = _ready(session, rows)
    known: set[bytes] = set()  # what we wrapped ourselves, and need not look at again
    with ThreadPoolExecutor(1) as ahead:
        left: Sequence[Rotation] = going
        while left:
            page, left = _page(platform, left)
            _move_page(platform, page, ahead, known)
    replica.write_all(platform, [(row.bucket, row.epoch) for row in going], known)
    with platform.database.write("keeper") as session:
        # else somebody wrapped with the old key meanwhile: again at the next pass
        done = [row for row in _ready(session, going) if not records.left_behind(session, row.bucket, row.epoch)]
        _progress(session, done, rewrapped_at=times.iso_ms(platform.clock.now()))
    crash.point("rewrap.after")
    return frozenset(row.bucket for row in done)


def _page(platform: Platform, rows: Sequence[Rotation]) -> tuple[list[Keys], Sequence[Rotation]]:
    """The next data keys to move, at most `READ`, and the rotations that may have more.

    Those that are not under way any more are left out: another worker was faster, and a later one may be under way.
    """
    page: list[Keys] = []
    room = READ
    with platform.database.read() as session:
        rows = _ready(session, rows)
        for number, row in enumerate(rows):
            keys = records.behind(session, row.bucket, row.epoch, room)
            _refuse_dropped(platform, keys)
            page.append((row, keys))
            room -= len(keys)
            if room <= 0:
                return page, rows[number:]
    return page, ()


def handfuls(page: Sequence[Keys]) -> list[list[Keys]]:
    """The same keys, as many at a time as are put in their place in one transaction."""
    found: list[list[Keys]] = [[]]
    room = HANDFUL
    for row, keys in page:
        start = 0
        while start < len(keys):
            if not room:
                found.append([])
                room = HANDFUL
            part = keys[start : start + room]
            found[-1].append((row, part))
            start, room = start + len(part), room - len(part)
    return [one for one in found if one]


def _move_page(platform: Platform, page: Sequence[Keys], ahead: Executor, known: set[bytes]) -> None:
    """Move these keys; while a handful waits for the disk the next one is wrapped. `known` takes what was wrapped."""

    def wrap(handful: Sequence[Keys]) -> list[Moves]:
        return [(row, records.wrapped_anew(platform, row.bucket, keys, row.epoch)) for row, keys in handful]

    cut = handfuls(page)
    coming = ahead.submit(wrap, cut[0]) if cut else None
    for number in range(len(cut)):
        moves = coming.result() if coming is not None else []
        known.update(one["now"] for _, ones in moves for one in ones)
        coming = ahead.submit(wrap, cut[number + 1]) if number + 1 < len(cut) else None
        _move(platform, moves)


def _move(platform: Platform, handful: Sequence[Moves]) -> None:
    with platform.database.write("keeper") as session:
        still = {row.bucket for row in _still(session, [row for row, _ in handful])}
        ours = [(row, moves) for row, moves in handful if row.bucket in still]
        if not ours:
            return
        records.move(session, [one for _, moves in ours for one in moves])
        session.connection().execute(
            _COUNT, [{"of": row.bucket, "under": row.epoch, "more": len(moves)} for row, moves in ours]
        )
        crash.point("rewrap.within")


_OPEN: Final = select(Rotation.bucket, Rotation.epoch).where(
    col(Rotation.bucket).in_(bulk.these()), col(Rotation.dropped_at).is_(None)
)


def _still(session: Session, rows: Sequence[Rotation]) -> list[Rotation]:
    """Those of the rotations that are under way."""
    pending = {tuple(one) for one in bulk.rows(session, _OPEN, [row.bucket for row in rows])}
    return [row for row in rows if (row.bucket, row.epoch) in pending]


_AT_STEP: Final = select(Job.bucket).where(col(Job.bucket).in_(bulk.these()), Job.step == bindparam("at")).distinct()


def _ready(session: Session, rows: Sequence[Rotation]) -> list[Rotation]:
    """Those under way whose buckets have no survivors that are not journalled."""
    unjournalled = {bucket for (bucket,) in bulk.rows(session, _AT_STEP, [row.bucket for row in rows], at=RESEALED)}
    return [row for row in _still(session, rows) if row.bucket not in unjournalled]


def _progress(session: Session, rows: Sequence[Rotation], **values: Any) -> None:
    """Note the same of each of these rotations."""
    if rows:
        places = [(row.bucket, row.epoch) for row in rows]
        these = tuple_(col(Rotation.bucket), col(Rotation.epoch)).in_(places)
        session.connection().execute(update(Rotation).where(these).values(**values))


def _destroy(platform: Platform, rows: Sequence[Rotation]) -> frozenset[int]:
    """Destroy the old bucket keys; the buckets in which none is needed any more.

    Under the write lock, so that no writer can wrap a data key with an old epoch between our look and the end of it.
    What the replica holds was read before that; whoever has a newer data key since has it in the journal or in a
    database that the new epoch opens.
    """
    crash.point("destroy.before")
    with platform.database.write("keeper") as session:
        at = platform.clock.now()  # a clock that cannot be believed stops us here
        ready = _ready(session, rows)
        needed = {row.bucket for row in ready if records.left_behind(session, row.bucket, row.epoch)}
        done = [row for row in ready if row.bucket not in needed]
        platform.keyring.destroy_all(
            [(row.bucket, epoch) for row in done for epoch in _older(platform, row.bucket, row.epoch)]
        )
        _progress(session, done, destroyed_at=times.iso_ms(at))
        _progress(session, [row for row in ready if row.bucket in needed], rewrapped_at=None)  # at the next pass
        crash.point("destroy.within")
    crash.point("destroy.after")
    return frozenset(row.bucket for row in done)


def _dropped(platform: Platform, rows: Sequence[Rotation]) -> frozenset[int]:
    """The buckets whose old keys every opener has let go of; marks it."""
    old = {row.bucket: [(row.bucket, epoch) for epoch in row.old] for row in rows}
    dropped = platform.keyring.dropped_of(key for keys in old.values() for key in keys)
    free = [row for row in rows if dropped.issuperset(old[row.bucket])]
    if free:
        with platform.database.write("keeper") as session:
            at = times.iso_ms(platform.clock.now())
            _progress(session, free, dropped_at=func.coalesce(Rotation.dropped_at, at))
    return frozenset(row.bucket for row in free)


def _let_go(platform: Platform, buckets: Sequence[int]) -> frozenset[int]:
    """Bring the jobs whose key nobody holds any more to their end; the buckets with none left waiting.

    Only now is a field shredded: before this, some process could still have opened it.
    """
    crash.point("dropped.before")
    with platform.database.read() as session:
        waiting = [job for job, _ in disposition.in_buckets(session, buckets, JOURNALLED)]
    for some in _FREEING.some(waiting):
        try:
            _end(platform, some, certified=True)
            certificate.after()
        except EvidenceError:  # of one of them: the worker certifies each by itself then
            _end(platform, some, certified=False)
    crash.point("dropped.after")
    with platform.database.read() as session:
        return frozenset(buckets) - {bucket for _, bucket in disposition.in_buckets(session, buckets, JOURNALLED)}


def _end(platform: Platform, jobs: Sequence[str], *, certified: bool) -> None:
    """Those of the jobs whose key is gone: told as shredded, and certified, in one transaction."""
    with platform.database.write("keeper") as session, _FREEING.held(len(jobs)):
        tasks = _freed(platform, disposition.at_step(session, jobs, JOURNALLED))
        at = platform.clock.now()
        _shredded(session, tasks, at)
        crash.point("dropped.within")
        gone = {"destroyed_at": times.iso_ms(at)}
        if certified:
            certificate.at_once(session, platform, tasks, at)
            disposition.carry_out(session, tasks, JOURNALLED, DONE, **gone, **certificate.done(at))
        else:
            disposition.carry_out(session, tasks, JOURNALLED, DROPPED, **gone)


def _freed(platform: Platform, waiting: Sequence[Task]) -> list[Task]:
    """The jobs whose key nobody holds any more, by the journal, and whose rows say what the journal says."""
    sworn = []
    for task in waiting:
        dropped = disposition.sworn(task, task.fates, platform.journal.dropped(task.id))
        if dropped is not None:
            sworn.append(replace(task, bucket=dropped.bucket, epoch=dropped.epoch, generation=dropped.generation))
    gone = platform.keyring.dropped_of({(task.bucket, task.epoch or 0) for task in sworn})
    return [task for task in sworn if (task.bucket, task.epoch) in gone]


def _shredded(session: Session, tasks: Sequence[Task], at: datetime) -> None:
    now = times.iso_ms(at)
    told: list[Told] = []
    for task in tasks:
        key = {"generation": task.generation, "bucket": task.bucket, "epoch": task.epoch}
        for fate in task.fates:
            if fate.action == "shred" and fate.state == PLANNED:
                fate.state, fate.at = DONE, now
                told.append((fate, key))
    telling.tell(session, event.VALUE_SHREDDED, told, at)


_PENDING: Final = select(Rotation).where(col(Rotation.bucket).in_(bulk.these()), col(Rotation.dropped_at).is_(None))


def _pending(session: Session, buckets: Sequence[int]) -> dict[int, Rotation]:
    rows = session.scalars(_PENDING, {"these": list(buckets)})
    return {row.bucket: row for row in rows}
