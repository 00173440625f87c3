"""A CRM export (CSV) becomes sealed records; nothing of it is kept in clear.

Rows with one e-mail address are one customer: the first row that has a value gives it. The whole file is one change.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from sqlmodel import Session

from crm_core import mapping, normal, origin, sheet, writer
from crm_core.mapping import Column
from crm_core.origin import Origin
from crm_core.seal import Value
from issuer.catalogue import Catalogue
from protocol.consent import Field, SubjectId
from protocol.errors import EvidenceError
from runtime import outbox
from runtime.keyring import BUCKETS
from runtime.platform import Platform

MAX_ROWS = 50_000
_BATCH = 250

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was not taken: its number (1 is the first after the headings), the column, a reason code. No value."""

    row: int
    column: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How many rows were read and what came of them: `read` is the sum of the other four.

    A row that adds nothing to what the rows above it said of the same customer is `unchanged`. `left_out` are the
    headings of columns that nobody knows: nothing of them was imported.
    """

    read: int
    created: int
    updated: int
    unchanged: int
    rejected: int
    rejects: tuple[Reject, ...] = ()
    left_out: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        """The five numbers."""
        names = ("read", "created", "updated", "unchanged", "rejected")
        return {name: getattr(self, name) for name in names}


@dataclass(slots=True)
class _Customer:
    """What the rows of one customer say: each value with the row that gave it, and all their rows."""

    values: dict[Field, Value] = field(default_factory=dict)
    given: dict[Field, int] = field(default_factory=dict)
    rows: list[int] = field(default_factory=list)

    def add(self, row: int, values: Mapping[Field, Value]) -> None:
        self.rows.append(row)
        for name, value in values.items():
            if name not in self.values:
                self.values[name], self.given[name] = value, row


@dataclass(slots=True)
class _Tally:
    """Counts of rows while they are written."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejects: list[Reject] = field(default_factory=list)
    left_out: tuple[str, ...] = ()

    def report(self) -> Report:
        rejects = tuple(sorted(self.rejects, key=lambda reject: reject.row))
        taken = self.created + self.updated + self.unchanged
        return Report(
            read=taken + len(rejects),
            created=self.created,
            updated=self.updated,
            unchanged=self.unchanged,
            rejected=len(rejects),
            rejects=rejects,
            left_out=self.left_out,
        )


def run(
    platform: Platform,
    catalogue: Catalogue,
    data: bytes,
    *,
    source: str,
    importer: str,
    columns: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Import the bytes of a CSV file in one change: all of it or, when it breaks, nothing.

    `source` names the touchpoint (never a path), `importer` is a DID, `columns` maps headings to fields ("" skips one)
    beside those that are recognised. `progress(done, total)` counts customers. Raises EvidenceError `too_large`,
    `bad_encoding`, `bad_csv`, `no_headings`, `no_known_columns`, `unknown_field`, `unknown_column`, `too_many_rows`.
    """
    tally = _Tally()
    customers = _read(catalogue, data, columns or {}, tally)
    for bucket in range(min(len(customers), BUCKETS)):
        platform.keyring.current(bucket)  # made now, where it keeps nobody waiting for the write lock
    with platform.database.write() as session:
        digest = origin.digest(platform, data)
        at = platform.clock.now()
        place = Origin(source=source, source_digest=digest, importer=importer, at=at)
        finder = _Finder(session, platform, digest)
        batch = writer.Batch(session, platform, catalogue, place)
        for start in range(0, len(customers), _BATCH):
            for customer in customers[start : start + _BATCH]:
                _write(batch, finder, customer, tally)
            batch.close()
            if progress:
                progress(min(start + _BATCH, len(customers)), len(customers))
        report = tally.report()
        told = [(None, report.counts())]
        outbox.emit(session, "import.completed", at=at, header=place.told(), records=told)
    return report


def rows_of(data: bytes, catalogue: Catalogue, columns: Mapping[str, str] | None = None) -> list[dict[Field, Value]]:
    """The rows that an import of this file would take, in their normal form, one by one. Raises what `run` raises."""
    return [values for _, values in _rows(catalogue, data, columns or {}, _Tally())]


class _Finder:
    """Which customer a row speaks of: by e-mail address, else by the same row of the same file in an earlier import.

    Addresses are held only as digests under a key of this import, and only in memory.
    """

    def __init__(self, session: Session, platform: Platform, digest: str) -> None:
        self._key = secrets.token_bytes(32)
        holders = writer.holders(session, platform, mapping.KEY)
        self._by_address = {self._mark(address): subject for subject, address in holders}
        self._by_row = origin.subjects_by_row(session, digest)

    def find(self, customer: _Customer) -> SubjectId | None:
        address = customer.values.get(mapping.KEY)
        known = self._by_address.get(self._mark(address)) if address is not None else None
        return known or next((self._by_row[row] for row in customer.rows if row in self._by_row), None)

    def _mark(self, address: Value) -> bytes:
        return hashlib.blake2b(str(address).encode(), digest_size=16, key=self._key).digest()


def _read(catalogue: Catalogue, data: bytes, asked: Mapping[str, str], tally: _Tally) -> list[_Customer]:
    """The customers in the file, in the order in which they come first."""
    customers: dict[str | int, _Customer] = {}
    for number, values in _rows(catalogue, data, asked, tally):
        address = values.get(mapping.KEY)
        customers.setdefault(number if address is None else str(address), _Customer()).add(number, values)
    return list(customers.values())


def _rows(
    catalogue: Catalogue, data: bytes, asked: Mapping[str, str], tally: _Tally
) -> Iterator[tuple[int, dict[Field, Value]]]:
    rows = sheet.rows(data)
    headings = next(rows, None)
    if headings is None:
        raise EvidenceError("no_headings", "the file is empty: its first line has to name the columns")
    taken = mapping.columns(catalogue, headings, asked)
    tally.left_out = mapping.left_out(headings, taken, asked)
    for number, cells in zip(count(1), rows, strict=False):
        if number > MAX_ROWS:
            raise EvidenceError("too_many_rows", f"the file has more than {MAX_ROWS} rows")
        values = _values(number, cells, len(headings), taken, tally)
        if values is not None:
            yield number, values


def _values(
    number: int, cells: Sequence[str], width: int, columns: Sequence[Column], tally: _Tally
) -> dict[Field, Value] | None:
    """The values of one row, or None when it was rejected."""
    if len(cells) != width:
        tally.rejects.append(Reject(number, None, "column_count"))
        return None
    values: dict[Field, Value] = {}
    for column in columns:
        if column.field not in values:
            try:
                value = normal.normal(column.type, cells[column.index])
            except EvidenceError as error:
                tally.rejects.append(Reject(number, column.heading, error.code))
                return None
            if value is not None:
                values[column.field] = value
    if not any(name in values for name in (mapping.KEY, *mapping.NAMES)):
        tally.rejects.append(Reject(number, None, "no_name_and_no_email"))
        return None
    return values


def _write(batch: writer.Batch, finder: _Finder, customer: _Customer, tally: _Tally) -> None:
    subject = finder.find(customer)
    if subject is None:
        batch.create(customer.values, customer.given)
        tally.created += 1
        changed = set(customer.given.values()) - {customer.rows[0]}
    else:
        try:
            fields = batch.put(subject, customer.values, customer.given, revive=False)
        except EvidenceError as error:
            tally.rejects.extend(Reject(row, None, error.code) for row in customer.rows)
            return
        changed = {customer.given[name] for name in fields}
    tally.updated += len(changed)
    tally.unchanged += len(customer.rows) - len(changed) - (subject is None)
