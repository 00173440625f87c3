"""Multibase base58btc (`z…`, Controlled Identifiers §2.4), decoded strictly."""

import re

import base58

from protocol.errors import EvidenceError

_BASE58 = re.compile(r"z[1-9A-HJ-NP-Za-km-z]{0,127}")


def encode(data: bytes) -> str:
    """Bytes as `z` and base58btc."""
    return "z" + base58.b58encode(data).decode("ascii")


def decode(text: object, *, length: int, field: str | None = None) -> bytes:
    """Read `length` bytes from multibase base58btc; EvidenceError `bad_multibase`.

    Every text of the alphabet means bytes that no other text means, so what is accepted is canonical; the library
    alone would take white space at the end.
    """
    if not isinstance(text, str) or _BASE58.fullmatch(text) is None:
        raise EvidenceError("bad_multibase", "not multibase base58btc", field=field)
    data: bytes = base58.b58decode(text[1:])
    if len(data) != length:
        raise EvidenceError("bad_multibase", f"not {length} bytes", field=field)
    return data
