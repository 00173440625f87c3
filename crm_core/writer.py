"""The way in: values are sealed before they reach the database, and each tells where it came from.

A batch gathers what one touchpoint brings in one transaction: its customers share one event, with a salted record each.
"""

import base64
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from sqlmodel import Session

from crm_core import origin as origins
from crm_core import records
from crm_core.origin import Collected, Origin
from crm_core.seal import Value
from issuer import registry
from issuer.catalogue import Catalogue
from protocol import times
from protocol.consent import Field, SubjectId
from protocol.errors import EvidenceError
from runtime import outbox
from runtime.keyring import KeyGone
from runtime.platform import Platform
from verifier import allowance

Values = Mapping[Field, Value]


def new_subject() -> SubjectId:
    """A fresh opaque reference: `sub_` and 128 random bits in lower-case base32."""
    return SubjectId("sub_" + base64.b32encode(secrets.token_bytes(16)).decode("ascii").rstrip("=").lower())


class Batch:
    """Customers written together in the caller's write transaction; `close` adds events, origins and allowances."""

    def __init__(self, session: Session, platform: Platform, catalogue: Catalogue, origin: Origin) -> None:
        self._session, self._platform, self._catalogue, self._origin = session, platform, catalogue, origin
        self._created: list[records.Record] = []
        self._collected: list[Collected] = []
        self._corrected: list[Collected] = []

    def create(self, values: Values, rows: Mapping[Field, int] | None = None) -> SubjectId:
        """Make a customer, stored at `close`; `rows` says in which row of the source each value stands.

        EvidenceError `unknown_field`.
        """
        self._check(values)
        subject = new_subject()
        at = times.iso_ms(self._origin.at)
        record = records.seal_record(self._platform, subject, generation=1, created_at=at, values=values)
        self._created.append(record)
        self._gather(self._collected, subject, values, rows)
        return subject

    def put(
        self, subject: SubjectId, values: Values, rows: Mapping[Field, int] | None = None, *, revive: bool = True
    ) -> frozenset[Field]:
        """Write what differs; returns the fields that changed. An equal value writes nothing.

        `revive=False` leaves out a field that was collected once and is no longer stored: what was disposed of must
        not come back with an old export. EvidenceError `unknown_subject`, `unknown_field`, `unreadable`.
        """
        self._check(values)
        record = records.load(self._session, subject)
        if record is None:
            raise EvidenceError("unknown_subject", "there is no such customer")
        stored, broken = _open(self._platform, record, values)
        if broken:
            raise EvidenceError("unreadable", "a stored value does not open", field=broken[0])
        changed = {field: value for field, value in values.items() if stored.get(field) != value}
        if not revive and any(field not in stored for field in changed):
            gone = origins.collected_fields(self._session, subject) - stored.keys()
            changed = {field: value for field, value in changed.items() if field not in gone}
        if changed:
            records.put_values(self._session, self._platform, subject, changed)
            self._gather(self._collected, subject, [field for field in changed if field not in stored], rows)
            self._gather(self._corrected, subject, [field for field in changed if field in stored], rows)
        return frozenset(changed)

    def close(self) -> tuple[str, ...]:
        """Store the new customers with standing and allowances, emit the events, note the origins; empty then.

        Returns the ids of the events.
        """
        events: list[str] = []
        records.insert(self._session, self._created)
        for record in self._created:
            registry.open_standing(self._session, record.subject)
        for type_, collected in (("value.collected", self._collected), ("value.corrected", self._corrected)):
            if collected:
                event_id = outbox.emit(
                    self._session,
                    type_,
                    at=self._origin.at,
                    header=self._origin.told(),
                    records=[(each.subject, _told(each)) for each in collected],
                )
                origins.note(self._session, self._origin, collected, event_id=event_id)
                events.append(event_id)
        if self._created:
            subjects = [record.subject for record in self._created]
            allowance.compile_many(self._session, self._platform, self._catalogue, subjects)
        self._created, self._collected, self._corrected = [], [], []
        return tuple(events)

    def _check(self, values: Values) -> None:
        for field in values:
            self._catalogue.field(field)

    def _gather(
        self,
        into: list[Collected],
        subject: SubjectId,
        fields: Mapping[Field, Value] | list[Field],
        rows: Mapping[Field, int] | None,
    ) -> None:
        if fields:
            into.append(Collected(subject=subject, rows={field: (rows or {}).get(field, 0) for field in fields}))


def create(session: Session, platform: Platform, catalogue: Catalogue, values: Values, *, origin: Origin) -> SubjectId:
    """Make one customer, complete with event, standing and allowances. Raises EvidenceError `unknown_field`."""
    batch = Batch(session, platform, catalogue, origin)
    subject = batch.create(values)
    batch.close()
    return subject


def put(
    session: Session,
    platform: Platform,
    catalogue: Catalogue,
    subject: SubjectId,
    values: Values,
    *,
    origin: Origin,
) -> frozenset[Field]:
    """Write values of one customer; returns the fields that changed. Raises what `Batch.put` raises."""
    batch = Batch(session, platform, catalogue, origin)
    changed = batch.put(subject, values)
    batch.close()
    return changed


def holders(session: Session, platform: Platform, field: Field) -> Iterator[tuple[SubjectId, Value]]:
    """Everyone's value of one field, opened one by one in memory, to find the customer that a row speaks of.

    Those that do not open are left out.
    """
    for record in records.every(session):
        values, _ = _open(platform, record, (field,))
        if field in values:
            yield record.subject, values[field]


def _open(
    platform: Platform, record: records.Record, fields: Mapping[Field, Value] | tuple[Field, ...]
) -> tuple[dict[Field, Value], tuple[Field, ...]]:
    try:
        return records.open_readable(platform, record, tuple(fields))
    except KeyGone:  # no rotation can be under way: it would need the write lock that we hold
        return {}, tuple(fields)


def _told(collected: Collected) -> dict[str, Any]:
    return {"fields": sorted(collected.rows), "rows": sorted(set(collected.rows.values()) - {0})}
