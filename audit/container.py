"""The bundle's zip, in the one form that it may have: stored, sorted, no dates, no attributes but a plain file's.

Written and read here without `zipfile`: there is one zip for given contents, whatever the Python that made it, and
reading is to take the entries one after another and to compare all bytes with that zip. So no byte is left that could
differ (APPNOTE.TXT 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16; with more than 65,534 files 4.3.14 and 4.3.15 too).
"""

import re
import struct
import zlib
from collections.abc import Mapping

from protocol.errors import EvidenceError

MAX_BUNDLE = 256 << 20
MAX_FILE = 16 << 20
MAX_FILES = 200_000
_NAME = re.compile(r"(?:[a-z]{1,20}/)?[A-Za-z0-9-]{1,80}(?:\.[a-z]{1,8}){0,2}")

_LOCAL = struct.Struct("<4sHHHHHLLLHH")
_CENTRAL = struct.Struct("<4sHHHHHHLLLHHHHHLL")
_END = struct.Struct("<4sHHHHLLH")
_END_64 = struct.Struct("<4sQHHLLQQQQ")
_WHERE_64 = struct.Struct("<4sLQL")
_MANY = 0xFFFF  # files are counted elsewhere
_VERSION, _UNIX, _DAY_ONE, _PLAIN_FILE = 20, 3 << 8, 0x21, 0o100644 << 16


def pack(files: Mapping[str, bytes]) -> bytes:
    """The zip of `files` (name → content). Raises EvidenceError("bad_name" | "too_large" | "too_many_files")."""
    if len(files) > MAX_FILES:
        raise EvidenceError("too_many_files", f"a bundle has at most {MAX_FILES} files")
    for name, content in files.items():
        _check(name, len(content))
    return _packed(files)


def _packed(files: Mapping[str, bytes]) -> bytes:
    """The same, of names and sizes that were checked."""
    parts: list[bytes] = []
    index: list[bytes] = []
    offset = 0
    for name in sorted(files):
        content = files[name]
        told = (_VERSION, 0, 0, 0, _DAY_ONE, zlib.crc32(content), len(content), len(content), len(name), 0)
        encoded = name.encode("ascii")
        parts += [_LOCAL.pack(b"PK\3\4", *told), encoded, content]
        index += [_CENTRAL.pack(b"PK\1\2", _UNIX | _VERSION, *told, 0, 0, 0, _PLAIN_FILE, offset), encoded]
        offset += _LOCAL.size + len(encoded) + len(content)
        if offset > MAX_BUNDLE:
            raise EvidenceError("too_large", f"a bundle has at most {MAX_BUNDLE} bytes")
    return b"".join([*parts, *index, _end(len(files), sum(map(len, index)), offset)])


def unpack(data: bytes) -> dict[str, bytes]:
    """The files of a bundle.

    Raises EvidenceError: `too_large`, `too_many_files`, `bad_name` (paths, anything unexpected), `duplicate_name`,
    `compressed` (a bundle never is), `not_canonical` (any byte that `pack` would not have written there).
    """
    if len(data) > MAX_BUNDLE + (MAX_BUNDLE >> 2):
        raise EvidenceError("too_large", f"a bundle has at most {MAX_BUNDLE} bytes")
    files: dict[str, bytes] = {}
    at = 0
    while data[at : at + 4] == b"PK\3\4" and at + _LOCAL.size <= len(data):
        _, _, _, method, _, _, _, _, size, name_size, extra = _LOCAL.unpack_from(data, at)
        start = at + _LOCAL.size + name_size + extra
        name = data[at + _LOCAL.size : at + _LOCAL.size + name_size].decode("ascii", "replace")
        if method:
            raise EvidenceError("compressed", "a file of the bundle is compressed")
        _check(name, size)
        if name in files:
            raise EvidenceError("duplicate_name", "two files of the bundle have one name")
        if len(files) == MAX_FILES:
            raise EvidenceError("too_many_files", f"a bundle has at most {MAX_FILES} files")
        files[name] = data[start : start + size]
        at = start + size
    if not files or _packed(files) != data:
        raise EvidenceError("not_canonical", "these are not the bytes of a bundle")
    return files


def _end(count: int, size: int, offset: int) -> bytes:
    """What follows the index: how many files it lists, how long it is and where it starts."""
    if count < _MANY:
        return _END.pack(b"PK\5\6", 0, 0, count, count, size, offset, 0)
    version, rest = 45, _END_64.size - 12  # section 4.3.14: without the signature and this length itself
    return (
        _END_64.pack(b"PK\6\6", rest, _UNIX | version, version, 0, 0, count, count, size, offset)
        + _WHERE_64.pack(b"PK\6\7", 0, offset + size, 1)
        + _END.pack(b"PK\5\6", 0, 0, _MANY, _MANY, size, offset, 0)
    )


def _check(name: str, size: int) -> None:
    if _NAME.fullmatch(name) is None:
        raise EvidenceError("bad_name", "a file of the bundle has a name that none may have")
    if size > MAX_FILE:
        raise EvidenceError("too_large", f"a file of the bundle has at most {MAX_FILE} bytes")
