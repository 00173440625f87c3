"""Dispositions: what becomes of each lapsed field (keep, seal, shred), decided once and carried out once.

A *job* is one subject's lapse at one version of their standing; it moves through `STEPS` and never back. At most one
job per subject is open at a time (a partial unique index), and a field has one disposition per job.
"""

import hashlib
import json
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as member
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, Literal

import orjson
from sqlalchemy import Index, UniqueConstraint, Update, bindparam, insert, text, update
from sqlalchemy import select as columns
from sqlmodel import Field as Column
from sqlmodel import Session, SQLModel, col, func, select

from issuer.catalogue import Catalogue
from protocol import times
from protocol.consent import Field, GroundId, SubjectId
from protocol.errors import EvidenceError
from redaction import fate, terms
from redaction.fate import DESTROYED, DONE, PLANNED, RESTORED, Fate
from redaction.lapse import Lapse, fresh
from runtime import bulk
from runtime.journal import Dropped
from runtime.platform import Platform

__all__ = ["DESTROYED", "DONE", "DROPPED", "JOURNALLED", "PLANNED", "RESEALED", "RESTORED", "STEPS", "Fate"]

RESEALED: Final = "resealed"  # put back from the journal: survivors under the next generation, not journalled here
JOURNALLED: Final = "journalled"  # archived; survivors under the next generation, durable outside the database too
DROPPED: Final = "dropped"  # the old bucket key is destroyed and every opener has let go of it
# PLANNED: decided, nothing done; DONE: certificate issued
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
    fates: str = "{}"  # what becomes of each field: see `fate`
    kept: int = 0  # fields that were carried out, by action
    sealed: int = 0
    shredded: int = 0
    planned: int = 0  # fields that were not carried out yet


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
def _instant(at: datetime) -> str:
    return times.iso_ms(at)


@lru_cache(maxsize=64)
def _destroy_by(after: str, at: datetime) -> datetime:
    return terms.end_of_quarter(at + times.duration(after))


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


def id_of(platform: Platform, subject: SubjectId, generation: int) -> str:
    """The id of the job that drops a generation of a customer's data key: there is one, whatever is killed when.

    The journal is told before the commit: whoever tries again after a kill must not be taken for another job.
    """
    key = platform.keyring.secret("redaction-job")
    said = hashlib.blake2b(orjson.dumps([subject, generation]), key=key, digest_size=16).digest()
    return uuid.UUID(bytes=said, version=4).urn


@lru_cache(maxsize=256)  # the same for most fields of a customer
def _causes(causes: tuple[GroundId, ...]) -> str:
    return json.dumps(causes)


def new_fates(job: str, subject: SubjectId, decided: Iterable[Decided]) -> list[Fate]:
    """What was decided, as the fates of a job."""
    return [
        Fate(
            job,
            subject,
            one.field,
            one.action,
            _causes(one.causes),
            ground=one.ground,
            legal_ground=one.legal_ground,
            period=one.period,
            destroy_by=None if one.destroy_by is None else _instant(one.destroy_by),
        )
        for one in decided
    ]


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
            causes[one.field] = causes.get(one.field, frozenset()) | frozenset(map(GroundId, said(one.causes)))
    return causes


def said(causes: str) -> list[Any]:
    """The grounds that a row names as its causes."""
    try:
        told = json.loads(causes)
    except (ValueError, TypeError):
        return []
    return told if isinstance(told, list) else []


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


_by_field: Final = attrgetter("field")
_facts: Final = attrgetter("ground", "legal_ground", "period", "destroy_by", "digest")


def facts(task: Task | Job, rows: Iterable[Fate]) -> dict[str, Any]:
    """What the certificate of a job that drops a data key is to say, as the journal keeps it: rows are only a copy.

    An empty text stands for what there is not.
    """
    items = [
        [one.field, one.action, _listed(one.causes), *(text or "" for text in _facts(one))]
        for one in sorted(rows, key=_by_field)
    ]
    return {"cause": task.cause, "cause_id": task.cause_id, "items": items}


@lru_cache(maxsize=256)  # the same for most fields of a customer
def _listed(causes: str) -> tuple[str, ...]:
    """As a list: a text inside of a text would be read, and written, character by character."""
    try:
        found = orjson.loads(causes)
    except orjson.JSONDecodeError:
        return ()
    return tuple(found) if isinstance(found, list) and all(type(one) is str for one in found) else ()


def digest_of(told: Mapping[str, Any]) -> str:
    """The digest of what a job's certificate is to say (SHA-256 in hex: it leaves neither journal nor memory)."""
    return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()


def sworn(task: Task | Job, rows: Iterable[Fate], dropped: Sequence[Dropped]) -> Dropped | None:
    """Which of what the journal knows of the job the rows say, the newest first; None: none of it."""
    if not dropped:
        return None
    said = digest_of(facts(task, rows))
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
        fates="{}",
    )
    fates = [
        Fate(
            job.id,
            SubjectId(job.subject),
            Field(field),
            action,
            json.dumps(causes),
            PLANNED if action == "shred" else DONE,
            *(text or None for text in more),
        )
        for field, action, causes, *more in claim["told"]["items"]
    ]
    rewrite(session, job, fates)
    session.flush()


def of_job(session: Session, job_id: str) -> list[Fate]:
    """The fates of a job in the order of their fields."""
    job = session.get(Job, job_id)
    return [] if job is None else fates_of(job)


def of_subject(session: Session, subject: SubjectId) -> list[Fate]:
    """All fates of a subject, those of older jobs first."""
    jobs = select(Job).where(Job.subject == subject).order_by(col(Job.version), col(Job.round))
    return [one for job in session.exec(jobs) for one in fates_of(job)]
