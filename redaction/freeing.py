"""Freeing: the jobs whose key nobody holds any more come to their end: told as shredded, and certified.

Only now is a field shredded: before this, some process could still have opened it.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlmodel import Session

from protocol import event, times
from protocol.errors import EvidenceError
from redaction import certificate, crash, disposition, oath, telling
from redaction.disposition import DONE, DROPPED, JOURNALLED, PLANNED, Task
from redaction.pace import Pace
from redaction.telling import Told
from runtime.platform import Platform

_FREEING: Final = Pace(size=50, least=10, most=400)  # jobs that come to their end


def let_go(platform: Platform, buckets: Sequence[int]) -> frozenset[int]:
    """Bring the jobs of these buckets whose key is gone to their end; the buckets with none left waiting."""
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
        dropped = oath.sworn(task, task.fates, platform.journal.dropped(task.id))
        if dropped is None:
            continue
        known = (dropped.bucket, dropped.epoch, dropped.generation)
        if known == (task.bucket, task.epoch, task.generation):
            sworn.append(task)
        else:
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
