"""Writes by staff: a new customer by hand, a correction, items. Every one names its purpose and needs a ground.

The rules (see docs/decisions/012): a field that is withheld from the visit is refused by name (`not_granted`) before
anything stored is looked at; a value that was not there needs a ground that covers collecting it
(`no_ground_to_collect`). What is decided depends on grounds and on what the visit may see, never on a withheld value:
an item without a granted field is not there, and deleting an item takes away what the visit may see of it. Refusals
are on record.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from sqlmodel import Session

from crm_core import items, records, writer
from crm_core.editing import authorisation, item_writer
from crm_core.editing.authorisation import Authority
from crm_core.items import ItemId
from crm_core.origin import Origin
from crm_core.reading import feed, organisations, token
from crm_core.reading.feed import Entry
from crm_core.seal import Value
from issuer.catalogue import Catalogue
from protocol.consent import Field, SubjectId
from protocol.errors import EvidenceError
from runtime.journal import JournalError
from runtime.keyring import KeyGone
from runtime.platform import Platform
from runtime.problem import Problem
from verifier.gate import Gate, Visit

MAX_ITEMS = 1000
SOURCE = "staff"
Typed = Mapping[Field, Value | None]  # None: take it away


@dataclass(frozen=True, slots=True)
class Editor:
    """What staff do to the records of one platform. Every method raises the Problems of a refused write.

    403 `not_granted`, `no_ground_to_collect`; 404 `unknown_subject`, `unknown_item`; 409 `conflict`, `unreadable`,
    `too_many_items`; 422 `blank`, `wrong_kind`, `mixed_kinds`, `unknown_organisation`, `unknown_link`; 503 with the
    code of what cannot be believed now.
    """

    platform: Platform
    catalogue: Catalogue
    gate: Gate

    def create(self, visit: Visit, values: Typed) -> SubjectId:
        """A new customer: every field must be covered by a ground that concerns everybody. Else nothing is stored."""
        with self._writing(visit) as session:
            given = _no_blanks(values)
            _check_organisations(session, self.platform, given)
            subject = writer.create(session, self.platform, self.catalogue, given, origin=self._origin(visit))
            self._authority(session, visit, subject).require_taken(given)
            return subject

    def correct(self, visit: Visit, subject: SubjectId, values: Typed, if_version: str | None = None) -> None:
        """Correct values of a record, or add to it."""
        with self._writing(visit) as session:
            record = _record(session, subject)
            authority = self._authority(session, visit, subject)
            authority.require_seen(values)
            given = _no_blanks(values)
            authority.require_taken(given.keys() - records.stored(record))
            if if_version is not None:
                _same(if_version, self.version(visit, record, authority))
            _check_organisations(session, self.platform, given)
            writer.put(session, self.platform, self.catalogue, subject, given, origin=self._origin(visit))

    def add_item(self, visit: Visit, subject: SubjectId, values: Typed) -> ItemId:
        """A new item; at most 1,000 that the visit sees."""
        with self._writing(visit) as session:
            record = _record(session, subject)
            given = {field: value for field, value in values.items() if value is not None}
            authority = self._authority(session, visit, subject)
            authority.require_taken(values)
            if not given:
                raise Problem(422, "blank", "there are no values", field="values")
            self._kind_of(given)
            entries = self._visible(session, visit, record, authority)
            if len(entries) >= MAX_ITEMS:
                raise Problem(409, "too_many_items", f"a customer has at most {MAX_ITEMS} items")
            self._check_links(session, given, entries)
            item = items.new_id()
            item_writer.write(session, self.platform, subject, item, given, origin=self._origin(visit))
            return item

    def change_item(
        self, visit: Visit, subject: SubjectId, item: str, values: Typed, if_version: str | None = None
    ) -> None:
        """Correct values of an item, add to it, or take some away."""
        with self._writing(visit) as session:
            record = _record(session, subject)
            authority = self._authority(session, visit, subject)
            authority.require_seen(values)
            entries = self._visible(session, visit, record, authority)
            entry = _entry(entries, item)
            if entry is None:
                raise Problem(404, "unknown_item", "there is no such item", field="item")
            if if_version is not None:
                _same(if_version, entry.version)
            if self._kind_of(values) != entry.kind:
                raise Problem(422, "wrong_kind", f"these are no fields of {entry.kind}", field="values")
            given = {field: value for field, value in values.items() if value is not None}
            authority.require_taken(given.keys() - self._stored(session, subject, entry.item))
            self._check_links(session, given, entries)
            item_writer.write(
                session,
                self.platform,
                subject,
                entry.item,
                given,
                origin=self._origin(visit),
                clear=values.keys() - given.keys(),
            )

    def delete_item(self, visit: Visit, subject: SubjectId, item: str, if_version: str | None = None) -> None:
        """Take away what the visit sees of an item; one that is not there is no error. It cannot be undone."""
        with self._writing(visit) as session:
            record = _record(session, subject)
            authority = self._authority(session, visit, subject)
            entry = _entry(self._visible(session, visit, record, authority), item)
            if entry is None:
                return
            if if_version is not None:
                _same(if_version, entry.version)
            granted = authority.seen.keys() & self.catalogue.purpose(visit.purpose).necessity.keys()
            item_writer.write(
                session, self.platform, subject, entry.item, {}, origin=self._origin(visit), clear=granted
            )

    def version(self, visit: Visit, record: records.Record, authority: Authority) -> str:
        """The version of a record for a visit: over what it sees of all that its purpose may ask for."""
        fields = authority.seen.keys() & self.catalogue.purpose(visit.purpose).necessity.keys()
        values, _ = records.open_readable(self.platform, record, fields)
        return token.of(self.platform, visit, record.subject, values)

    @contextmanager
    def _writing(self, visit: Visit) -> Iterator[Session]:
        """A write transaction; whatever refuses it is on record, after the transaction was undone."""
        self.catalogue.refresh()
        try:
            with self.platform.database.write("keeper") as session:
                yield session
        except EvidenceError as error:
            self.gate.attempt(visit.reader, error.code, purpose=visit.purpose)
            raise Problem(409, error.code, error.detail, field=error.field) from None
        except Problem as problem:
            self.gate.attempt(visit.reader, problem.code, purpose=visit.purpose)
            raise
        except KeyGone:
            raise Problem(409, "unreadable", "what is stored does not open") from None
        except JournalError as error:
            raise Problem(503, error.code, "What this rests on cannot be believed now.") from None

    def _authority(self, session: Session, visit: Visit, subject: SubjectId) -> Authority:
        return authorisation.of(session, self.platform, self.catalogue, visit, subject)

    def _visible(self, session: Session, visit: Visit, record: records.Record, authority: Authority) -> list[Entry]:
        return feed.visible(
            session, self.platform, self.catalogue, visit, record=record, released=authority.seen.keys()
        )

    def _stored(self, session: Session, subject: SubjectId, item: ItemId) -> frozenset[Field]:
        found = items.find(session, subject, item)
        return frozenset() if found is None else frozenset(items.Heads(self.platform).boxes(found))

    def _origin(self, visit: Visit) -> Origin:
        return Origin(source=SOURCE, source_digest="-", importer=visit.reader.did, at=self.platform.clock.now())

    def _kind_of(self, values: Collection[Field]) -> str:
        kinds = {str(self.catalogue.field(field).item) for field in values}
        if len(kinds) != 1:
            raise Problem(422, "mixed_kinds", "an item has the fields of one kind", field="values")
        return kinds.pop()

    def _check_links(self, session: Session, values: Mapping[Field, Value], entries: Collection[Entry]) -> None:
        """An item may name what its writer sees: whether it names a withheld one cannot be found out."""
        _check_organisations(session, self.platform, values)
        known = {entry.item for entry in entries}
        for field, value in values.items():
            if isinstance(value, str) and items.ID.fullmatch(value) and value not in known:
                raise Problem(422, "unknown_link", "there is no such item of this customer", field=field)


def _record(session: Session, subject: SubjectId) -> records.Record:
    record = records.load(session, subject)
    if record is None:
        raise Problem(404, "unknown_subject", "there is no such customer", field="subject")
    return record


def _entry(entries: Collection[Entry], item: str) -> Entry | None:
    return next((entry for entry in entries if entry.item == item), None)


def _no_blanks(values: Typed) -> dict[Field, Value]:
    """A blank erases nothing: to take a value away there are withdrawal and erasure, which leave a proof."""
    given: dict[Field, Value] = {}
    for field, value in values.items():
        if value is None:
            raise Problem(422, "blank", "a blank does not erase a value", field=field)
        given[field] = value
    return given


def _same(expected: str, present: str) -> None:
    if expected != present:
        raise Problem(409, "conflict", "it was changed since you read it: read it again", field="if_version")


def _check_organisations(session: Session, platform: Platform, values: Mapping[Field, Value]) -> None:
    for field, value in values.items():
        link = value if isinstance(value, str) and organisations.ID.fullmatch(value) else None
        if link is not None and organisations.find(session, platform, link) is None:
            raise Problem(422, "unknown_organisation", "there is no such organisation", field=field)
