"""Where each stored value came from: source, digest of the file, row, who brought it, when. Never the value.

The digest is keyed: a plain hash of a small file could be tried out until the values in it are found.

An imported value bears a date by which it is to be destroyed unless a ground for storing it has come: `unclaimed`
names what is due, `settle` says that it was dealt with.
"""

import hashlib
import secrets
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Table, bindparam, delete, func, select, update
from sqlmodel import Field as Column
from sqlmodel import Session, SQLModel

from protocol import times
from protocol.consent import Field, SubjectId
from protocol.did import Did
from runtime import bulk
from runtime.outbox import OutboxEvent
from runtime.platform import Platform


class OriginRow(SQLModel, table=True):
    """Table `origin`: one row per subject and event that brought values; `fields` is JSON {field: row}."""

    __tablename__ = "origin"

    subject: str = Column(primary_key=True)
    event_id: str = Column(primary_key=True)
    source: str
    source_digest: str = Column(index=True)
    importer: str
    at: str
    fields: str
    destroy_by: str | None = Column(default=None, index=True)


SUBJECT = "subject"  # the source of what customers themselves corrected
TABLE: Table = SQLModel.metadata.tables["origin"]
_BATCH = 500
_INSERT = TABLE.insert()
_COLUMNS = tuple(TABLE.c.keys())
_OF_THESE = select(TABLE.c.subject, TABLE.c.fields).where(TABLE.c.subject.in_(bulk.these()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What brought values: a file (or another touchpoint) with its digest, brought by `importer` (a DID) at `at`.

    `destroy_by`: when the values are to be destroyed unless a ground for storing them has come (UTC); None: never.
    """

    source: str
    source_digest: str
    importer: str
    at: datetime
    destroy_by: datetime | None = None

    def told(self) -> dict[str, str]:
        """What events say of it."""
        told = {"source": self.source, "digest": self.source_digest, "importer": self.importer}
        return told | ({} if self.destroy_by is None else {"destroy_by": times.iso(self.destroy_by)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """The fields that a source gave to a subject, each with its row (1 is the first after the headings; 0: no row)."""

    subject: SubjectId
    rows: Mapping[Field, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where one value of a subject came from; `at` and `destroy_by` are ISO 8601, UTC."""

    field: Field
    row: int
    event_id: str
    source: str
    source_digest: str
    importer: str
    at: str
    destroy_by: str | None


def digest(platform: Platform, data: bytes) -> str:
    """The keyed digest of a file's bytes (BLAKE2b, 256 bits, key `origin` of the key-ring) in hexadecimal."""
    hasher = digester(platform)
    hasher.update(data)
    return str(hasher.hexdigest())


def digester(platform: Platform) -> "hashlib.blake2b":
    """The same for bytes that come one after the other: `update`, then `hexdigest`."""
    return hashlib.blake2b(digest_size=32, key=platform.keyring.secret("origin"))


def note(session: Session, origin: Origin, collected: Collection[Collected], *, event_id: str) -> None:
    """Remember where the values of these subjects came from; there is at least one."""
    common = (event_id, origin.source, origin.source_digest, origin.importer, times.iso_ms(origin.at))
    until = None if origin.destroy_by is None else times.iso(origin.destroy_by)
    rows = [(each.subject, *common, _json(each.rows), until) for each in collected]
    bulk.each(session, _INSERT, _COLUMNS, rows)


def of_subject(session: Session, subject: SubjectId) -> list[Provenance]:
    """Where every value of a subject came from, oldest first, those no longer stored too."""
    statement = select(TABLE).where(TABLE.c.subject == subject).order_by(TABLE.c.at, TABLE.c.event_id)
    return [
        Provenance(
            field=Field(field),
            row=number,
            event_id=row.event_id,
            source=row.source,
            source_digest=row.source_digest,
            importer=row.importer,
            at=row.at,
            destroy_by=row.destroy_by,
        )
        for row in session.connection().execute(statement)
        for field, number in _rows(row).items()
    ]


def first_hand(session: Session, subject: SubjectId, *, by: Did) -> frozenset[Field]:
    """The fields whose value came with the customer and was never replaced, or was last corrected at their own word.

    Their word is what two members of staff took down for them, which has the controller (`by`) as its importer: not
    what a wallet sent. That may have been stolen, and has ended once somebody is to be enrolled anew.
    """
    rows = session.connection().execute(select(TABLE).where(TABLE.c.subject == subject).order_by(TABLE.c.at)).all()
    latest: dict[Field, bool] = {}
    for row in rows:
        for field in _rows(row):
            came = row.at == rows[0].at and field not in latest
            latest[field] = came or (row.source, row.importer) == (SUBJECT, by)
    return frozenset(field for field, good in latest.items() if good)


def unvouched(
    session: Session, ours: Collection[str], channels: Collection[Field]
) -> dict[SubjectId, frozenset[Field]]:
    """The fields of customers whose value somebody else than us (`ours`: DIDs) brought last: a wallet, a touchpoint.

    Not those of `channels` that came with the customer and were never replaced: nobody enrols without them.
    """
    strangers = select(TABLE.c.subject).where(TABLE.c.importer.not_in(ours))
    statement = select(TABLE).where(TABLE.c.subject.in_(strangers)).order_by(TABLE.c.subject, TABLE.c.at)
    found: dict[SubjectId, frozenset[Field]] = {}
    last, first, by = "", "", dict[Field, tuple[bool, bool]]()  # (came with the customer, one of us brought it)
    for row in session.connection().execute(statement.execution_options(yield_per=_BATCH)):
        if row.subject != last:
            last, first, by = row.subject, row.at, {}
        for field in _rows(row):
            came = row.at == first and field not in by and field in channels
            by[field] = (came, row.importer in ours)
        found[SubjectId(last)] = frozenset(field for field, good in by.items() if not any(good))
    return found


def collected_fields(session: Session, subject: SubjectId) -> frozenset[Field]:
    """Every field that was ever collected for a subject, stored still or not."""
    return collected_of(session, [subject]).get(subject, frozenset())


def collected_of(session: Session, subjects: Collection[SubjectId]) -> dict[SubjectId, frozenset[Field]]:
    """The same for many subjects (at most 500); those of whom nothing was collected are left out."""
    found: dict[SubjectId, frozenset[Field]] = {}
    for subject, fields in bulk.rows(session, _OF_THESE, subjects):
        found[subject] = found.get(subject, frozenset()) | frozenset(_told(fields))
    return found


def counted(session: Session) -> Counter[Field]:
    """For how many customers each field was ever collected."""
    counts: Counter[Field] = Counter()
    last, seen = "", frozenset[Field]()
    statement = select(TABLE.c.subject, TABLE.c.fields).order_by(TABLE.c.subject).execution_options(yield_per=_BATCH)
    for row in session.connection().execute(statement):
        fields = frozenset(_rows(row))
        if row.subject != last:
            last, seen = row.subject, frozenset()
        counts.update(fields - seen)
        seen |= fields
    return counts


def subjects_by_row(session: Session, source_digest: str) -> Iterator[tuple[int, SubjectId]]:
    """Which subject each row of an earlier import of the same bytes gave values to, read in a stream."""
    statement = select(TABLE.c.subject, TABLE.c.fields).where(TABLE.c.source_digest == source_digest)
    for row in session.connection().execute(statement.execution_options(yield_per=_BATCH)):
        for number in set(_rows(row).values()):
            yield number, SubjectId(row.subject)


def unclaimed(
    session: Session, at: datetime, limit: int, *only: ColumnElement[bool]
) -> list[tuple[SubjectId, frozenset[Field]]]:
    """At most `limit` subjects with imported values whose time has come by `at`, and the fields these are.

    Where there are more, others each time, drawn by lot: those with whom the caller gets nowhere keep nobody waiting
    for ever. Whether a ground for storing a field has come meanwhile, or whether it is stored at all, is the caller's
    to see; then `settle`, or the subject may be named again. `only`: conditions on the rows.
    """
    due = (TABLE.c.destroy_by <= times.iso(at), *only)
    number = session.connection().execute(select(func.count(TABLE.c.subject.distinct())).where(*due)).scalar_one()
    found: dict[SubjectId, frozenset[Field]] = {}
    start = secrets.randbelow(number) if number > limit else 0
    # from there on, and what is left of them from the beginning
    for skipped, most in ((start, min(limit, number - start)), (0, limit - (number - start) if start else 0)):
        some = select(TABLE.c.subject).where(*due).distinct().order_by(TABLE.c.subject).offset(skipped).limit(most)
        statement = select(TABLE.c.subject, TABLE.c.fields).where(*due, TABLE.c.subject.in_(some))
        for row in session.connection().execute(statement.order_by(TABLE.c.subject)) if most > 0 else ():
            subject = SubjectId(row.subject)
            found[subject] = found.get(subject, frozenset()) | frozenset(_rows(row))
    return list(found.items())


def settle(session: Session, subject: SubjectId, at: datetime) -> None:
    """What of this subject was due by `at` was dealt with: destroyed, or claimed by a ground."""
    due = (TABLE.c.subject == subject, TABLE.c.destroy_by <= times.iso(at))
    session.connection().execute(update(TABLE).where(*due).values(destroy_by=None))


def less_than(session: Session, subject: SubjectId, told: OutboxEvent, fields: Collection[Field]) -> bool:
    """Is less remembered of these fields than the event told of them: no date, a later one, fewer fields?"""
    row = session.connection().execute(select(TABLE).where(*_of(subject, told))).one_or_none()
    if row is None or row.destroy_by is None or str(row.destroy_by) > told.header["destroy_by"]:  # it may be bytes
        return True
    return not _rows(row).keys() >= frozenset(fields)


def mend(session: Session, subject: SubjectId, told: OutboxEvent, fields: Collection[Field]) -> None:
    """Remember of these fields what the event says."""
    row = session.connection().execute(select(TABLE).where(*_of(subject, told))).one_or_none()
    known = {} if row is None else _rows(row)
    session.connection().execute(delete(TABLE).where(*_of(subject, told)))
    said = {
        "subject": subject,
        "event_id": told.event_id,
        "source": told.header["source"],
        "source_digest": told.header["digest"],
        "importer": told.header["importer"],
        "at": times.iso_ms(told.at) if row is None else row.at,
        "fields": _json(dict.fromkeys(fields, 0) | known),
        "destroy_by": told.header["destroy_by"],
    }
    session.connection().execute(TABLE.insert(), [said])


def _of(subject: SubjectId, told: OutboxEvent) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return TABLE.c.subject == subject, TABLE.c.event_id == told.event_id


def forget(session: Session, taken_back: Mapping[SubjectId, Collection[Field]], events: Collection[str]) -> None:
    """Remove what these events said of fields that were taken back, as when an import is undone."""
    of_them = (TABLE.c.subject.in_(taken_back.keys()), TABLE.c.event_id.in_(events))
    gone, less = [], []
    for row in session.connection().execute(select(TABLE).where(*of_them)).all():
        left = {field: number for field, number in _rows(row).items() if field not in taken_back[row.subject]}
        place = {"of": row.subject, "event": row.event_id}
        if left:
            less.append({**place, "fields": _json(left)})
        else:
            gone.append(place)
    here = (TABLE.c.subject == bindparam("of"), TABLE.c.event_id == bindparam("event"))
    if gone:
        session.connection().execute(delete(TABLE).where(*here), gone)
    if less:
        session.connection().execute(update(TABLE).where(*here).values(fields=bindparam("fields")), less)


def _json(rows: Mapping[Field, int]) -> str:
    return orjson.dumps(dict(rows), option=orjson.OPT_SORT_KEYS).decode()


def _rows(row: Any) -> dict[Field, int]:
    return _told(row.fields)


def _told(fields: Any) -> dict[Field, int]:
    """By field its row; none where somebody wrote what is no answer to that: such a row says nothing of any field."""
    try:
        found = orjson.loads(fields)
    except (ValueError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}
