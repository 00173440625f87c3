"""Planning: which subjects to look at, what each of them lost, and the job that follows from it."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event
from typing import Final

from sqlalchemy import or_
from sqlmodel import Session, col, select

from crm_core import origin
from crm_core.imports import recall
from issuer.catalogue import Catalogue
from issuer.credentials import Standing
from issuer.evidence import Evidence
from issuer.settling import Settling
from protocol import times
from protocol.consent import Field, GroundId, SubjectId, fresh_id
from protocol.errors import EvidenceError
from redaction import crash, disposition, downstream, lapse, looking
from redaction.archive import Archived
from redaction.disposition import DONE, Decided, Job, LapseRow, NewJob
from redaction.looking import Look, Proof, Proofs
from runtime import dialect, keyring
from runtime.platform import Platform
from verifier import grounds
from verifier.grant import Grant
from verifier.quarantine import Quarantine

BATCH: Final = 500  # subjects looked at in one snapshot
UNCLAIMED: Final = GroundId("unclaimed")  # in the place of a ground that ended: there never was one
RETRY: Final = timedelta(seconds=30)  # until evidence that could not be believed is looked at again


GROUP: Final = 50  # subjects planned in one transaction: nobody else writes meanwhile

Ending = tuple[datetime, str, str]  # when the last of the lost grounds ended, which, and how
Seen = tuple[int, datetime | None]  # version of the standing, and when the next ground runs out by itself
Broken = tuple[int, str]  # version of the standing, and the code of why its evidence cannot be believed


def due(session: Session, at: datetime, limit: int = 500) -> list[SubjectId]:
    """Subjects whose standing moved since they were looked at, or one of whose grounds ran out by itself.

    Left out: those with a job under way (it ends first), those whose withdrawal still waits for reads in flight (its
    shut comes before what follows from it), and the quarantined ones: nothing is destroyed on suspicion.
    """
    now = times.iso_ms(at)
    statement = (
        select(Standing.subject)
        .outerjoin(LapseRow, col(LapseRow.subject) == col(Standing.subject))
        .where(
            or_(
                col(LapseRow.subject).is_(None),
                col(Standing.version) > col(LapseRow.done_version),
                col(LapseRow.next_at) <= now,
            ),
            or_(col(LapseRow.retry_at).is_(None), col(LapseRow.retry_at) <= now),
            *(col(Standing.subject).not_in(waits) for waits in _WAITING),
        )
        .order_by(col(Standing.subject))
        .limit(limit)
    )
    return [SubjectId(subject) for subject in session.exec(statement)]


_WAITING: Final = (
    select(Job.subject).where(Job.step != DONE),
    select(Settling.subject).where(col(Settling.settled_at).is_(None)),
    select(Quarantine.subject),
)


def waiting(session: Session) -> frozenset[SubjectId]:
    """The subjects that are left alone for now: a job or a withdrawal is under way, or they are under quarantine."""
    return frozenset(SubjectId(subject) for waits in _WAITING for subject in session.exec(waits))


def plan_due(
    platform: Platform, catalogue: Catalogue, stop: Event | None = None, proofs: Proofs | None = None
) -> tuple[int, bool]:
    """Look at the next batch of subjects; how many jobs were planned and whether there is more to look at."""
    at = platform.clock.now()
    proofs = proofs or Proofs(platform, catalogue)
    unclaimed = _plan_unclaimed(platform, catalogue, at)
    with platform.database.read() as session:
        subjects = due(session, at, BATCH)
        found = _sorted(session, platform, catalogue, subjects, proofs=proofs, at=at)
    _remember(platform, found.idle, found.broken, at)
    planned = unclaimed
    for start in range(0, len(found.busy), GROUP):
        if stop is not None and stop.is_set():
            break
        planned += _together(platform, catalogue, found.busy[start : start + GROUP], proofs)
    return planned, len(subjects) == BATCH


@dataclass(slots=True)
class _Sorted:
    """Subjects by what is to be done about them."""

    idle: dict[SubjectId, Seen] = field(default_factory=dict)
    busy: list[SubjectId] = field(default_factory=list)
    broken: dict[SubjectId, Broken] = field(default_factory=dict)


def _sorted(
    session: Session,
    platform: Platform,
    catalogue: Catalogue,
    subjects: Sequence[SubjectId],
    *,
    proofs: Proofs,
    at: datetime,
) -> _Sorted:
    found, stirred, digest = _Sorted(), [], catalogue.digest
    archived = set(session.exec(select(Archived.subject).where(col(Archived.subject).in_(subjects)).distinct()))
    for evidence in grounds.collect(session, subjects):
        try:
            proof = Proof(evidence, looking.proved(platform, catalogue, evidence, at))
        except EvidenceError as error:
            found.broken[evidence.subject] = (evidence.version, error.code)
            continue
        if evidence.subject not in archived and not any(lapse.over(grant, at) for grant in proof.grants):
            # nothing ended and nothing to bring back: no need to read the record
            found.idle[evidence.subject] = (evidence.version, lapse.lapse((), proof.grants, at).next_at)
            continue
        proofs.keep(proof, digest)
        stirred.append(proof)
    seen = looking.view(session, [one.evidence.subject for one in stirred])
    for proof in stirred:
        subject = proof.evidence.subject
        try:
            looked = looking.look(session, platform, catalogue, proof, at, seen=seen)
        except EvidenceError as error:
            found.broken[subject] = (proof.evidence.version, error.code)
            continue
        if looked.idle:
            found.idle[subject] = (looked.version, looked.found.next_at)
        else:
            found.busy.append(subject)
    return found


def _together(platform: Platform, catalogue: Catalogue, subjects: Sequence[SubjectId], proofs: Proofs) -> int:
    """Plan for some subjects at once; where that fails, for each by itself, so that none holds up the others."""
    try:
        return plan(platform, catalogue, subjects, proofs)
    except EvidenceError:
        planned = 0
        for subject in subjects:
            with suppress(EvidenceError):  # it changed since we looked: the next look will say so
                planned += plan(platform, catalogue, [subject], proofs)
        return planned


def _plan_unclaimed(platform: Platform, catalogue: Catalogue, at: datetime) -> int:
    """Imported values whose time has come and for which no ground ever came: destroyed. How many jobs were planned."""
    with platform.database.read() as session:
        waits = waiting(session)
        found = [one for one in origin.unclaimed(session, at, BATCH) if one[0] not in waits]
    planned = 0
    for subject, fields in found:
        with suppress(EvidenceError):  # evidence that cannot be believed: nothing is destroyed on it
            planned += _unclaimed(platform, catalogue, subject, fields)
    return planned


def _unclaimed(platform: Platform, catalogue: Catalogue, subject: SubjectId, fields: frozenset[Field]) -> bool:
    with platform.database.write("keeper") as session:
        if not _free(session, [subject]):
            return False
        at = platform.clock.now()
        proof = Proofs(platform, catalogue).of(session, [subject], at)[subject]
        seen = looking.view(session, [subject])
        looked = looking.look(session, platform, catalogue, proof, at, seen=seen)
        lapsed = {one.field for one in looked.decided}  # those had a ground: they go the way of a lapse
        really = fields & recall.due(session, subject, at)
        gone = [
            Decided(field=name, action="shred", causes=(UNCLAIMED,))
            for name in sorted(really & seen.rest[subject].fields(platform) - lapsed)
            if lapse.holder(name, looked.grants, at) is None
        ]
        if gone:
            round_ = disposition.rounds(session, [subject]).get((subject, looked.version), 0)
            job = _new_job(subject, looked.version, round_, (at, UNCLAIMED, UNCLAIMED), at)
            disposition.add(session, [(job, gone)])
        recall.put_right(session, subject, at)
        origin.settle(session, subject, at)
    return bool(gone)


def plan(platform: Platform, catalogue: Catalogue, subjects: Sequence[SubjectId], proofs: Proofs | None = None) -> int:
    """Look again under the write lock and store the jobs, and that we looked, in one transaction. How many jobs.

    At most `GROUP` subjects: nobody else writes meanwhile. Raises EvidenceError as `looking.look` and `Proofs.of` do.
    """
    crash.point("plan.before")
    with platform.database.write("keeper") as session:
        free = _free(session, subjects)
        if not free:
            return 0
        at = platform.clock.now()
        proved, seen = (proofs or Proofs(platform, catalogue)).of(session, free, at), looking.view(session, free)
        looks = {one: looking.look(session, platform, catalogue, proved[one], at, seen=seen) for one in free}
        _mark(session, {one: (looked.version, looked.found.next_at) for one, looked in looks.items()})
        for subject, looked in looks.items():
            for key, ground in looked.wanted.items():
                row = session.get_one(Archived, key)
                row.wanted_by, row.wanted_at, row.waiting = ground, times.iso_ms(at), None
                session.add(row)
            if looked.elsewhere:
                downstream.tell(session, platform, subject, looked.elsewhere, at)
        planned = {one: (looked, _ending(looked, at)) for one, looked in looks.items() if looked.decided}
        disposition.add(session, _jobs(session, planned, at))
        crash.point("plan.within")
    crash.point("plan.after")
    return len(planned)


def _free(session: Session, subjects: Sequence[SubjectId]) -> list[SubjectId]:
    """Those without an open job, and of whom no narrowing still waits for its reads."""
    in_flight = select(Settling.subject).where(col(Settling.subject).in_(subjects), col(Settling.settled_at).is_(None))
    under_way = select(Job.subject).where(col(Job.subject).in_(subjects), Job.step != DONE)
    taken = {*session.exec(in_flight), *session.exec(under_way)}
    return [subject for subject in subjects if subject not in taken]


def _jobs(
    session: Session, planned: Mapping[SubjectId, tuple[Look, Ending]], at: datetime
) -> list[tuple[NewJob, Sequence[Decided]]]:
    rounds = disposition.rounds(session, list(planned))
    return [
        (
            _new_job(subject, looked.version, rounds.get((subject, looked.version), 0), ending, at),
            looked.decided,
        )
        for subject, (looked, ending) in planned.items()
    ]


def _new_job(subject: SubjectId, version: int, round: int, ending: Ending, at: datetime) -> NewJob:
    ended_at, cause_id, cause = ending
    return NewJob(
        id=fresh_id(),
        subject=subject,
        version=version,
        round=round,
        cause=cause,
        cause_id=cause_id,
        ended_at=times.iso_ms(ended_at),
        planned_at=times.iso_ms(at),
        bucket=keyring.bucket_of(subject),
    )


def _ending(looked: Look, at: datetime) -> Ending:
    lost = {cause for one in looked.decided for cause in one.causes}
    return ending(looked.evidence, looked.grants, lost, at)


def ending(evidence: Evidence, grants: Sequence[Grant], lost: Collection[GroundId], at: datetime) -> Ending:
    """When the last of the lost grounds ended, which, and how. The instant only measures, so a column may tell it."""
    stamps = {row.id: row.ended_at for row in (*evidence.consents, *evidence.grounds)}
    endings: list[Ending] = []
    for grant in grants:
        if grant.ground not in lost or not lapse.over(grant, at):
            continue
        ran_out = grant.not_after if grant.not_after is not None and grant.not_after <= at else None
        stamp = stamps.get(grant.ground)
        ended = at if ran_out is None else ran_out
        if stamp is not None:
            ended = min(ended, times.parse(stamp, field="ended_at"))
        endings.append((ended, grant.ground, "catalogue" if grant.by_catalogue else grant.ended or "expired"))
    return max(endings)


def _mark(session: Session, seen: Mapping[SubjectId, Seen]) -> None:
    """Remember that these subjects were looked at: at which version, and when to look again."""
    rows = [
        {
            "subject": subject,
            "done_version": version,
            "next_at": None if next_at is None else times.iso_ms(next_at),
            "retry_at": None,
            "error": None,
        }
        for subject, (version, next_at) in seen.items()
    ]
    insert = dialect.insert(session, LapseRow)
    changed = {name: insert.excluded[name] for name in ("done_version", "next_at", "retry_at", "error")}
    session.connection().execute(insert.on_conflict_do_update(index_elements=["subject"], set_=changed), rows)


def _remember(
    platform: Platform, idle: Mapping[SubjectId, Seen], broken: Mapping[SubjectId, Broken], at: datetime
) -> None:
    """One transaction for all subjects with nothing to do, and for those whose evidence cannot be believed."""
    if not idle and not broken:
        return
    with platform.database.write("keeper") as session:
        if idle:
            # the versions that we looked at, not the present ones: whatever moved meanwhile is looked at next time
            _mark(session, idle)
        present = select(Standing.subject, Standing.version).where(col(Standing.subject).in_(broken))
        versions = dict(session.exec(present).all()) if broken else {}
        for subject, (version, code) in broken.items():
            if versions.get(SubjectId(subject)) != version:
                continue  # an ending was in the journal and not yet committed as we looked: it is due again at once
            row = session.get(LapseRow, subject) or LapseRow(subject=subject, done_version=0)
            row.retry_at, row.error = times.iso_ms(at + RETRY), code
            session.add(row)
