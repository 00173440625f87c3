"""Where the next page begins: sealed, bound to its reader, purpose, query and route. A cursor never holds a value."""

import base64
import binascii
import secrets
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from crm_core.reading.query import Query
from protocol import canonical
from protocol.consent import SubjectId
from runtime.problem import Problem
from verifier.gate import Visit

_NONCE = 12
_PLACE = struct.Struct(">30sBI")
_MOST = 512  # characters; ours have 84


@dataclass(frozen=True, slots=True)
class Place:
    """The last customer of a page, in which class they stood, and how many came so far.

    `state`: 0 without order; a bit per field sorted by that they had; or the rank of their hit in a search.
    """

    subject: SubjectId
    state: int
    passed: int


def seal(secret: bytes, place: Place, visit: Visit, query: Query) -> str:
    """The cursor as text for a URL (base64url without padding), of one length whatever it says."""
    nonce = secrets.token_bytes(_NONCE)
    plain = _PLACE.pack(place.subject.encode("ascii"), place.state, place.passed)
    box = nonce + AESGCM(secret).encrypt(nonce, plain, _bound(visit, query))
    return base64.urlsafe_b64encode(box).rstrip(b"=").decode("ascii")


def unseal(secret: bytes, cursor: str, visit: Visit, query: Query) -> Place:
    """The place in a cursor. Problem 400 `bad_cursor` when it was changed or comes from another reader or query."""
    try:
        box = base64.b64decode(cursor[:_MOST] + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        plain = AESGCM(secret).decrypt(box[:_NONCE], box[_NONCE:], _bound(visit, query))
        subject, state, passed = _PLACE.unpack(plain)
    except (InvalidTag, ValueError, binascii.Error, struct.error):
        raise Problem(400, "bad_cursor", "this cursor does not continue this query", field="cursor") from None
    return Place(SubjectId(subject.decode("ascii")), state, passed)


def _bound(visit: Visit, query: Query) -> bytes:
    reader = visit.reader
    who = [reader.did, reader.account, reader.role]
    how = [visit.purpose, visit.recipient, visit.processing, visit.jurisdiction]
    return canonical.jcs(["cursor", who, how, query.identity()])
