"""What is asked of the records: fields, conditions, a search, an order, a page. Pure.

A withheld field is an absent one.

`asking` makes queries out of requests. Conditions are joined by *and*; one may be an `AnyOf` of several. A field with
several values meets a condition when any of them does; it meets `ne` when none of them equals.
"""

import operator as comparing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from crm_core.reading.folding import each, fold, number
from crm_core.reading.search import Rank, Search
from crm_core.seal import Value
from protocol.consent import Field

MAX_LIMIT = 500
DEFAULT_LIMIT = 50

Operand = str | int | float
Values = Mapping[Field, Value]
Test = Callable[[Value | None], bool]


class Operator(StrEnum):
    """What a filter may ask of a field."""

    EQ = "eq"
    NE = "ne"
    IN = "in"
    PREFIX = "prefix"
    CONTAINS = "contains"
    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    BETWEEN = "between"
    PRESENT = "present"
    ABSENT = "absent"


BARE = frozenset({Operator.PRESENT, Operator.ABSENT})
SEVERAL = frozenset({Operator.IN, Operator.BETWEEN})
RANGES = frozenset({Operator.GT, Operator.GTE, Operator.LT, Operator.LTE, Operator.BETWEEN})
_COMPARING: Mapping[Operator, Callable[[Any, Any], bool]] = {
    Operator.GT: comparing.gt,
    Operator.GTE: comparing.ge,
    Operator.LT: comparing.lt,
    Operator.LTE: comparing.le,
}


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition. `operands` are folded texts, or numbers where `numeric`.

    None for `present` and `absent`, two for `between` (both included), several for `in`, else one.
    """

    field: Field
    operator: Operator
    operands: tuple[Operand, ...] = ()
    numeric: bool = False

    def test(self) -> Test:
        """The condition, ready to be asked of many values. An absent one meets `absent` alone, not even `ne`."""
        if self.operator is Operator.ABSENT:
            return lambda value: value is None
        if self.operator is Operator.PRESENT:
            return lambda value: value is not None
        form: Callable[[Value], Any] = number if self.numeric else fold
        if self.operator is Operator.NE:
            unlike = self.operands[0]
            return lambda value: value is not None and all(form(one) != unlike for one in each(value))
        meets = self._meets()
        return lambda value: (
            value is not None and any((compared := form(one)) is not None and meets(compared) for one in each(value))
        )

    def matches(self, value: Value | None) -> bool:
        """Whether one value, or its absence, meets the condition."""
        return self.test()(value)

    def told(self) -> dict[str, Any]:
        """What is on record of it: never an operand."""
        return {"field": self.field, "operator": self.operator.value}

    def identity(self) -> list[Any]:
        """What a cursor is bound to."""
        return [self.field, self.operator.value, *map(str, self.operands)]

    def _meets(self) -> Callable[[Any], bool]:
        operands: tuple[Any, ...] = self.operands
        first = operands[0]
        match self.operator:
            case Operator.PREFIX:
                return lambda form: str(form).startswith(first)
            case Operator.CONTAINS:
                return lambda form: first in str(form)
            case Operator.BETWEEN:
                return lambda form: bool(first <= form <= operands[1])
            case Operator.EQ | Operator.IN:
                return frozenset(operands).__contains__
            case _:
                compare = _COMPARING[self.operator]
                return lambda form: compare(form, first)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Several conditions of which one must be met."""

    filters: tuple[Filter, ...]

    def told(self) -> dict[str, Any]:
        """What is on record of it."""
        return {"any": [one.told() for one in self.filters]}

    def identity(self) -> list[Any]:
        """What a cursor is bound to."""
        return ["any", *(one.identity() for one in self.filters)]


@dataclass(frozen=True, slots=True)
class Sort:
    """One order. Customers without the field come last, rising or falling; equal ones follow by their reference."""

    field: Field
    descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Which customers: those that meet every filter and the search."""

    filters: tuple[Filter | AnyOf, ...] = ()
    search: Search | None = None

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields that decide."""
        flat = [one for each_ in self.filters for one in (each_.filters if isinstance(each_, AnyOf) else (each_,))]
        return tuple(dict.fromkeys((*(one.field for one in flat), *(self.search.fields if self.search else ()))))

    def accepts(self) -> Callable[[Values], Rank | None]:
        """Ready to be asked of many customers: the rank of one who meets all, else None; without a search CONTAINS."""
        tests = [_all_of(one) for one in self.filters]
        search = self.search

        def asked(values: Values) -> Rank | None:
            for test in tests:
                if not test(values):
                    return None
            return Rank.CONTAINS if search is None else search.rank(values)

        return asked

    def told(self) -> dict[str, Any]:
        """What is on record: fields and operators, never an operand or a word."""
        told: dict[str, Any] = {}
        if self.filters:
            told["filters"] = [one.told() for one in self.filters]
        if self.search:
            told["search"] = list(self.search.fields)
        return told

    def identity(self) -> list[Any]:
        """What a cursor is bound to."""
        search = [self.search.text, *self.search.fields] if self.search else []
        return [[one.identity() for one in self.filters], search]


EVERYBODY = Where()


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One page of records. `select` is in the order of the answer; `cursor` is what the page before gave.

    `door` names the route that asks: a cursor of one is none of another.
    """

    select: tuple[Field, ...]
    where: Where = EVERYBODY
    sort: tuple[Sort, ...] = ()
    limit: int = DEFAULT_LIMIT
    cursor: str | None = None
    door: str = "list"

    @property
    def deciding(self) -> tuple[Field, ...]:
        """The fields that decide who is on the page, and in what order."""
        return tuple(dict.fromkeys((*self.where.fields, *(one.field for one in self.sort))))

    @property
    def keyset(self) -> bool:
        """Do the customers come in the order of their references?"""
        return not self.sort and self.where.search is None

    @property
    def asked(self) -> frozenset[Field]:
        """Every field whose value the answer depends on."""
        return frozenset((*self.select, *self.deciding))

    def told(self) -> dict[str, Any]:
        """What the record of the release says of this query: fields and operators, never an operand."""
        told: dict[str, Any] = {"select": list(self.select), "limit": self.limit, "continued": self.cursor is not None}
        if self.sort:
            told["sort"] = [{"field": one.field, "descending": one.descending} for one in self.sort]
        return told | self.where.told()

    def identity(self) -> list[Any]:
        """What a cursor is bound to: everything but the limit and the cursor itself."""
        order = [[one.field, one.descending] for one in self.sort]
        return [self.door, list(self.select), self.where.identity(), order]


def _all_of(condition: Filter | AnyOf) -> Callable[[Values], bool]:
    if isinstance(condition, Filter):
        field, test = condition.field, condition.test()
        return lambda values: test(values.get(field))
    tests = [_all_of(one) for one in condition.filters]
    return lambda values: any(test(values) for test in tests)
