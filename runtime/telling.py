"""What a customer may see of one event about them: who, when, what for, which fields; names, never a value."""

from collections.abc import Mapping
from typing import Any

from protocol import times
from protocol.event import RELEASE
from runtime.outbox import OutboxEvent

_WAYS = ("export", "decision", "items", "history", "aggregates")  # what a read's `query` names beside its fields


def item(event: OutboxEvent, data: Mapping[str, Any], leaf: int | None) -> dict[str, Any]:
    """One line of a history: `data` is the customer's record in the event, `leaf` its place in the log."""
    header = event.header
    released, withheld = data.get("released"), data.get("withheld")
    return {
        "event": event.event_id,
        "time": times.iso_ms(event.at),
        "kind": event.type,
        "reader": header.get("reader"),
        "role": header.get("role"),
        "purpose": header.get("purpose"),
        "recipient": header.get("recipient"),
        "jurisdiction": header.get("jurisdiction"),
        "released": sorted(map(str, released)) if isinstance(released, list) else [],
        "withheld": withheld if isinstance(withheld, dict) else {},
        "grounds": _grounds(data),
        "way": _way(event.type, header),
        "fields": _fields(data),
        "credential": data.get("credential") or data.get("certificate") or data.get("ground"),
        "leaf": leaf,
    }


def _grounds(data: Mapping[str, Any]) -> dict[str, list[str]]:
    """Which ground (its credential's id) released which fields: why they could be read."""
    found = data.get("grounds")
    if not isinstance(found, dict):
        return {}
    return {str(ground): sorted(map(str, fields)) for ground, fields in found.items() if isinstance(fields, list)}


def _way(type_: str, header: Mapping[str, Any]) -> str | None:
    """How it was read: in an export, by another system's decision, with items, as a history, counted in, in a list."""
    query = header.get("query")
    if type_ != RELEASE or not isinstance(query, dict):
        return None
    return next((way for way in _WAYS if way in query), "list")


def _fields(data: Mapping[str, Any]) -> list[str]:
    listed, one = data.get("fields"), data.get("field")
    return sorted(map(str, listed)) if isinstance(listed, list) else [one] if isinstance(one, str) else []
