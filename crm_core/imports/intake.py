"""The first half of an import: rows read, brought into their normal form and gathered by customer.

Nothing of it touches the database but to find out which customers there are.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlmodel import select

from crm_core import joining, normal, origin, writer
from crm_core.imports import mapping, matching, source
from crm_core.imports.jsonlines import Cell
from crm_core.imports.mapping import Column, Headings
from crm_core.imports.matching import Rule
from crm_core.imports.scratch import Scratch
from crm_core.imports.source import Known, Row, Source
from crm_core.seal import Value
from issuer.catalogue import Catalogue
from protocol.consent import Field
from protocol.errors import EvidenceError
from runtime.platform import Platform
from runtime.staff import StaffAccount

TOLD = 10_000  # rejected rows that a report names
_STEP = 1000
Values = dict[Field, Value]
Watch = Callable[["Reject", Mapping[str, Cell]], None]
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was not taken: its number (1 is the first after the headings), the column, a reason code. No value."""

    row: int
    column: str | None
    reason: str


@dataclass(slots=True)
class Tally:
    """Counts of rows while they are read and written."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    rejects: list[Reject] = field(default_factory=list)

    def reject(self, reject: Reject) -> None:
        """Count a rejected row; the first are remembered."""
        self.rejected += 1
        if len(self.rejects) < TOLD:
            self.rejects.append(reject)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked of an import. `watch` is given each rejected row with its cells, to be shown to nobody else."""

    columns: Mapping[str, str] = field(default_factory=dict)
    rules: tuple[Rule, ...] = matching.RULES
    watch: Watch | None = None
    progress: Progress = lambda _what, _done, _of: None


class Intake:
    """Reads one source into a scratch."""

    def __init__(self, platform: Platform, catalogue: Catalogue, plan: Plan) -> None:
        """Raises EvidenceError `unknown_field`."""
        self._platform, self._catalogue, self._plan = platform, catalogue, plan
        self._home = platform.settings.home_jurisdiction
        self.headings = Headings(catalogue, plan.columns)
        self.tally = Tally()

    def hold(self, scratch: Scratch, known: Known) -> None:
        """Take note of the customers that the rows read may be about, and of those that an earlier import of the same
        bytes made.
        """
        wanted = matching.fields(self._plan.rules)
        with self._platform.database.read() as session:
            for row, subject in origin.subjects_by_row(session, known.digest):
                scratch.hold_row(row, subject)
        with self._platform.database.read() as session:
            ours = {self._platform.controller, *session.exec(select(StaffAccount.did))}
            unvouched = origin.unvouched(session, ours, joining.SPILL)
        for number, (subject, held) in enumerate(writer.holders(self._platform, wanted), 1):
            # else whoever puts somebody's address into their own record gets that person's row into it
            doubtful = unvouched.get(subject, frozenset()) - set(mapping.NAMES)  # a name alone finds nobody
            values = {field: value for field, value in held.items() if field not in doubtful} if doubtful else held
            keys = matching.keys(values, self._plan.rules, self._home)
            first = set(dict(reversed(keys)).values())  # whose own address is it?
            scratch.hold(subject, [(key, 0 if key in first else 1) for _, key in keys])
            if number % _STEP == 0:
                self._plan.progress("Looking at customers", number, None)

    def read(self, scratch: Scratch, given: Source, known: Known) -> None:
        """Read all rows. Raises what `source.rows` raises, EvidenceError `unknown_column`, `no_known_columns`."""
        seen = False
        for row in source.rows(given, known, lambda: origin.digester(self._platform)):
            if row.number == 0:  # headings that stand alone in front
                self.headings.columns(row.headings)
                self.headings.check()
                continue
            seen = True
            values = self._values(row)
            if values is not None:
                scratch.add(row.number, matching.keys(values, self._plan.rules, self._home), values)
            if row.number % _STEP == 0:
                self._plan.progress("Reading rows", row.number, None)
        if known.format != "csv" and seen:
            self.headings.check()

    def values(self, row: Row) -> Values:
        """One row's values in their normal form. Raises EvidenceError with the code; `field` is the heading."""
        if row.fault is not None:
            raise EvidenceError(row.fault, "this row cannot be read")
        return values_of(self.headings.columns(row.headings), row.cells)

    def _values(self, row: Row) -> Values | None:
        try:
            return self.values(row)
        except EvidenceError as error:
            reject = Reject(row.number, error.field, error.code)
            self.tally.reject(reject)
            if self._plan.watch is not None:
                self._plan.watch(reject, dict(zip(row.headings, row.cells, strict=False)))
            return None


def values_of(columns: Sequence[Column], cells: Sequence[Cell]) -> Values:
    """The values of one row's cells. EvidenceError with the code of what is wrong; `field` is the column's heading."""
    values: Values = {}
    several: dict[Field, list[str]] = {}
    for column in columns:
        cell = cells[column.index]
        if not cell:
            continue
        try:
            _take(values, several, column, cell)
        except EvidenceError as error:
            raise EvidenceError(error.code, error.detail, field=column.heading) from None
    for primary, other in joining.SPILL.items():
        _promote(values, several, primary, other)
    for name, texts in several.items():
        if len(distinct := list(dict.fromkeys(texts))) > normal.MAX_MANY:
            raise EvidenceError("too_many", f"a field has more than {normal.MAX_MANY} values")
        if distinct:
            values[name] = distinct
    if not any(name in values for name in (mapping.KEY, *mapping.NAMES, mapping.NUMBER)):
        raise EvidenceError("no_name_and_no_email", "nobody can be told by this row")
    return values


def _take(values: Values, several: dict[Field, list[str]], column: Column, cell: Cell) -> None:
    if column.many or column.spill is not None:
        cells = cell if isinstance(cell, list) else [cell]
        found = normal.many(column.type, [part for one in cells for part in normal.parted(column.type, one)])
        if not column.many and found:
            values.setdefault(column.field, found[0])
        several.setdefault(column.spill or column.field, []).extend(found)
    elif column.field not in values:
        value = normal.normal(column.type, ", ".join(cell) if isinstance(cell, list) else cell)
        if value is not None:
            values[column.field] = value


def _promote(values: Values, several: dict[Field, list[str]], primary: Field, other: Field) -> None:
    """The first is the customer's address, the further ones are the others."""
    texts = several.get(other, [])
    if texts and primary not in values:
        values[primary] = texts[0]
    if texts:
        several[other] = [text for text in texts if text != values.get(primary)]
