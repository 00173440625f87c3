"""Asking a person at a terminal which field an unknown column is."""

import sys

import typer

from crm_core.imports import mapping, source
from crm_core.imports.mapping import Headings
from crm_core.imports.source import Source
from issuer.catalogue import Catalogue
from protocol.consent import Field

_LOOKED_AT = 200  # rows, where each names its columns itself


def possible() -> bool:
    """Does a person sit at both ends?"""
    return sys.stdin.isatty() and sys.stderr.isatty()


def columns(catalogue: Catalogue, given: Source, asked: dict[str, str]) -> dict[str, str]:
    """What was said on the command line, and what the person says of each heading that is unknown still.

    Raises what `source.rows` raises, and EvidenceError `unknown_field`.
    """
    headings = Headings(catalogue, asked)
    for row in source.first_rows(given, _LOOKED_AT):
        headings.columns(row.headings)
    unknown = headings.left_out()
    if unknown:
        typer.echo(
            f"{len(unknown)} columns are not known. For each: a number, a field's name, or Enter to skip.", err=True
        )
    return asked | {heading: _field(catalogue, heading) for heading in unknown}


def _field(catalogue: Catalogue, heading: str) -> str:
    near = mapping.suggest(catalogue, heading)
    choices = ", ".join(f"{number} {field}" for number, field in enumerate(near, 1))
    fields = {Field(id_) for id_, entry in catalogue.fields.items() if entry.item is None}
    while True:
        said = typer.prompt(
            f"{heading[:60]!r}{f' ({choices})' if choices else ''}", default="", show_default=False, err=True
        ).strip()
        if not said or said in fields:
            return str(said)
        if said.isdecimal() and 0 < int(said) <= len(near):
            return near[int(said) - 1]
        typer.echo("There is no such field: Enter skips the column; `fieldgrant crm fields` lists them all.", err=True)
