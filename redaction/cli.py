"""The terminal: `fieldgrant redaction run-once | status | archive` and `fieldgrant keys status`."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from issuer import catalogue
from issuer.live import LiveCatalogue
from redaction import archive_cli, delivery, downstream, status, sweep, worker
from redaction.worker import Pass
from runtime import terminal
from runtime.clock import ClockError
from runtime.platform import Platform
from runtime.terminal import Data, Keys

app = typer.Typer(help="What becomes of fields that lost their last ground.", no_args_is_help=True)
keys_app = typer.Typer(help="Bucket keys: epochs, ages, and how long a shred takes.", no_args_is_help=True)
app.add_typer(archive_cli.app, name="archive")


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
        console.print(
            f"planned {done.planned}, finished {done.finished}, restored {done.restored}, destroyed {done.destroyed}"
        )
        told, untold = delivery.deliver_due(platform, chosen)
        if told or untold:
            console.print(f"notices: {told} delivered, {untold} not, tried again later")
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
            told = downstream.every(session, platform, platform.clock.now(), open_only=True)
            held = sweep.held_back(session, platform.clock.now())
        table = Table("what", "how many")
        for step, count in sorted(found.jobs.items()):
            table.add_row(f"jobs {step}", str(count))
        for action, count in sorted(found.dispositions.items()):
            table.add_row(f"fields: {action}", str(count))
        table.add_row("jobs failing", str(found.failing))
        table.add_row("fields in the archive", str(found.archived))
        table.add_row("fields waiting for an archive key", str(found.waiting))
        table.add_row("customers left alone (evidence disputed)", str(found.disputed))
        table.add_row("notices that nobody answered yet", str(len(told)))
        table.add_row("of them overdue", str(sum(one.state == "overdue" for one in told)))
        for what, count in held.items():
            table.add_row(f"held back: {what}", str(count))
        _durations(table, found.shred)
        Console().print(table)
        try:
            platform.clock.settled()
        except ClockError as error:
            Console().print(f"[bold]{error}[/bold]")


@keys_app.command("status")
def keys_status(
    data: Data = None,
    keys: Keys = None,
    every: Annotated[bool, typer.Option("--all", help="Each bucket in a line of its own.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Epochs and ages of the bucket keys in use, what is under way, and the longest time to a destroyed key.

    Example: fieldgrant keys status --all --data out/serve/8700/data --keys out/serve/8700/keys
    """
    with terminal.opened(data, keys, catalogue.CatalogueError) as platform:
        buckets = status.keys(platform)
        with platform.database.read() as session:
            shred = status.durations(session, platform.clock.now())
            under_way = status.progress(session)
    found = status.summary(buckets)
    if as_json:
        listed = {"buckets": [asdict(one) for one in buckets]} if every else {}
        typer.echo(json.dumps({"summary": found, "shred": asdict(shred), "under_way": asdict(under_way), **listed}))
        return
    console = Console()
    if every:
        console.print(_buckets(buckets))
    table = Table("bucket keys", "")
    table.add_row("buckets in use", str(found["buckets"]))
    table.add_row("data keys", str(found["data_keys"]))
    table.add_row("newest epoch", str(found["epochs"]["newest"]))
    table.add_row("rotating now", str(found["rotating"]))
    table.add_row("rotated at least once", str(found["rotated"]))
    for name in ("min", "median", "max"):
        table.add_row(f"age since the rotation, {name}", _seconds(found["age"][name]))
    _durations(table, shred)
    table.add_row("fields of open dispositions done", "{} of {}".format(*under_way.dispositions))
    for bucket, done in under_way.rotating.items():
        table.add_row(f"rotation of bucket {bucket}, data keys done", "{} of {}".format(*done))
    console.print(table)


def _buckets(buckets: Sequence[status.BucketKeys]) -> Table:
    table = Table("bucket", "epochs", "data keys", "rotated", "age")
    for one in buckets:
        epochs = ", ".join(map(str, one.epochs)) + (" (rotating)" if len(one.epochs) > 1 else "")
        table.add_row(str(one.bucket), epochs, str(one.data_keys), one.rotated_at or "never", _seconds(one.age))
    return table


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
            destroyed=total.destroyed + one.destroyed,
        )
    return total


def _durations(table: Table, shred: status.Durations) -> None:
    table.add_row("withdrawal to destroyed key, longest", _seconds(shred.longest))
    table.add_row("withdrawal to destroyed key, median", _seconds(shred.median))
    table.add_row("still under way, longest", _seconds(shred.open_longest))


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"
