"""Provenance: which events tell what became of one field of one subject. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any


def fields_of(data: Mapping[str, Any]) -> frozenset[str]:
    """The fields that a record's data names; empty when it names none."""
    names: set[str] = set()
    for member in ("fields", "released", "withheld"):
        found = data.get(member)
        if isinstance(found, (list, tuple, dict, Mapping)):  # the abstract class last: asking it takes longest
            names.update([name for name in found if isinstance(name, str)])
    one = data.get("field")
    if isinstance(one, str):
        names.add(one)
    return frozenset(names)


def concerns(data: Mapping[str, Any], field: str | None) -> bool:
    """Whether a record belongs to the story of `field`: it names it, or it names no field and so concerns all."""
    named = fields_of(data)
    return field is None or not named or field in named


def mentions(data: Any) -> frozenset[str]:
    """Every string in a document, names of members included: the ids and digests that it names."""
    return frozenset(_strings(data))


def _strings(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, Mapping):
        yield from node
        for value in node.values():
            yield from _strings(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _strings(value)
