"""Planning: which subjects to look at, what each of them lost, and the job that follows from it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Event
from typing import Any, Final

from sqlalchemy import bindparam, or_
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
from redaction.disposition import DONE, PLANNED, Decided, Job, LapseRow, Task
from redaction.looking import Look, Proof, Proofs, Resting, View
from runtime import bulk, dialect, keyring
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a look found about one subject, and the job that would follow: to be confirmed under the write lock."""

    looked: Look
    proof: Proof
    rest: Resting
    task: Task | None  # None: something is asked back or told, and no field lapses

    @property
    def subject(self) -> SubjectId:
        """Whose."""
        return self.proof.evidence.subject

    @property
    def alone(self) -> bool:
        """Whether nothing but the job follows from the look."""
        return not self.looked.wanted and not self.looked.elsewhere


def plan_due(
    platform: Platform, catalogue: Catalogue, stop: Event | None = None, proofs: Proofs | None = None
) -> tuple[int, bool]:
    """Look at the next batch of subjects and store their jobs; how many, and whether there is more to look at."""
    proofs = proofs or Proofs(platform, catalogue)
    planned, drafts, more = look_due(platform, catalogue, proofs)
    subjects = [one.subject for one in drafts]
    for start in range(0, len(subjects), GROUP):
        if stop is not None and stop.is_set():
            break
        planned += _together(platform, catalogue, subjects[start : start + GROUP], proofs)
    return planned, more


def look_due(platform: Platform, catalogue: Catalogue, proofs: Proofs) -> tuple[int, list[Draft], bool]:
    """Look at the next batch of subjects: for whom there is something to do, and whether there is more to look at.

    First the number of jobs that were stored already, for values that no ground ever came for.
    """
    at = platform.clock.now()
    planned = _plan_unclaimed(platform, catalogue, at)
    with platform.database.read() as session:
        subjects = due(session, at, BATCH)
        found = _sorted(session, platform, catalogue, subjects, proofs=proofs, at=at)
    _remember(platform, found.idle, found.broken, at)
    return planned, found.busy, len(subjects) == BATCH


@dataclass(slots=True)
class _Sorted:
    """Subjects by what is to be done about them."""

    idle: dict[SubjectId, Seen] = field(default_factory=dict)
    busy: list[Draft] = field(default_factory=list)
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
            continue
        rest = seen.rest[subject]
        task = _task(platform, looked, rest, _ending(looked, at), at) if looked.decided else None
        found.busy.append(Draft(looked=looked, proof=proof, rest=rest, task=task))
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
        if not free_of(session, [subject]):
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
            draft = replace(looked, decided=tuple(gone))
            task = _task(platform, draft, seen.rest[subject], (at, UNCLAIMED, UNCLAIMED), at)
            disposition.add(session, _numbered(session, [task]), PLANNED)
        recall.put_right(session, subject, at)
        origin.settle(session, subject, at)
    return bool(gone)


@contextmanager
def deciding(platform: Platform) -> Iterator[Session]:
    """The transaction in which what becomes of lapsed fields is decided."""
    crash.point("plan.before")
    with platform.database.write("keeper") as session:
        yield session
        crash.point("plan.within")
    crash.point("plan.after")


def plan(platform: Platform, catalogue: Catalogue, subjects: Sequence[SubjectId], proofs: Proofs | None = None) -> int:
    """Look again under the write lock and store the jobs, and that we looked, in one transaction. How many jobs.

    At most `GROUP` subjects: nobody else writes meanwhile. Raises EvidenceError as `looking.look` and `Proofs.of` do.
    """
    with deciding(platform) as session:
        free, at = free_of(session, subjects), platform.clock.now()
        tasks, _ = decided(session, platform, proofs or Proofs(platform, catalogue), free, at)
        disposition.add(session, tasks, PLANNED)
    return len(tasks)


def decided(
    session: Session,
    platform: Platform,
    proofs: Proofs,
    subjects: Sequence[SubjectId],
    at: datetime,
    *,
    drafts: Mapping[SubjectId, Draft] | None = None,
) -> tuple[list[Task], View]:
    """Look at these subjects, who are free, under the write lock: their jobs, which the caller stores, and the view.

    A draft counts where nothing has moved since. That we looked, what is asked back and who is told is stored here.
    Raises EvidenceError as `looking.look` and `Proofs.of` do.
    """
    proved, seen = proofs.of(session, subjects, at), looking.view(session, subjects)
    looks: dict[SubjectId, Look] = {}
    tasks: list[Task] = []
    for subject in subjects:
        draft = (drafts or {}).get(subject)
        if draft is not None and draft.task is not None and _holds(draft, proved[subject], seen, at):
            looks[subject] = draft.looked
            tasks.append(_afresh(draft.task))
            continue
        looked = looks[subject] = looking.look(session, platform, proofs.catalogue, proved[subject], at, seen=seen)
        if looked.decided:
            tasks.append(_task(platform, looked, seen.rest[subject], _ending(looked, at), at))
    _mark(session, {one: (looked.version, looked.found.next_at) for one, looked in looks.items()})
    _pass_on(session, platform, looks, at)
    return _numbered(session, tasks), seen


def _afresh(task: Task) -> Task:
    """The job with fates of its own: what a try that fails has marked on them is not true for the next one."""
    return replace(task, fates=[replace(one) for one in task.fates])


def _holds(draft: Draft, proof: Proof, seen: View, at: datetime) -> bool:
    """Whether looking again would find the same: the evidence, what rests, and no ground that ran out meanwhile."""
    subject, next_at = draft.subject, draft.looked.found.next_at
    more = subject in seen.archived or subject in seen.disclosed or subject in seen.kept
    still = proof is draft.proof and not more and (next_at is None or next_at > at)
    return still and draft.alone and seen.rest[subject] == draft.rest


def _pass_on(session: Session, platform: Platform, looks: Mapping[SubjectId, Look], at: datetime) -> None:
    """What is asked back is marked, and recipients whom no ground covers any more are told."""
    for subject, looked in looks.items():
        for key, ground in looked.wanted.items():
            row = session.get_one(Archived, key)
            row.wanted_by, row.wanted_at, row.waiting = ground, times.iso_ms(at), None
            session.add(row)
        if looked.elsewhere:
            downstream.tell(session, platform, subject, looked.elsewhere, at)


_IN_FLIGHT: Final = select(Settling.subject).where(
    col(Settling.subject).in_(bulk.these()), col(Settling.settled_at).is_(None)
)
_UNDER_WAY: Final = select(Job.subject).where(col(Job.subject).in_(bulk.these()), Job.step != bindparam("done"))


def free_of(session: Session, subjects: Sequence[SubjectId]) -> list[SubjectId]:
    """Those without an open job, and of whom no narrowing still waits for its reads."""
    found = (*bulk.rows(session, _IN_FLIGHT, subjects), *bulk.rows(session, _UNDER_WAY, subjects, done=DONE))
    taken = {subject for (subject,) in found}
    return [subject for subject in subjects if subject not in taken]


def _task(platform: Platform, looked: Look, rest: Resting, ending: Ending, at: datetime) -> Task:
    ended_at, cause_id, cause = ending
    subject = looked.evidence.subject
    drops = rest.record is not None and any(one.action != "keep" for one in looked.decided)
    id_ = disposition.id_of(platform, subject, rest.existing().generation) if drops else fresh_id()
    return Task(
        id_,
        subject,
        looked.version,
        0,
        cause,
        cause_id,
        times.iso_ms(ended_at),
        times.iso_ms(at),
        keyring.bucket_of(subject),
        fates=disposition.new_fates(id_, subject, looked.decided),
    )


def _numbered(session: Session, tasks: Sequence[Task]) -> list[Task]:
    """The jobs in their rounds: a lapse may be planned more than once at one version.

    One whose id is taken (all of it was kept in the end, and its generation lives on) gets another.
    """
    rounds = disposition.rounds(session, [one.subject for one in tasks])
    taken = disposition.known(session, [one.id for one in tasks])
    found = []
    for task in tasks:
        number = rounds.get((task.subject, task.version), 0)
        one = replace(task, round=number) if number else task
        if one.id in taken:
            id_ = fresh_id()
            one = replace(one, id=id_, fates=[replace(fate, job=id_) for fate in one.fates])
        found.append(one)
    return found


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
    bulk.execute(session, _marking(session), rows)


_MARKING: Final[dict[bool, Any]] = {}  # by engine: a statement that is a constant is compiled once


def _marking(session: Session) -> Any:
    known = _MARKING.get(dialect.is_sqlite(session))
    if known is None:
        insert = dialect.insert(session, LapseRow)
        changed = {name: insert.excluded[name] for name in ("done_version", "next_at", "retry_at", "error")}
        known = insert.on_conflict_do_update(index_elements=["subject"], set_=changed)
        _MARKING[dialect.is_sqlite(session)] = known
    return known


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
