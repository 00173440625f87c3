"""The terminal of the verifier: `fieldgrant reconcile`."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from issuer import catalogue
from runtime.clock import ClockError
from runtime.journal import JournalError
from runtime.keyring import RingError
from runtime.platform import Platform
from runtime.root import RootError
from runtime.settings import Settings
from verifier import reconcile as reconciling
from verifier.reconcile import Report

app = typer.Typer(name="verifier", help="The gate.", no_args_is_help=True)


@app.callback()
def verifier() -> None:
    """The gate."""


@app.command()
def reconcile(
    data: Annotated[Path | None, typer.Option(help="The platform's data directory.")] = None,
    keys: Annotated[Path | None, typer.Option(help="The platform's key directory.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one line of JSON.")] = False,
) -> None:
    """Bring the database up to the journal, and free the customers under quarantine whose evidence verifies.

    Run it after a restore, after a crash that left the two apart, or when reads were found to be tampered with. It only
    ever takes away. Exit status 2: customers stay denied, because stored statements about them prove nothing.
    """
    try:
        platform = Platform.open(_settings(data, keys))
        try:
            report = reconciling.reconcile(platform, catalogue.load())
        finally:
            platform.close()
    except (RingError, RootError, JournalError, ClockError) as error:
        typer.echo(f"fieldgrant: {error}", err=True)
        raise typer.Exit(1) from None
    _tell(report, as_json=as_json)
    if report.kept:
        raise typer.Exit(2)


def _settings(data: Path | None, keys: Path | None) -> Settings:
    """The keys lie beside the data where nothing else is said."""
    if data is not None:
        return Settings(home=data.parent, data_dir=data, keys_dir=keys or data.parent / "keys")
    return Settings() if keys is None else Settings(keys_dir=keys)


def _tell(report: Report, *, as_json: bool) -> None:
    counts = {
        "ended": len(report.ended),
        "compiled": report.compiled,
        "lifted": len(report.lifted),
        "kept": len(report.kept),
    }
    if as_json:
        typer.echo(json.dumps(counts))
        return
    console = Console()
    table = Table("reconciled", "", title="Journal and database")
    for name, number in counts.items():
        table.add_row(name, str(number))
    console.print(table)
    for subject, codes in report.kept.items():
        console.print(f"{subject} stays denied: {', '.join(codes)}", style="yellow", markup=False, highlight=False)
