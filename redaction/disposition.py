"""Dispositions: what becomes of each lapsed field (keep, seal, shred), decided once and carried out once.

A *job* is one subject's lapse at one version of their standing; it moves through `STEPS` and never back. At most one
job per subject is open at a time (a partial unique index), and a field has one disposition per job.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Literal

from sqlalchemy import Index, UniqueConstraint, bindparam, delete, insert, text, update
from sqlmodel import Field as Column
from sqlmodel import Session, SQLModel, col, func, select

from issuer.catalogue import Catalogue
from protocol import canonical, times
from protocol.consent import Field, GroundId, SubjectId
from protocol.errors import EvidenceError
from redaction import terms
from redaction.lapse import Lapse, fresh
from runtime import bulk
from runtime.journal import Dropped

PLANNED: Final = "planned"  # decided, nothing done
RESEALED: Final = "resealed"  # put back from the journal: survivors under the next generation, not journalled here
JOURNALLED: Final = "journalled"  # archived; survivors under the next generation, durable outside the database too
DROPPED: Final = "dropped"  # the old bucket key is destroyed and every opener has let go of it
DONE: Final = "done"  # certificate issued; also the state of a disposition that was carried out
RESTORED: Final = "restored"  # state of a sealed disposition whose field came back
DESTROYED: Final = "destroyed"  # state of a sealed disposition whose archive key has ended
STEPS: Final = (PLANNED, RESEALED, JOURNALLED, DROPPED, DONE)

Action = Literal["keep", "seal", "shred"]


class LapseRow(SQLModel, table=True):
    """How far a subject's standing has been looked at, and when to look again without being told."""

    __tablename__ = "lapse"

    subject: str = Column(primary_key=True)
    done_version: int  # every change of standing up to this one was looked at, its dispositions planned
    next_at: str | None = Column(default=None, index=True)  # when a ground runs out by itself
    retry_at: str | None = None  # not before this: the evidence could not be believed
    error: str | None = None  # stable code of why


class Job(SQLModel, table=True):
    """One subject's lapse under way. Instants are ISO with milliseconds."""

    __tablename__ = "redaction_job"
    __table_args__ = (
        UniqueConstraint("subject", "version", "round"),
        Index(
            "redaction_job_one_open",
            "subject",
            unique=True,
            sqlite_where=text("step <> 'done'"),
            postgresql_where=text("step <> 'done'"),
        ),
    )

    id: str = Column(primary_key=True)  # urn:uuid, also the id of the certificate
    subject: str
    version: int
    round: int  # above 0: planned again at the same version, because a ground ran out by itself
    step: str = Column(index=True)
    cause: str  # withdrawn | superseded | revoked | expired
    cause_id: str  # the ground that ended last
    ended_at: str  # when the last ground ended: from here the time to the destroyed key is measured
    planned_at: str
    bucket: int = Column(index=True)
    generation: int | None = None  # the generation that was dropped
    epoch: int | None = None  # the bucket epoch that wrapped it
    destroyed_at: str | None = None  # when the last opener had let go of the bucket key
    done_at: str | None = None
    attempts: int = 0
    next_try_at: str | None = None
    error: str | None = None  # stable code of the last failure, never a text


class Disposition(SQLModel, table=True):
    """What becomes of one field in one job; `state` is planned, done, restored or destroyed."""

    __tablename__ = "disposition"
    __table_args__ = (UniqueConstraint("subject", "field", "version", "round"),)

    id: int | None = Column(default=None, primary_key=True)
    job: str = Column(index=True)
    subject: str
    field: str
    version: int
    round: int
    action: str
    state: str
    causes: str  # JSON list of the grounds that ended
    ground: str | None = None  # keep: the ground (credential id) that holds the field
    legal_ground: str | None = None  # seal, and keep by catalogue: the law that the catalogue names
    period: str | None = None
    destroy_by: str | None = None
    digest: str | None = None  # of the archived box
    at: str | None = None  # when it was carried out
    event: str | None = None  # the event that told of it, with others of the same step


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The disposition of one field.

    `ground` is the credential that holds a kept field; `legal_ground` is the catalogue's: what an archive rests on.
    """

    field: Field
    action: Action
    causes: tuple[GroundId, ...]
    ground: GroundId | None = None
    legal_ground: str | None = None
    period: str | None = None
    destroy_by: datetime | None = None


def decide(
    found: Lapse, catalogue: Catalogue, told: Mapping[Field, Collection[GroundId]], at: datetime
) -> tuple[Decided, ...]:
    """The disposition of each lapsed field as the catalogue says. Pure.

    `told` holds the ended grounds for which a field was already said to be kept: that is said once. Sealing needs a
    named ground, a period and a destroy-by date, keeping needs a named ground; without them the field is shredded, as
    is one that the catalogue no longer knows (PIPL art. 47).
    """
    decided = [
        Decided(field=item.field, action="keep", causes=item.causes, ground=item.ground)
        for item in fresh(found.held, told)
    ]
    for bare in found.bare:
        one = of_bare(bare.field, bare.causes, catalogue, at)
        if one.action == "keep":
            news = tuple(cause for cause in bare.causes if cause not in told.get(bare.field, ()))
            if not news:
                continue
            one = replace(one, causes=news)
        decided.append(one)
    return tuple(sorted(decided, key=lambda one: one.field))


def of_bare(field: Field, causes: tuple[GroundId, ...], catalogue: Catalogue, at: datetime) -> Decided:
    """What the catalogue says of a field that no living ground covers. Pure."""
    entry = catalogue.fields.get(field)
    if entry is None or entry.disposition == "shred" or entry.legal_ground is None:
        return Decided(field=field, action="shred", causes=causes)
    if entry.disposition == "keep":
        return Decided(field=field, action="keep", causes=causes, legal_ground=entry.legal_ground)
    if entry.period is None or entry.destroy_after is None:
        return Decided(field=field, action="shred", causes=causes)
    return Decided(
        field=field,
        action="seal",
        causes=causes,
        legal_ground=entry.legal_ground,
        period=entry.period,
        destroy_by=_destroy_by(entry.destroy_after, at),
    )


@lru_cache(maxsize=64)
def _destroy_by(after: str, at: datetime) -> datetime:
    return terms.end_of_quarter(at + times.duration(after))


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job that is planned: the columns of `Job` that it begins with."""

    id: str
    subject: SubjectId
    version: int
    round: int
    cause: str
    cause_id: str
    ended_at: str
    planned_at: str
    bucket: int


_OF_JOB: Final = tuple(one.name for one in fields(NewJob))
_ADD_JOB: Final = insert(SQLModel.metadata.tables["redaction_job"])
_ADD_FATE: Final = insert(SQLModel.metadata.tables["disposition"])


def add(session: Session, planned: Collection[tuple[NewJob, Collection[Decided]]]) -> None:
    """Store jobs with their dispositions; all planned."""
    if not planned:
        return
    fates = [
        {
            "job": job.id,
            "subject": job.subject,
            "field": one.field,
            "version": job.version,
            "round": job.round,
            "action": one.action,
            "state": PLANNED,
            "causes": json.dumps(one.causes),
            "ground": one.ground,
            "legal_ground": one.legal_ground,
            "period": one.period,
            "destroy_by": None if one.destroy_by is None else times.iso_ms(one.destroy_by),
        }
        for job, decided in planned
        for one in decided
    ]
    session.flush()
    begun = {"step": PLANNED, "attempts": 0}
    jobs = [{name: getattr(job, name) for name in _OF_JOB} | begun for job, _ in planned]
    bulk.execute(session, _ADD_JOB, jobs)
    bulk.execute(session, _ADD_FATE, fates)


def told(session: Session, subject: SubjectId) -> dict[Field, frozenset[GroundId]]:
    """For each field the ended grounds for which it was said to be kept."""
    causes: dict[Field, frozenset[GroundId]] = {}
    rows = session.exec(select(Disposition).where(Disposition.subject == subject, Disposition.action == "keep"))
    for row in rows:
        field = Field(row.field)
        causes[field] = causes.get(field, frozenset()) | frozenset(map(GroundId, json.loads(row.causes)))
    return causes


def rounds(session: Session, subjects: Collection[SubjectId]) -> dict[tuple[str, int], int]:
    """How often a lapse was planned, by subject and version of the standing."""
    statement = select(Job.subject, Job.version, func.count()).where(col(Job.subject).in_(subjects))
    grouped = statement.group_by(col(Job.subject), col(Job.version))
    return {(subject, version): count for subject, version, count in session.exec(grouped)}


def open_job(session: Session, subject: SubjectId) -> Job | None:
    """The job of this subject that is not done yet."""
    return session.exec(select(Job).where(Job.subject == subject, Job.step != DONE)).first()


@dataclass(frozen=True, slots=True)
class Task:
    """What a step needs to know of a job."""

    id: str
    subject: SubjectId
    bucket: int
    generation: int | None
    epoch: int | None
    version: int
    cause: str
    cause_id: str
    ended_at: str
    planned_at: str


@dataclass(slots=True)
class Fate:
    """One field of a job under way: what a step reads and changes of its `Disposition`."""

    key: int
    job: str
    subject: SubjectId
    field: Field
    action: str
    state: str
    ground: str | None
    legal_ground: str | None
    period: str | None
    destroy_by: str | None
    digest: str | None
    at: str | None
    event: str | None
    causes: str


_JOB: Final = SQLModel.metadata.tables["redaction_job"]
_FATE: Final = SQLModel.metadata.tables["disposition"]
_OF_FATE: Final = ("id", *(one.name for one in fields(Fate)[1:]))
_FATES: Final = select(*(_FATE.c[name] for name in _OF_FATE))
_CHANGED: Final = ("action", "state", "ground", "legal_ground", "period", "destroy_by", "digest", "at", "event")
# Carried out once: what is not planned any more is not changed by a step.
_CARRY_OUT: Final = (
    update(_FATE)
    .where(_FATE.c.id == bindparam("key"), _FATE.c.state == PLANNED)
    .values({name: bindparam(f"new_{name}") for name in _CHANGED})
)


_TASKS: Final = select(*(_JOB.c[one.name] for one in fields(Task)))


def at_step(session: Session, jobs: Collection[str], step: str) -> list[Task]:
    """Those of the jobs (at most 500) that stand at this very step; of others someone else took the step already."""
    statement = _TASKS.where(_JOB.c.id.in_(jobs), _JOB.c.step == step).order_by(_JOB.c.id)
    return [Task(*row) for row in session.connection().execute(statement)]


def in_buckets(session: Session, buckets: Collection[int], step: str) -> list[Task]:
    """The jobs of these buckets that stand at a step, oldest first."""
    statement = _TASKS.where(_JOB.c.bucket.in_(buckets), _JOB.c.step == step)
    return [Task(*row) for row in session.connection().execute(statement.order_by(_JOB.c.planned_at, _JOB.c.id))]


def move(session: Session, jobs: Collection[str], to: str, **values: str | None) -> None:
    """Take jobs, which stand at the step before in this transaction, to the next one."""
    if jobs:
        session.connection().execute(update(_JOB).where(_JOB.c.id.in_(jobs)).values(step=to, **values))


_GIVE_UP: Final = (
    update(_JOB).where(_JOB.c.id == bindparam("job")).values(generation=bindparam("dropped"), epoch=bindparam("under"))
)


def give_up(session: Session, keys: Collection[tuple[str, int, int]]) -> None:
    """Write down which data key each job drops: (job, generation, epoch that wrapped it)."""
    rows = [{"job": job, "dropped": generation, "under": epoch} for job, generation, epoch in keys]
    bulk.execute(session, _GIVE_UP, rows)


def fates(session: Session, jobs: Collection[str]) -> dict[str, list[Fate]]:
    """The fields of each of these jobs in the order of their names; jobs without any are left out."""
    statement = _FATES.where(_FATE.c.job.in_(jobs)).order_by(_FATE.c.job, _FATE.c.field)
    found: dict[str, list[Fate]] = {}
    for row in session.connection().execute(statement):
        found.setdefault(row.job, []).append(Fate(*row))
    return found


def carry_out(session: Session, changed: Collection[Fate]) -> None:
    """Store what a step decided and did. Each must rest as planned: EvidenceError `already_done`, nothing is stored."""
    rows = [_written(one, _CHANGED) for one in changed]
    if bulk.execute(session, _CARRY_OUT, rows) != len(rows):
        raise EvidenceError("already_done", "a field of this job was disposed of before")


def _written(fate: Fate, names: Sequence[str]) -> dict[str, Any]:
    return {"key": fate.key} | {f"new_{name}": getattr(fate, name) for name in names}


_CORRECTED: Final = ("subject", "causes", *_CHANGED)
_CORRECT: Final = (
    update(_FATE).where(_FATE.c.id == bindparam("key")).values({name: bindparam(f"new_{name}") for name in _CORRECTED})
)


def correct(session: Session, wrong: Collection[Fate], void: Collection[Fate]) -> None:
    """Put rows right that said what does not follow from the evidence, and take out those that speak of nothing."""
    bulk.execute(session, _CORRECT, [_written(one, _CORRECTED) for one in wrong])
    if void:
        session.connection().execute(delete(_FATE).where(_FATE.c.id.in_([one.key for one in void])))


def name_cause(session: Session, task: Task) -> None:
    """Write down why a job is there."""
    values = {"cause": task.cause, "cause_id": task.cause_id, "ended_at": task.ended_at}
    session.connection().execute(update(_JOB).where(_JOB.c.id == task.id).values(values))


def facts(task: Task | Job, rows: Iterable[Fate | Disposition]) -> dict[str, Any]:
    """What the certificate of a job that drops a data key is to say, as the journal keeps it: rows are only a copy."""
    items = [
        [row.field, row.action, row.ground, row.legal_ground, row.period, row.destroy_by, row.digest, row.causes]
        for row in sorted(rows, key=lambda one: one.field)
    ]
    return {"cause": task.cause, "cause_id": task.cause_id, "items": items}


def sworn(task: Task | Job, rows: Iterable[Fate | Disposition], dropped: Sequence[Dropped]) -> Dropped | None:
    """Which of what the journal knows of the job the rows say, the newest first; None: none of it."""
    if not dropped:
        return None
    said = canonical.digest(canonical.jcs(facts(task, rows)))
    return next((one for one in dropped if (one.subject, one.facts) == (task.subject, said)), None)


def put_back(session: Session, claim: Mapping[str, Any]) -> None:
    """A job with its dispositions as the journal's entry of what it dropped has them; resealed, no further."""
    version = int(claim["version"])
    taken = select(func.max(Job.round)).where(Job.subject == claim["subject"], Job.version == version)
    last = session.exec(taken).one()
    job = Job(
        id=claim["job"],
        subject=claim["subject"],
        version=version,
        round=0 if last is None else last + 1,
        step=RESEALED,
        cause=claim["told"]["cause"],
        cause_id=claim["told"]["cause_id"],
        ended_at=claim["ended_at"],
        planned_at=claim["planned_at"],
        bucket=claim["bucket"],
        generation=claim["generation"],
        epoch=claim["epoch"],
    )
    session.add(job)
    session.flush()
    for field, action, ground, legal_ground, period, destroy_by, digest, causes in claim["told"]["items"]:
        session.add(
            Disposition(
                job=job.id,
                subject=job.subject,
                field=field,
                version=version,
                round=job.round,
                action=action,
                state=PLANNED if action == "shred" else DONE,
                causes=causes,
                ground=ground,
                legal_ground=legal_ground,
                period=period,
                destroy_by=destroy_by,
                digest=digest,
            )
        )
    session.flush()


def of_job(session: Session, job_id: str) -> list[Disposition]:
    """The dispositions of a job in the order of their fields."""
    return list(session.exec(select(Disposition).where(Disposition.job == job_id).order_by(col(Disposition.field))))


def of_subject(session: Session, subject: SubjectId) -> list[Disposition]:
    """All dispositions of a subject, oldest first."""
    return list(session.exec(select(Disposition).where(Disposition.subject == subject).order_by(col(Disposition.id))))
