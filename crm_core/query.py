"""What staff ask of the records: fields, one filter, one sort, a page. Pure; a withheld field is an absent one."""

from dataclasses import dataclass
from enum import StrEnum

from crm_core.seal import Value
from protocol.consent import Field

MAX_LIMIT = 500
DEFAULT_LIMIT = 50


class Operator(StrEnum):
    """What a filter may ask of a field."""

    EQ = "eq"
    NE = "ne"
    IN = "in"
    PREFIX = "prefix"
    CONTAINS = "contains"
    PRESENT = "present"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Filter:
    """One condition. `operands` is empty for `present` and `absent`, one value for the others, several for `in`."""

    field: Field
    operator: Operator
    operands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sort:
    """One order; customers without the field come last, ascending or descending."""

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
