"""The way in: values are sealed before they reach the database, and each tells where it came from.

A batch gathers what one touchpoint brings in one transaction: its customers share one event, with a salted record each.
"""

import base64
import secrets
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlmodel import Session

from crm_core import changes, joining, records
from crm_core import origin as origins
from crm_core.changes import Change
from crm_core.origin import Collected, Origin
from crm_core.seal import Value
from issuer import credentials
from issuer.catalogue import Catalogue
from protocol import times
from protocol.consent import Field, SubjectId
from protocol.errors import EvidenceError
from runtime import keyring, outbox
from runtime.keyring import KeyGone
from runtime.platform import Platform
from verifier import allowance

Values = Mapping[Field, Value]
_PAGE = 500
_LOOKS = 5


def new_subject() -> SubjectId:
    """A fresh opaque reference: `sub_` and 128 random bits in lower-case base32."""
    return SubjectId("sub_" + base64.b32encode(secrets.token_bytes(16)).decode("ascii").rstrip("=").lower())


class Batch:
    """Customers written together in the caller's write transaction; `close` adds events, origins and allowances.

    `changes` then says what was done, so that it can be undone: `import_run.keep`.
    """

    def __init__(self, session: Session, platform: Platform, catalogue: Catalogue, origin: Origin) -> None:
        self._session, self._platform, self._catalogue, self._origin = session, platform, catalogue, origin
        self._created: list[records.Record] = []
        self._collected: list[Collected] = []
        self._corrected: list[Collected] = []
        # No rotation moves a bucket on while we hold the write lock: one look at the ring for each is enough.
        self._buckets: dict[int, tuple[int, AESGCM]] = {}
        self._loaded: dict[SubjectId, records.Record] = {}
        self._ever: dict[SubjectId, frozenset[Field]] = {}
        self.changes: list[Change] = []

    def load(self, subjects: Collection[SubjectId]) -> None:
        """Read the records of at most 500 customers at once, for the `put`s that come."""
        self._loaded |= records.load_many(self._session, subjects)
        self._ever |= dict.fromkeys(subjects, frozenset()) | origins.collected_of(self._session, subjects)

    def create(self, values: Values, rows: Mapping[Field, int] | None = None) -> SubjectId:
        """Make a customer, stored at `close`; `rows` says in which row of the source each value stands.

        EvidenceError `unknown_field`.
        """
        self._check(values)
        subject = new_subject()
        bucket = keyring.bucket_of(subject)
        if bucket not in self._buckets:
            self._buckets[bucket] = self._platform.keyring.current(bucket)
        at, under = times.iso_ms(self._origin.at), self._buckets[bucket]
        record = records.seal_record(self._platform, subject, generation=1, created_at=at, values=values, under=under)
        self._created.append(record)
        whole = {Field(""): changes.mark(record.cells)}
        self.changes.append(Change(subject=subject, generation=1, wrote=whole, before=None))
        self._gather(self._collected, subject, values, rows)
        return subject

    def put(
        self,
        subject: SubjectId,
        values: Values,
        rows: Mapping[Field, int] | None = None,
        *,
        revive: bool = True,
        extend: bool = False,
    ) -> frozenset[Field]:
        """Write what differs; returns the fields that changed. An equal value writes nothing.

        `revive=False` leaves out a field that was collected once and is no longer stored: what was disposed of must
        not come back with an old export. `extend=True` adds to what a customer may have several of (`joining`).
        EvidenceError `unknown_subject`, `unknown_field`, `unreadable`.
        """
        self._check(values)
        record = self._loaded.pop(subject, None) or records.load(self._session, subject)
        if record is None:
            raise EvidenceError("unknown_subject", "there is no such customer")
        looked_at = values.keys() | joining.beside(values) if extend else values.keys()
        stored, broken = _open(self._platform, record, tuple(looked_at))
        if broken:
            raise EvidenceError("unreadable", "a stored value does not open", field=broken[0])
        wanted = joining.joined(stored, values, self._catalogue.fields) if extend else values
        changed = {field: value for field, value in wanted.items() if stored.get(field) != value}
        if not revive and any(field not in stored for field in changed):
            gone = self._collected_once(subject) - stored.keys()
            changed = {field: value for field, value in changed.items() if field not in gone}
        if changed:
            written = records.put_values(self._session, self._platform, subject, changed)
            self._remember(record, written, changed)
            self._gather(self._collected, subject, [field for field in changed if field not in stored], rows)
            self._gather(self._corrected, subject, [field for field in changed if field in stored], rows)
        return frozenset(changed)

    def close(self, *, compile_now: bool = True) -> tuple[str, ...]:
        """Store the new customers with standing and allowances, emit the events, note the origins; empty then.

        Returns the ids of the events. Without `compile_now` the caller compiles the new customers' allowances, in the
        same transaction, for many batches at once.
        """
        events: list[str] = []
        subjects = [record.subject for record in self._created]
        records.insert(self._session, self._created)
        credentials.open_standings(self._session, subjects)
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
        if subjects and compile_now:
            allowance.compile_many(self._session, self._platform, self._catalogue, subjects)
        self._created, self._collected, self._corrected = [], [], []
        return tuple(events)

    def _collected_once(self, subject: SubjectId) -> frozenset[Field]:
        ever = self._ever.get(subject)
        return origins.collected_fields(self._session, subject) if ever is None else ever

    def _remember(self, record: records.Record, written: records.Record, changed: Values) -> None:
        before, after = records.boxes(record), records.boxes(written)
        self.changes.append(
            Change(
                subject=record.subject,
                generation=record.generation,
                wrote={field: changes.mark(after[field]) for field in changed},
                before={field: before[field] for field in changed if field in before},
            )
        )

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


def holders(platform: Platform, fields: tuple[Field, ...]) -> Iterator[tuple[SubjectId, dict[Field, Value]]]:
    """Everyone's values of some fields, opened one by one in memory, to find the customer that a row speaks of.

    In short reads, so that no snapshot is held; what does not open is left out.
    """
    after = ""
    while page := _page(platform, after, fields):
        yield from page
        after = page[-1][0]


def _page(platform: Platform, after: str, fields: tuple[Field, ...]) -> list[tuple[SubjectId, dict[Field, Value]]]:
    for _ in range(_LOOKS):
        with platform.database.read() as session:
            page = records.page(session, after, _PAGE)
        try:
            return [(record.subject, records.open_readable(platform, record, fields, once=True)[0]) for record in page]
        except KeyGone:  # a bucket was rotated between the two: what is stored now has another key
            continue
    return [(record.subject, _open(platform, record, fields)[0]) for record in page]


def _open(
    platform: Platform, record: records.Record, fields: Mapping[Field, Value] | tuple[Field, ...]
) -> tuple[dict[Field, Value], tuple[Field, ...]]:
    try:
        return records.open_readable(platform, record, tuple(fields))
    except KeyGone:  # no rotation can be under way: it would need the write lock that we hold
        return {}, tuple(fields)


def _told(collected: Collected) -> dict[str, Any]:
    return {"fields": sorted(collected.rows), "rows": sorted(set(collected.rows.values()) - {0})}
