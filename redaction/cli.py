"""The terminal: `fieldgrant redaction run-once | status` and `fieldgrant keys status`."""

import time
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from issuer import catalogue
from issuer.live import LiveCatalogue
from redaction import status, worker
from redaction.worker import Pass
from runtime import terminal
from runtime.platform import Platform
from runtime.terminal import Data, Keys

app = typer.Typer(help="What becomes of fields that lost their last ground.", no_args_is_help=True)
keys_app = typer.Typer(help="Bucket keys: epochs, ages, and how long a shred takes.", no_args_is_help=True)


@app.callback()
def redaction() -> None:
    """What becomes of fields that lost their last ground."""


@keys_app.callback()
def keys() -> None:
    """Bucket keys: epochs, ages, and how long a shred takes."""


@app.command("run-once")
def run_once(
    data: Data = None,
    keys: Keys = None,
    timeout: Annotated[float, typer.Option(help="Seconds after which to give up waiting.", min=0)] = 30.0,
) -> None:
    """Carry out every disposition that is due, to its certificate, then stop.

    Exits 1 when something is still under way at the end: run it again, or see `status` for why.

    Example: fieldgrant redaction run-once --data out/serve/8700/data --keys out/serve/8700/keys
    """
    with terminal.opened(data, keys, catalogue.CatalogueError) as platform:
        chosen = LiveCatalogue(platform)
        done = _passes(platform, chosen, timeout)
        console = Console()
        console.print(f"planned {done.planned}, finished {done.finished}, restored {done.restored}")
        if done.left:
            console.print(f"{done.left} still under way, {done.failed} steps failed at the last try")
            raise typer.Exit(1)


@app.command("status")
def redaction_status(data: Data = None, keys: Keys = None) -> None:
    """Jobs, dispositions, archive, and the time from a withdrawal to the destroyed key.

    Example: fieldgrant redaction status --data out/serve/8700/data --keys out/serve/8700/keys
    """
    with terminal.opened(data, keys, catalogue.CatalogueError) as platform:
        with platform.database.read() as session:
            found = status.figures(session, platform.clock.now())
        table = Table("what", "how many")
        for step, count in sorted(found.jobs.items()):
            table.add_row(f"jobs {step}", str(count))
        for action, count in sorted(found.dispositions.items()):
            table.add_row(f"fields: {action}", str(count))
        table.add_row("jobs failing", str(found.failing))
        table.add_row("fields in the archive", str(found.archived))
        table.add_row("fields waiting for an archive key", str(found.waiting))
        table.add_row("customers left alone (evidence disputed)", str(found.disputed))
        _durations(table, found.shred)
        Console().print(table)


@keys_app.command("status")
def keys_status(data: Data = None, keys: Keys = None) -> None:
    """Epochs and ages of the bucket keys in use, and the longest time from a withdrawal to the destroyed key.

    Example: fieldgrant keys status --data out/serve/8700/data --keys out/serve/8700/keys
    """
    with terminal.opened(data, keys, catalogue.CatalogueError) as platform:
        buckets = Table("bucket", "epochs", "data keys", "rotated", "age")
        for one in status.keys(platform):
            epochs = ", ".join(map(str, one.epochs)) + (" (rotating)" if len(one.epochs) > 1 else "")
            buckets.add_row(str(one.bucket), epochs, str(one.data_keys), one.rotated_at or "never", _seconds(one.age))
        shred = Table("what", "how long")
        with platform.database.read() as session:
            _durations(shred, status.durations(session, platform.clock.now()))
        console = Console()
        console.print(buckets)
        console.print(shred)


def _passes(platform: Platform, chosen: catalogue.Catalogue, timeout: float) -> Pass:
    """Pass after pass until nothing is left or the time is up; the sum of what they did."""
    until = time.monotonic() + timeout
    total = worker.run_once(platform, chosen)
    while total.left and time.monotonic() < until:
        time.sleep(worker.POLL / 4)
        one = worker.run_once(platform, chosen)
        total = Pass(
            planned=total.planned + one.planned,
            finished=total.finished + one.finished,
            restored=total.restored + one.restored,
            failed=one.failed,
            left=one.left,
        )
    return total


def _durations(table: Table, shred: status.Durations) -> None:
    table.add_row("withdrawal to destroyed key, longest", _seconds(shred.longest))
    table.add_row("withdrawal to destroyed key, median", _seconds(shred.median))
    table.add_row("still under way, longest", _seconds(shred.open_longest))


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"
