"""Disposal: a planned job's fields are archived, its data key is dropped, what survives is journalled; at one stroke.

Before anything is committed the journal holds, outside the database: what each job dropped and what it is to certify
(no row can have a certificate signed for what was never dropped), and what survives, for an older copy of the database
opens nothing of it once the bucket key is destroyed. A kill between journal and commit leaves entries that the next try
follows with others of the same customers: a replay takes the last of them.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlmodel import Session

from crm_core import archiving, records
from crm_core.seal import Value
from issuer.catalogue import Catalogue
from protocol.consent import Field, SubjectId
from protocol.errors import EvidenceError
from redaction import archive, crash, disposition, judge, looking, seal, shred, survivors
from redaction.disposition import DROPPED, JOURNALLED, PLANNED, RESEALED, Fate, Task
from redaction.looking import Proofs, Resting
from redaction.pace import Pace
from redaction.seal import Boxes
from redaction.shred import Losing
from runtime.keyring import KeyGone
from runtime.platform import Platform


@dataclass(frozen=True, slots=True)
class Ahead:
    """What was made without any lock: boxes by disposition, and what will rest by job."""

    boxes: Mapping[int, seal.Made] = field(default_factory=dict)
    left: Mapping[str, shred.Made] = field(default_factory=dict)


def dispose(
    platform: Platform,
    catalogue: Catalogue,
    jobs: Sequence[str],
    proofs: Proofs | None = None,
    *,
    pace: Pace | None = None,
) -> None:
    """Take these jobs (at most 500) from planned to journalled, or to dropped where all is kept; all or none.

    One that was put back from the journal is past its archive and its data key: only its survivors are journalled.
    Raises EvidenceError, KeyGone, JournalError.
    """
    crash.point("seal.before")
    ahead = _ahead(platform, jobs)
    with platform.database.write("keeper") as session, (pace or Pace.free()).held(len(jobs)):
        planned = disposition.at_step(session, jobs, PLANNED)
        put_back = disposition.at_step(session, jobs, RESEALED) if len(planned) < len(jobs) else []
        subjects = [task.subject for task in (*planned, *put_back)]
        if not subjects:
            return
        at = platform.clock.now()
        rest, boxes = looking.resting(session, subjects), archive.columns(session, subjects)
        judged = judge.judge(session, platform, proofs or Proofs(platform, catalogue), planned, boxes=boxes, at=at)
        for row in seal.settle(session, platform, judged, rest, at, ahead=ahead.boxes):
            boxes.setdefault(row["subject"], []).append(row)
        crash.point("seal.within")
        losing = [
            Losing(task, rest[task.subject], fates)
            for task in judged.tasks
            if shred.gone(fates := judged.fates.get(task.id, []))
        ]
        crash.point("seal.after")
        _journal(session, platform, losing, put_back, state=(rest, boxes), ahead=ahead, at=at)
        kept = {task.id for task in planned} - {one.task.id for one in losing}
        disposition.move(session, kept, DROPPED)  # nothing to drop, no key to destroy: on to the certificate
        crash.point("journal.within")
    crash.point("journal.after")


State = tuple[Mapping[SubjectId, Resting], Mapping[str, Sequence[Mapping[str, Any]]]]


def _journal(
    session: Session,
    platform: Platform,
    losing: Sequence[Losing],
    put_back: Sequence[Task],
    *,
    state: State,
    ahead: Ahead,
    at: datetime,
) -> None:
    """Drop the data keys of these jobs, and have the journal know of it and of what survives."""
    rest, boxes = state
    crash.point("reseal.before")
    dropped = shred.drop(session, platform, losing, ahead.left)
    crash.point("reseal.within")
    left = [resting for resting, _ in dropped] + [rest[task.subject] for task in put_back]
    kept = [survivors.entry(one.existing(), one.items, boxes.get(one.existing().subject, ()), at) for one in left]
    crash.point("reseal.after")
    crash.point("journal.before")
    platform.journal.append_all([*(entry for _, entry in dropped), *kept])
    disposition.move(session, [*(one.task.id for one in losing), *(task.id for task in put_back)], JOURNALLED)


def _ahead(platform: Platform, jobs: Sequence[str]) -> Ahead:
    """What fails here is left out: it fails under the lock, if it has to."""
    with platform.database.read() as session:
        tasks = disposition.at_step(session, jobs, PLANNED)
        fates = disposition.fates(session, [task.id for task in tasks])
        rest = looking.resting(session, [task.subject for task in tasks])
    wanted: list[seal.Wanted] = []
    left: dict[str, shred.Made] = {}
    for task in tasks:
        with suppress(EvidenceError, KeyGone):
            ones, own = fates.get(task.id, []), rest[task.subject]
            opened = _opened(platform, own)
            wanted += _to_seal(platform, own, ones, opened)
            left[task.id] = shred.make(platform, own, shred.gone(ones), opened)
    with suppress(EvidenceError, KeyGone):
        return Ahead(Boxes(platform).made(wanted), left)
    return Ahead({}, left)


def _opened(platform: Platform, rest: Resting) -> Mapping[Field, Value]:
    record = rest.existing()
    return records.open_fields(platform, record, records.stored(record))


def _to_seal(
    platform: Platform, rest: Resting, fates: Sequence[Fate], opened: Mapping[Field, Value]
) -> list[seal.Wanted]:
    sealing = [one for one in fates if seal.to_seal(one)]
    values: Mapping[Field, archiving.Archivable] = opened
    if rest.items and sealing:
        values = archiving.taken(platform, rest.existing(), rest.items, [one.field for one in sealing])
    return [(one, rest, values[one.field]) for one in sealing if one.field in values]
