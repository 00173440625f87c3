"""What staff ask of the records: fields, one filter, one sort, a page. Pure; a withheld field is an absent one.

Texts compare by their NFKC form, case-folded: `ＡＢＣ` equals `abc`, and Chinese sorts by code point.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from crm_core.seal import Value
from issuer.catalogue import Catalogue
from protocol.consent import Field
from runtime.problem import Problem

MAX_LIMIT = 500
DEFAULT_LIMIT = 50
MAX_OPERAND = 512  # characters
MAX_CHOICES = 50

_NAME = re.compile(r"[a-z_]+(?:\.[a-z_]+)+")
SortKey = tuple[int, str]
_AFTER_NUMBERS = 2**63


class Operator(StrEnum):
    """What a filter may ask of a field."""

    EQ = "eq"
    NE = "ne"
    IN = "in"
    PREFIX = "prefix"
    CONTAINS = "contains"
    PRESENT = "present"
    ABSENT = "absent"


_BARE = frozenset({Operator.PRESENT, Operator.ABSENT})


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition. `operands` (folded): none for `present` and `absent`, several for `in`, else one."""

    field: Field
    operator: Operator
    operands: tuple[str, ...] = ()

    def matches(self, value: Value | None) -> bool:
        """Whether a value, or its absence, meets the condition. An absent one meets `absent` alone, not even `ne`."""
        if value is None or self.operator in _BARE:
            return (value is None) == (self.operator is Operator.ABSENT)
        text = fold(value)
        match self.operator:
            case Operator.PREFIX:
                return text.startswith(self.operands[0])
            case Operator.CONTAINS:
                return self.operands[0] in text
            case Operator.NE:
                return text != self.operands[0]
            case _:
                return text in self.operands


@dataclass(frozen=True, slots=True)
class Sort:
    """One order. Customers without the field come last, rising or falling; equal ones follow by their reference."""

    field: Field
    descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One page of records. `select` is in the order of the answer; `cursor` is what the page before gave."""

    select: tuple[Field, ...]
    filter: Filter | None = None
    sort: Sort | None = None
    limit: int = DEFAULT_LIMIT
    cursor: str | None = None

    @property
    def asked(self) -> frozenset[Field]:
        """Every field whose value the answer depends on: selected, filtered or sorted by."""
        beside = [each.field for each in (self.filter, self.sort) if each is not None]
        return frozenset((*self.select, *beside))

    def told(self) -> dict[str, Any]:
        """What the record of the release says of this query: fields and operators, never an operand."""
        told: dict[str, Any] = {"select": list(self.select), "limit": self.limit, "continued": self.cursor is not None}
        if self.filter:
            told["filter"] = {"field": self.filter.field, "operator": self.filter.operator.value}
        if self.sort:
            told["sort"] = {"field": self.sort.field, "descending": self.sort.descending}
        return told

    def identity(self) -> list[Any]:
        """What a cursor is bound to: everything but the limit and the cursor itself."""
        condition = [self.filter.field, self.filter.operator.value, *self.filter.operands] if self.filter else []
        order = [self.sort.field, self.sort.descending] if self.sort else []
        return [list(self.select), condition, order]


def parse(
    catalogue: Catalogue,
    *,
    select: str | None,
    filter_: str | None = None,
    sort: str | None = None,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
    default: Sequence[Field] = (),
) -> Query:
    """A query out of the texts of a request; `default` is selected when `select` is None or empty.

    Raises Problem 400 `unknown_field`, `bad_filter`, `bad_sort`, `bad_limit`.
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise Problem(400, "bad_limit", f"limit is a number from 1 to {MAX_LIMIT}", field="limit")
    return Query(
        select=parse_select(catalogue, select, default),
        filter=_parse_filter(catalogue, filter_) if filter_ is not None else None,
        sort=_parse_sort(catalogue, sort) if sort is not None else None,
        limit=limit,
        cursor=cursor,
    )


def parse_select(catalogue: Catalogue, text: str | None, default: Sequence[Field]) -> tuple[Field, ...]:
    """The fields in `a,b,c`, each once, in that order. Raises Problem 400 `unknown_field`."""
    if not text:
        return tuple(default)
    return tuple(dict.fromkeys(_known(catalogue, name.strip(), "select") for name in text.split(",")))


def fold(value: Value) -> str:
    """The form in which values are compared."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return unicodedata.normalize("NFKC", str(value)).casefold()


def sort_key(value: Value) -> SortKey:
    """An order over all values: numbers and truth values by size, then texts by their folded form."""
    return (int(value), "") if isinstance(value, bool | int) else (_AFTER_NUMBERS, fold(value))


def _known(catalogue: Catalogue, name: str, place: str) -> Field:
    if name not in catalogue.fields:
        # The name is told back to whoever sent it, but only when it looks like one: it may be a value by mistake.
        named = name if _NAME.fullmatch(name) else place
        raise Problem(400, "unknown_field", f"the catalogue has no field {named}", field=named)
    return Field(name)


def _parse_filter(catalogue: Catalogue, text: str) -> Filter:
    name, _, rest = text.partition(":")
    word, colon, operand = rest.partition(":")
    try:
        operator = Operator(word)
    except ValueError:
        known = ", ".join(Operator)
        raise _bad_filter(f"a filter is field:operator:value with one of the operators {known}") from None
    field = _known(catalogue, name, "filter")
    if operator in _BARE:
        if colon:
            raise _bad_filter(f"{operator} takes no value")
        return Filter(field, operator)
    texts = operand.split(",") if operator is Operator.IN else [operand]
    operands = tuple(fold(text.strip()) for text in texts)
    if not all(operands) or len(operands) > MAX_CHOICES or len(operand) > MAX_OPERAND:
        raise _bad_filter(f"{operator} takes a value of 1 to {MAX_OPERAND} characters (in: at most {MAX_CHOICES})")
    return Filter(field, operator, operands)


def _parse_sort(catalogue: Catalogue, text: str) -> Sort:
    name = text.removeprefix("-")
    if not name or "," in name:
        raise Problem(400, "bad_sort", "sort is one field, or -field for the falling order", field="sort")
    return Sort(_known(catalogue, name, "sort"), text.startswith("-"))


def _bad_filter(detail: str) -> Problem:
    return Problem(400, "bad_filter", detail, field="filter")
