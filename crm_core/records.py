"""The records: one row per subject with its wrapped data key and its sealed cells. Nothing in clear is ever here.

A record's items rest in a table of their own (`items`), under the same data key and generation.

Only the planner, the writer and `redaction` reach this module (import-linter checks it).
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Index, Row, Select, Table, bindparam, delete, select, union_all, update
from sqlmodel import Field as Column
from sqlmodel import Session, SQLModel

from crm_core import cells as packing
from crm_core import items, seal
from crm_core.seal import DataKeyPlace, Step, Value
from protocol.consent import Field, SubjectId
from protocol.errors import EvidenceError
from runtime import bulk, dialect, keyring
from runtime.platform import Platform


class RecordRow(SQLModel, table=True):
    """Table `record`."""

    __tablename__ = "record"
    __table_args__ = (Index("record_bucket_epoch", "bucket", "epoch"),)

    subject: str = Column(primary_key=True)
    created_at: str
    bucket: int
    epoch: int
    generation: int
    wrapped: bytes
    cells: bytes


TABLE: Table = SQLModel.metadata.tables["record"]
_BATCH = 500
_INSERT = TABLE.insert()
_KEYS = 16  # data keys that are kept of a bucket, for as long as its own key is: 4,096 in all


class Record(NamedTuple):
    """One sealed record as it rests: `wrapped` is the data key under (bucket, epoch), `cells` the packed boxes.

    A tuple in the order of the table's columns, not a dataclass: each read makes one for every row.
    """

    subject: SubjectId
    created_at: str
    bucket: int
    epoch: int
    generation: int
    wrapped: bytes
    cells: bytes


def load(session: Session, subject: SubjectId) -> Record | None:
    """The record of one subject, or None."""
    row = session.connection().execute(select(TABLE).where(TABLE.c.subject == subject)).one_or_none()
    return None if row is None else of_row(row)


_THESE = select(TABLE).where(TABLE.c.subject.in_(bulk.these()))


def load_many(session: Session, subjects: Collection[SubjectId]) -> dict[SubjectId, Record]:
    """The records of many subjects (at most 500); unknown ones are left out."""
    return {row[0]: Record._make(row) for row in bulk.rows(session, _THESE, subjects)}


def of_row(row: Row[Any]) -> Record:
    """The record in a row that begins with this table's columns, in their order."""
    return Record._make(row[: len(Record._fields)])


def every(session: Session) -> Iterator[Record]:
    """All records in the order of their subjects, in batches, so that memory stays bounded."""
    after = ""
    while found := page(session, after, _BATCH):
        yield from found
        after = found[-1].subject


@lru_cache(maxsize=2)
def _page(dialect_name: str) -> Select[Any]:
    """A constant for each engine: whoever goes through everybody asks it for each page."""
    rows = select(TABLE).where(TABLE.c.subject > bindparam("after"), dialect.ours_on(dialect_name, TABLE.c.subject))
    return rows.order_by(TABLE.c.subject).limit(bindparam("most"))


def page(session: Session, after: str, limit: int) -> list[Record]:
    """The next records in the order of their subjects."""
    statement = _page(session.get_bind().dialect.name)
    return [Record._make(row) for row in bulk.asked(session, statement, after=after, most=limit)]


def insert(session: Session, records: Sequence[Record]) -> None:
    """Add new records."""
    bulk.each(session, _INSERT, Record._fields, records)


def replace(
    session: Session, subject: SubjectId, *, cells: bytes, generation: int, wrapped: bytes, bucket: int, epoch: int
) -> None:
    """Put new cells and their data key in the place of the old ones. Raises EvidenceError `unknown_subject`."""
    done = session.connection().execute(
        update(TABLE)
        .where(TABLE.c.subject == subject)
        .values(cells=cells, generation=generation, wrapped=wrapped, bucket=bucket, epoch=epoch)
    )
    if done.rowcount != 1:
        raise _unknown()


def stored_fields(session: Session, platform: Platform, subject: SubjectId) -> frozenset[Field]:
    """The fields that hold a value, in the record or in items; empty for an unknown subject. No data key is needed.

    Raises EvidenceError `bad_cells`, `bad_item`.
    """
    record = load(session, subject)
    return frozenset() if record is None else stored(record) | items.stored_fields(session, platform, subject)


def boxes(record: Record) -> dict[Field, bytes]:
    """The sealed values of the record itself, as they rest. EvidenceError `bad_cells`."""
    return _unchecked(record)


def stored(record: Record) -> frozenset[Field]:
    """The fields of which the record itself, without items, holds a sealed value. EvidenceError `bad_cells`."""
    return _stored(record.cells)


@lru_cache(maxsize=1024)  # each step asks what rests, of the same cells
def _stored(cells: bytes) -> frozenset[Field]:
    return frozenset(packing.unpack(packing.apart(cells)[1]))


def data_key(platform: Platform, record: Record) -> AESGCM:
    """The record's data key, unwrapped. EvidenceError `bad_data_key`; KeyGone when its bucket epoch was destroyed."""
    known = platform.keyring.unwrapped(record.bucket, record.epoch)
    place = (record.subject, record.generation, record.wrapped)
    key = known.get(place)
    if key is None:
        key = AESGCM(_raw_key(platform, record))
        if len(known) >= _KEYS:
            known.clear()
        known[place] = key
    return key


def open_fields(platform: Platform, record: Record, fields: Collection[Field]) -> dict[Field, Value]:
    """Open the given fields of a record; those without a stored value are missing from the answer.

    Raises EvidenceError `bad_data_key`, `bad_cells`, `bad_cell`; KeyGone when the bucket epoch was destroyed.
    """
    boxes = _unchecked(record)
    wanted = [field for field in fields if field in boxes]
    if not wanted:
        return {}
    key = data_key(platform, record)
    _check(platform, record, key)
    return {field: _open_box(platform, record, key, field, boxes[field]) for field in wanted}


def check(platform: Platform, record: Record) -> None:
    """Refuse cells that were not written together, an empty record's too: somebody may have taken all out of it.

    Raises EvidenceError `bad_data_key`, `bad_cells`; KeyGone.
    """
    _check(platform, record, data_key(platform, record))


def open_readable(
    platform: Platform, record: Record, fields: Collection[Field], *, once: bool = False
) -> tuple[dict[Field, Value], tuple[Field, ...]]:
    """The same, but a value that does not open is named in the second part instead of failing the others.

    `once`: the data key is not kept, for whoever goes from one customer to the next through all of them.

    Raises KeyGone when the bucket epoch was destroyed.
    """
    org, subject, generation = platform.controller, record.subject, record.generation
    try:
        tag, packed = packing.apart(record.cells)
        boxes = packing.pick(packed, fields)
        if not boxes:
            return {}, ()
        key = AESGCM(_raw_key(platform, record)) if once else data_key(platform, record)
        seal.check(key, tag, packed, org=org, subject=subject, generation=generation)
    except EvidenceError:
        return {}, tuple(fields)
    return seal.open_readable(key, boxes, org=org, subject=subject, generation=generation)


@lru_cache(maxsize=1024)
def steps(fields: tuple[Field, ...]) -> tuple[Step, ...]:
    """How these are opened, each into the slot of its place in `fields`."""
    return tuple(seal.step(packing.name(field), field, fields.index(field)) for field in sorted(fields))


def open_texts(platform: Platform, record: Record, fields: tuple[Field, ...]) -> list[bytes | None]:
    """As `open_fields`, each value as the JSON text that it rests as, in the order of `fields`; None: not stored.

    Raises the same, and EvidenceError `bad_cells` for a row with values of types that we never write.
    """
    if not (type(record.cells) is type(record.wrapped) is bytes and type(record.generation) is int):
        raise EvidenceError("bad_cells", "a record holds what we never write")
    texts: list[bytes | None] = [None] * len(fields)
    tag, packed = packing.apart(record.cells)
    key = data_key(platform, record)
    org, subject, generation = platform.controller, record.subject, record.generation
    seal.check(key, tag, packed, org=org, subject=subject, generation=generation)
    seal.open_texts(key, packed, org, subject, generation, steps(fields), texts)
    return texts


def seal_record(
    platform: Platform,
    subject: SubjectId,
    *,
    generation: int,
    created_at: str,
    values: Mapping[Field, Value],
    under: tuple[int, AESGCM] | None = None,
) -> Record:
    """A record with a new data key under the bucket's current epoch. To be called inside the write transaction.

    `under` is what the key-ring calls current in this transaction, where the caller has looked already.
    """
    bucket = keyring.bucket_of(subject)
    epoch, bucket_key = under or platform.keyring.current(bucket)
    raw = seal.new_data_key()
    key = AESGCM(raw)
    place = DataKeyPlace(org=platform.controller, subject=subject, generation=generation, bucket=bucket, epoch=epoch)
    return Record(
        subject=subject,
        created_at=created_at,
        bucket=bucket,
        epoch=epoch,
        generation=generation,
        wrapped=seal.wrap(raw, bucket_key, place),
        cells=_cells(platform, key, subject, generation, _boxes(platform, key, subject, generation, values)),
    )


def put_values(session: Session, platform: Platform, subject: SubjectId, values: Mapping[Field, Value]) -> Record:
    """Add values to a record, or put them in the place of old ones, under its present data key.

    Returns the record as it now rests. Raises EvidenceError `unknown_subject` and what `open_fields` raises.
    """
    record = _existing(session, subject)
    key = data_key(platform, record)
    _check(platform, record, key)  # what somebody put there must not be made ours by writing beside it
    boxes = _unchecked(record) | _boxes(platform, key, subject, record.generation, values)
    record = record._replace(cells=_cells(platform, key, subject, record.generation, boxes))
    _store(session, record)
    return record


def put_boxes(
    session: Session, platform: Platform, subject: SubjectId, back: Mapping[Field, bytes], drop: Collection[Field]
) -> None:
    """Put sealed values of the record's present generation back as they were, and take others away (an undo).

    Raises EvidenceError `unknown_subject` and what `open_fields` raises, `bad_cell` for a box of another generation.
    """
    record = _existing(session, subject)
    key = data_key(platform, record)
    _check(platform, record, key)
    for field, box in back.items():
        _open_box(platform, record, key, field, box)
    boxes = {field: box for field, box in (_unchecked(record) | dict(back)).items() if field not in drop}
    _store(session, record._replace(cells=_cells(platform, key, subject, record.generation, boxes)))


def remove(session: Session, subjects: Collection[SubjectId]) -> None:
    """Take records away, items too: those of customers that an import made and that is undone."""
    session.connection().execute(delete(TABLE).where(TABLE.c.subject.in_(subjects)))
    for subject in subjects:
        items.remove_all(session, subject)


def reseal(session: Session, platform: Platform, subject: SubjectId, keep: frozenset[Field]) -> Record:
    """Seal the survivors `keep` anew under the subject's next generation and drop everything else, in items too.

    An item that nothing is left of disappears. Returns the new record (for the journal). Raises EvidenceError
    `unknown_subject`, `bad_item` and what `open_fields` raises.
    """
    new, own = resealed(platform, _existing(session, subject), items.of_subject(session, subject), keep)
    _store(session, new)
    items.replace_all(session, [subject], own)
    return new


def resealed(
    platform: Platform,
    old: Record,
    own: Sequence[items.Sealed],
    keep: frozenset[Field],
    *,
    opened: Mapping[Field, Value] | None = None,
) -> tuple[Record, list[items.Sealed]]:
    """What `reseal` makes of a record and its items, under the bucket's newest epoch; nothing is stored.

    `opened` holds all values of the record itself, where the caller has opened them already.

    Whoever stores it asks the key-ring again under the write lock: a key may be destroyed meanwhile. Raises
    EvidenceError `bad_item` and what `open_fields` raises.
    """
    known = open_fields(platform, old, keep) if opened is None else opened
    survivors = {field: value for field, value in known.items() if field in keep}
    new = seal_record(platform, old.subject, generation=old.generation + 1, created_at=old.created_at, values=survivors)
    if not own:
        return new, []
    key, heads = data_key(platform, new), items.Heads(platform)
    carried = items.open_these(platform, data_key(platform, old), own, keep)
    places = {item: items.Place(subject=old.subject, item=item, generation=new.generation) for item in carried}
    return new, [
        heads.make(places[item], items.seal_values(platform, key, places[item], values))
        for item, values in carried.items()
    ]


Wrapped = tuple[SubjectId, int, int, bytes]
"""One data key of a bucket as it rests: subject, generation, epoch, wrapped. There may be 40,000 of them."""

Move = tuple[int, bytes, SubjectId, bytes]
"""A data key under its new epoch: the epoch, the key as it rests then, whose it is, and as it rested before."""

_OF_KEY = (TABLE.c.subject, TABLE.c.generation, TABLE.c.epoch, TABLE.c.wrapped)


# Two ranges of the index: "another epoch" would look at each of those that are under this one.
_BEHIND = union_all(
    *(
        select(*_OF_KEY).where(TABLE.c.bucket == bindparam("of"), other)
        for other in (TABLE.c.epoch < bindparam("under"), TABLE.c.epoch > bindparam("under"))
    )
).limit(bindparam("most"))


_ALL = 2**62  # rows: both engines take it as a limit


def behind(session: Session, bucket: int, epoch: int, limit: int) -> list[Wrapped]:
    """At most `limit` data keys of a bucket that are not under this epoch."""
    return list(bulk.asked(session, _BEHIND, of=bucket, under=epoch, most=limit))


_LEFT = union_all(
    *(
        select(TABLE.c.subject).where(TABLE.c.bucket == bindparam("of"), other)
        for other in (TABLE.c.epoch < bindparam("under"), TABLE.c.epoch > bindparam("under"))
    )
).limit(bindparam("most"))


def left_behind(session: Session, bucket: int, epoch: int) -> bool:
    """Whether some data key of a bucket is not under this epoch."""
    return bool(bulk.asked(session, _LEFT, of=bucket, under=epoch, most=1))


def oldest_epochs(session: Session) -> dict[int, int]:
    """The oldest epoch that wraps a data key, by bucket. One look at an index for each."""
    found: dict[int, int] = {}
    for bucket in range(keyring.BUCKETS):
        statement = select(TABLE.c.epoch).where(TABLE.c.bucket == bucket).order_by(TABLE.c.epoch).limit(1)
        epoch = session.connection().execute(statement).scalar()
        if epoch is not None:
            found[bucket] = epoch
    return found


def of_bucket(session: Session, bucket: int, after: str, limit: int) -> list[Record]:
    """The next records of a bucket in the order of their subjects."""
    ours = dialect.ours(session, TABLE.c.subject)
    statement = select(TABLE).where(TABLE.c.bucket == bucket, TABLE.c.subject > after, ours)
    return [of_row(row) for row in session.connection().execute(statement.order_by(TABLE.c.subject).limit(limit))]


_REPLACE = (
    update(TABLE)
    .where(TABLE.c.subject == bindparam("whose"))
    .values({name: bindparam(f"new_{name}") for name in ("cells", "generation", "wrapped", "bucket", "epoch")})
)


def put_back_all(session: Session, changed: Collection[Record]) -> None:
    """Put records in the place of the present ones. EvidenceError `unknown_subject`."""
    rows = [
        {
            "whose": one.subject, "new_cells": one.cells, "new_generation": one.generation, "new_wrapped": one.wrapped,
            "new_bucket": one.bucket, "new_epoch": one.epoch,
        }
        for one in changed
    ]  # fmt: skip
    if bulk.execute(session, _REPLACE, rows) != len(rows):
        raise _unknown()


def put_back(session: Session, record: Record) -> None:
    """Put a record in the place of the present one, as it rested elsewhere. EvidenceError `unknown_subject`."""
    _store(session, record)


_OF_BUCKET = select(*_OF_KEY).where(TABLE.c.bucket == bindparam("of"))


def wrapped_keys(session: Session, bucket: int) -> list[Wrapped]:
    """All data keys of a bucket. At once: to page them in some order would be to sort all of them for each page."""
    return list(bulk.asked(session, _OF_BUCKET, of=bucket))


def wrapped_anew(platform: Platform, bucket: int, keys: Sequence[Wrapped], epoch: int) -> list[Move]:
    """These data keys under another epoch, for `move`. No transaction: this is the long part.

    Raises EvidenceError `bad_data_key`, KeyGone: for whoever goes on to destroy the old epoch would destroy what such a
    record still holds.
    """
    new = platform.keyring.opener(bucket, epoch)
    old = {was: platform.keyring.opener(bucket, was) for was in {was for _, _, was, _ in keys}}
    anew = seal.rewrap_all(keys, old, (epoch, new), org=platform.controller, bucket=bucket)
    return [(epoch, now, subject, before) for (subject, _, _, before), now in zip(keys, anew, strict=True)]


def refuse_foreign(platform: Platform, keys: Sequence[Wrapped], bucket: int, epoch: int) -> None:
    """Refuse data keys that the key of this bucket and epoch does not open. EvidenceError `bad_data_key`, KeyGone."""
    opener = platform.keyring.opener(bucket, epoch)
    for subject, generation, under, wrapped in keys:
        if under != epoch:
            raise EvidenceError("bad_data_key", "a data key is not under the epoch that its bucket moved to")
        place = DataKeyPlace(
            org=platform.controller, subject=subject, generation=generation, bucket=bucket, epoch=epoch
        )
        seal.unwrap(wrapped, opener, place)


_MOVE = (
    update(TABLE)
    .where(TABLE.c.subject == bindparam("moved"), TABLE.c.wrapped == bindparam("before"))
    .values(epoch=bindparam("under"), wrapped=bindparam("now"))
)


def move(session: Session, moves: Sequence[Move]) -> None:
    """Put data keys under their new epoch; one that was changed since it was read stays as it is now."""
    bulk.each(session, _MOVE, ("under", "now", "moved", "before"), moves)  # the write lock is held meanwhile


def rewrap_bucket(session: Session, platform: Platform, bucket: int, epoch: int) -> int:
    """Move all data keys of a small bucket in one transaction; how many. Raises as `wrapped_anew`."""
    keys = behind(session, bucket, epoch, _ALL)
    move(session, wrapped_anew(platform, bucket, keys, epoch))
    return len(keys)


def _unchecked(record: Record) -> dict[Field, bytes]:
    return packing.unpack(packing.apart(record.cells)[1])


def _check(platform: Platform, record: Record, key: AESGCM) -> None:
    tag, packed = packing.apart(record.cells)
    seal.check(key, tag, packed, org=platform.controller, subject=record.subject, generation=record.generation)


def _cells(platform: Platform, key: AESGCM, subject: SubjectId, generation: int, boxes: Mapping[Field, bytes]) -> bytes:
    packed = packing.pack(boxes)
    tag = seal.tag(key, packed, org=platform.controller, subject=subject, generation=generation)
    return packing.tagged(tag, packed)


def _existing(session: Session, subject: SubjectId) -> Record:
    record = load(session, subject)
    if record is None:
        raise _unknown()
    return record


def _unknown() -> EvidenceError:
    return EvidenceError("unknown_subject", "there is no such customer")


def _store(session: Session, record: Record) -> None:
    replace(
        session,
        record.subject,
        cells=record.cells,
        generation=record.generation,
        wrapped=record.wrapped,
        bucket=record.bucket,
        epoch=record.epoch,
    )


def _raw_key(platform: Platform, record: Record) -> bytes:
    subject, _, bucket, epoch, generation, wrapped, _ = record
    place = DataKeyPlace(platform.controller, subject, generation, bucket, epoch)
    return seal.unwrap(wrapped, platform.keyring.opener(bucket, epoch), place)


def _open_box(platform: Platform, record: Record, key: AESGCM, field: Field, box: bytes) -> Value:
    org, subject, generation = platform.controller, record.subject, record.generation
    return seal.open_value(key, box, org=org, subject=subject, field=field, generation=generation)


def _boxes(
    platform: Platform, key: AESGCM, subject: SubjectId, generation: int, values: Mapping[Field, Value]
) -> dict[Field, bytes]:
    return seal.seal_all(key, values, org=platform.controller, subject=subject, generation=generation)
