"""The chain of one subject's records: each link commits to its place, its predecessor and its record. Pure.

`link = SHA-256("fieldgrant/chain/v1" ‖ seq as 8 bytes big-endian ‖ prev ‖ commitment)`, `prev` of the first being 32 zero
bytes. The small tree of an event commits to links, so a leaf fixes the whole past of every subject that it tells of.
"""

import hashlib

GENESIS = bytes(32)
_DOMAIN = b"fieldgrant/chain/v1"


def link(seq: int, prev: bytes, commitment: bytes) -> bytes:
    """The 32-byte link number `seq` (from 0) that follows `prev` and holds `commitment`."""
    return hashlib.sha256(_DOMAIN + seq.to_bytes(8, "big") + prev + commitment).digest()
