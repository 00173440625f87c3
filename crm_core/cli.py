"""The terminal of the records: `fieldgrant crm import`."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from crm_core import importer, minimise_cli, sheet
from crm_core.importer import Report
from issuer import catalogue
from runtime import terminal
from runtime.terminal import Data, Keys

app = typer.Typer(name="crm", help="The customer records.", no_args_is_help=True)
_SHOWN = 20  # rejected rows
app.command("minimise", epilog=minimise_cli.EXAMPLES)(minimise_cli.command)

_EXAMPLES = """
Examples:

  fieldgrant crm import contacts.csv

  fieldgrant crm import contacts.csv --map "Mail=contact.email" --map "Old notes="

  fieldgrant crm import contacts.csv --data out/serve/8700/data --keys out/serve/8700/keys --json
"""


@app.callback()
def crm() -> None:
    """The customer records."""


@app.command("import", epilog=_EXAMPLES)
def import_(
    file: Annotated[
        Path, typer.Argument(help="A CRM export: CSV in UTF-8, UTF-16 or GB18030, headings in the first line.")
    ],
    map_: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="COLUMN=FIELD", help="A heading that is not recognised; COLUMN= skips it."),
    ] = None,
    data: Data = None,
    keys: Keys = None,
    as_json: Annotated[bool, typer.Option("--json", help="End with one line of JSON: the five counts.")] = False,
) -> None:
    """Import a CRM export: each value is sealed before it is stored, bad rows are named and left out.

    Rows with one e-mail address are one customer. Blank cells erase nothing. All of the file is taken or, when it
    breaks, nothing; a second import of the same file changes nothing.
    """
    columns = _columns(map_ or [])
    body = _read(file)
    with terminal.opened(data, keys) as platform, _progress(quiet=as_json) as bar:
        task = bar.add_task("Sealing customers", total=None)
        report = importer.run(
            platform,
            catalogue.load(),
            body,
            source="file",
            importer=platform.controller,
            columns=columns,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if as_json:
        typer.echo(json.dumps(report.counts()))
    else:
        _tell(report)


def _columns(pairs: list[str]) -> dict[str, str]:
    columns = {}
    for pair in pairs:
        column, equals, field = pair.rpartition("=")
        if not equals or not column:
            raise terminal.fail("--map wants COLUMN=FIELD")
        columns[column] = field
    return columns


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(sheet.MAX_BYTES + 1)
    except OSError as error:
        raise terminal.fail(error) from None


def _progress(*, quiet: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal)


def _tell(report: Report) -> None:
    console = Console()
    table = Table("rows", "", title="Import")
    for name, number in report.counts().items():
        table.add_row(name, str(number))
    console.print(table)
    if report.left_out:
        columns = ", ".join(repr(heading[:40]) for heading in report.left_out[:_SHOWN])
        told = f"columns left out, because their headings are not known (name them with --map): {columns}"
        console.print(told, style="yellow", markup=False, highlight=False)
    for reject in report.rejects[:_SHOWN]:
        where = f", column {reject.column}" if reject.column else ""
        console.print(f"row {reject.row}{where}: {reject.reason}", style="yellow", markup=False, highlight=False)
    if len(report.rejects) > _SHOWN:
        console.print(f"… and {len(report.rejects) - _SHOWN} more")
