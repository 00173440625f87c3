"""Bitstring Status List 1.0: who may still rely on a credential, one bit each, herd privacy by size."""

import base64
import binascii
import gzip
import zlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Self

from protocol import shape, times, vocabulary
from protocol.credential import CREDENTIALS_V2, VerifiedCredential
from protocol.did import Did
from protocol.errors import EvidenceError
from protocol.vocabulary import StatusRef

LIST_TYPE = "BitstringStatusListCredential"
SIZE = 131_072
MAX_SIZE = 1 << 23
"""The longest list that is read, in bits: 1 MiB unpacked."""
DEFAULT_TTL = timedelta(minutes=5)


class Bitstring:
    """A list of ``size`` bits, the first one leftmost (section 3.2). At least 131,072 and a multiple of 8."""

    __slots__ = ("_bits",)

    def __init__(self, size: int = SIZE) -> None:
        if size < SIZE or size % 8 or size > MAX_SIZE:
            raise ValueError(f"a status list has {SIZE} to {MAX_SIZE} entries, in whole bytes")
        self._bits = bytearray(size // 8)

    def __len__(self) -> int:
        return len(self._bits) * 8

    def get(self, index: int) -> bool:
        """Bit ``index``; EvidenceError ``status_out_of_range``."""
        return bool(self._bits[self._at(index)] & (0x80 >> (index % 8)))

    def set(self, index: int, value: bool = True) -> None:
        """Set or clear bit ``index``; EvidenceError ``status_out_of_range``."""
        mask = 0x80 >> (index % 8)
        at = self._at(index)
        self._bits[at] = self._bits[at] | mask if value else self._bits[at] & ~mask

    def encode(self) -> str:
        """``encodedList``: ``u`` and the gzipped bits in base64url without padding; the same bits, the same text."""
        packed = gzip.compress(bytes(self._bits), mtime=0)
        return "u" + base64.urlsafe_b64encode(packed).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str, *, limit: int = MAX_SIZE) -> Self:
        """Read an ``encodedList``, unpacking never more than ``limit`` bits.

        Raises:
            EvidenceError: ``bad_status_list``, ``too_large``, ``status_list_length`` (fewer bits than the standard's
                minimum: too small a herd to hide in).
        """
        if not text.startswith("u"):
            raise EvidenceError("bad_status_list", "the list is not multibase base64url", field="encodedList")
        try:
            packed = base64.b64decode(text[1:] + "=" * (-len(text[1:]) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise EvidenceError("bad_status_list", "the list is not base64url", field="encodedList") from error
        bits = _unpack(packed, limit // 8)
        if len(bits) * 8 < SIZE:
            raise EvidenceError("status_list_length", "the list is too short", field="encodedList")
        made = cls.__new__(cls)
        made._bits = bytearray(bits)
        return made

    def _at(self, index: int) -> int:
        if not 0 <= index < len(self):
            raise EvidenceError("status_out_of_range", "the list has no such entry", field="statusListIndex")
        return index // 8


def build_list(
    url: str,
    controller: Did,
    bits: Bitstring,
    at: datetime,
    *,
    purpose: str = "revocation",
    ttl: timedelta = DEFAULT_TTL,
    valid_for: timedelta | None = None,
) -> dict[str, Any]:
    """An unsigned status list credential that lives at ``url``; ``ttl`` says how long it may be kept."""
    document: dict[str, Any] = {
        "@context": [CREDENTIALS_V2],
        "id": url,
        "type": ["VerifiableCredential", LIST_TYPE],
        "issuer": controller,
        "validFrom": times.iso(at),
        "credentialSubject": {
            "id": f"{url}#list",
            "type": "BitstringStatusList",
            "statusPurpose": purpose,
            "encodedList": bits.encode(),
            "ttl": int(ttl.total_seconds() * 1000),
        },
    }
    if valid_for is not None:
        document["validUntil"] = times.iso(at + valid_for)
    return document


def check(list_credential: VerifiedCredential, entry: StatusRef | Mapping[str, Any]) -> bool:
    """Whether the verified list has the bit of ``entry`` (a reference, or a credential that bears one) set.

    Raises:
        EvidenceError: ``wrong_type``, ``status_mismatch`` (another list or purpose), ``status_out_of_range``,
            ``bad_status_list``, ``too_large``, ``status_list_length``, ``bad_credential``.
    """
    reference = entry if isinstance(entry, StatusRef) else vocabulary.read_status(entry)
    if LIST_TYPE not in list_credential.types:
        raise EvidenceError("wrong_type", f"a {LIST_TYPE} is expected", field="type")
    if list_credential.id != reference.list_url:
        raise EvidenceError("status_mismatch", "not the list that the entry names", field="statusListCredential")
    path = "credentialSubject"
    node = list_credential.document.get(path)
    listed = shape.exact(node, path, ("type", "statusPurpose", "encodedList"), ("id", "ttl"))
    if listed["type"] != "BitstringStatusList" or listed["statusPurpose"] != "revocation":
        raise EvidenceError("status_mismatch", "the list is not one for revocation", field="statusPurpose")
    return Bitstring.decode(shape.text(listed, "encodedList", path)).get(reference.index)


def _unpack(packed: bytes, limit: int) -> bytes:
    """Gunzip at most ``limit`` bytes: a bomb is never unpacked, only noticed."""
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        bits = unpacker.decompress(packed, limit + 1)
    except zlib.error as error:
        raise EvidenceError("bad_status_list", "the list is not gzip", field="encodedList") from error
    if len(bits) > limit:
        raise EvidenceError("too_large", "the list unpacks to more than is read", field="encodedList")
    if not unpacker.eof or unpacker.unused_data:
        raise EvidenceError("bad_status_list", "the list's gzip is not whole", field="encodedList")
    return bits
