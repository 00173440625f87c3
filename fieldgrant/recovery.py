"""Start-up and recovery: database, journal, log and keys tell one story, or nobody is served until they do.

Each of them is compared with the others by the package that owns it; here they are put in their order. The log comes
first, for whatever is done later is an event that follows what was logged; then the journal; then the keys.
"""

from collections.abc import Callable
from dataclasses import dataclass

from audit import recovery
from audit.log import Log
from audit.recovery import Ending, Recovered
from issuer.catalogue import Catalogue
from protocol.errors import EvidenceError
from redaction import revive, rollforward
from redaction.rollforward import Rolled
from runtime.journal import NARROWING
from runtime.platform import Platform
from verifier import reconcile
from verifier.reconcile import Disagreement, Report

RUN = "run fieldgrant reconcile"
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What `restore` did, or would do."""

    log: Recovered
    journal: Report
    keys: Rolled
    certificates: int  # of jobs that dropped a key: their certificates were lost, and are made again
    unanswered: tuple[Ending, ...]  # ends in the log that the journal lacks: it is older than the log

    @property
    def settled(self) -> bool:
        """Whether the platform may serve, and nobody stays denied."""
        return not (self.journal.kept or self.keys.dark or self.unanswered)


def check(platform: Platform) -> None:
    """Refuse to serve while database, journal, log and keys disagree.

    Raises Disagreement: `journal_ahead`, `journal_behind`, `log_ahead_of_database`, `log_behind_database`,
    `log_forked`, `keys_ahead`; JournalError.
    """
    reconcile.startup_check(platform)
    log = Log(platform)
    try:
        recovery.compare(log)
    except EvidenceError as error:
        raise Disagreement(error.code, f"{error.detail}: {RUN}") from error
    if buckets := rollforward.behind(platform):
        detail = f"the database is older than the keys of {len(buckets)} buckets: {RUN}"
        raise Disagreement("keys_ahead", detail)
    _refuse_older_journal(platform, log)


def restore(
    platform: Platform,
    catalogue: Catalogue,
    *,
    dry_run: bool = False,
    accept_gaps: bool = False,
    end_unknown: bool = False,
    progress: Progress = lambda _what, _done, _of: None,
) -> Outcome:
    """Bring log, database and keys to the newest state that any of them knows. Again: nothing; a kill is harmless.

    `accept_gaps`: go on although nobody can tell whose records some lost leaves hold. `end_unknown`: the journal is
    older than the log and the right one is gone for good: end every consent of the customers concerned.
    Raises EvidenceError (`log_forked`, `chains_missing`), JournalError, ClockError.
    """
    log = Log(platform)
    told = recovery.recover(
        log, dry_run=dry_run, accept_gaps=accept_gaps, progress=lambda done, of: progress("log", done, of)
    )
    unanswered = _unanswered(platform, log, told if dry_run else None)
    if end_unknown and unanswered and not dry_run:
        reconcile.end_everything(platform, [(one.subject, one.at) for one in unanswered if one.subject])
        unanswered = _unanswered(platform, log, None)
    report = reconcile.reconcile(platform, catalogue, dry_run=dry_run)
    progress("journal", 1, 1)
    rolled = rollforward.roll_forward(platform, dry_run=dry_run, progress=lambda done, of: progress("keys", done, of))
    lost = revive.missing(platform)
    if lost and not dry_run:
        revive.revive(platform)
    return Outcome(log=told, journal=report, keys=rolled, certificates=len(lost), unanswered=tuple(unanswered))


def _refuse_older_journal(platform: Platform, log: Log) -> None:
    if missing := _unanswered(platform, log, None):
        detail = (
            f"the log tells of {len(missing)} endings that the journal lacks: bring back the newest journal; "
            f"if it is lost, {RUN} --end-unknown"
        )
        raise Disagreement("journal_behind", detail)


def _unanswered(platform: Platform, log: Log, seen: Recovered | None) -> list[Ending]:
    """Ends whose events were lost, in the database or (`seen`) about to be marked so, and that the journal lacks."""
    lost = [*recovery.endings(log), *(seen.endings if seen is not None else ())]
    if not lost:
        return []
    platform.journal.refresh()
    narrowings = (one.body for one in platform.journal.entries() if one.body.get("kind") == NARROWING)
    return recovery.unanswered(lost, ((str(one["subject"]), str(one["at"])) for one in narrowings))
