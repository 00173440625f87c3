"""Disposal: a planned job's fields are archived, its data key is dropped, what survives is journalled; at one stroke.

Before anything is committed the journal holds, outside the database: what each job dropped and what it is to certify
(no row can have a certificate signed for what was never dropped), and what survives, for an older copy of the database
opens nothing of it once the bucket key is destroyed. A kill between journal and commit leaves entries that the next try
follows with others of the same customers: a replay takes the last of them.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlmodel import Session

from crm_core import archiving, records
from crm_core.seal import Value
from issuer.catalogue import Catalogue
from protocol.consent import Field, SubjectId
from protocol.errors import EvidenceError
from redaction import archive, crash, disposition, drafting, judge, looking, plan, seal, shred, survivors
from redaction.disposition import DROPPED, JOURNALLED, PLANNED, RESEALED, Fate, Task
from redaction.drafting import Draft
from redaction.looking import Proofs, Resting
from redaction.pace import Pace
from redaction.seal import Boxes
from redaction.shred import Losing
from runtime.keyring import KeyGone
from runtime.platform import Platform


@dataclass(frozen=True, slots=True)
class Ahead:
    """What was made without any lock: boxes by field of a job, and what will rest by job."""

    boxes: seal.Ahead = field(default_factory=dict)
    left: Mapping[str, shred.Made] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class State:
    """What rests of the customers of some jobs, and their rows in the archive."""

    rest: Mapping[SubjectId, Resting]
    boxes: dict[str, list[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Disposed:
    """The jobs that dropped a data key, those of which all is kept, and what the journal is to know."""

    journalled: list[Task]
    kept: list[Task]
    entries: list[dict[str, Any]]


def at_once(platform: Platform, drafts: Sequence[Draft], proofs: Proofs, *, pace: Pace | None = None) -> int:
    """Decide and dispose in one transaction, for subjects (at most 500) whom a look found; how many jobs. All or none.

    Nothing stands between the decision and the act. Raises EvidenceError, KeyGone, JournalError.
    """
    known = {one.subject: one for one in drafts}
    ahead = _ahead(platform, [one.task for one in drafts if one.task], {one.subject: one.rest for one in drafts})
    with plan.deciding(platform) as session, (pace or Pace.free()).held(len(drafts)):
        free, at = drafting.free_of(session, list(known)), platform.clock.now()
        tasks, seen = plan.decided(session, platform, proofs, free, at, drafts=known)
        state = State(seen.rest, {whose: [*rows] for whose, rows in seen.archived.items()})
        done = _dispose(session, platform, tasks, (), state=state, ahead=ahead, at=at)
        disposition.add(session, done.journalled, JOURNALLED)
        disposition.add(session, done.kept, DROPPED)
        _journal(platform, done)
    _after()
    return len(tasks)


def dispose(
    platform: Platform,
    catalogue: Catalogue,
    jobs: Sequence[str],
    proofs: Proofs | None = None,
    *,
    pace: Pace | None = None,
) -> None:
    """Take stored jobs (at most 500) from planned to journalled, or to dropped where all is kept; all or none.

    One that was put back from the journal is past its archive and its data key: only its survivors are journalled.
    Raises EvidenceError, KeyGone, JournalError.
    """
    with platform.database.read() as session:
        tasks = disposition.at_step(session, jobs, PLANNED)
        rest = looking.resting(session, [task.subject for task in tasks])
    platform.keyring.warm({task.bucket for task in tasks})
    ahead = _ahead(platform, tasks, rest)
    with platform.database.write("keeper") as session, (pace or Pace.free()).held(len(jobs)):
        planned = disposition.at_step(session, jobs, PLANNED)
        put_back = disposition.at_step(session, jobs, RESEALED) if len(planned) < len(jobs) else []
        subjects = [task.subject for task in (*planned, *put_back)]
        if not subjects:
            return
        at = platform.clock.now()
        state = State(looking.resting(session, subjects), archive.columns(session, subjects))
        proofs = proofs or Proofs(platform, catalogue)
        judged = judge.judge(session, platform, proofs, planned, boxes=state.boxes, at=at)
        done = _dispose(session, platform, judged, put_back, state=state, ahead=ahead, at=at)
        disposition.carry_out(session, done.journalled, PLANNED, JOURNALLED)
        disposition.carry_out(session, done.kept, PLANNED, DROPPED)
        disposition.move(session, [task.id for task in put_back], JOURNALLED)
        _journal(platform, done)
    _after()


def _dispose(
    session: Session,
    platform: Platform,
    tasks: Sequence[Task],
    put_back: Sequence[Task],
    *,
    state: State,
    ahead: Ahead,
    at: datetime,
) -> Disposed:
    """Archive, drop the data keys and put what survives in its place; what the journal has to know before a commit.

    The caller stores the jobs: those of which nothing is dropped have no key to destroy, they go on to the certificate.
    """
    rest, boxes = state.rest, state.boxes
    for row in seal.settle(session, platform, tasks, rest, at, ahead=ahead.boxes):
        boxes.setdefault(row["subject"], []).append(row)
    crash.point("seal.within")
    losing = [Losing(task, rest[task.subject]) for task in tasks if _loses(platform, task, rest[task.subject])]
    crash.point("seal.after")
    crash.point("reseal.before")
    dropped = shred.drop(session, platform, losing, ahead.left)
    crash.point("reseal.within")
    left = [resting for resting, _ in dropped] + [rest[task.subject] for task in put_back]
    kept = [survivors.entry(one.existing(), one.items, boxes.get(one.existing().subject, ()), at) for one in left]
    crash.point("reseal.after")
    gone = {one.task.id for one in losing}
    return Disposed(
        [_giving_up(one) for one in losing],
        [task for task in tasks if task.id not in gone],
        [*(entry for _, entry in dropped), *kept],
    )


def _loses(platform: Platform, task: Task, rest: Resting) -> bool:
    """Whether the data key goes: with a field, or because the journal has told so, before a kill, of a key whose fields
    are all kept now. An older copy of what rests must not be what lives on, nor a restore go by what was told then.
    """
    told = rest.record is not None and task.fates and disposition.dropped(platform, rest.record)
    return bool(shred.gone(task.fates) or told)


def _giving_up(one: Losing) -> Task:
    old = one.rest.existing()
    return replace(one.task, generation=old.generation, epoch=old.epoch)


def _journal(platform: Platform, done: Disposed) -> None:
    crash.point("journal.before")
    if done.entries:
        platform.journal.append_all(done.entries)
    crash.point("journal.within")


def _after() -> None:
    crash.point("journal.after")


def _ahead(platform: Platform, tasks: Sequence[Task], rest: Mapping[SubjectId, Resting]) -> Ahead:
    """What fails here is left out: it fails under the lock, if it has to."""
    crash.point("seal.before")
    wanted: list[seal.Wanted] = []
    left: dict[str, shred.Made] = {}
    for task in tasks:
        with suppress(EvidenceError, KeyGone):
            own = rest[task.subject]
            opened = _opened(platform, own)
            wanted += _to_seal(platform, own, task.fates, opened)
            left[task.id] = shred.make(platform, own, shred.gone(task.fates), opened)
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
