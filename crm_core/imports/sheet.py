"""A CSV file (RFC 4180) as rows, read as a stream in bounded memory: comma, semicolon, tab or bar between cells."""

import csv
from collections.abc import Iterator
from typing import TextIO

from protocol.errors import EvidenceError

MAX_COLUMNS = 500
MAX_LINE = 2**20  # characters between two line ends; cells may hold several lines
_DELIMITERS = ",;\t|"


def rows(text: TextIO) -> Iterator[list[str]]:
    """The rows as they stand, headings first, empty lines left out. `text` keeps its line ends.

    Raises EvidenceError `bad_csv`, `too_many_columns`; none of them quotes the file.
    """
    lines = _lines(text)
    first = next((line for line in lines if line.strip()), "")
    if first.lower().startswith("sep=") and len(first.strip()) == 5:  # Excel's own way to name the delimiter
        delimiter, first = first.strip()[4], ""
    else:
        delimiter = max(_DELIMITERS, key=first.count)
    count = 0
    try:
        for row in csv.reader(_again(first, lines), delimiter=delimiter, strict=True):
            if len(row) > MAX_COLUMNS:
                raise EvidenceError("too_many_columns", f"row {count} has more than {MAX_COLUMNS} columns")
            if any(row):
                yield row
                count += 1
    except csv.Error:
        raise EvidenceError("bad_csv", f"the file breaks off or is no CSV behind row {max(count - 1, 0)}") from None


def _again(first: str, lines: Iterator[str]) -> Iterator[str]:
    if first:
        yield first
    yield from lines


def _lines(text: TextIO) -> Iterator[str]:
    while line := text.readline(MAX_LINE):
        if len(line) == MAX_LINE and not line.endswith(("\n", "\r")):
            raise EvidenceError("bad_csv", "a line of the file is too long to be one of a CSV")
        yield line
