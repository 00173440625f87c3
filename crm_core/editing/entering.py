"""What staff type, as JSON, becomes values in their normal form; what has none is refused by a code, never echoed."""

import math
from collections.abc import Mapping
from typing import Any

from crm_core import normal
from crm_core.seal import Value
from issuer.catalogue import Catalogue, FieldEntry
from protocol.consent import Field
from protocol.errors import EvidenceError
from runtime.problem import Problem

MAX_FIELDS = 64
MAX_MANY = 50
_WHOLE = 2**53


def values(catalogue: Catalogue, given: Mapping[str, Any], *, item: bool) -> dict[Field, Value | None]:
    """The values by field; None where null or a blank text was given. `item`: fields of items, else of the record.

    Raises:
        Problem: 400 `unknown_field`, 422 `no_values`, `too_many_fields`, `item_field`, `not_item_field`, `bad_value`
            and the codes of `normal.normal`; the field is named.
    """
    if not given:
        raise Problem(422, "no_values", "there are no values", field="values")
    if len(given) > MAX_FIELDS:
        raise Problem(422, "too_many_fields", f"at most {MAX_FIELDS} fields at a time", field="values")
    return {Field(name): _value(_entry(catalogue, name, item=item), value) for name, value in given.items()}


def _entry(catalogue: Catalogue, name: str, *, item: bool) -> FieldEntry:
    entry = catalogue.fields.get(name)
    if entry is None:  # what was typed there may be anything, even a value: it is not told back
        raise Problem(400, "unknown_field", "the catalogue has no such field", field="values")
    if item and entry.item is None:
        raise Problem(422, "not_item_field", f"{name} belongs to the customer's record", field=name)
    if not item and entry.item is not None:
        raise Problem(422, "item_field", f"{name} belongs to an item of the customer", field=name)
    return entry


def _value(entry: FieldEntry, given: Any) -> Value | None:
    if given is None:
        return None
    try:
        return _many(entry, given) if entry.many else _one(entry, given)
    except EvidenceError as error:
        raise Problem(422, error.code, error.detail, field=entry.id) from None


def _many(entry: FieldEntry, given: Any) -> Value | None:
    if not isinstance(given, list) or len(given) > MAX_MANY:
        raise EvidenceError("bad_value", f"this field takes a list of at most {MAX_MANY} texts")
    texts = [str(value) for value in (_one(entry, one) for one in given) if value is not None]
    return list(dict.fromkeys(texts)) or None


def _one(entry: FieldEntry, given: Any) -> Value | None:
    if isinstance(given, bool):
        if entry.type != "boolean":
            raise EvidenceError("bad_value", "this field takes no truth value")
        return given
    if isinstance(given, int | float):
        if entry.type != "number" or not math.isfinite(given) or abs(given) >= _WHOLE:
            raise EvidenceError("bad_value", "this field does not take this number")
        return given
    if not isinstance(given, str):
        raise EvidenceError("bad_value", "this field takes a text")
    return normal.normal(entry.type, given)
