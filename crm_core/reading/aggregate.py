"""Counts, groups and aggregates over granted values, with nothing shown that stands on too few customers.

Sums are exact (integers and fractions), so that neither order nor size changes them. What leaves is derived of each
contributing customer: each has the release on record, in parts of at most 500, written while the customers are gone
through, so that memory holds the groups and never the contributors.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from itertools import product
from typing import Any

from crm_core.reading import exports, folding, suppression
from crm_core.reading.folding import SortKey
from crm_core.reading.query import EVERYBODY, Values, Where
from crm_core.reading.scan import Found, Scan
from crm_core.reading.snapshot import Snapshot
from crm_core.seal import Value
from protocol.consent import Field
from runtime.problem import Problem
from verifier.gate import Verdict

PART = 500  # customers per release on record
MAX_GROUPS = 50_000  # held in memory
MAX_SHOWN = 2_000
_EXACT = 2**53 - 1
_CUT: Mapping[str, int] = {"year": 4, "month": 7, "day": 10}  # characters of an ISO 8601 date

Key = tuple[SortKey | None, ...]


class Function(StrEnum):
    """What may be made of a field's values."""

    COUNT = "count"
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    AVG = "avg"


@dataclass(frozen=True, slots=True)
class Grouping:
    """Group by a field's values; dates also `by` day, month or year."""

    field: Field
    by: str | None = None

    def labels(self, values: Values) -> tuple[Value | None, ...]:
        """The groups that a customer belongs to: one per value; the group without one is None."""
        value = values.get(self.field)
        if value is None or value == []:
            return (None,)
        if self.by is None:
            return tuple(folding.each(value))
        return tuple(dict.fromkeys(str(one)[: _CUT[self.by]] for one in folding.each(value)))


@dataclass(frozen=True, slots=True)
class Measure:
    """One aggregate of one field; `numeric`: its values are numbers, else dates."""

    function: Function
    field: Field
    numeric: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which customers, in which groups, what of them."""

    where: Where = EVERYBODY
    groups: tuple[Grouping, ...] = ()
    measures: tuple[Measure, ...] = ()

    @property
    def fields(self) -> tuple[Field, ...]:
        """Every field whose value the answer depends on."""
        grouped = (each.field for each in self.groups)
        return tuple(dict.fromkeys((*self.where.fields, *grouped, *(each.field for each in self.measures))))

    def told(self) -> dict[str, Any]:
        """What the record of the release says: fields and functions, never an operand."""
        measures = [{"function": each.function.value, "field": each.field} for each in self.measures]
        return {"group_by": [each.field for each in self.groups], "aggregates": measures, **self.where.told()}


@dataclass(slots=True)
class _Tally:
    """What has been gathered of one field in one group: `subjects` who contributed, their values and the extremes."""

    subjects: int = 0
    values: int = 0
    total: Fraction | int = 0
    least: tuple[SortKey, Value] | None = None
    most: tuple[SortKey, Value] | None = None

    def add(self, value: Value | None, *, summing: bool) -> None:
        """A customer's value or values. Of a field that is summed, only numbers count."""
        if value is None:
            return
        found = [one for one in folding.each(value) if not summing or folding.number(one) is not None]
        self.subjects += bool(found)
        self.values += len(found)
        for one in found:
            if summing:
                self.total += Fraction(one) if isinstance(one, float) else int(one)
            keyed = (folding.sort_key(one), one)
            if self.least is None or keyed[0] < self.least[0]:
                self.least = keyed
            if self.most is None or keyed[0] > self.most[0]:
                self.most = keyed

    def result(self, function: Function) -> Value | None:
        """The aggregate; None for a number that JSON cannot hold."""
        match function:
            case Function.COUNT:
                return self.subjects
            case Function.MIN:
                return self.least[1] if self.least else None
            case Function.MAX:
                return self.most[1] if self.most else None
            case Function.SUM:
                return _number(Fraction(self.total))
            case Function.AVG:
                return _number(Fraction(self.total) / self.values) if self.values else None


@dataclass(slots=True)
class _Group:
    """One group: how its keys are written, how many customers it has, what has been gathered of them."""

    labels: tuple[Value | None, ...]
    tallies: list[_Tally]
    count: int = 0

    def add(self, measures: Sequence[Measure], values: Values) -> None:
        self.count += 1
        for tally, measure in zip(self.tallies, measures, strict=True):
            summing = measure.numeric and measure.function is not Function.COUNT
            tally.add(values.get(measure.field), summing=summing)


@dataclass(slots=True)
class _Ledger:
    """The releases on record of one aggregate, in parts."""

    read: Snapshot
    question: Question
    id: str
    scan: Scan
    parts: int = 0
    waiting: list[tuple[Verdict, frozenset[Field]]] = field(default_factory=list)

    def note(self, found: Found) -> None:
        """A customer contributes."""
        self.waiting.append((found.seen.verdict, frozenset(self.question.fields)))
        if len(self.waiting) >= PART:
            self.write()

    def write(self, *, last: bool = False) -> str:
        """Put the waiting ones on record; the id of that release."""
        self.parts += 1
        told = {"aggregate": self.id, "part": self.parts, **self.question.told()}
        if last:
            told["examined"] = self.scan.examined
        release = self.read.passage.record(self.waiting, query=told)
        self.waiting = []
        return release


def answer(read: Snapshot, question: Question, k: int) -> dict[str, Any]:
    """The answer as JSON has it, on record. Problem 400 `too_many_groups`, and what the gate raises."""
    scan = Scan(read)
    ledger = _Ledger(read, question, exports.new_id(), scan)
    total = _new((), question)
    groups: dict[Key, _Group] = {}
    for found in scan.found(question.where, question.fields):
        ledger.note(found)
        total.add(question.measures, found.values)
        for key, labels in _keys(question, found.values):
            group = groups.get(key)
            if group is None:
                if len(groups) >= MAX_GROUPS:
                    ledger.write(last=True)  # that there are so many was told of these customers' values
                    raise _too_many()
                group = groups[key] = _new(labels, question)
            group.labels = min(group.labels, labels, key=repr)
            group.add(question.measures, found.values)
    release = ledger.write(last=True)
    return _shown(question, total, groups, k) | {"release": release}


def _new(labels: tuple[Value | None, ...], question: Question) -> _Group:
    return _Group(labels, [_Tally() for _ in question.measures])


def _keys(question: Question, values: Values) -> Iterator[tuple[Key, tuple[Value | None, ...]]]:
    """The groups of one customer, each once, by the folded form of their labels."""
    if question.groups:
        seen: dict[Key, tuple[Value | None, ...]] = {}
        for labels in product(*(each.labels(values) for each in question.groups)):
            seen.setdefault(tuple(None if label is None else folding.sort_key(label) for label in labels), labels)
        yield from seen.items()


def _shown(question: Question, total: _Group, groups: Mapping[Key, _Group], k: int) -> dict[str, Any]:
    few = total.count < k
    gone = suppression.hidden({key: group.count for key, group in groups.items()}, k)
    places = range(len(question.measures))
    quiet = [
        suppression.hidden({key: group.tallies[place].subjects for key, group in groups.items()}, k, gone)
        for place in places
    ]
    listed = [key for key in sorted(groups, key=_order) if key not in gone]
    if len(listed) > MAX_SHOWN:
        raise _too_many()
    shown = [
        {
            "by": list(groups[key].labels),
            "count": groups[key].count,
            "aggregates": _measured(question, groups[key], k, {place for place in places if key in quiet[place]}),
        }
        for key in listed
    ]
    return {
        **({"count": None, "fewer_than": k} if few else {"count": total.count}),
        "aggregates": _measured(question, total, k, places if few else ()),
        "groups": shown if not few else [],
        "suppressed": few or bool(gone),
        "small_group": k,
    }


def _measured(question: Question, group: _Group, k: int, quiet: Container[int]) -> list[dict[str, Any]]:
    """The aggregates of a group; `quiet`: the places of those that must not be shown."""
    listed = []
    for place, (measure, tally) in enumerate(zip(question.measures, group.tallies, strict=True)):
        told: dict[str, Any] = {"function": measure.function.value, "field": measure.field}
        if place in quiet or tally.subjects < k:
            listed.append(told | {"value": None, "fewer_than": k})
        else:
            listed.append(told | {"value": tally.result(measure.function)})
    return listed


def _order(key: Key) -> tuple[tuple[bool, SortKey], ...]:
    return tuple((part is None, part or (0, "")) for part in key)


def _number(exact: Fraction) -> Value | None:
    """As JSON holds it: an integer where it is one that every reader can hold; None beyond any float."""
    if exact.denominator == 1 and abs(exact.numerator) <= _EXACT:
        return exact.numerator
    try:
        return float(exact)
    except OverflowError:
        return None


def _too_many() -> Problem:
    return Problem(400, "too_many_groups", "there are too many groups: filter, or group by less", field="group_by")
