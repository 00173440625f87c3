"""The way in for items: sealed before they reach the database; each value tells where it came from.

Whoever calls has made sure that a ground covers the values; the rules for staff are in `editing`.
"""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import func
from sqlmodel import Session, select

from crm_core import items, records
from crm_core import origin as origins
from crm_core.items import ItemId
from crm_core.origin import Collected, Origin
from crm_core.seal import Value
from protocol import event
from protocol.consent import Field, SubjectId
from protocol.errors import EvidenceError
from runtime import outbox
from runtime.platform import Platform


def write(
    session: Session,
    platform: Platform,
    subject: SubjectId,
    item: ItemId,
    values: Mapping[Field, Value],
    *,
    origin: Origin,
    clear: Collection[Field] = (),
) -> tuple[str, ...]:
    """Write values of an item, new or not, and take those of `clear` away. Equal values and absent ones write nothing.

    An item that nothing is left of disappears. Returns the ids of the events. Raises EvidenceError `unknown_subject`,
    `unreadable` and what `items.put` raises.
    """
    record = records.load(session, subject)
    if record is None:
        raise EvidenceError("unknown_subject", "there is no such customer")
    names, stored = _stored(session, platform, record, item, values)
    changed = {field: value for field, value in values.items() if stored.get(field) != value}
    taken = [field for field in clear if field in names]
    if not changed and not taken:
        return ()
    events: list[str] = []
    place = items.Place(subject=subject, item=item, generation=record.generation)
    items.put(session, platform, records.data_key(platform, record), place, changed, clear=taken)
    new = [field for field in changed if field not in stored]
    corrected = [field for field in changed if field in stored]
    for kind, fields in ((event.VALUE_COLLECTED, new), (event.VALUE_CORRECTED, corrected)):
        if fields:
            event_id = _tell(session, kind, subject, origin, {"fields": sorted(fields), "rows": [], "item": item})
            collected = [Collected(subject=subject, rows=dict.fromkeys(fields, 0))]
            origins.note(session, origin, collected, event_id=event_id)
            events.append(event_id)
    if taken:
        left = items.Heads(platform).names(session, subject).values()
        gone = sorted(set(taken) - records.stored(record) - frozenset[Field]().union(*left))
        told = {"fields": sorted(taken), "item": item, "gone": gone}
        events.append(_tell(session, event.VALUE_DELETED, subject, origin, told))
    return tuple(events)


def add(
    session: Session, platform: Platform, subject: SubjectId, values: Mapping[Field, Value], *, origin: Origin
) -> tuple[str, ...]:
    """Write a new item; the ids of the events. Raises what `write` raises."""
    return write(session, platform, subject, items.new_id(), values, origin=origin)


def count(session: Session, subject: SubjectId) -> int:
    """How many items a customer has."""
    return session.exec(select(func.count()).select_from(items.ItemRow).where(items.ItemRow.subject == subject)).one()


def _stored(
    session: Session, platform: Platform, record: records.Record, item: ItemId, fields: Collection[Field]
) -> tuple[frozenset[Field], dict[Field, Value]]:
    """The fields that the item has, and its values of `fields`."""
    present = items.find(session, record.subject, item)
    if present is None:
        return frozenset(), {}
    try:
        heads, key = items.Heads(platform), records.data_key(platform, record)
        return frozenset(heads.boxes(present)), items.open_values(platform, heads, key, present, fields)
    except EvidenceError as error:
        raise EvidenceError("unreadable", "a stored value does not open", field=error.field) from None


def _tell(session: Session, kind: str, subject: SubjectId, origin: Origin, data: Mapping[str, Any]) -> str:
    return outbox.emit(session, kind, at=origin.at, header=origin.told(), records=[(subject, data)])
