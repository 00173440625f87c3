"""A lot: the values of one upload that passed the first check, on their way into the record, or into the hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlmodel import Session

from crm_core import writer
from crm_core.editing import item_writer
from crm_core.origin import Origin
from crm_core.seal import Value
from issuer.catalogue import Catalogue
from protocol import event, times
from protocol.consent import Field, GroundId, Purpose, SubjectId
from protocol.errors import EvidenceError
from protocol.touchpoint import Registration
from runtime import outbox
from runtime.keyring import KeyGone
from runtime.platform import Platform

MAX_ITEMS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """`subject` None: a new customer. `digest` is the keyed digest of the upload; `collected_at` its own word (UTC)."""

    upload: str
    subject: SubjectId | None
    purpose: Purpose
    values: Mapping[Field, Value]
    digest: str
    collected_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadOrigin(Origin):
    """Where an uploaded value came from: touchpoint, purpose, grounds, and when it was collected there."""

    touchpoint: str
    purpose: str
    grounds: Mapping[str, Sequence[str]]
    collected_at: datetime

    def told(self) -> dict[str, Any]:
        """What events say of it: names, never values."""
        return {
            "source": self.source,
            "digest": self.source_digest,
            "importer": self.importer,
            "touchpoint": self.touchpoint,
            "purpose": self.purpose,
            "grounds": {ground: list(fields) for ground, fields in self.grounds.items()},
            "collected_at": times.iso(self.collected_at),
        }


def store(
    session: Session,
    platform: Platform,
    catalogue: Catalogue,
    *,
    lot: Lot,
    registration: Registration,
    grounds: Mapping[Field, GroundId],
    at: datetime,
) -> tuple[SubjectId, str]:
    """Seal a lot into its customer's record, or into a new one; whose it is and the event's id.

    Where all was known there is an event, too, that names no field: nobody who uploads may find a value out by it.

    Fields of items make a new item of each kind. A new customer's allowances are the caller's to compile, for many at
    once, in the same transaction. EvidenceError `too_many_items`, `unreadable` and those of
    `writer.Batch`, raised before anything was written.
    """
    kinds = _kinds(catalogue, lot.values)
    own = kinds.pop(None, {})
    if kinds and lot.subject is not None and item_writer.count(session, lot.subject) + len(kinds) > MAX_ITEMS:
        raise EvidenceError("too_many_items", f"a customer has at most {MAX_ITEMS} items")
    by_ground: dict[str, list[str]] = {}
    for field, ground in sorted(grounds.items()):
        by_ground.setdefault(ground, []).append(field)
    place = UploadOrigin(
        source=registration.name,
        source_digest=lot.digest,
        importer=registration.touchpoint,
        at=at,
        touchpoint=registration.id,
        purpose=lot.purpose,
        grounds=by_ground,
        collected_at=lot.collected_at,
    )
    batch = writer.Batch(session, platform, catalogue, place)
    if lot.subject is None:
        subject = batch.create(own)
    else:
        subject = lot.subject
        batch.put(subject, own)
    events = list(batch.close(compile_now=False))
    try:
        for values in kinds.values():
            events += item_writer.add(session, platform, subject, values, origin=place)
    except KeyGone:
        raise EvidenceError("unreadable", "the customer's key is gone") from None
    if not events:
        nothing: dict[str, Any] = {"fields": [], "rows": []}
        events = [outbox.emit(session, event.VALUE_COLLECTED, at=at, header=place.told(), records=[(subject, nothing)])]
    return subject, events[0]


def _kinds(catalogue: Catalogue, values: Mapping[Field, Value]) -> dict[str | None, dict[Field, Value]]:
    """The values by the kind of item that they belong to; None: to the record itself."""
    kinds: dict[str | None, dict[Field, Value]] = {}
    for field, value in values.items():
        kinds.setdefault(catalogue.field(field).item, {})[field] = value
    return kinds
