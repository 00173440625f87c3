"""The slow sweep: every customer is looked at anew, whatever redaction's own tables say of what was looked at.

Those tables only spare work. Whoever edits them (a version that was "looked at", a job that never ends, a disclosure
that is gone) holds a disposal up; from the evidence and the stored fields the sweep finds it again, at latest after a
day and one round. It takes a small share of each pass, so that nobody waits for it.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from sqlmodel import Session, col, delete, func, not_, or_, select

from crm_core.records import RecordRow
from issuer.catalogue import Catalogue
from issuer.credentials import Standing
from issuer.evidence import Evidence
from issuer.settling import Settling
from protocol import times
from protocol.consent import SubjectId
from redaction import attempt, disposition, due, looking, plan, retell, revive
from redaction.attempt import Failed
from redaction.disposition import (
    DONE,
    DROPPED,
    JOURNALLED,
    PLANNED,
    RESEALED,
    STEPS,
    Fate,
    Job,
)
from redaction.due import LapseRow
from redaction.looking import Proof
from redaction.rotations import Rotation
from runtime import dialect, keyring
from runtime.platform import Platform
from verifier import disclosure, grounds
from verifier.quarantine import Quarantine

LOG: Final = logging.getLogger(__name__)
EVERY: Final = 86_400.0  # seconds between the beginnings of two rounds
BUDGET: Final = 0.01  # seconds of one pass
BATCH: Final = 20
STUCK: Final = timedelta(hours=1)
_AFTER: Final = (RESEALED, JOURNALLED)


@dataclass(slots=True)
class Sweep:
    """One worker's way through all customers. `found` counts what its tables had hidden, over all rounds."""

    found: int = 0
    rounds: int = 0
    _after: str = ""
    _outbox: int = 0
    _begun: float | None = None
    _resting: bool = False

    def some(self, platform: Platform, catalogue: Catalogue, *, budget: float = BUDGET) -> int:
        """Go on for `budget` seconds (at least one batch); how much was found. Raises ClockError."""
        now = time.monotonic()
        if self._resting and self._begun is not None and now - self._begun < EVERY:
            return 0
        if self._begun is None or self._resting:
            self._begun, self._resting, self._after, self._outbox = now, False, "", 0
            self._try("a job", partial(unstick, platform))
        before = self.found
        while True:
            if not self._on(platform, catalogue):
                self._resting, self.rounds = True, self.rounds + 1
                break
            if time.monotonic() - now >= budget:
                break
        return self.found - before

    def _on(self, platform: Platform, catalogue: Catalogue) -> bool:
        """The next customers, and after the last of them the releases on record; False at the end of the round."""
        with platform.database.read() as session:
            statement = select(RecordRow.subject, RecordRow.bucket).where(RecordRow.subject > self._after)
            statement = statement.where(dialect.ours(session, col(RecordRow.subject)))
            found = list(session.exec(statement.order_by(col(RecordRow.subject)).limit(BATCH)))
        if not found:
            return self._try("the releases on record", partial(self._released, platform)) > 0
        self._try("some customers", partial(self._batch, platform, catalogue, found))
        self._after = found[-1][0]  # whatever became of them: else those behind them would never have their turn
        return True

    def _batch(self, platform: Platform, catalogue: Catalogue, found: Sequence[tuple[str, int]]) -> int:
        """Put right what is wrong with these customers, by subject and what their records say of their bucket."""
        subjects = [SubjectId(one) for one, _ in found]
        astray = [SubjectId(one) for one, bucket in found if bucket != keyring.bucket_of(SubjectId(one))]
        self.found += self._try("a record", partial(_housed, platform, astray)) if astray else 0
        for what, act in (("a job", revive.revive), ("a notice", retell.retell)):
            self.found += self._try(what, partial(act, platform, subjects))
        for subject in _hidden(platform, catalogue, subjects):
            planned = attempt.tried(partial(plan.plan, platform, catalogue, [subject]))
            if not isinstance(planned, Failed):
                LOG.warning("the sweep found what redaction's tables had not: %s", "a job" if planned else "a notice")
                self.found += 1
        return len(subjects)

    def _released(self, platform: Platform) -> int:
        """Put right what recipients are to be told of by some releases; how far on the outbox's last one is."""
        with platform.database.write("keeper") as session:
            after, missing = disclosure.again(session, platform.controller, self._outbox)
        self.found += missing
        before, self._outbox = self._outbox, after
        return after - before

    def _try(self, what: str, act: Callable[[], int]) -> int:
        """How much a step put right; what fails holds up neither the customers beside it nor the rest of the round."""
        done = attempt.tried(act)
        if isinstance(done, Failed):
            LOG.error("the sweep could not put right %s: %s", what, type(done.error).__name__)
            return 0
        return done


def _housed(platform: Platform, subjects: Sequence[SubjectId]) -> int:
    """Put right the bucket of records that somebody sent elsewhere: no rotation would find their data keys."""
    with platform.database.write("keeper") as session:
        for subject in subjects:
            row = session.get_one(RecordRow, subject)
            row.bucket = keyring.bucket_of(subject)
            session.add(row)
    return len(subjects)


def _hidden(platform: Platform, catalogue: Catalogue, subjects: Sequence[SubjectId]) -> list[SubjectId]:
    """Those of the subjects for whom there is something to do that nobody would look at."""
    with platform.database.read() as session:
        waits = due.waiting(session)
        found = attempt.tried(
            partial(_busy, session, platform, catalogue, [one for one in subjects if one not in waits])
        )
    if not isinstance(found, Failed):
        return found
    alone = (attempt.tried(partial(_alone, platform, catalogue, one)) for one in subjects if one not in waits)
    return [one for some in alone if not isinstance(some, Failed) for one in some]


def _alone(platform: Platform, catalogue: Catalogue, subject: SubjectId) -> list[SubjectId]:
    """In a snapshot of its own: one that a statement failed in is of no use to PostgreSQL any more."""
    with platform.database.read() as session:
        return _busy(session, platform, catalogue, [subject])


def _busy(session: Session, platform: Platform, catalogue: Catalogue, subjects: Sequence[SubjectId]) -> list[SubjectId]:
    at = platform.clock.now()
    looks = {
        evidence.subject: partial(_idle, session, platform, catalogue, evidence, at)
        for evidence in grounds.collect(session, subjects)
    }
    # where a look fails, what it fails with is what is shown of the customer at the next one
    return [subject for subject, idle in looks.items() if attempt.tried(idle) is False]


def _idle(session: Session, platform: Platform, catalogue: Catalogue, evidence: Evidence, at: datetime) -> bool:
    row = session.get(LapseRow, evidence.subject)
    if row is None or (row.retry_at or "") > times.iso_ms(at):
        return True  # it is being looked at, or held back for a reason that `held_back` shows
    proof = Proof(evidence, looking.proved(platform, catalogue, evidence, at))
    return looking.look(session, platform, catalogue, proof, at).idle


def unstick(platform: Platform) -> int:
    """Put right the jobs that somebody's hand keeps from going on; how many.

    A bucket that is not the customer's, a next try in the far future, a step that there is not, a job without fields.
    """
    with platform.database.write("keeper") as session:
        at = platform.clock.now()
        # named as no job of ours can be: it could neither be carried out nor marked, and would hold its customer
        mended = session.exec(delete(Job).where(not_(dialect.ours(session, col(Job.id))))).rowcount
        latest = times.iso_ms(at + STUCK)
        for job in session.exec(select(Job).where(Job.step != DONE)):
            bucket = keyring.bucket_of(SubjectId(str(job.subject)))
            rows = disposition.fates_of(job)
            void = job.step not in STEPS or not rows
            late = job.next_try_at is not None and str(job.next_try_at) > latest
            ahead = not void and _ahead(platform, job, rows)
            if not (void or late or ahead or job.bucket != bucket):
                continue
            job.bucket, job.next_try_at = bucket, None
            if ahead:
                job.step = PLANNED
            if void:
                job.step, job.error, job.done_at = DONE, "void", times.iso_ms(at)
            session.add(job)
            mended += 1
        far = select(LapseRow).where(col(LapseRow.retry_at) > latest, dialect.ours(session, col(LapseRow.subject)))
        for row in session.exec(far):
            row.retry_at = None
            session.add(row)
            mended += 1
    return mended


def _ahead(platform: Platform, job: Job, rows: Sequence[Fate]) -> bool:
    """Whether a job says that it is further than it is: nothing was dropped yet, or what was kept nobody told of."""
    if platform.journal.dropped(job.id):
        return False
    return job.step in _AFTER or (job.step == DROPPED and (job.error == "not_kept" or not _kept(rows)))


def _kept(rows: Sequence[Fate]) -> bool:
    return all(row.action == "keep" for row in rows)


def held_back(session: Session, at: datetime) -> dict[str, int]:
    """What waits for somebody, by reason: nothing of it is forgotten, and none of it goes on by itself."""
    hour_ago = times.iso_ms(at - STUCK)
    unsettled = select(func.count()).select_from(Settling)
    unsettled = unsettled.where(col(Settling.settled_at).is_(None), Settling.at < hour_ago)
    stuck = select(func.count()).select_from(Job).where(Job.step != DONE, Job.planned_at < hour_ago)
    without = select(func.count()).select_from(RecordRow)
    without = without.where(col(RecordRow.subject).not_in(select(Standing.subject)))
    void = select(func.coalesce(func.sum(Job.planned), 0)).where(Job.step == DONE)
    beyond = or_(col(Rotation.bucket) < 0, col(Rotation.bucket) >= keyring.BUCKETS)
    nowhere = select(func.count()).select_from(Rotation).where(beyond)
    held = select(func.count()).select_from(LapseRow)
    lost, disputed = (held.where(LapseRow.error == code) for code in (looking.LOST, looking.DISPUTED))
    return {
        "customers under quarantine": session.exec(select(func.count()).select_from(Quarantine)).one(),
        "customers with an answer or ground that the database lost (fieldgrant reconcile)": session.exec(lost).one(),
        "customers with a statement that does not prove what it claims": session.exec(disputed).one(),
        "withdrawals not shut for an hour": session.exec(unsettled).one(),
        "jobs open for an hour": session.exec(stuck).one(),
        "records without a standing": session.exec(without).one(),
        "fields of jobs that somebody marked as done": session.exec(void).one(),
        "rotations of a bucket that there is not": session.exec(nowhere).one(),
    }
