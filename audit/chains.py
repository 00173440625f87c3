"""A second copy of whose record stands where in the log: beside the journal, not in the database's failure domain.

The tiles tell the leaves and nothing of subjects. Who restores an older database would lose the newest links of each
subject's chain, and the next record would take a place that is taken: two stories under one signed head. So before a
leaf is published, one line of `chains.jsonl` says which records it commits to. A line proves itself: its links make
the leaf that was signed. Names of subjects and fields, no values, no bodies.
"""

import base64
import binascii
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import BindParameter, bindparam
from sqlmodel import Session, col, select

from audit.log_tables import LogEntry, LogRecord
from protocol import log as rfc6962
from runtime import bulk, keyfiles

FILE = "chains.jsonl"
BATCH = 4_096  # leaves in one write
_TAIL = 1 << 16
_SINCE: BindParameter[int] = bindparam("since")
_UNTIL: BindParameter[int] = bindparam("until")
_RECORDS = (
    select(LogRecord.leaf_index, LogRecord.subject, LogRecord.seq, LogRecord.prev)
    .add_columns(col(LogRecord.commitment), col(LogRecord.link), col(LogRecord.fields))
    .where(col(LogRecord.leaf_index) >= _SINCE, col(LogRecord.leaf_index) < _UNTIL)
    .order_by(col(LogRecord.leaf_index), col(LogRecord.place))
)
_ENTRIES = (
    select(LogEntry.leaf_index, LogEntry.event_id, LogEntry.leaf, LogEntry.lost)
    .where(col(LogEntry.leaf_index) >= _SINCE, col(LogEntry.leaf_index) < _UNTIL)
    .order_by(col(LogEntry.leaf_index))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One leaf: its event and its records, as rows of `log_record` without what the leaf itself says."""

    leaf_index: int
    event_id: str
    type: str
    at: str
    records: tuple[dict[str, Any], ...]

    def leaf(self) -> bytes | None:
        """The leaf that these records make; None when their links are not what their places say."""
        for one in self.records:
            if rfc6962.chain_link(one["seq"], one["prev"], one["commitment"]) != one["link"]:
                return None
        return rfc6962.leaf_bytes(self.type, self.at, rfc6962.tree([one["link"] for one in self.records]))


class Chains:
    """The file under one directory. Written by the drain alone, under the log's lock."""

    def __init__(self, directory: Path) -> None:
        """Use `directory` (the journal's)."""
        self.path = directory / FILE
        self._written: int | None = None

    def extend(self, session: Session, size: int) -> None:
        """Add what the database holds of the leaves below `size` and the file does not; durable when it returns."""
        if self._written is None or not self.path.exists():
            self._written = self._cut()
        while self._written < size:
            until = min(self._written + BATCH, size)
            self._append(b"".join(_stored(session, self._written, until)))
            self._written = until

    def lines(self, since: int, until: int) -> Iterator[Line]:
        """The lines of the leaves from `since` to below `until`; what is no whole line is passed over."""
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            for raw in file:
                line = _parse(raw)
                if line is not None and since <= line.leaf_index < until:
                    yield line

    def forget(self, size: int) -> None:
        """Cut off the lines of leaves from `size` on: no signed head covers them, and other leaves will come there."""
        if self._cut() <= size:
            return
        kept = b"".join(raw for raw in self._raw() if (line := _parse(raw)) is not None and line.leaf_index < size)
        keyfiles.write(self.path, kept)
        self._written = None

    def _raw(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            yield from file

    def _cut(self) -> int:
        """Cut a line that a crash tore; how many leaves the file holds."""
        if not self.path.exists():
            return 0
        with self.path.open("rb+") as file:
            end = file.seek(0, os.SEEK_END)
            start = max(0, end - _TAIL)
            while True:
                file.seek(start)
                tail = file.read(end - start)
                whole = tail.rfind(b"\n") + 1
                before = tail.rfind(b"\n", 0, whole - 1) + 1 if whole else 0
                if start == 0 or before:
                    break
                start = max(0, start - _TAIL)
            if start + whole < end:
                file.truncate(start + whole)
                os.fsync(file.fileno())
        last = _parse(tail[before:whole]) if whole else None
        return 0 if last is None else last.leaf_index + 1

    def _append(self, data: bytes) -> None:
        made = not self.path.exists()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if made:
            keyfiles.sync_directory(self.path.parent)


def _stored(session: Session, since: int, until: int) -> Iterator[bytes]:
    records: dict[int, list[Any]] = {}
    for index, subject, seq, prev, commitment, link, fields in bulk.asked(session, _RECORDS, since=since, until=until):
        record = [subject, seq, _text(prev), _text(commitment), _text(link), fields]
        records.setdefault(index, []).append(record)
    for index, event_id, leaf, lost in bulk.asked(session, _ENTRIES, since=since, until=until):
        if not lost:  # of one that was lost the file keeps what it had
            told = orjson.loads(leaf)
            line = {"leaf": index, "event": event_id, "type": told["type"], "at": told["time"]}
            yield orjson.dumps({**line, "records": records.get(index, [])}) + b"\n"


def _parse(raw: bytes) -> Line | None:
    try:
        found = orjson.loads(raw)
        records = tuple(
            {
                "subject": subject,
                "seq": seq,
                "leaf_index": found["leaf"],
                "place": place,
                "prev": base64.b64decode(prev),
                "commitment": base64.b64decode(commitment),
                "link": base64.b64decode(link),
                "type": found["type"],
                "at": found["at"],
                "fields": fields,
            }
            for place, (subject, seq, prev, commitment, link, fields) in enumerate(found["records"])
        )
        return Line(
            leaf_index=int(found["leaf"]),
            event_id=str(found["event"]),
            type=str(found["type"]),
            at=str(found["at"]),
            records=records,
        )
    except (ValueError, KeyError, TypeError):
        return None


def _text(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode("ascii")
