"""What is imported, whatever it is: a file read as a stream, as often as it takes, into rows of one shape."""

import hashlib
import io
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, get_args

from crm_core.imports import cards, encoding, jsonlines, sheet
from crm_core.imports.jsonlines import Cell, Flat
from crm_core.imports.spool import Spool
from protocol.errors import EvidenceError

Format = Literal["csv", "vcard", "jsonl"]
Digester = Callable[[], "hashlib.blake2b"]
# What export dialogues hand out beside text, by its first bytes.
_NO_TEXT = {
    b"PK\x03\x04": "an Excel workbook or a ZIP",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "gzip",
}
_SUFFIXES: dict[str, Format] = {".csv": "csv", ".tsv": "csv", ".vcf": "vcard", ".jsonl": "jsonl", ".ndjson": "jsonl"}


class Row(NamedTuple):
    """One row: its number (1 is the first after the headings), headings and cells side by side, or why it is none."""

    number: int
    headings: tuple[str, ...]
    cells: tuple[Cell, ...] | list[str]
    fault: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Bytes that `open` gives from the start each time; format and encoding are found out where they are None."""

    open: Callable[[], BinaryIO]
    format: Format | None = None
    encoding: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What was found out about a source: its form, Python's name of its encoding and its keyed digest."""

    format: Format
    encoding: str
    digest: str


def of_path(path: Path, *, format: str | None = None, encoding: str | None = None) -> Source:
    """A file. Raises EvidenceError `unknown_format`, `unknown_encoding`."""
    chosen = _format(format) or _SUFFIXES.get(path.suffix.lower())
    return Source(open=lambda: path.open("rb"), format=chosen, encoding=_encoding(encoding))


def of_spool(spool: Spool, *, format: str | None = None, encoding: str | None = None) -> Source:
    """An uploaded body. Raises EvidenceError `unknown_format`, `unknown_encoding`."""
    return Source(open=spool.open, format=_format(format), encoding=_encoding(encoding))


def of_bytes(data: bytes, *, format: str | None = None, encoding: str | None = None) -> Source:
    """Bytes in memory. Raises EvidenceError `unknown_format`, `unknown_encoding`."""
    return Source(open=lambda: io.BytesIO(data), format=_format(format), encoding=_encoding(encoding))


def examine(source: Source, digester: Digester) -> Known:
    """Read all of it once: digest, encoding, format. Raises EvidenceError `bad_encoding`, `not_text`, OSError."""
    _check_text(source)
    hasher = digester()
    with source.open() as stream:
        while chunk := stream.read(2**20):
            hasher.update(chunk)
    if source.encoding is None:
        with source.open() as stream:
            found = encoding.detect(stream)
    else:
        found = source.encoding
    return Known(format=source.format or _sniffed(source, found), encoding=found, digest=hasher.hexdigest())


def rows(source: Source, known: Known, digester: Digester) -> Iterator[Row]:
    """The rows in their order. Raises EvidenceError `bad_csv`, `bad_vcard`, `bad_jsonl`, `no_headings`,
    `bad_encoding`, `file_changed` (at the end: it is not the file that was examined), `too_many_columns`; OSError.
    """
    watched = _Watched(source.open(), digester())
    with io.BufferedReader(watched, 2**16) as stream:
        try:
            with encoding.text(stream, known.encoding) as text:
                yield from _READERS[known.format](text)
                text.read()
        except UnicodeError:
            raise EvidenceError("bad_encoding", f"the file is no {encoding.shown(known.encoding)}") from None
    if watched.digest() != known.digest:
        raise EvidenceError("file_changed", "the file was changed while it was being read")


def first_rows(source: Source, limit: int) -> list[Row]:
    """The first rows, to look at their headings. Raises what `examine` and `rows` raise."""
    return list(itertools.islice(rows(source, examine(source, hashlib.blake2b), hashlib.blake2b), limit))


def _csv(text: io.TextIOWrapper) -> Iterator[Row]:
    found = sheet.rows(text)
    headings = tuple(next(found, ()))
    if not headings:
        raise EvidenceError("no_headings", "the file is empty: its first line has to name the columns")
    width = len(headings)
    yield Row(0, headings, ())
    for number, cells in enumerate(found, 1):
        yield Row(number, headings, cells, None if len(cells) == width else "column_count")


def _flat(found: Iterator[Flat | str]) -> Iterator[Row]:
    for number, one in enumerate(found, 1):
        if isinstance(one, str):
            yield Row(number, (), (), one)
        else:
            yield Row(number, tuple(one), tuple(one.values()))


_READERS: dict[Format, Callable[[io.TextIOWrapper], Iterator[Row]]] = {
    "csv": _csv,
    "vcard": lambda text: _flat(cards.rows(text)),
    "jsonl": lambda text: _flat(jsonlines.rows(text)),
}


class _Watched(io.RawIOBase):
    """Bytes of a stream, digested as they are read."""

    def __init__(self, stream: BinaryIO, hasher: Any) -> None:
        self._stream, self._hasher = stream, hasher

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        self._hasher.update(data)
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()

    def digest(self) -> str:
        return str(self._hasher.hexdigest())


def _check_text(source: Source) -> None:
    with source.open() as stream:
        start = stream.read(4)
    for mark, what in _NO_TEXT.items():
        if start.startswith(mark):
            raise EvidenceError("not_text", f"the file is {what}: save the sheet as CSV in UTF-8, or unpack it")


def _sniffed(source: Source, name: str) -> Format:
    with source.open() as stream:
        start = stream.read(4096)
    text = start.decode(name, errors="replace").lstrip("\ufeff \t\r\n").upper()
    if text.startswith("BEGIN:VCARD"):
        return "vcard"
    return "jsonl" if text.startswith("{") else "csv"


def _format(name: str | None) -> Format | None:
    for one in get_args(Format):
        if name == one:
            return one  # type: ignore[no-any-return]
    if name is not None:
        raise EvidenceError("unknown_format", f"a format is one of {', '.join(get_args(Format))}")
    return None


def _encoding(name: str | None) -> str | None:
    return None if name is None else encoding.forced(name)
