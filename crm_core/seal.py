"""Seal and open one value, and wrap the data key that seals it (AES-256-GCM, NIST SP 800-38D).

A value is bound to (organisation, subject, field, generation) and a data key to (organisation, subject, generation,
bucket, epoch) as associated data: a ciphertext that somebody moves elsewhere in the database opens nowhere.
"""

import secrets
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True, kw_only=True)
class DataKeyPlace:
    """Where a data key belongs; the associated data of its wrapping."""

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


def seal(key: AESGCM, value: Value, *, org: Did, subject: SubjectId, field: Field, generation: int) -> bytes:
    """Seal one value: nonce, ciphertext and tag.

    The JSON form is padded with blanks to the next 16 bytes, so that the length of what rests tells little.
    """
    plain = orjson.dumps(value)
    plain += b" " * (-len(plain) % _PAD)
    nonce = secrets.token_bytes(NONCE)
    return nonce + key.encrypt(nonce, plain, _bound(org, subject, field, generation))


def open_value(key: AESGCM, box: bytes, *, org: Did, subject: SubjectId, field: Field, generation: int) -> Value:
    """Open one value. Raises EvidenceError `bad_cell` when it was changed or belongs elsewhere."""
    try:
        value: Value = orjson.loads(key.decrypt(box[:NONCE], box[NONCE:], _bound(org, subject, field, generation)))
    except (InvalidTag, ValueError):
        raise EvidenceError("bad_cell", "a sealed value does not belong to its place", field=field) from None
    return value


def _bound(*parts: str | int) -> bytes:
    return canonical.jcs(list(parts))
