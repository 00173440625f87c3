"""What the archive takes of a customer's fields and how it comes back; a field of items is all its values at once."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlmodel import Session

from crm_core import items, records
from crm_core.items import ItemId, Sealed
from crm_core.records import Record
from crm_core.seal import Value
from protocol.consent import Field, SubjectId
from protocol.errors import EvidenceError
from runtime.platform import Platform

Archivable = Value | dict[str, Any]


def take(session: Session, platform: Platform, record: Record, fields: Collection[Field]) -> dict[Field, Archivable]:
    """What the archive keeps of each field: the value, or, for one that lives in items, every item's.

    A field of items is `{"items": [[item, value], …]}`, with `"value"` beside it where the record has it as well.
    Raises what `records.open_fields` and `items.open_all` raise.
    """
    return taken(platform, record, items.of_subject(session, record.subject), fields)


def taken(
    platform: Platform, record: Record, own: Sequence[Sealed], fields: Collection[Field]
) -> dict[Field, Archivable]:
    """The same of a record and its items that were read already."""
    found: dict[Field, Archivable] = dict(records.open_fields(platform, record, fields))
    opened = items.open_these(platform, records.data_key(platform, record), own, fields) if own else {}
    for item, values in opened.items():
        for field, value in values.items():
            known = found.get(field)
            if not isinstance(known, dict):
                known = found[field] = {"items": []} | ({} if known is None else {"value": known})
            known["items"].append([item, value])
    return found


def give_back(session: Session, platform: Platform, subject: SubjectId, field: Field, kept: Archivable) -> Record:
    """Put back what `take` gave; each value returns to its item, which is made again where it is gone.

    What was collected anew since then is younger and stays. Returns the record as it now rests. Raises EvidenceError
    `unknown_subject` and what `records.put_values` and `items.put` raise.
    """
    record = records.load(session, subject)
    if record is None:
        raise EvidenceError("unknown_subject", "there is no such customer")
    if not isinstance(kept, dict):
        return records.put_values(session, platform, subject, {field: kept})
    if "value" in kept and field not in records.stored(record):
        record = records.put_values(session, platform, subject, {field: kept["value"]})
    heads = items.Heads(platform)
    for item, value in kept["items"]:
        present = items.find(session, subject, item)
        if present is None or field not in heads.boxes(present):
            place = items.Place(subject=subject, item=ItemId(item), generation=record.generation)
            items.put(session, platform, records.data_key(platform, record), place, {field: value})
    return record


def survivors(session: Session, subject: SubjectId) -> list[dict[str, Any]]:
    """The customer's items as they rest, for the journal of survivors: bytes, which only the data key opens."""
    return [
        {"item": one.item, "generation": one.generation, "head": one.head, "cells": one.cells}
        for one in items.of_subject(session, subject)
    ]
