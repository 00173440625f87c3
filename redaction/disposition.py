"""Dispositions: what becomes of each lapsed field (keep, seal, shred), decided once and carried out once.

A *job* is one subject's lapse at one version of their standing; it moves through `STEPS` and never back. At most one
job per subject is open at a time (a partial unique index), and a field has one disposition per job.
"""

import hashlib
import itertools
import uuid
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from dataclasses import field as member
from functools import lru_cache
from typing import Any, Final

import orjson
from sqlalchemy import Index, UniqueConstraint, Update, bindparam, insert, text, update
from sqlalchemy import select as columns
from sqlmodel import Field as Column
from sqlmodel import Session, SQLModel, col, func, select

from crm_core.records import Record
from protocol.consent import Field, GroundId, SubjectId
from protocol.errors import EvidenceError
from redaction import fate
from redaction.fate import DESTROYED, DONE, PLANNED, RESTORED, Fate
from runtime import bulk
from runtime.platform import Platform

__all__ = ["DESTROYED", "DONE", "DROPPED", "JOURNALLED", "PLANNED", "RESEALED", "RESTORED", "STEPS", "Fate"]

RESEALED: Final = "resealed"  # put back from the journal: survivors under the next generation, not journalled here
JOURNALLED: Final = "journalled"  # archived; survivors under the next generation, durable outside the database too
DROPPED: Final = "dropped"  # the old bucket key is destroyed and every opener has let go of it
# PLANNED: decided, nothing done; DONE: certificate issued
STEPS: Final = (PLANNED, RESEALED, JOURNALLED, DROPPED, DONE)


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
    fates: str = "{}"  # what becomes of each field: see `fate`
    kept: int = 0  # fields that were carried out, by action
    sealed: int = 0
    shredded: int = 0
    planned: int = 0  # fields that were not carried out yet


@dataclass(frozen=True, slots=True)
class Task:
    """A job as a step needs it, or one that is not stored yet; `fates` in the order of their fields."""

    id: str
    subject: SubjectId
    version: int
    round: int
    cause: str
    cause_id: str
    ended_at: str
    planned_at: str
    bucket: int
    generation: int | None = None
    epoch: int | None = None
    fates: list[Fate] = member(default_factory=list, compare=False)


def ids_of(platform: Platform, subject: SubjectId, generation: int) -> Iterator[str]:
    """The ids for the job that drops a generation of a customer's data key, without end: the first that no row bears.

    It is the same one whatever is killed when: the journal is told before the commit, and whoever tries again must not
    be taken for another job. So what the journal knows comes first. An earlier job may bear an id of these: it was to
    drop the generation, and all of it was kept in the end.
    """
    told = platform.journal.dropped_of(subject).items()
    yield from (job for job, dropped in told if any(one.generation == generation for one in dropped))
    key = platform.keyring.secret("redaction-job")
    for number in itertools.count():
        said = hashlib.blake2b(orjson.dumps([subject, generation, number]), key=key, digest_size=16).digest()
        yield uuid.UUID(bytes=said, version=4).urn


def dropped(platform: Platform, record: Record) -> bool:
    """Whether the journal knows the record's data key as dropped: whoever was to do it died, or failed, before that."""
    generation: object = record.generation  # somebody may have written a text there
    return isinstance(generation, int) and generation <= platform.journal.generation(record.subject)


_JOB: Final = SQLModel.metadata.tables["redaction_job"]
_OF_TASK: Final = (
    "id", "subject", "version", "round", "cause", "cause_id", "ended_at", "planned_at", "bucket", "generation", "epoch",
)  # fmt: skip
_CHANGES: Final = ("cause", "cause_id", "ended_at", "generation", "epoch")  # of a job under way
_COUNTS: Final = ("kept", "sealed", "shredded", "planned")
_ADD: Final = insert(_JOB)


def add(session: Session, tasks: Collection[Task], step: str) -> None:
    """Store jobs that are new, at this step."""
    if tasks:
        session.flush()
        begun = {"step": step, "attempts": 0}
        rows = [{name: getattr(one, name) for name in _OF_TASK} | _packed(one) | begun for one in tasks]
        bulk.execute(session, _ADD, rows)


def _packed(task: Task) -> dict[str, Any]:
    return {"fates": fate.pack(task.fates), **fate.counts(task.fates)}


@lru_cache(maxsize=8)
def _carry_out(more: tuple[str, ...]) -> Update:
    changed = ("step", "fates", *_COUNTS, *_CHANGES, *more)
    return (
        update(_JOB)
        .where(_JOB.c.id == bindparam("job"), _JOB.c.step == bindparam("was"))
        .values({name: bindparam(f"new_{name}") for name in changed})
    )


def carry_out(session: Session, tasks: Collection[Task], before: str, to: str, **more: str | None) -> None:
    """Store what a step decided and did, and that it was taken: once.

    Each must stand at the step before: EvidenceError `already_done`, then nothing is stored.
    """
    rows = [
        {"job": one.id, "was": before, "new_step": to}
        | {f"new_{name}": value for name, value in _packed(one).items()}
        | {f"new_{name}": getattr(one, name) for name in _CHANGES}
        | {f"new_{name}": value for name, value in more.items()}
        for one in tasks
    ]
    if bulk.execute(session, _carry_out(tuple(sorted(more))), rows) != len(rows):
        raise EvidenceError("already_done", "this step of a job was taken before")


def told(session: Session, subject: SubjectId) -> dict[Field, frozenset[GroundId]]:
    """For each field the ended grounds for which it was said to be kept."""
    causes: dict[Field, frozenset[GroundId]] = {}
    for one in of_subject(session, subject):
        if one.action == "keep":
            causes[one.field] = causes.get(one.field, frozenset()) | frozenset(map(GroundId, fate.said(one.causes)))
    return causes


_SAYING_KEPT: Final = select(Job.subject).where(col(Job.subject).in_(bulk.these()), Job.kept > bindparam("least"))
_ROUNDS: Final = (
    select(Job.subject, Job.version, func.count())
    .where(col(Job.subject).in_(bulk.these()))
    .group_by(col(Job.subject), col(Job.version))
)


_KNOWN: Final = select(Job.id).where(col(Job.id).in_(bulk.these()))


def known(session: Session, jobs: Collection[str]) -> frozenset[str]:
    """Those of the jobs that are stored."""
    return frozenset(job for (job,) in bulk.rows(session, _KNOWN, jobs))


def saying_kept(session: Session, subjects: Collection[SubjectId]) -> frozenset[str]:
    """Those of the customers (at most 500) of whom something was said to be kept."""
    return frozenset(subject for (subject,) in bulk.rows(session, _SAYING_KEPT, subjects, least=0))


def rounds(session: Session, subjects: Collection[SubjectId]) -> dict[tuple[str, int], int]:
    """How often a lapse was planned, by subject and version of the standing."""
    return {(subject, version): count for subject, version, count in bulk.rows(session, _ROUNDS, subjects)}


def open_job(session: Session, subject: SubjectId) -> Job | None:
    """The job of this subject that is not done yet."""
    return session.exec(select(Job).where(Job.subject == subject, Job.step != DONE)).first()


_TASKS: Final = (
    columns(*(_JOB.c[name] for name in _OF_TASK), _JOB.c.fates)
    .where(_JOB.c.id.in_(bulk.these()), bulk.beside(_JOB.c.step) == bindparam("at"))
    .order_by(_JOB.c.id)
)


def _task(row: Any) -> Task:
    known = list(row)
    known[-1] = fate.unpack(row[0], row[1], row[-1])
    return Task(*known)


def at_step(session: Session, jobs: Collection[str], step: str) -> list[Task]:
    """Those of the jobs (at most 500) that stand at this very step; of others someone else took the step already."""
    return [_task(row) for row in bulk.rows(session, _TASKS, jobs, at=step)]


def in_buckets(session: Session, buckets: Collection[int], step: str) -> list[tuple[str, int]]:
    """The jobs of these buckets that stand at a step, oldest first: (id, bucket)."""
    statement = select(Job.id, Job.bucket).where(col(Job.bucket).in_(buckets), Job.step == step)
    return list(session.exec(statement.order_by(col(Job.planned_at), col(Job.id))).all())


def move(session: Session, jobs: Collection[str], to: str, **values: str | None) -> None:
    """Take jobs, which stand at the step before in this transaction, to the next one."""
    if jobs:
        session.connection().execute(update(_JOB).where(_JOB.c.id.in_(jobs)).values(step=to, **values))


def mark(session: Session, job: str, field: Field, state: str, at: str | None = None) -> None:
    """Note of one sealed field what became of it afterwards. Nothing happens where the job does not know it."""
    row = session.get(Job, job)
    fates = [] if row is None else fates_of(row)
    for one in fates:
        if one.field == field:
            one.state, one.at = state, at or one.at
    if row is not None:
        rewrite(session, row, fates)


def fates_of(job: Job) -> list[Fate]:
    """The fates that a row holds."""
    return fate.unpack(job.id, SubjectId(job.subject), job.fates)


def rewrite(session: Session, job: Job, fates: Collection[Fate]) -> None:
    """Put these fates in the place of those that a row holds."""
    job.fates = fate.pack(fates)
    for name, count in fate.counts(fates).items():
        setattr(job, name, count)
    session.add(job)


def of_job(session: Session, job_id: str) -> list[Fate]:
    """The fates of a job in the order of their fields."""
    job = session.get(Job, job_id)
    return [] if job is None else fates_of(job)


def of_subject(session: Session, subject: SubjectId) -> list[Fate]:
    """All fates of a subject, those of older jobs first."""
    jobs = select(Job).where(Job.subject == subject).order_by(col(Job.version), col(Job.round))
    return [one for job in session.exec(jobs) for one in fates_of(job)]
