"""The worker: looks for lapses and carries every disposition to its end, resuming wherever it was killed.

It is driven by state alone. There is no queue to lose: what is to do follows from the standing of each subject and the
step of each job, so a worker that was killed at any point takes up where the last committed transaction left it, and
two workers side by side do nothing twice.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, func, or_, select

from issuer.catalogue import Catalogue
from protocol import times
from protocol.consent import SubjectId
from protocol.errors import EvidenceError
from redaction import archive, attempt, certificate, disposal, due, ending, plan, restore, revive, rotation
from redaction.attempt import Failed
from redaction.disposition import DONE, DROPPED, JOURNALLED, PLANNED, RESEALED, Job
from redaction.drafting import Draft
from redaction.looking import Proofs
from redaction.pace import Pace
from redaction.sweep import Sweep
from redaction.watch import Watch
from runtime.clock import ClockError
from runtime.journal import JournalError
from runtime.keyring import KeyGone, RingError
from runtime.platform import Platform
from runtime.root import RootError

T = TypeVar("T")

LOG: Final = logging.getLogger(__name__)
POLL: Final = 0.2  # seconds between two passes
SLOWEST: Final = 30.0  # seconds: the longest pause after errors
FAILURES: Final = (EvidenceError, KeyGone, RingError, RootError, JournalError, OSError, SQLAlchemyError)
AMASSED: Final = 4_000  # subjects looked at in one pass, before the buckets are rotated: once for all of them
LOOKING: Final = 20.0  # seconds after which no further ones are looked at before that
_DISPOSING: Final = Pace(size=40, least=10, most=100)  # jobs of one transaction
_CERTIFYING: Final = Pace(size=50, least=10, most=200)
WAITS: Final = 64  # doublings are bounded before they overflow


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What one pass did.

    `left` counts what is still under way by itself (jobs, rotations, and one when there are more subjects to look at,
    as `more` says); fields that wait for an archive key are not among them. `failed` counts the steps that failed and
    will be tried again; `destroyed` counts the boxes of the archive whose day had come.
    """

    planned: int
    finished: int
    restored: int
    failed: int
    left: int
    more: bool = False
    destroyed: int = 0


def run_once(
    platform: Platform, catalogue: Catalogue, *, look: bool = True, stop: threading.Event | None = None
) -> Pass:
    """One pass over the subjects whose standing changed (unless told not to `look`) and over all jobs under way.

    A step that fails is noted on its job and tried again with growing pauses; the others go on. Once `stop` is set, no
    further step is begun. Raises ClockError when the clock cannot be believed: then nothing is destroyed.
    """
    platform.clock.now()
    platform.clock.settled()
    before = attempt.or_else(partial(_open, platform), 0)
    late: list[SubjectId] = attempt.or_else(partial(_late, platform), [])
    planned, failed, more = _amass(platform, catalogue, look=look, stop=stop)
    ended, unrotated = _rotate(platform, stop)
    broken = _certify(platform, stop)
    restored, stuck = _restore(platform, catalogue, again=look, stop=stop)
    gone: list[int] = []
    rest = (partial(_end_due, platform, gone), partial(_revive, platform, late))
    unended = sum(_fails(platform, None, act) for act in rest)
    if ended or any(gone):
        platform.database.checkpoint()
    open_ = attempt.or_else(partial(_open, platform), before)
    finished = max(0, before + planned - open_)
    with platform.database.read() as session:
        left = open_ + len(rotation.buckets(session))
        if look and finished and not more:  # whose job came to its end may have lost more meanwhile
            more = bool(due.due(session, platform.clock.now(), 1))
    return Pass(
        planned=planned,
        finished=finished,
        restored=restored,
        failed=failed + unrotated + broken + stuck + unended,
        left=left + more,
        more=more,
        destroyed=sum(gone),
    )


def _open(platform: Platform) -> int:
    with platform.database.read() as session:
        return session.exec(select(func.count()).select_from(Job).where(Job.step != DONE)).one()


def _late(platform: Platform) -> list[SubjectId]:
    """The customers with a job that an earlier pass, or the journal, left on its way."""
    with platform.database.read() as session:
        steps = (RESEALED, JOURNALLED, DROPPED)
        return list(map(SubjectId, session.exec(select(Job.subject).where(col(Job.step).in_(steps)).distinct())))


def _revive(platform: Platform, subjects: Sequence[SubjectId]) -> None:
    """Of a customer one job at a time is put back from the journal: the next one, now that one may have ended."""
    if subjects:
        revive.revive(platform, subjects)


def run(platform: Platform, catalogue: Catalogue, stop: threading.Event) -> None:
    """Pass after pass, every 0.2 s, until `stop` is set; after an error with pauses that double up to 30 s."""
    errors, watch, slow = 0, Watch(), Sweep()
    # the sweep comes whatever became of the pass: it puts right what may have stopped it
    parts = (partial(_pass, platform, catalogue, watch, stop), partial(slow.some, platform, catalogue))
    while not stop.wait(pause(errors)):
        try:
            failed = [one.error for part in parts if isinstance(one := attempt.tried(part), Failed)]
            for error in failed:
                LOG.error("a redaction pass failed: %s", code_of(error))  # the kind only: a text could hold a value
        except ClockError as error:
            failed = [error]
            LOG.warning("redaction pauses: the clock cannot be believed, or its jump was not confirmed")
        errors = errors + 1 if failed else 0
        if failed:
            watch.failed()


def _pass(platform: Platform, catalogue: Catalogue, watch: Watch, stop: threading.Event) -> None:
    look = watch.stirred(platform)
    done = run_once(platform, catalogue, look=look, stop=stop)
    if look:
        watch.looked(more=done.more)


def _until(stop: threading.Event | None, work: Iterable[T]) -> Iterator[T]:
    """The pieces of work, until told to stop: what is left is found again by whoever starts next."""
    for piece in work:
        if stop is not None and stop.is_set():
            return
        yield piece


def pause(errors: int) -> float:
    """Seconds until the next pass after so many errors in a row."""
    return min(POLL * 2.0 ** min(errors, WAITS), SLOWEST)


def code_of(error: Exception) -> str:
    """A stable code for what failed; never its text."""
    code = getattr(error, "code", None)
    # SQLAlchemy's own codes are numbers of pages in its manual
    ours = isinstance(error, FAILURES) and not isinstance(error, SQLAlchemyError)
    return code if isinstance(code, str) and ours else type(error).__name__


def _jobs(session: Session, steps: tuple[str, ...], at: datetime) -> list[str]:
    """The jobs that stand at one of these steps and are not to wait, oldest first."""
    waited = or_(col(Job.next_try_at).is_(None), col(Job.next_try_at) <= times.iso_ms(at))
    statement = select(Job.id).where(col(Job.step).in_(steps), waited).order_by(col(Job.planned_at), col(Job.id))
    return list(session.exec(statement))


def _amass(
    platform: Platform, catalogue: Catalogue, *, look: bool, stop: threading.Event | None
) -> tuple[int, int, bool]:
    """Plan and dispose, batch after batch: jobs planned, failures, and whether there is more to look at.

    Each bucket is then rotated once for all of them: where many wait, this is most of what a rotation costs.
    """
    planned = failed = looked = 0
    until = time.monotonic() + LOOKING
    while True:
        proofs = Proofs(platform, catalogue)
        found = attempt.tried(partial(plan.look_due, platform, catalogue, proofs)) if look else (0, [], False)
        if isinstance(found, Failed):
            failed += 1
            LOG.error("a look failed: %s", code_of(found.error))
        some, drafts, more = (0, [], False) if isinstance(found, Failed) else found
        # all at once; a key that cannot be had fails where it is needed
        attempt.tried(partial(platform.keyring.warm, {one.task.bucket for one in drafts if one.task}))
        some += sum(_at_once(platform, catalogue, ones, proofs) for ones in _until(stop, _DISPOSING.some(drafts)))
        failed += _advance(platform, catalogue, proofs, stop)
        planned, looked = planned + some, looked + plan.BATCH
        stopped = stop is not None and stop.is_set()
        if not more or stopped or looked >= AMASSED or time.monotonic() > until:
            return planned, failed, more


def _at_once(platform: Platform, catalogue: Catalogue, drafts: Sequence[Draft], proofs: Proofs) -> int:
    """Decide and dispose for some subjects at once; where that fails, for each by itself. How many jobs there are.

    One that fails by itself is planned and no more: `_advance` tries again and notes what fails.
    """
    done = attempt.tried(partial(disposal.at_once, platform, drafts, proofs, pace=_DISPOSING))
    return sum(_alone(platform, catalogue, one, proofs) for one in drafts) if isinstance(done, Failed) else done


def _alone(platform: Platform, catalogue: Catalogue, draft: Draft, proofs: Proofs) -> int:
    done = attempt.tried(partial(disposal.at_once, platform, [draft], proofs))
    if isinstance(done, Failed):
        done = attempt.tried(partial(plan.plan, platform, catalogue, [draft.subject], proofs))
    if isinstance(done, Failed):
        if not isinstance(done.error, EvidenceError):  # else it changed since we looked: the next look will say so
            LOG.error("a disposition could not be planned: %s", code_of(done.error))
        return 0
    return done


def _advance(platform: Platform, catalogue: Catalogue, proofs: Proofs, stop: threading.Event | None) -> int:
    """Take each stored job as far as it gets by itself: to `journalled`, or to `dropped` when no key has to go."""
    with platform.database.read() as session:
        jobs = _jobs(session, (PLANNED, RESEALED), platform.clock.now())

    def dispose(some: Sequence[str]) -> None:
        disposal.dispose(platform, catalogue, some, proofs, pace=_DISPOSING)

    return sum(_failing(platform, some, dispose) for some in _until(stop, _DISPOSING.some(jobs)))


def _failing(platform: Platform, jobs: Sequence[str], act: Callable[[Sequence[str]], None]) -> int:
    """Act for some jobs at once; where that fails, for each by itself, so that none holds up the others.

    What failed is noted on its job. How many did.
    """
    if isinstance(attempt.tried(partial(act, jobs)), Failed):
        return sum(_fails(platform, job, partial(act, [job])) for job in jobs)
    return 0


def _some(whole: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (whole[start : start + size] for start in range(0, len(whole), size))


def _rotate(platform: Platform, stop: threading.Event | None) -> tuple[int, int]:
    """Rotate the buckets that jobs wait for; how many came to their end, and how many failed."""
    at = times.iso_ms(platform.clock.now())
    with platform.database.read() as session:
        buckets = rotation.buckets(session)
        columns = select(Job.bucket, Job.id, Job.next_try_at).where(Job.step == JOURNALLED)
        waiting = session.exec(columns.order_by(col(Job.planned_at), col(Job.id))).all()
    noted: dict[int, str | None] = {}  # the job on which a failure of its bucket is noted
    for bucket, job, next_try_at in waiting:
        if bucket in buckets and (next_try_at is None or str(next_try_at) <= at):
            noted.setdefault(bucket, job)
    for bucket in set(buckets) - {bucket for bucket, _, _ in waiting}:
        noted[bucket] = None
    ended = failed = 0
    turning = sorted(noted)  # of the others each job failed a moment ago
    for some in _until(stop, _some(turning, rotation.BUCKETS_AT_ONCE)):
        results: list[frozenset[int]] = []
        done = attempt.tried(partial(rotation.rotate, platform, some))
        if not isinstance(done, Failed):
            results.append(done)
        else:
            failed += sum(_fails(platform, noted[bucket], partial(_turn, platform, bucket, results)) for bucket in some)
        ended += sum(len(one) for one in results)
    return ended, failed


def _end_due(platform: Platform, gone: list[int]) -> None:
    gone.append(ending.end_due(platform))


def _turn(platform: Platform, bucket: int, results: list[frozenset[int]]) -> None:
    results.append(rotation.rotate(platform, [bucket]))


def _certify(platform: Platform, stop: threading.Event | None) -> int:
    """Certify the jobs that have no key to wait for, and those whose certificate failed; how many failed."""
    with platform.database.read() as session:
        jobs = _jobs(session, (DROPPED,), platform.clock.now())
    certify = partial(certificate.certify, platform, pace=_CERTIFYING)
    return sum(_failing(platform, some, certify) for some in _until(stop, _CERTIFYING.some(jobs)))


def _restore(platform: Platform, catalogue: Catalogue, *, again: bool, stop: threading.Event | None) -> tuple[int, int]:
    with platform.database.read() as session:
        subjects = archive.wanted(session, again=again)
    restored = failed = 0
    for subject in _until(stop, subjects):
        done = attempt.tried(partial(restore.restore, platform, catalogue, subject))
        if isinstance(done, Failed):
            failed += 1
            LOG.error("a restore failed: %s", code_of(done.error))
        else:
            restored += done
    return restored, failed


def _fails(platform: Platform, job_id: str | None, act: Callable[[], None]) -> bool:
    """Act; note a failure on the job, with the time of the next try. True when it failed."""
    done = attempt.tried(act)
    if not isinstance(done, Failed):
        return False
    code = code_of(done.error)
    LOG.error("a disposition failed: %s", code)
    if job_id is not None:
        attempt.tried(partial(_note, platform, job_id, code))  # the job may have gone, or be no job of ours
    return True


def _note(platform: Platform, job_id: str, code: str) -> None:
    with platform.database.write("keeper") as session:
        job = session.get_one(Job, job_id)
        job.attempts += 1
        wait = timedelta(seconds=pause(job.attempts))
        job.error, job.next_try_at = code, times.iso_ms(platform.clock.now() + wait)
        session.add(job)
