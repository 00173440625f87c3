"""Queries out of requests: the texts of a GET, the JSON body of a POST. An error names the member that is wrong.

What was sent is never told back, unless it looks like the name of a field: it may be a value by mistake.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from crm_core import normal
from crm_core.reading import search
from crm_core.reading.folding import fold
from crm_core.reading.query import (
    BARE,
    DEFAULT_LIMIT,
    MAX_LIMIT,
    RANGES,
    SEVERAL,
    AnyOf,
    Filter,
    Operand,
    Operator,
    Query,
    Sort,
    Where,
)
from crm_core.reading.search import Search
from issuer.catalogue import Catalogue, FieldEntry
from protocol.consent import Field
from protocol.errors import EvidenceError
from runtime.problem import Problem

MAX_OPERAND = 512  # characters
MAX_CHOICES = 50
MAX_FILTERS = 10  # joined by and; each may be an `any` of as many
MAX_SORTS = 3
MAX_FIELDS = 128

_NAME = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)+")
_MEMBER = re.compile(r"[a-z_]{1,32}")
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?", re.ASCII)
_QUERY = frozenset({"purpose", "select", "filters", "search", "sort", "limit", "cursor"})
# For these types a text that has the type's normal form is compared in it.
_FORMED = frozenset({"phone", "url"})
_EXACT = frozenset({"date", "datetime", "boolean"})


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
    """A query out of the texts of a GET; `default` is selected when `select` is None or empty.

    Raises Problem 400 `unknown_field`, `item_field`, `bad_filter`, `bad_sort`, `bad_limit`.
    """
    return Query(
        select=parse_select(catalogue, select, default),
        where=Where(filters=() if filter_ is None else (_parse_filter(catalogue, filter_),)),
        sort=() if sort is None else _sorts(catalogue, sort.split(","), "sort"),
        limit=_limit(limit),
        cursor=cursor,
    )


def parse_select(catalogue: Catalogue, text: str | None, default: Sequence[Field]) -> tuple[Field, ...]:
    """The fields in `a,b,c`, each once, in that order. Raises Problem 400 `unknown_field`, `item_field`."""
    if not text:
        return tuple(default)
    return tuple(dict.fromkeys(known(catalogue, name.strip(), "select") for name in text.split(",")))


def of_body(catalogue: Catalogue, body: Mapping[str, Any], *, default: Sequence[Field]) -> Query:
    """A query out of a JSON body. Raises the same, Problem 400 `bad_search` and 422 `bad_request`."""
    members(body, _QUERY)
    sort = body.get("sort")
    cursor = text_of(body, "cursor")
    return Query(
        select=selected(catalogue, body, default),
        where=where_of(catalogue, body, default),
        sort=() if sort is None else _sorts(catalogue, [sort] if isinstance(sort, str) else sort, "sort"),
        limit=_limit(body.get("limit", DEFAULT_LIMIT)),
        cursor=cursor,
        door="query",
    )


def members(body: Mapping[str, Any], known_members: frozenset[str]) -> None:
    """Problem 422 `bad_request` for a member that there is not: a filter that is misspelt must not be passed over."""
    for name in body:
        if name not in known_members:
            named = name if _MEMBER.fullmatch(name) else None
            listed = ", ".join(sorted(known_members))
            raise Problem(422, "bad_request", f"there is no such member; known are {listed}", field=named)


def text_of(body: Mapping[str, Any], name: str, *, most: int = MAX_OPERAND) -> str | None:
    """A member that is a text or left out. Problem 422 `bad_request`."""
    value = body.get(name)
    if value is not None and (not isinstance(value, str) or not 0 < len(value) <= most):
        raise Problem(422, "bad_request", f"{name} is a text of 1 to {most} characters", field=name)
    return value


def selected(catalogue: Catalogue, body: Mapping[str, Any], default: Sequence[Field]) -> tuple[Field, ...]:
    """The member `select`: a list of fields, or left out. Problem 400 `unknown_field`, `item_field`."""
    names = body.get("select")
    if names is None:
        return tuple(default)
    if not isinstance(names, list) or not 0 < len(names) <= MAX_FIELDS:
        raise Problem(422, "bad_request", f"select is a list of 1 to {MAX_FIELDS} fields", field="select")
    found = [known(catalogue, name, f"select[{place}]", name_it=False) for place, name in enumerate(names)]
    return tuple(dict.fromkeys(found))


def where_of(catalogue: Catalogue, body: Mapping[str, Any], searched: Sequence[Field]) -> Where:
    """The members `filters` and `search`; a search covers the text-like ones of `searched`.

    Problem 400 `bad_filter`, `bad_search`, `unknown_field`, `item_field`.
    """
    listed = body.get("filters", [])
    if not isinstance(listed, list) or len(listed) > MAX_FILTERS:
        raise bad_filter(f"filters is a list of at most {MAX_FILTERS} conditions", "filters")
    filters = tuple(_condition(catalogue, one, f"filters[{place}]") for place, one in enumerate(listed))
    return Where(filters=filters, search=_search(catalogue, body, searched))


def known(catalogue: Catalogue, name: Any, place: str, *, name_it: bool = True) -> Field:
    """A field of customers by its name. Problem 400 `unknown_field`, and `item_field` for one of their items.

    The problem's `field` is the place, or with `name_it` the name itself where it looks like one.
    """
    looks = isinstance(name, str) and _NAME.fullmatch(name) is not None
    where = name if looks and name_it else place
    if not isinstance(name, str) or name not in catalogue.fields:
        said = f"the catalogue has no field {name}" if looks else "the catalogue has no such field"
        raise Problem(400, "unknown_field", f"{said}; GET /crm/fields lists them", field=where)
    item = catalogue.fields[name].item
    if item is not None:
        detail = f"{name} stands in a customer's {item}s, several of each: read them with the customer, not in a list"
        raise Problem(400, "item_field", detail, field=where)
    return Field(name)


def bad_filter(detail: str, place: str) -> Problem:
    """Problem 400 `bad_filter`."""
    return Problem(400, "bad_filter", detail, field=place)


def _limit(limit: Any) -> int:
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_LIMIT:
        raise Problem(400, "bad_limit", f"limit is a number from 1 to {MAX_LIMIT}", field="limit")
    return limit


def _sorts(catalogue: Catalogue, texts: Any, place: str) -> tuple[Sort, ...]:
    said = f"sort is 1 to {MAX_SORTS} fields, each once; -field is the falling order"
    bad = Problem(400, "bad_sort", said, field=place)
    if not isinstance(texts, list) or not 0 < len(texts) <= MAX_SORTS:
        raise bad
    found: dict[Field, Sort] = {}
    for text in texts:
        if not isinstance(text, str) or not text.strip().removeprefix("-"):
            raise bad
        field = known(catalogue, text.strip().removeprefix("-"), place)
        if field in found:
            raise bad
        found[field] = Sort(field, text.strip().startswith("-"))
    return tuple(found.values())


def _search(catalogue: Catalogue, body: Mapping[str, Any], fields: Sequence[Field]) -> Search | None:
    text = body.get("search")
    if text is None:
        return None
    try:
        if not isinstance(text, str):
            raise ValueError("no text")
        found = search.prepare(text, {field: catalogue.fields[field].type for field in fields})
    except ValueError:
        found = None
    if found is None:
        detail = f"search is a text of 1 to {search.MAX_TEXT} characters and at most {search.MAX_WORDS} words"
        raise Problem(400, "bad_search", detail, field="search")
    return found


def _condition(catalogue: Catalogue, condition: Any, place: str) -> Filter | AnyOf:
    if isinstance(condition, dict) and condition.keys() == {"any"}:
        several = condition["any"]
        if not isinstance(several, list) or not 0 < len(several) <= MAX_FILTERS:
            raise bad_filter(f"any is a list of 1 to {MAX_FILTERS} conditions", f"{place}.any")
        return AnyOf(tuple(_filter(catalogue, one, f"{place}.any[{at}]") for at, one in enumerate(several)))
    return _filter(catalogue, condition, place)


def _filter(catalogue: Catalogue, condition: Any, place: str) -> Filter:
    if not isinstance(condition, dict) or not condition.keys() <= {"field", "operator", "value"}:
        raise bad_filter("a condition has field, operator and value, or is one `any` with a list of such", place)
    field = known(catalogue, condition.get("field"), f"{place}.field", name_it=False)
    operator = _operator(condition.get("operator"), f"{place}.operator")
    if operator in BARE:
        if "value" in condition:
            raise bad_filter(f"{operator} takes no value: leave it out", f"{place}.value")
        return Filter(field, operator)
    value = condition.get("value")
    if (operator in SEVERAL) != isinstance(value, list):
        wanted = "a list of values" if operator in SEVERAL else "one value"
        raise bad_filter(f"{operator} takes {wanted}", f"{place}.value")
    values = value if isinstance(value, list) else [value]
    return _built(catalogue.fields[field], operator, values, f"{place}.value")


def _parse_filter(catalogue: Catalogue, text: str) -> Filter:
    name, _, rest = text.partition(":")
    word, colon, operand = rest.partition(":")
    operator = _operator(word, "filter", "a filter is field:operator:value; ")
    field = known(catalogue, name, "filter")
    if operator in BARE:
        if colon:
            raise bad_filter(f"{operator} takes no value", "filter")
        return Filter(field, operator)
    if len(operand) > MAX_OPERAND:
        raise _too_long(operator, "filter")
    values = operand.split(",") if operator in SEVERAL else [operand]
    return _built(catalogue.fields[field], operator, values, "filter")


def _operator(word: Any, place: str, before: str = "") -> Operator:
    try:
        return Operator(word)
    except ValueError:
        raise bad_filter(f"{before}the operators are {', '.join(Operator)}", place) from None


def _built(entry: FieldEntry, operator: Operator, values: Sequence[Any], place: str) -> Filter:
    if operator is Operator.BETWEEN and len(values) != 2:
        raise bad_filter("between takes two values, the lowest and the highest", place)
    if not 0 < len(values) <= MAX_CHOICES:
        raise bad_filter(f"{operator} takes 1 to {MAX_CHOICES} values", place)
    partial = operator in (Operator.PREFIX, Operator.CONTAINS)
    if (entry.type == "number" and partial) or (entry.type == "boolean" and (partial or operator in RANGES)):
        raise bad_filter(f"{operator} cannot be asked of {entry.id}, which is a {entry.type}", place)
    operands = tuple(_operand(entry, operator, value, place, partial=partial) for value in values)
    return Filter(Field(entry.id), operator, operands, numeric=entry.type == "number")


def _operand(entry: FieldEntry, operator: Operator, value: Any, place: str, *, partial: bool) -> Operand:
    if entry.type == "number":
        return _number(value, place)
    if entry.type == "boolean" and isinstance(value, bool):
        return fold(value)
    text = value.strip() if isinstance(value, str) else ""
    if not 0 < len(text) <= MAX_OPERAND:
        raise _too_long(operator, place)
    if partial or entry.type not in _FORMED | _EXACT:
        return fold(text)
    try:
        formed = normal.normal(entry.type, text)
    except EvidenceError:
        if entry.type in _EXACT:
            raise bad_filter(f"{entry.id} is a {entry.type}: give a value in its form", place) from None
        formed = text
    return fold(text if formed is None else formed)


def _number(value: Any, place: str) -> int | float:
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise bad_filter("this field holds numbers: give one", place)
    return value


def _too_long(operator: Operator, place: str) -> Problem:
    return bad_filter(f"{operator} takes values of 1 to {MAX_OPERAND} characters (at most {MAX_CHOICES})", place)
