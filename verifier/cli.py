"""The terminal of the verifier: `fieldgrant reconcile`."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from issuer.live import LiveCatalogue
from runtime import terminal
from runtime.terminal import Data, Keys
from verifier import reconcile as reconciling
from verifier.reconcile import Report

app = typer.Typer(name="verifier", help="The gate.", no_args_is_help=True)


@app.callback()
def verifier() -> None:
    """The gate."""


@app.command()
def reconcile(
    data: Data = None,
    keys: Keys = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one line of JSON.")] = False,
) -> None:
    """Bring the database up to the journal, and free the customers under quarantine whose evidence verifies.

    Run it after a restore, after a crash that left the two apart, or when reads were found to be tampered with. It only
    ever takes away. Exit status 2: customers stay denied, because stored statements about them prove nothing.

    Example: fieldgrant reconcile --data out/serve/8700/data --keys out/serve/8700/keys
    """
    with terminal.opened(data, keys) as platform:
        report = reconciling.reconcile(platform, LiveCatalogue(platform))
    _tell(report, as_json=as_json)
    if report.kept:
        raise typer.Exit(2)


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
