"""The beginning of a file, looked at before it is imported: which column is which field, and what the first rows hold.

Nothing is stored, and a value is shown only where the importer's role may act for its field; of any other cell it is
told what it looks like, which is enough to see that a column is the wrong one.
"""

import codecs
import hashlib
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from crm_core.imports import encoding, intake, mapping, source
from crm_core.imports.jsonlines import Cell
from crm_core.imports.mapping import Column, Headings
from crm_core.imports.source import Row, Source
from issuer.catalogue import Catalogue
from protocol.errors import EvidenceError

MAX_BYTES = 2**19
ROWS = 5
_LOOKED_AT = 200  # rows, where each names its columns itself
_SHOWN = 80  # characters of a value
_MOST = 500  # headings
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_LOOKS = {
    "email": re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+"),
    "date": re.compile(r"\d{1,4}[-/.年]\d{1,2}[-/.月]\d{1,4}日?([T ].*)?"),
    "number": re.compile(r"[-+]?\d+([.,]\d+)?"),
    "phone": re.compile(r"[+(]?\d[\d\s()./-]{5,}\d"),
    "url": re.compile(r"https?://\S+"),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One cell: its value where the role may see it, else what it looks like (`empty`, `email`, …, `text`)."""

    value: str | None
    looks: str


@dataclass(frozen=True, slots=True)
class Line:
    """One of the first rows; `fault` says why it would be rejected, and `column` where."""

    row: int
    cells: tuple[Sample, ...]
    fault: str | None = None
    column: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What was found out. `fields` has the field of each heading, None where it is left out."""

    format: str
    encoding: str
    headings: tuple[str, ...]
    fields: tuple[str | None, ...]
    suggestions: tuple[tuple[str, ...], ...]
    lines: tuple[Line, ...]


def look(
    data: bytes, catalogue: Catalogue, role: str, *, format: str | None, encoding_: str | None, asked: dict[str, str]
) -> Preview:
    """The preview of a file's first bytes (all of it, where it is no longer than `MAX_BYTES`).

    Raises EvidenceError as an import does: `bad_encoding`, `bad_csv`, `no_headings`, `not_text`, `unknown_field`, …
    """
    given = source.of_bytes(_whole(data) if len(data) >= MAX_BYTES else data, format=format, encoding=encoding_)
    known = source.examine(given, hashlib.blake2b)
    found = Headings(catalogue, asked)
    rows = list(_first(given, known))
    names: dict[str, None] = {}
    chosen: dict[str, str] = {}
    for row in rows:
        names.update(dict.fromkeys(heading for heading in row.headings if heading.strip()))
        chosen.update((column.heading, column.field) for column in found.columns(row.headings))
    headings = tuple(names)[:_MOST]
    may = frozenset(id_ for one in catalogue.purposes.values() if role in one.roles for id_ in one.necessity)
    lines = [_line(row, found.columns(row.headings), headings, chosen, may) for row in rows if row.number]
    return Preview(
        format=known.format,
        encoding=encoding.shown(known.encoding),
        headings=headings,
        fields=tuple(chosen.get(one) for one in headings),
        suggestions=tuple(() if one in chosen else tuple(mapping.suggest(catalogue, one)) for one in headings),
        lines=tuple(lines[:ROWS]),
    )


def _first(given: Source, known: source.Known) -> Iterator[Row]:
    """The first rows. What breaks behind the first of them, the importer itself will say: here the file may be cut."""
    seen = 0
    with suppress(EvidenceError):
        for row in source.rows(given, known, hashlib.blake2b):
            yield row
            seen += 1
            if seen > (ROWS if known.format == "csv" else _LOOKED_AT):
                return
        return
    if not seen:
        yield from source.rows(given, known, hashlib.blake2b)


def _line(
    row: Row, columns: tuple[Column, ...], headings: tuple[str, ...], chosen: dict[str, str], may: frozenset[str]
) -> Line:
    cells = dict(zip(row.headings, row.cells, strict=False))
    samples = tuple(_sample(cells.get(one, ""), shown=chosen.get(one) in may) for one in headings)
    if row.fault is not None:
        return Line(row.number, samples, row.fault)
    try:
        intake.values_of(columns, row.cells)
    except EvidenceError as error:
        return Line(row.number, samples, error.code, error.field)
    return Line(row.number, samples)


def _sample(cell: Cell, *, shown: bool) -> Sample:
    text = (cell if isinstance(cell, str) else ", ".join(cell)).strip()
    looks = next((name for name, shape in _LOOKS.items() if shape.fullmatch(text)), "text") if text else "empty"
    return Sample(f"{text[:_SHOWN]}…" if len(text) > _SHOWN else text, looks) if shown else Sample(None, looks)


def _whole(data: bytes) -> bytes:
    """Up to the last line that is whole: what comes behind was cut off with the file."""
    if data.startswith(_UTF16):
        text = data.decode("utf-16", errors="ignore")
        return text[: text.rfind("\n") + 1].encode("utf-16")
    return data[: data.rfind(b"\n") + 1] or data
