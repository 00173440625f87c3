"""Seal and open one value, and wrap the data key that seals it (AES-256-GCM, NIST SP 800-38D).

A value is bound to (organisation, subject, field, generation), one of an item to that item too, and a data key to
(organisation, subject, generation, bucket, epoch) as associated data: a ciphertext that somebody moves elsewhere in
the database opens nowhere.
"""

import secrets
from collections.abc import Mapping, Sequence
from os import urandom
from typing import Any, NamedTuple

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from protocol import canonical
from protocol.consent import Field, SubjectId
from protocol.did import Did
from protocol.errors import EvidenceError

Value = str | int | float | bool | list[str]

NONCE = 12
TAG = 16
_PAD = 16


class DataKeyPlace(NamedTuple):
    """Where a data key belongs; the associated data of its wrapping. A tuple: each row that is read has one."""

    org: Did
    subject: SubjectId
    generation: int
    bucket: int
    epoch: int

    def bound(self) -> bytes:
        """The associated data: a JCS array."""
        return _bound("data-key", self.org, self.subject, self.generation, self.bucket, self.epoch)


def new_data_key() -> bytes:
    """A fresh data key of 256 bits."""
    return secrets.token_bytes(32)


def wrap(key: bytes, bucket_key: AESGCM, place: DataKeyPlace) -> bytes:
    """The data key under its bucket key: nonce, ciphertext and tag."""
    nonce = secrets.token_bytes(NONCE)
    return nonce + bucket_key.encrypt(nonce, key, place.bound())


def unwrap(wrapped: bytes, bucket_key: AESGCM, place: DataKeyPlace) -> bytes:
    """The data key. Raises EvidenceError `bad_data_key` when it was changed or belongs to another place."""
    try:
        return bucket_key.decrypt(wrapped[:NONCE], wrapped[NONCE:], place.bound())
    except (InvalidTag, ValueError):
        raise EvidenceError("bad_data_key", "a data key does not belong to its record") from None


def rewrap_all(
    keys: Sequence[Sequence[Any]],
    old: Mapping[int, AESGCM],
    new: tuple[int, AESGCM],
    *,
    org: Did,
    bucket: int,
) -> list[bytes]:
    """Data keys of one bucket under the key of another epoch, in one go: `old` by epoch, `new` with its epoch.

    Each is (subject, generation, epoch, wrapped). Raises EvidenceError `bad_data_key`.
    """
    anew, (epoch, key) = [], new
    nonces = urandom(NONCE * len(keys))
    try:
        for number, (subject, generation, was, wrapped) in enumerate(keys):
            facts = ("data-key", org, subject, generation, bucket)
            raw = old[was].decrypt(wrapped[:NONCE], wrapped[NONCE:], _bound(*facts, was))
            nonce = nonces[number * NONCE : (number + 1) * NONCE]
            anew.append(nonce + key.encrypt(nonce, raw, _bound(*facts, epoch)))
    except (InvalidTag, ValueError):
        raise EvidenceError("bad_data_key", "a data key does not belong to its record") from None
    return anew


def seal(
    key: AESGCM,
    value: Value,
    *,
    org: Did,
    subject: SubjectId,
    field: Field,
    generation: int,
    item: str | None = None,
) -> bytes:
    """Seal one value, of the record or of one of its items: nonce, ciphertext and tag.

    The JSON form is padded with blanks to the next 16 bytes, so that the length of what rests tells little.
    """
    plain = orjson.dumps(value)
    plain += b" " * (-len(plain) % _PAD)
    nonce = secrets.token_bytes(NONCE)
    return nonce + key.encrypt(nonce, plain, _place(org, subject, field, generation, item))


def seal_all(
    key: AESGCM, values: Mapping[Field, Value], *, org: Did, subject: SubjectId, generation: int
) -> dict[Field, bytes]:
    """Seal the values of one record, as `seal` does each, in one go: an import makes a million records."""
    first, last = _around(org, subject, generation)
    nonces, encrypt, dumps = urandom(NONCE * len(values)), key.encrypt, orjson.dumps
    boxes: dict[Field, bytes] = {}
    at = 0
    for field, value in values.items():
        nonce = nonces[at : at + NONCE]
        at += NONCE
        plain = dumps(value)
        plain += b" " * (-len(plain) % _PAD)
        boxes[field] = nonce + encrypt(nonce, plain, first + dumps(field) + last)
    return boxes


def open_value(
    key: AESGCM,
    box: bytes,
    *,
    org: Did,
    subject: SubjectId,
    field: Field,
    generation: int,
    item: str | None = None,
) -> Value:
    """Open one value. Raises EvidenceError `bad_cell` when it was changed or belongs elsewhere."""
    try:
        value: Value = orjson.loads(
            key.decrypt(box[:NONCE], box[NONCE:], _place(org, subject, field, generation, item))
        )
    except (InvalidTag, ValueError):
        raise EvidenceError("bad_cell", "a sealed value does not belong to its place", field=field) from None
    return value


def open_readable(
    key: AESGCM, boxes: Mapping[Field, bytes], *, org: Did, subject: SubjectId, generation: int
) -> tuple[dict[Field, Value], tuple[Field, ...]]:
    """Open the values of one record; those that do not open are named in the second part.

    As `open_value` for each, in one go: this is on the way of every value that is read.
    """
    values: dict[Field, Value] = {}
    broken: list[Field] = []
    try:
        first, last = _around(org, subject, generation)
    except TypeError:  # somebody put there what we never write
        return {}, tuple(boxes)
    decrypt, loads, dumps = key.decrypt, orjson.loads, orjson.dumps
    for field, box in boxes.items():
        try:
            values[field] = loads(decrypt(box[:NONCE], box[NONCE:], first + dumps(field) + last))
        except (InvalidTag, ValueError):
            broken.append(field)
    return values, tuple(broken)


class Step(NamedTuple):
    """How one field is opened out of packed cells: how its cell begins, how its associated data ends, and where to."""

    cell: bytes
    bound: bytes
    slot: int


def step(cell: bytes, field: Field, slot: int) -> Step:
    """For `open_texts`; `cell` is what its cell begins with."""
    return Step(cell, orjson.dumps(field) + b",", slot)


def open_texts(  # noqa: PLR0917 - on the way of every row of a list: keywords cost more than they tell
    key: AESGCM, packed: bytes, org: str, subject: str, generation: int, steps: Sequence[Step], into: list[bytes | None]
) -> None:
    """Open values as the JSON text that they rest as, into their slots; one that is not stored leaves its slot alone.

    As `open_readable`, past the way from text to value and back. `steps` in the order of the cells' names, `packed`
    checked. Raises EvidenceError `bad_cell`.
    """
    first, last = orjson.dumps((org, subject))[:-1] + b",", b"%d]" % generation
    at, begins, decrypt = 0, packed.startswith, key.decrypt
    try:
        for cell, bound, slot in steps:
            if not begins(cell, at):
                at = packed.find(cell, at)
                if at < 0:
                    at = 0
                    continue
            box = at + len(cell) + 4
            at = box + int.from_bytes(packed[box - 4 : box], "big")
            nonce_end = box + NONCE
            into[slot] = decrypt(packed[box:nonce_end], packed[nonce_end:at], first + bound + last).rstrip(b" ")
    except (InvalidTag, ValueError):
        raise EvidenceError("bad_cell", "a sealed value does not belong to its place") from None


def tag(key: AESGCM, cells: bytes, *, org: Did, subject: SubjectId, generation: int) -> bytes:
    """The tag (28 bytes) over all packed cells of a record, under its data key: AES-GCM over associated data alone."""
    nonce = secrets.token_bytes(NONCE)
    return nonce + key.encrypt(nonce, b"", _bound("cells", org, subject, generation) + cells)


def check(key: AESGCM, tagged: bytes, cells: bytes, *, org: Did, subject: SubjectId, generation: int) -> None:
    """Refuse cells that were not written together. EvidenceError `bad_cells`."""
    try:
        key.decrypt(tagged[:NONCE], tagged[NONCE:], _bound("cells", org, subject, generation) + cells)
    except (InvalidTag, ValueError):
        raise EvidenceError("bad_cells", "the cells of a record were not written together") from None


def _place(org: Did, subject: SubjectId, field: Field, generation: int, item: str | None) -> bytes:
    return _bound(org, subject, field, generation, *(() if item is None else (item,)))


def _around(org: Did, subject: SubjectId, generation: int) -> tuple[bytes, bytes]:
    """What stands before and after the field in the place of each value of a record; TypeError for what none has."""
    return orjson.dumps((org, subject))[:-1] + b",", b"," + orjson.dumps((generation,))[1:]


def _bound(*parts: str | int) -> bytes:
    """A JCS array. For texts and small numbers orjson's bytes are those of JCS, and this is on the way of every row."""
    try:
        return orjson.dumps(parts)
    except TypeError:  # what no JSON can hold: the slow way says what is wrong
        return canonical.jcs(list(parts))
