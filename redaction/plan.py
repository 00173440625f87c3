"""Planning: which subjects to look at, what each of them lost, and the job that follows from it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from threading import Event
from typing import Final

from sqlmodel import Session, col, select

from issuer import credentials
from issuer.catalogue import Catalogue
from protocol import times
from protocol.consent import SubjectId
from protocol.errors import EvidenceError
from redaction import attempt, crash, disposition, downstream, drafting, due, fate, lapse, looking, unclaimed
from redaction.archive import Archived
from redaction.attempt import Failed
from redaction.disposition import PLANNED, Task
from redaction.drafting import Draft
from redaction.looking import Look, Proof, Proofs, View
from runtime.platform import Platform
from verifier import grounds

BATCH: Final = 500  # subjects looked at in one snapshot


GROUP: Final = 50  # subjects planned in one transaction: nobody else writes meanwhile


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
    unheld = attempt.tried(partial(unclaimed.plan, platform, catalogue, at))
    planned = 0 if isinstance(unheld, Failed) else unheld
    with platform.database.read() as session:
        subjects = due.due(session, at, BATCH)
        together = attempt.tried(partial(_sorted, session, platform, catalogue, subjects, proofs=proofs, at=at))
    found = _alone(platform, catalogue, subjects, proofs, at) if isinstance(together, Failed) else together
    due.remember(platform, found.idle, found.broken, at)
    return planned, found.busy, len(subjects) == BATCH


@dataclass(slots=True)
class _Sorted:
    """Subjects by what is to be done about them."""

    idle: dict[SubjectId, due.Seen] = field(default_factory=dict)
    busy: list[Draft] = field(default_factory=list)
    broken: dict[SubjectId, due.Broken] = field(default_factory=dict)


def _alone(
    platform: Platform, catalogue: Catalogue, subjects: Sequence[SubjectId], proofs: Proofs, at: datetime
) -> _Sorted:
    """The same for each by itself, in a snapshot of its own: what one of them fails with is told of that one."""
    found = _Sorted()
    for subject in subjects:
        with platform.database.read() as session:
            one = attempt.tried(partial(_sorted, session, platform, catalogue, [subject], proofs=proofs, at=at))
        if not isinstance(one, Failed):
            found.idle.update(one.idle)
            found.busy.extend(one.busy)
            found.broken.update(one.broken)
        else:
            with platform.database.read() as session:
                found.broken[subject] = (credentials.version(session, subject), _code(one.error))
    return found


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
        grants = attempt.tried(partial(looking.proved, platform, catalogue, evidence, at))
        if isinstance(grants, Failed):
            found.broken[evidence.subject] = (evidence.version, _code(grants.error))
            continue
        proof = Proof(evidence, grants)
        if evidence.subject not in archived and not any(lapse.over(grant, at) for grant in proof.grants):
            # nothing ended and nothing to bring back: no need to read the record
            found.idle[evidence.subject] = (evidence.version, lapse.lapse((), proof.grants, at).next_at)
            continue
        proofs.keep(proof, digest)
        stirred.append(proof)
    seen = looking.view(session, [one.evidence.subject for one in stirred])
    for proof in stirred:
        drafted = attempt.tried(partial(_drafted, session, platform, catalogue, proof, at=at, seen=seen))
        subject = proof.evidence.subject
        if isinstance(drafted, Failed):
            found.broken[subject] = (proof.evidence.version, _code(drafted.error))
        elif drafted.looked.idle:
            found.idle[subject] = (drafted.looked.version, drafted.looked.found.next_at)
        else:
            found.busy.append(drafted)
    return found


def _drafted(
    session: Session, platform: Platform, catalogue: Catalogue, proof: Proof, *, at: datetime, seen: View
) -> Draft:
    looked, rest = looking.look(session, platform, catalogue, proof, at, seen=seen), seen.rest[proof.evidence.subject]
    task = drafting.task(platform, looked, rest, drafting.ending_of(looked, at), at) if looked.decided else None
    return Draft(looked=looked, proof=proof, rest=rest, task=task)


def _code(error: Exception) -> str:
    """A stable code, never a text: of a row that is not ours its kind."""
    return error.code if isinstance(error, EvidenceError) else type(error).__name__


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
        free, at = drafting.free_of(session, subjects), platform.clock.now()
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
            tasks.append(drafting.task(platform, looked, seen.rest[subject], drafting.ending_of(looked, at), at))
    due.mark(session, {one: (looked.version, looked.found.next_at) for one, looked in looks.items()})
    _pass_on(session, platform, looks, at)
    return drafting.numbered(session, platform, tasks, seen.rest), seen


def _afresh(task: Task) -> Task:
    """The job with fates of its own: what a try that fails has marked on them is not true for the next one."""
    return replace(task, fates=fate.copies(task.fates))


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
