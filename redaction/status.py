"""How things stand: jobs, fields of a customer, ages of keys, and the time from a withdrawal to the destroyed key."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any, Final, Literal

from sqlmodel import Session, col, func, select

from crm_core.records import RecordRow
from protocol import times
from protocol.consent import Field, SubjectId
from redaction import archive, disposition, downstream, fate
from redaction.archive import Archived
from redaction.disposition import DESTROYED, DONE, DROPPED, RESTORED, Fate, Job
from redaction.downstream import NoticeRow
from redaction.due import LapseRow
from redaction.officers import ArchiveRequest
from redaction.rotation import Rotation
from runtime.keyring import BUCKETS
from runtime.platform import Platform

BY_AN_ACT: Final = ("withdrawn", "superseded", "revoked")

FieldState = Literal["pending", "kept", "sealed", "shredded", "restored", "restoring", "waiting", "destroyed"]
_ENDS: Final[dict[str, FieldState]] = {"keep": "kept", "seal": "sealed", "shred": "shredded"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldStanding:
    """What became of one field: `waiting` is a sealed one that was asked for and whose archive key is not at hand."""

    field: Field
    state: FieldState
    disposition: str
    at: str | None
    certificate: str | None
    causes: tuple[str, ...]
    ground: str | None
    legal_ground: str | None
    period: str | None
    destroy_by: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """Seconds from the act that ended the last ground to the key that nobody holds any more. None: never yet.

    `open_longest` is the age of the oldest such act whose key is not destroyed yet: a maximum without it would lie.
    """

    count: int
    longest: float | None
    median: float | None
    open_longest: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The whole of redaction in numbers."""

    jobs: dict[str, int]  # by step
    failing: int  # open jobs whose last try failed
    dispositions: dict[str, int]  # by action, carried out
    archived: int
    waiting: int  # archived fields asked for, without their key
    disputed: int  # subjects that are left alone because their evidence cannot be believed
    shred: Durations


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketKeys:
    """One bucket that holds data keys: its epochs (more than one: a rotation is under way) and the newest one's age."""

    bucket: int
    epochs: tuple[int, ...]
    data_keys: int
    rotated_at: str | None  # None: still the first epoch
    age: float | None  # seconds since the rotation


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What is under way, each as (done, of how many)."""

    rotating: dict[int, tuple[int, int]]  # by bucket: data keys that moved to the new epoch
    dispositions: tuple[int, int]  # fields of open jobs that were carried out


def fields(session: Session, subject: SubjectId) -> list[FieldStanding]:
    """The latest word on each field of a subject that ever lost a ground, by name."""
    jobs = {job.id: job for job in session.exec(select(Job).where(Job.subject == subject))}
    held = {(row.job, row.field): row for row in archive.of_subject(session, subject)}
    latest = {one.field: one for one in disposition.of_subject(session, subject)}
    return [_standing(row, jobs[row.job], held.get((row.job, row.field))) for _, row in sorted(latest.items())]


def _standing(row: Fate, job: Job, archived: Archived | None) -> FieldStanding:
    state: FieldState = _ENDS[row.action]
    if job.step != DONE:
        state = "pending"
    elif row.state == RESTORED:
        state = "restored"
    elif row.state == DESTROYED:
        state = "destroyed"
    elif archived is not None and archived.wanted_by is not None:
        state = "waiting" if archived.waiting else "restoring"
    return FieldStanding(
        field=Field(row.field),
        state=state,
        disposition=row.action,
        at=row.at,
        certificate=job.id if job.step == DONE else None,
        causes=tuple(map(str, fate.said(row.causes))),
        ground=row.ground,
        legal_ground=row.legal_ground,
        period=row.period,
        destroy_by=row.destroy_by,
    )


def parts(session: Session, platform: Platform, jobs: Sequence[Job], at: datetime) -> dict[str, dict[str, str]]:
    """Per job, how each part of it stands: the stored fields, the archive, recipients elsewhere, copies in the house.

    `open`, `done`, `overdue` or `none`: a job whose certificate went out may still be open elsewhere, and says so.
    """
    ids = [job.id for job in jobs]
    sealing = {job.id: {one.state for one in disposition.fates_of(job) if one.action == "seal"} for job in jobs}
    told: dict[str, list[downstream.Standing]] = {}
    for notice in session.exec(select(NoticeRow).where(col(NoticeRow.certificate).in_(ids))):
        found = downstream.standing(platform, notice, at)
        if found is not None:
            told.setdefault(notice.certificate or "", []).append(found)
    ours = platform.controller
    return {
        job.id: {
            "stored": "done" if job.step in {DROPPED, DONE} else "open",
            "archive": _part("open" if state == disposition.PLANNED else "done" for state in sealing.get(job.id, ())),
            "downstream": _part(_answered(one) for one in told.get(job.id, ()) if one.notice.recipient != ours),
            "copies": _part(_answered(one) for one in told.get(job.id, ()) if one.notice.recipient == ours),
        }
        for job in jobs
    }


def _answered(found: downstream.Standing) -> str:
    return "done" if found.settled else "overdue" if found.state == "overdue" else "open"


def _part(states: Iterable[str]) -> str:
    seen = set(states)
    return next((state for state in ("overdue", "open", "done") if state in seen), "none")


def opening(row: ArchiveRequest) -> dict[str, str | None]:
    """What the customer is told of an archived field that officers opened."""
    return {
        "field": row.field,
        "at": row.used_at,
        "reason": row.reason,
        "legal_ground": row.legal_ground,
        "requested_by": row.requested_by,
        "approved_by": row.approved_by,
    }


def elsewhere(found: downstream.Standing) -> dict[str, Any]:
    """What is told of a recipient who had fields: whether they were told, and whether they have answered."""
    return {
        "notice": found.notice.id,
        "recipient": found.notice.recipient,
        "fields": sorted(found.notice.fields),
        "exports": sorted(found.notice.exports) or None,
        "state": found.state,
        "at": times.iso(found.notice.at),
        "deadline": times.iso(found.notice.deadline),
        "delivered_at": found.delivered_at,
        "acknowledged_at": None if found.acknowledged_at is None else times.iso(found.acknowledged_at),
        "citation": found.citation,
    }


def figures(session: Session, at: datetime) -> Figures:
    """Everything in numbers at one instant."""
    jobs = session.exec(select(Job.step, func.count()).group_by(col(Job.step))).all()
    failing = select(func.count()).select_from(Job).where(Job.step != DONE, col(Job.error).is_not(None))
    done = session.exec(select(func.sum(Job.kept), func.sum(Job.sealed), func.sum(Job.shredded))).one()
    waiting = select(func.count()).select_from(Archived).where(col(Archived.waiting).is_not(None))
    disputed = select(func.count()).select_from(LapseRow).where(col(LapseRow.error).is_not(None))
    return Figures(
        jobs=dict(jobs),
        failing=session.exec(failing).one(),
        dispositions={action: count for action, count in zip(_ENDS, done, strict=True) if count},
        archived=session.exec(select(func.count()).select_from(Archived)).one(),
        waiting=session.exec(waiting).one(),
        disputed=session.exec(disputed).one(),
        shred=durations(session, at),
    )


def durations(session: Session, at: datetime) -> Durations:
    """How long it took from the act that ended a ground to the destroyed key, over all jobs that destroyed one."""
    rows = session.exec(
        select(Job.ended_at, Job.destroyed_at, Job.epoch, Job.step).where(col(Job.cause).in_(BY_AN_ACT))
    )
    took: list[float] = []
    still: list[float] = []
    for ended_at, destroyed_at, epoch, step in rows:
        if destroyed_at is not None:
            took.append(_between(ended_at, destroyed_at))
        elif epoch is not None or step != DONE:
            still.append(_between(ended_at, times.iso_ms(at)))
    return Durations(
        count=len(took),
        longest=max(took, default=None),
        median=median(took) if took else None,
        open_longest=max(still, default=None),
    )


def keys(platform: Platform) -> list[BucketKeys]:
    """The buckets that hold data keys, with their epochs and ages."""
    at = times.iso_ms(platform.clock.now())
    with platform.database.read() as session:
        counts = dict(session.exec(select(RecordRow.bucket, func.count()).group_by(col(RecordRow.bucket))).all())
        newest = select(Rotation.bucket, func.max(Rotation.began_at)).group_by(col(Rotation.bucket))
        rotated: dict[int, str] = dict(session.exec(newest).all())
    found = []
    for bucket in range(BUCKETS):
        epochs = platform.keyring.epochs(bucket)
        if not epochs:
            continue
        since = rotated.get(bucket)
        found.append(
            BucketKeys(
                bucket=bucket,
                epochs=epochs,
                data_keys=counts.get(bucket, 0),
                rotated_at=since,
                age=None if since is None else _between(since, at),
            )
        )
    return found


def progress(session: Session) -> Progress:
    """How far the rotations and the dispositions under way have come."""
    counts: dict[tuple[int, int], int] = {}
    open_ = session.exec(
        select(Rotation).where(col(Rotation.dropped_at).is_(None)).order_by(col(Rotation.bucket))
    ).all()
    of_bucket = col(RecordRow.bucket).in_([row.bucket for row in open_])
    counted = select(RecordRow.bucket, RecordRow.epoch, func.count()).where(of_bucket)
    for bucket, epoch, count in session.exec(counted.group_by(col(RecordRow.bucket), col(RecordRow.epoch))):
        counts[bucket, epoch] = count
    rotating = {
        row.bucket: (
            counts.get((row.bucket, row.epoch), 0),
            sum(count for (bucket, _), count in counts.items() if bucket == row.bucket),
        )
        for row in open_
    }
    under_way = select(func.sum(Job.kept + Job.sealed + Job.shredded), func.sum(Job.planned)).where(Job.step != DONE)
    done, left = (count or 0 for count in session.exec(under_way).one())
    return Progress(rotating=rotating, dispositions=(done, done + left))


def summary(buckets: Sequence[BucketKeys]) -> dict[str, Any]:
    """All bucket keys in a few numbers: how many, epochs, those that rotate, data keys, and ages in seconds."""
    ages = [one.age for one in buckets if one.age is not None]
    newest = max((one.epochs[-1] for one in buckets), default=0)
    middle = median(ages) if ages else None
    return {
        "buckets": len(buckets),
        "epochs": {"newest": newest, "held": sum(len(one.epochs) for one in buckets)},
        "rotating": sum(len(one.epochs) > 1 for one in buckets),
        "data_keys": sum(one.data_keys for one in buckets),
        "rotated": len(ages),
        "age": {"min": min(ages, default=None), "median": middle, "max": max(ages, default=None)},
    }


def _between(first: str, last: str) -> float:
    return (times.parse(last, field="at") - times.parse(first, field="at")).total_seconds()
