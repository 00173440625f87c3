"""The terminal: `fieldgrant reconcile`, to be run after a restore, and when the start-up says so."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from fieldgrant import recovery
from fieldgrant.recovery import Outcome
from issuer import catalogue
from issuer.live import LiveCatalogue
from protocol import event
from runtime import terminal
from runtime.terminal import Data, Keys

_EXAMPLES = """
Examples:

  fieldgrant reconcile --dry-run                                   what is missing, nothing is changed

  fieldgrant reconcile --data out/serve/8700/data --keys out/serve/8700/keys

  fieldgrant reconcile --json
"""


def reconcile(  # noqa: PLR0917 - as a terminal has them
    data: Data = None,
    keys: Keys = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is missing, and change nothing.")] = False,
    accept_gaps: Annotated[
        bool, typer.Option("--accept-gaps", help="Go on although chains.jsonl is lost; the log says how much.")
    ] = False,
    end_unknown: Annotated[
        bool,
        typer.Option("--end-unknown", help="The newest journal is lost: end the consents of whom the log names."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one line of JSON.")] = False,
) -> None:
    """Bring a restored or crashed database up to the log, the journal and the keys, and say what was missing.

    Run it after a restore, after a crash that left them apart, or when reads were found to be tampered with. What the
    journal ended stays ended; answers, survivors and data keys that the database lost are put back where they prove
    themselves. To stop it in the middle does no harm. Exit status 2: somebody stays denied, or the journal is older
    than the log.
    """
    with terminal.opened(data, keys, catalogue.CatalogueError) as platform, Progress(transient=True) as bar:
        tasks = {name: bar.add_task(name, total=None, visible=not as_json) for name in ("log", "journal", "keys")}
        outcome = recovery.restore(
            platform,
            catalogue.load() if dry_run else LiveCatalogue(platform),  # the newest may be in the journal alone
            dry_run=dry_run,
            accept_gaps=accept_gaps,
            end_unknown=end_unknown,
            progress=lambda what, done, of: bar.update(tasks[what], completed=done, total=of),
        )
    _tell(outcome, as_json=as_json)
    if not outcome.settled:
        raise typer.Exit(2)


reconcile.__doc__ = f"{reconcile.__doc__}\n{_EXAMPLES}"


def _counts(outcome: Outcome) -> dict[str, int]:
    log, journal, keys = outcome.log, outcome.journal, outcome.keys
    return {
        "leaves": log.size,
        "matched": log.matched,
        "lost": log.lost,
        "unknown": log.unknown,
        "tiles": int(log.rewritten),
        "ended": len(journal.ended),
        "given": len(journal.given),
        "grounds": len(journal.approved),
        "compiled": journal.compiled,
        "lifted": len(journal.lifted),
        "kept": len(journal.kept),
        "rewrapped": keys.rewrapped,
        "survivors": keys.survivors,
        "archived": keys.archived,
        "certificates": outcome.certificates,
        "dark": len(keys.dark),
        "told": outcome.told,
        "written": outcome.written,
        "unanswered": len(outcome.compared.unanswered),
        "untold": len(outcome.compared.untold),
        "lines_gone": outcome.compared.lines,
        "leaves_gone": outcome.compared.leaves,
        "flaws": len(outcome.flaws),
    }


_WORDS = {
    "leaves": "leaves of the log that are signed",
    "matched": "of them, put back with their events",
    "lost": "of them, their events are lost",
    "unknown": "of them, nobody knows whose records they hold",
    "tiles": "tiles written anew from the database",
    "ended": "consents and grounds ended",
    "given": "consents and refusals put back",
    "grounds": "approved statutory grounds put back",
    "compiled": "customers compiled",
    "lifted": "customers freed from quarantine",
    "kept": "customers who stay denied",
    "rewrapped": "records with a newer data key",
    "survivors": "records with the survivors of a shred",
    "archived": "fields put back into the archive",
    "certificates": "certificates that the worker makes again",
    "dark": "records that nothing opens any more",
    "told": "endings of which the journal alone knew, told again",
    "written": "endings written into the journal again",
    "unanswered": "endings in the log that the journal lacks",
    "untold": "endings in the journal of which nothing tells",
    "lines_gone": "lines that the journal had and has no more",
    "leaves_gone": "leaves that were signed and are in the log no more",
    "flaws": "rows of the outbox that somebody changed, added or took out",
}


# What a lost event means for whoever goes on with the restored database.
_GONE = {
    event.GROUND_RESUMED: "grounds that a customer's request had stopped and that went on: decide them again",
    event.IMPORT_COMPLETED: "imports: run them again, with the same files",
    event.VALUE_COLLECTED: "collections of values (customers made since the backup among them): they are not here",
    event.VALUE_CORRECTED: "corrections since the customer's last shred: the older value is shown again",
    event.VALUE_DELETED: "values or items that staff deleted: they are there again",
    event.ORGANISATION_CHANGED: "changes of organisations",
    event.ASK_MADE: "asks that nobody answered: ask again",
    event.INVITATION_SENT: "invitations: send them again",
    event.REQUEST_RECEIVED: "requests of customers: ask them to send them again, their time goes on",
    event.REQUEST_ANSWERED: "answers to requests of customers",
    event.NOTICE_ISSUED: "notices to recipients: those still due are made again where the release is on record",
    event.NOTICE_ACKNOWLEDGED: "answers of recipients to notices: ask them to answer again",
    event.ARCHIVE_REQUESTED: "requests of officers about the archive",
    event.CERTIFICATE_ISSUED: "certificates: those of a shred are made again under the same id, from the journal",
    event.RELEASE: "records of reads: in the log they stand, what they say is lost",
    event.REFUSAL: "records of refused reads: in the log they stand, what they say is lost",
}
_BACK = {
    event.CONSENT_GIVEN, event.CONSENT_REFUSED, event.CONSENT_NARROWED, event.CONSENT_WITHDRAWN, event.CONSENT_REVOKED,
    event.CONSENT_EXPIRED, event.CONSENT_SHUT, event.GROUND_APPROVED, event.GROUND_ENDED,
}  # fmt: skip
"""Lost events whose change is in the counts above, put back from the journal."""


def _tell(outcome: Outcome, *, as_json: bool) -> None:
    counts = _counts(outcome)
    if as_json:
        typer.echo(json.dumps({**counts, "gone": dict(outcome.log.gone)}))
        return
    console = Console()
    table = Table("reconciled", "", title="Database, journal, log and keys")
    for name, number in counts.items():
        table.add_row(_WORDS[name], str(number))
    console.print(table)
    lost = {type_: number for type_, number in outcome.log.gone.items() if type_ not in _BACK}
    if lost:
        gone = Table("lost since the backup", "", title="What nothing here brings back")
        for type_, number in lost.items():
            gone.add_row(_GONE.get(type_, f"events {type_}"), str(number))
        console.print(gone)
    for subject, codes in outcome.journal.kept.items():
        _warn(console, f"{subject} stays denied: {', '.join(codes)}")
    for subject in outcome.keys.dark:
        _warn(console, f"{subject}: no key opens this record, and neither journal nor replica has a newer one")
    for flaw in outcome.flaws:
        _warn(console, f"row {flaw.outbox_id} of the outbox: {flaw.code}; the next drain puts it on record")
    if outcome.compared.unanswered or outcome.compared.lines:
        _warn(console, "The journal is older than the log: bring back the newest, else run with --end-unknown.")
    if outcome.compared.leaves:
        _warn(console, "The log is older than the keys: bring back the newest, else run with --accept-gaps.")


def _warn(console: Console, text: str) -> None:
    console.print(text, style="yellow", markup=False, highlight=False)
