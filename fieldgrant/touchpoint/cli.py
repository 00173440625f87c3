"""The terminal of a touchpoint: `fieldgrant touchpoint`. It needs the touchpoint's key, and no platform."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from fieldgrant.touchpoint.client import Outcome, Touchpoint, TouchpointError
from fieldgrant.touchpoint.queue import QueueError, SealedQueue
from protocol.errors import EvidenceError
from protocol.keys import Ed25519Signer

app = typer.Typer(name="touchpoint", help="Upload as a registered touchpoint.", no_args_is_help=True)

Key = Annotated[Path, typer.Option("--key", help="The file of the touchpoint's key.")]
To = Annotated[str, typer.Option("--to", metavar="URL", help="The organisation's address.")]
Queue = Annotated[Path | None, typer.Option("--queue", metavar="DIR", help="What cannot be sent waits here, sealed.")]
Needed = Annotated[Path, typer.Option("--queue", metavar="DIR", help="The sealed queue.")]
AsJson = Annotated[bool, typer.Option("--json", help="One line of JSON.")]

_NEW = """
Example:

  fieldgrant touchpoint new-key form.key
"""
_SEND = """
Examples:

  fieldgrant touchpoint send uploads.json --key form.key --to https://crm.example.com

  fieldgrant touchpoint send - --key car.key --to https://crm.example.com --queue /var/lib/car/queue < telemetry.jsonl
"""
_FLUSH = """
Example:

  fieldgrant touchpoint flush --key car.key --to https://crm.example.com --queue /var/lib/car/queue
"""
_STATUS = """
Example:

  fieldgrant touchpoint status --key car.key --queue /var/lib/car/queue
"""


@app.callback()
def touchpoint() -> None:
    """Upload as a registered touchpoint."""


@app.command("new-key", epilog=_NEW)
def new_key(file: Annotated[Path, typer.Argument(help="Where to write it; an existing file is left alone.")]) -> None:
    """Make a key and print its DID, which an administrator registers. The file is the secret: keep it."""
    with _one_line():
        seed = secrets.token_bytes(32)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as out:
            json.dump({"fieldgrant-touchpoint-key": 1, "seed": seed.hex()}, out)
            out.flush()
            os.fsync(out.fileno())
    typer.echo(Ed25519Signer(seed).did)


@app.command(epilog=_SEND)
def send(
    file: Annotated[str, typer.Argument(help="Uploads: a JSON list, or one JSON object per line; - for the input.")],
    key: Key,
    to: To,
    queue: Queue = None,
    as_json: AsJson = False,
) -> None:
    """Send uploads. Exit status 1 when one was refused, 3 when some wait in the queue."""
    with _one_line(), Touchpoint(to, _signer(key), queue_dir=queue) as sender:
        uploads = _uploads(file)
        outcomes = []
        with _bar(quiet=as_json) as bar:
            task = bar.add_task("Sending", total=len(uploads))
            for one in uploads:
                outcomes.append(sender.send(one))
                bar.advance(task)
    _tell(outcomes, as_json=as_json)


@app.command(epilog=_FLUSH)
def flush(key: Key, to: To, queue: Needed, as_json: AsJson = False) -> None:
    """Send what waits in the queue. Exit status 1 when one was refused, 3 when some still wait."""
    with _one_line(), Touchpoint(to, _signer(key), queue_dir=queue) as sender:
        done = sender.flush()
    for name in done.set_aside:
        typer.echo(f"does not open, set aside: {name}", err=True)
    waiting = [Outcome(id="", status=0)] * done.left
    _tell([*done.outcomes, *waiting], as_json=as_json)


@app.command(epilog=_STATUS)
def status(key: Key, queue: Needed) -> None:
    """How many uploads wait, and which files do not open, as JSON."""
    with _one_line():
        held = SealedQueue(queue, SealedQueue.key_of(_signer(key)))
        typer.echo(json.dumps({"waiting": len(held), "set_aside": held.set_aside()}))


def _signer(file: Path) -> Ed25519Signer:
    try:
        seed = bytes.fromhex(json.loads(file.read_text(encoding="ascii"))["seed"])
        return Ed25519Signer(seed)
    except (ValueError, KeyError, TypeError):
        raise TouchpointError("bad_key", f"{file} is no touchpoint's key") from None


def _uploads(file: str) -> list[dict[str, Any]]:
    text = typer.get_text_stream("stdin").read() if file == "-" else Path(file).read_text(encoding="utf-8")
    try:
        whole = json.loads(text) if text.lstrip().startswith("[") else None
        found = whole if whole is not None else [json.loads(line) for line in text.splitlines() if line.strip()]
    except ValueError:
        found = [None]
    if not all(isinstance(one, dict) for one in found):
        raise TouchpointError("bad_file", "a JSON list of uploads, or one per line, is expected")
    return found


def _tell(outcomes: list[Outcome], *, as_json: bool) -> None:
    counts = {
        "stored": sum(one.status == 200 for one in outcomes),
        "held": sum(one.status == 202 for one in outcomes),
        "waiting": sum(one.queued for one in outcomes),
        "refused": sum(one.status >= 400 for one in outcomes),
    }
    if as_json:
        refused = [asdict(one) for one in outcomes if one.status >= 400]
        typer.echo(json.dumps({**counts, "refusals": refused}))
    else:
        typer.echo(", ".join(f"{name}: {count}" for name, count in counts.items()))
        for one in outcomes:
            if one.status >= 400:
                fields = ", ".join(f"{name} {code}" for name, code in one.refused.items())
                typer.echo(f"{one.id}: {one.code}{': ' + fields if fields else ''}", err=True)
    if counts["refused"] or counts["waiting"]:
        raise typer.Exit(1 if counts["refused"] else 3)


def _bar(*, quiet: bool) -> Progress:
    console = Console(stderr=True)
    hidden = quiet or not console.is_terminal
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, console=console, transient=True, disable=hidden)


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except (TouchpointError, QueueError, EvidenceError) as error:
        typer.echo(f"fieldgrant: {error.code}: {error.detail}", err=True)
        raise typer.Exit(1) from None
    except (OSError, ValueError) as error:
        told = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.strerror else str(error)
        typer.echo(f"fieldgrant: {told}", err=True)
        raise typer.Exit(1) from None
