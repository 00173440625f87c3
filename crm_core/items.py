"""A customer's items (interactions, deals, tickets and whatever the catalogue adds), sealed beside the record.

An item is a row of its own under the customer's data key and generation; its id is in the associated data of each of
its values. What kind an item is, which fields it has and when it happened are values or follow from them, so nothing
of that is in clear: the *head* (names of the fields) is sealed with a key of the key-ring and bound to all of the
item's boxes, so that boxes of an older state cannot be mixed with those of a newer one. The head needs no data key:
redaction learns what is stored without opening any of it.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import NewType

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Row, Table, delete, select
from sqlmodel import Field as Column
from sqlmodel import Session, SQLModel

from crm_core import seal
from crm_core.seal import Value
from protocol.consent import Field, SubjectId
from protocol.errors import EvidenceError
from runtime import bulk
from runtime.platform import Platform

ItemId = NewType("ItemId", str)
ID = re.compile(r"itm_[a-z2-7]{26}")
_PAD = 64
_WIDTH = 4  # bytes in front of each box, its length
_BATCH = 500
_ROUND = 64
_NO_HEAD = bytes(220)  # of the length of one with a few fields


class ItemRow(SQLModel, table=True):
    """Table `item`. No row number: it would tell in which order items came."""

    __tablename__ = "item"
    __table_args__ = {"sqlite_with_rowid": False}

    subject: str = Column(primary_key=True)
    item: str = Column(primary_key=True)
    generation: int
    head: bytes
    cells: bytes


TABLE: Table = SQLModel.metadata.tables["item"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an item belongs: what its head and each of its values are bound to."""

    subject: SubjectId
    item: ItemId
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed(Place):
    """One item as it rests."""

    head: bytes
    cells: bytes


def new_id() -> ItemId:
    """A fresh opaque id: `itm_` and 128 random bits in lower-case base32."""
    return ItemId("itm_" + base64.b32encode(secrets.token_bytes(16)).decode("ascii").rstrip("=").lower())


def of_subject(session: Session, subject: SubjectId) -> list[Sealed]:
    """All items of a customer in the order of their ids, which says nothing."""
    statement = select(TABLE).where(TABLE.c.subject == subject).order_by(TABLE.c.item)
    return [_sealed(row) for row in session.connection().execute(statement)]


_OF_THESE = select(TABLE).where(TABLE.c.subject.in_(bulk.these())).order_by(TABLE.c.subject, TABLE.c.item)


def of_subjects(session: Session, subjects: Sequence[SubjectId]) -> dict[SubjectId, list[Sealed]]:
    """All items of some customers (at most 500), by customer; those without any are left out."""
    found: dict[SubjectId, list[Sealed]] = {}
    for subject, item, generation, head, cells in bulk.rows(session, _OF_THESE, subjects):
        one = Sealed(subject=subject, item=item, generation=generation, head=head, cells=cells)
        found.setdefault(subject, []).append(one)
    return found


def these(session: Session, subject: SubjectId, wanted: Sequence[ItemId]) -> list[Sealed]:
    """Some items of a customer in the order of their ids."""
    found: list[Sealed] = []
    for start in range(0, len(wanted), _BATCH):
        chosen = TABLE.c.item.in_(wanted[start : start + _BATCH])
        statement = select(TABLE).where(TABLE.c.subject == subject, chosen).order_by(TABLE.c.item)
        found += map(_sealed, session.connection().execute(statement))
    return found


def find(session: Session, subject: SubjectId, item: str) -> Sealed | None:
    """One item of a customer, or None."""
    statement = select(TABLE).where(TABLE.c.subject == subject, TABLE.c.item == item)
    row = session.connection().execute(statement).one_or_none()
    return None if row is None else _sealed(row)


def remove(session: Session, subject: SubjectId, item: str) -> bool:
    """Remove an item; False when there is none."""
    done = session.connection().execute(delete(TABLE).where(TABLE.c.subject == subject, TABLE.c.item == item))
    return bool(done.rowcount)


def remove_all(session: Session, subject: SubjectId) -> None:
    """Remove all items of a customer."""
    session.connection().execute(delete(TABLE).where(TABLE.c.subject == subject))


def replace_all(session: Session, subjects: Sequence[SubjectId], sealed: Sequence[Sealed]) -> None:
    """Put these items in the place of all that the customers have (at most 500 customers)."""
    if subjects:
        session.connection().execute(delete(TABLE).where(TABLE.c.subject.in_(subjects)))
    if sealed:
        session.connection().execute(TABLE.insert(), [asdict(one) for one in sealed])


def put_back(session: Session, subject: SubjectId, sealed: Iterable[Sealed] | None) -> None:
    """Put items in the place of the present ones, as they rested elsewhere; None leaves those that are there."""
    if sealed is None:
        return
    remove_all(session, subject)
    if rows := [asdict(one) for one in sealed]:
        session.connection().execute(TABLE.insert(), rows)


class Heads:
    """Opens and makes heads: take one for many items, for it looks the key up once."""

    def __init__(self, platform: Platform) -> None:
        self._key = AESGCM(platform.keyring.secret("item-heads"))
        self._org = platform.controller

    def names(self, session: Session, subject: SubjectId) -> dict[ItemId, frozenset[Field]]:
        """The fields that each of a customer's items has, by the heads alone.

        An item whose head does not open is left out: nobody knows whose it is to see. For a few items as many heads
        are opened as for `_ROUND`, so that time does not tell how many there are beside those that a reader sees.
        """
        statement = select(TABLE.c.item, TABLE.c.generation, TABLE.c.head).where(TABLE.c.subject == subject)
        rows = session.connection().execute(statement.order_by(TABLE.c.item)).all()
        found: dict[ItemId, frozenset[Field]] = {}
        for item, generation, head in rows:
            with suppress(EvidenceError):
                found[item] = frozenset(self._open(head, subject, item, generation)[0])
        for _ in range(-len(rows) % _ROUND):
            with suppress(EvidenceError):
                self._open(_NO_HEAD, subject, "", 0)
        return found

    def boxes(self, item: Sealed) -> dict[Field, bytes]:
        """The item's sealed values by field. EvidenceError `bad_item` when the row is not as we wrote it."""
        names, digest = self._open(item.head, item.subject, item.item, item.generation)
        if digest != _digest(item.cells):
            raise EvidenceError("bad_item", "an item is not as it was written")
        return dict(zip(names, _unjoin(item.cells), strict=True))

    def make(self, place: Place, boxes: Mapping[Field, bytes]) -> Sealed:
        """An item out of its sealed values."""
        cells = _join(boxes.values())
        plain = orjson.dumps([list(boxes), _digest(cells)])
        plain += b" " * (-len(plain) % _PAD)
        nonce = secrets.token_bytes(seal.NONCE)
        bound = self._bound(place.subject, place.item, place.generation)
        return Sealed(
            subject=place.subject,
            item=place.item,
            generation=place.generation,
            head=nonce + self._key.encrypt(nonce, plain, bound),
            cells=cells,
        )

    def _open(self, head: bytes, subject: str, item: str, generation: int) -> tuple[list[Field], str]:
        try:
            bound = self._bound(subject, item, generation)
            names, digest = orjson.loads(self._key.decrypt(head[: seal.NONCE], head[seal.NONCE :], bound))
        except (InvalidTag, ValueError):
            raise EvidenceError("bad_item", "an item is not as it was written") from None
        return names, digest

    def _bound(self, subject: str, item: str, generation: int) -> bytes:
        return orjson.dumps(["item", self._org, subject, item, generation])  # texts and small numbers: JCS as well


def seal_values(platform: Platform, key: AESGCM, place: Place, values: Mapping[Field, Value]) -> dict[Field, bytes]:
    """Boxes of an item's values, by field, under the customer's data key of that generation."""
    return {
        field: seal.seal(
            key,
            value,
            org=platform.controller,
            subject=place.subject,
            field=field,
            generation=place.generation,
            item=place.item,
        )
        for field, value in values.items()
    }


def open_box(platform: Platform, key: AESGCM, sealed: Sealed, field: Field, box: bytes) -> Value:
    """One value of an item. EvidenceError `bad_cell`."""
    return seal.open_value(
        key,
        box,
        org=platform.controller,
        subject=sealed.subject,
        field=field,
        generation=sealed.generation,
        item=sealed.item,
    )


def open_values(
    platform: Platform, heads: Heads, key: AESGCM, sealed: Sealed, fields: Collection[Field]
) -> dict[Field, Value]:
    """The values of those fields that the item has. EvidenceError `bad_item`, `bad_cell`."""
    boxes = heads.boxes(sealed)
    return {field: open_box(platform, key, sealed, field, boxes[field]) for field in boxes if field in fields}


def open_all(
    session: Session, platform: Platform, key: AESGCM, subject: SubjectId, fields: Collection[Field]
) -> dict[ItemId, dict[Field, Value]]:
    """The values of these fields in a customer's items, under their data key; items without any of them are left out.

    Raises EvidenceError `bad_item`, `bad_cell`.
    """
    return open_these(platform, key, of_subject(session, subject), fields)


def open_these(
    platform: Platform, key: AESGCM, sealed: Sequence[Sealed], fields: Collection[Field]
) -> dict[ItemId, dict[Field, Value]]:
    """The same of items that were read already."""
    if not sealed:
        return {}
    heads = Heads(platform)
    opened = ((one.item, open_values(platform, heads, key, one, fields)) for one in sealed)
    return {item: values for item, values in opened if values}


def put(
    session: Session,
    platform: Platform,
    key: AESGCM,
    place: Place,
    values: Mapping[Field, Value],
    *,
    clear: Collection[Field] = (),
) -> bool:
    """Write values of one item, new or not, and take those of `clear` away; False when nothing is left of it.

    `key` is the customer's data key of `place.generation`. Raises EvidenceError `bad_item`.
    """
    heads, present = Heads(platform), find(session, place.subject, place.item)
    boxes = {} if present is None else heads.boxes(present)
    boxes |= seal_values(platform, key, place, values)
    left = {field: box for field, box in boxes.items() if field not in clear}
    remove(session, place.subject, place.item)
    if left:
        session.connection().execute(TABLE.insert(), asdict(heads.make(place, left)))
    return bool(left)


def stored_fields(session: Session, platform: Platform, subject: SubjectId) -> frozenset[Field]:
    """The fields of which some item of the customer holds a value. EvidenceError `bad_item`."""
    return fields_of(platform, of_subject(session, subject))


def fields_of(platform: Platform, sealed: Sequence[Sealed]) -> frozenset[Field]:
    """The fields of which one of these items holds a value. EvidenceError `bad_item`."""
    if not sealed:
        return frozenset()
    heads = Heads(platform)
    return frozenset(field for item in sealed for field in heads.boxes(item))


def _sealed(row: Row[tuple[object, ...]]) -> Sealed:
    return Sealed(
        subject=SubjectId(row.subject),
        item=ItemId(row.item),
        generation=row.generation,
        head=row.head,
        cells=row.cells,
    )


def _digest(cells: bytes) -> str:
    return hashlib.sha256(cells).hexdigest()


def _join(boxes: Iterable[bytes]) -> bytes:
    return b"".join(len(box).to_bytes(_WIDTH, "big") + box for box in boxes)


def _unjoin(cells: bytes) -> list[bytes]:
    boxes, at = [], 0
    while at < len(cells):
        end = at + _WIDTH + int.from_bytes(cells[at : at + _WIDTH], "big")
        boxes.append(cells[at + _WIDTH : end])
        at = end
    return boxes
