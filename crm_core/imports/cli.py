"""`fieldgrant crm import`, in a terminal."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, BinaryIO

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from crm_core.imports import ask as import_ask
from crm_core.imports import importer, mapping, matching, private_file, source
from crm_core.imports import undo as import_undo
from crm_core.imports.importer import Plan, Reject, Report
from crm_core.imports.jsonlines import Cell
from crm_core.imports.run import Merge
from crm_core.imports.source import Source
from issuer.live import LiveCatalogue
from runtime import terminal
from runtime.platform import Platform
from runtime.terminal import Data, Keys

_SHOWN = 20  # rejected rows
EXAMPLES = """
Examples:

  fieldgrant crm import contacts.csv

  fieldgrant crm import contacts.csv --map "Mail=contact.email" --map "Old notes="

  fieldgrant crm import people.vcf --match email,phone+name --merges merged.jsonl

  fieldgrant crm import contacts.csv --data out/serve/8700/data --keys out/serve/8700/keys --json

  fieldgrant crm import --undo imp_mfrggzdfmztwq2lk
"""


def command(
    *,
    file: Annotated[
        Path | None, typer.Argument(help="A CRM export: CSV (headings in the first line), vCard or JSON Lines.")
    ] = None,
    map_: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="COLUMN=FIELD", help="A heading that is not recognised; COLUMN= skips it."),
    ] = None,
    match: Annotated[
        str, typer.Option(metavar="RULES", help="By what two rows are one customer; the first counts first.")
    ] = ",".join(matching.RULES),
    format_: Annotated[str | None, typer.Option("--format", help="csv, vcard or jsonl; else by name or look.")] = None,
    encoding: Annotated[
        str | None, typer.Option(help="As windows-1252; else UTF-8, UTF-16 or GB18030 are found out.")
    ] = None,
    merges: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write there which rows were merged, and no values.")
    ] = None,
    with_values: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write rejected rows there with their values: a new file, mode 0600."),
    ] = None,
    undo: Annotated[
        str | None, typer.Option(metavar="RUN", help="Take an import back (within 7 days) instead.")
    ] = None,
    data: Data = None,
    keys: Keys = None,
    as_json: Annotated[bool, typer.Option("--json", help="End with one line of JSON: the five counts.")] = False,
) -> None:
    """Import a CRM export: each value is sealed before it is stored, bad rows are named and left out.

    Rows with one e-mail address are one customer, else those with one phone number and name, else those with one
    customer number. Blank cells erase nothing. All of the file is taken or, when it breaks, nothing; a second import of
    the same file changes nothing. In UTF-8, UTF-16 or GB18030. Row 1 is the first below the headings. Exit status: 0
    when the file was taken, even where rows were rejected; 1 when nothing was.
    """
    if (file is None) == (undo is None):
        raise terminal.fail("name a FILE to import, or a run with --undo, not both")
    with terminal.opened(data, keys) as platform:
        if undo is not None:
            _undo(platform, undo, as_json=as_json)
        elif file is not None:
            files = _Files(with_values, merges)
            asked = _Asked(mapping.parse(map_ or []), matching.rules(match), files)
            given = source.of_path(file, format=format_, encoding=encoding)
            _tell(_import(platform, given, asked, as_json=as_json), as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Files:
    """Where to write what the terminal does not show."""

    values: Path | None
    merges: Path | None


@dataclass(frozen=True, slots=True)
class _Asked:
    columns: dict[str, str]
    rules: tuple[matching.Rule, ...]
    files: _Files


def _import(platform: Platform, given: Source, asked: _Asked, *, as_json: bool) -> Report:
    catalogue = LiveCatalogue(platform)
    columns = asked.columns
    if import_ask.possible() and not as_json:
        columns = import_ask.columns(catalogue.current(), given, columns)
    with (
        _file(asked.files.values, platform) as values,
        _file(asked.files.merges, platform) as merges,
        _progress(quiet=as_json) as bar,
    ):
        task = bar.add_task("Reading the file", total=None)

        def watch(reject: Reject, cells: Mapping[str, Cell]) -> None:
            if values is not None:
                values.write(orjson.dumps({**asdict(reject), "values": dict(cells)}) + b"\n")

        def merged(merge: Merge) -> None:
            if merges is not None:
                merges.write(orjson.dumps(asdict(merge)) + b"\n")

        def progress(what: str, done: int, total: int | None) -> None:
            bar.update(task, description=what, completed=done, total=total)

        plan = Plan(columns=columns, rules=asked.rules, watch=watch, progress=progress)
        return importer.run(
            platform, catalogue, given, source="file", importer=platform.controller, plan=plan, merged=merged
        )


def _undo(platform: Platform, run: str, *, as_json: bool) -> None:
    with import_undo.alone(platform), _progress(quiet=as_json) as bar:
        task = bar.add_task("Taking back", total=None)
        undone = import_undo.undo(platform, run, lambda done, total: bar.update(task, completed=done, total=total))
    if as_json:
        typer.echo(json.dumps(asdict(undone)))
        return
    typer.echo(
        f"{run}: {undone.removed} customers removed, {undone.restored} put back, "
        f"{undone.kept} left as they are because something changed since"
    )


@contextmanager
def _file(path: Path | None, platform: Platform) -> Iterator[BinaryIO | None]:
    if path is None:
        yield None
    else:
        with private_file.create(path, platform.settings) as file:
            yield file


def _progress(*, quiet: bool) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal)


def _tell(report: Report, *, as_json: bool) -> None:
    if as_json:
        typer.echo(f"undo with --undo {report.run}", err=True)
        typer.echo(json.dumps(report.counts()))
        return
    console = Console()
    table = Table("rows", "", title="Import")
    for name, number in report.counts().items():
        table.add_row(name, str(number))
    console.print(table)
    told = f"read as {report.encoding} ({report.format}); {report.merged} merges; undo with --undo {report.run}"
    console.print(told, markup=False, highlight=False)
    if report.left_out:
        columns = ", ".join(repr(heading[:40]) for heading in report.left_out[:_SHOWN])
        told = f"columns left out, because their headings are not known (name them with --map): {columns}"
        console.print(told, style="yellow", markup=False, highlight=False)
    for reject in report.rejects[:_SHOWN]:
        where = f", column {reject.column}" if reject.column else ""
        console.print(f"row {reject.row}{where}: {reject.reason}", style="yellow", markup=False, highlight=False)
    if report.rejected > _SHOWN:
        console.print(f"… and {report.rejected - _SHOWN} more")
