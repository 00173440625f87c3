"""The packed cells of one record: sealed values side by side, each reachable without opening the others.

Layout, repeated in the order of the field names: name length (1 byte), name (ASCII), box length (4 bytes, big
endian), box. The names stand in the row themselves, so that a row can be read without its catalogue.

In front of them rests a tag over all of them (`seal.tag`): a zero byte, where a name would begin with its length, and
28 bytes. With it a cell of an earlier state cannot be put among those of a later one, nor one be taken away.
"""

import struct
from collections.abc import Collection, Mapping
from functools import lru_cache

from protocol.consent import Field
from protocol.errors import EvidenceError

_LENGTH = struct.Struct(">I")
_TAGGED = 1 + 28


def tagged(tag: bytes, packed: bytes) -> bytes:
    """Packed cells behind their tag."""
    return b"\0" + tag + packed


def apart(cells: bytes) -> tuple[bytes, bytes]:
    """(tag, packed cells). EvidenceError `bad_cells` when there is no tag."""
    if len(cells) < _TAGGED or cells[0]:
        raise EvidenceError("bad_cells", "the cells of a record have no tag")
    return cells[1:_TAGGED], cells[_TAGGED:]


def pack(boxes: Mapping[Field, bytes]) -> bytes:
    """One byte string out of sealed values by field."""
    parts: list[bytes] = []
    for field in sorted(boxes):
        box = boxes[field]
        parts += (name(field), _LENGTH.pack(len(box)), box)
    return b"".join(parts)


def unpack(packed: bytes) -> dict[Field, bytes]:
    """The sealed values by field, still sealed. Raises EvidenceError `bad_cells` when the bytes are no such packing."""
    boxes: dict[Field, bytes] = {}
    at, end, last = 0, len(packed), ""
    while at < end:
        start = at + 1 + packed[at]
        box = start + _LENGTH.size
        if box > end:
            raise EvidenceError("bad_cells", "packed cells end early")
        try:
            name = packed[at + 1 : start].decode("ascii")
        except UnicodeDecodeError:
            raise EvidenceError("bad_cells", "a packed cell has no proper name") from None
        at = box + int(_LENGTH.unpack_from(packed, start)[0])
        if at > end or name <= last:
            raise EvidenceError("bad_cells", "packed cells are cut or out of order")
        boxes[Field(name)] = packed[box:at]
        last = name
    return boxes


def pick(packed: bytes, fields: Collection[Field]) -> dict[Field, bytes]:
    """The sealed values of some fields, found without a look at each cell, so that others cost next to no time.

    What is found counts only once the tag over all of it was checked. Raises EvidenceError `bad_cells`.
    """
    found: dict[Field, bytes] = {}
    find, whole = packed.find, len(packed)
    for field in fields:
        head = name(field)
        at = find(head)
        if at >= 0:
            box = at + len(head) + 4
            end = box + int.from_bytes(packed[box - 4 : box], "big")
            if end > whole or box > whole:
                raise EvidenceError("bad_cells", "packed cells are cut")
            found[field] = packed[box:end]
    return found


@lru_cache(maxsize=1024)
def name(field: Field) -> bytes:
    """How the cell of a field begins. Found elsewhere by chance, what follows would not open as that field."""
    told = field.encode("ascii")
    return bytes([len(told)]) + told
