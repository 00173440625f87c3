"""Everything that is stored of one customer, opened: for the customer's own eyes, whoever may use it or may not.

The one reader beside the gate. What it gives leaves the house only sealed for the customer (`rights`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlmodel import Session

from crm_core import items, records
from crm_core.items import ItemId
from crm_core.seal import Value
from protocol.consent import Field, SubjectId
from protocol.errors import EvidenceError
from runtime.keyring import KeyGone
from runtime.platform import Platform
from runtime.problem import Problem

_LOOKS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """All values of a customer's record and items; `unreadable` fields have a value that does not open."""

    created_at: str
    values: Mapping[Field, Value]
    items: Mapping[ItemId, Mapping[Field, Value]]
    unreadable: tuple[Field, ...]


def everything(platform: Platform, subject: SubjectId) -> Opened:
    """Open it all, in a snapshot of its own. Problem 404 `unknown_subject`, 503 `keys_moving`."""
    for _ in range(_LOOKS):
        with platform.database.read() as session:
            try:
                return _opened(session, platform, subject)
            except KeyGone:  # the bucket was rotated between row and key: what is stored now has another one
                continue
    raise Problem(503, "keys_moving", "The keys of this record are being renewed; try again.")


def stored_fields(platform: Platform, subject: SubjectId) -> frozenset[Field]:
    """The fields of the record (not of its items) that hold a value."""
    with platform.database.read() as session:
        record = records.load(session, subject)
        return frozenset() if record is None else records.stored(record)


def _opened(session: Session, platform: Platform, subject: SubjectId) -> Opened:
    record = records.load(session, subject)
    if record is None:
        raise Problem(404, "unknown_subject", "There is no such customer.")
    try:
        stored = records.stored(record)
    except EvidenceError:
        stored = frozenset()
    values, broken = records.open_readable(platform, record, sorted(stored))
    found: dict[ItemId, Mapping[Field, Value]] = {}
    lost: set[Field] = set(broken)
    sealed = items.of_subject(session, subject)
    if sealed:
        heads, key = items.Heads(platform), records.data_key(platform, record)
        for one in sealed:
            try:
                names = heads.boxes(one)
                found[one.item] = items.open_values(platform, heads, key, one, names)
            except EvidenceError:
                lost.add(Field("item"))
    return Opened(created_at=record.created_at, values=values, items=found, unreadable=tuple(sorted(lost)))
