"""Provenance: which events tell what became of one field of one subject."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any


def fields_of(data: Mapping[str, Any]) -> frozenset[str]:
    """The fields that a record's data names; empty when it names none."""
    names: set[str] = set()
    for member in ("fields", "released", "withheld"):
        found = data.get(member)
        if isinstance(found, list | dict):
            names.update(name for name in found if isinstance(name, str))
    items = data.get("items")
    for item in [data, *(items if isinstance(items, list) else ())]:
        if isinstance(item, Mapping) and isinstance(item.get("field"), str):
            names.add(item["field"])
    return frozenset(names)


def concerns(data: Mapping[str, Any], field: str | None) -> bool:
    """Whether a record belongs to the story of `field`: it names it, or it names no field and so concerns all."""
    named = fields_of(data)
    return field is None or not named or field in named
