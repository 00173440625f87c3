"""Start-up and recovery: database, journal, log and keys tell one story, or nobody is served until they do.

Each of them is compared with the others by the package that owns it; here they are put in their order. The log comes
first, for whatever is done later is an event that follows what was logged; then the journal; then the keys.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from audit import agreement, drain, recovery
from audit.agreement import Compared
from audit.log import Log
from audit.recovery import Recovered
from issuer.catalogue import Catalogue
from issuer.credentials import EVERYONE
from protocol import event, times
from protocol.errors import EvidenceError
from redaction import revive, rollforward
from redaction.rollforward import Rolled
from runtime import outbox
from runtime.outbox_chain import Flaw
from runtime.platform import Platform
from verifier import reconcile, replay
from verifier.reconcile import Disagreement, Report

RUN = "run fieldgrant reconcile"
PATIENCE = 2.0  # seconds that an ending may take from the journal to its commit
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What `restore` did, or would do."""

    log: Recovered
    journal: Report
    keys: Rolled
    certificates: int  # of jobs that dropped a key: their certificates were lost, and are made again
    compared: Compared  # what journal and log still say of each other
    told: int = 0  # endings of which the journal alone knew, told again
    written: int = 0  # endings of which the journal did not know any more, written down again
    flaws: tuple[Flaw, ...] = ()  # what is wrong with the outbox's rows that wait to be logged

    @property
    def settled(self) -> bool:
        """Whether the platform may serve, and nobody stays denied."""
        return not (self.journal.kept or self.keys.dark) and self.compared.agreed


def check(platform: Platform) -> None:
    """Refuse to serve while database, journal, log and keys disagree.

    Raises Disagreement: `journal_ahead`, `journal_behind`, `log_ahead_of_database`, `log_behind_database`,
    `log_behind`, `log_behind_journal`, `log_forked`, `keys_ahead`; JournalError.
    """
    reconcile.startup_check(platform)
    reconcile.refuse_lost(platform, (agreement.read(platform) or agreement.NOTHING).answered)
    log = Log(platform)
    try:
        recovery.compare(log)
        compared = _compared(log)
    except EvidenceError as error:
        raise Disagreement(error.code, f"{error.detail}: {RUN}") from error
    if buckets := rollforward.behind(platform):
        detail = f"the database is older than the keys of {len(buckets)} buckets: {RUN}"
        raise Disagreement("keys_ahead", detail)
    _refuse(compared)


def _compared(log: Log) -> Compared:
    """What they say of each other once what another process is about to commit is committed."""
    until = time.monotonic() + PATIENCE
    found = agreement.compare(log)
    while found.untold and time.monotonic() < until:
        time.sleep(0.05)
        found = agreement.compare(log)
    return found


def _refuse(found: Compared) -> None:
    if found.lines:
        detail = f"the journal is older than the keys know, at least {found.lines} lines are missing"
        raise Disagreement("journal_behind", f"{detail}: bring back the newest; if it is lost, {RUN} --end-unknown")
    if found.leaves:
        detail = f"{found.leaves} leaves that were signed are in the log no more"
        raise Disagreement("log_behind", f"{detail}: bring back the newest; if it is lost, {RUN} --accept-gaps")
    if found.unanswered:
        detail = f"the log tells of {len(found.unanswered)} endings that the journal lacks"
        raise Disagreement("journal_behind", f"{detail}: bring back the newest; if it is lost, {RUN} --end-unknown")
    if found.untold:
        detail = f"the journal knows {len(found.untold)} endings of which neither log nor outbox tells"
        raise Disagreement("log_behind_journal", f"{detail}: {RUN}")


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

    `accept_gaps`: go on although leaves are gone for good, or nobody can tell whose records they hold; the log says so.
    `end_unknown`: the newest journal is gone for good: write down again what the database knows, and end whatever else
    may have ended. Raises EvidenceError (`log_forked`, `chains_missing`), JournalError, ClockError.
    """
    log, flaws = Log(platform), drain.waiting_flaws(platform)
    recovered = recovery.recover(
        log, dry_run=dry_run, accept_gaps=accept_gaps, progress=lambda done, of: progress("log", done, of)
    )
    found, written = agreement.compare(log), 0
    if end_unknown and not dry_run and (found.lines or found.unanswered):
        written = _write_down(platform, log, found)
    if accept_gaps and not dry_run and found.leaves:
        _accept(platform, log, found.leaves)
    report = reconcile.reconcile(platform, catalogue, dry_run=dry_run)
    progress("journal", 1, 1)
    rolled = rollforward.roll_forward(platform, dry_run=dry_run, progress=lambda done, of: progress("keys", done, of))
    lost = revive.missing(platform)
    told = 0
    if not dry_run:
        revive.revive(platform)
        told = replay.tell_again(platform, agreement.compare(log).untold)
        found = agreement.compare(log)
    return Outcome(
        log=recovered, journal=report, keys=rolled, certificates=len(lost), compared=found, told=told, written=written,
        flaws=tuple(flaws),
    )  # fmt: skip


def _write_down(platform: Platform, log: Log, found: Compared) -> int:
    """The newest journal is gone for good: what the database knows first, then an end to all that may have ended."""
    written = reconcile.write_down(platform)
    unknown = [(one.subject or EVERYONE, one.at) for one in agreement.compare(log).unanswered]
    if found.lines and found.leaves:  # neither tells who it was that ended something
        now = times.iso_ms(platform.clock.now())
        unknown += [(one, now) for one in (EVERYONE, *reconcile.everybody(platform))]
    reconcile.end_everything(platform, unknown)
    if found.lines:
        agreement.forget(platform)
    return written + len(unknown)


def _accept(platform: Platform, log: Log, leaves: int) -> None:
    """Leaves that were signed are gone for good: the log goes on without them, and says so to those who saw them."""
    head = log.head()
    data = {"from": head.size, "size": head.size + leaves, "lost": 0, "unknown": leaves}
    with platform.database.write() as session:
        at = platform.clock.now()
        key = f"{event.LOG_RECOVERED}:gone:{head.size + leaves}:{head.root.hex()}"
        outbox.emit(session, event.LOG_RECOVERED, at=at, records=[(None, data)], key=key)
    agreement.forget(platform)
