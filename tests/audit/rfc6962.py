"""RFC 6962 section 2.1 written down as it stands there, by brute force and without a line of the product."""

import base64
import hashlib
from pathlib import Path


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def mth(leaves: list[bytes]) -> bytes:
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return sha(b"\x00" + leaves[0])
    k = split(len(leaves))
    return sha(b"\x01" + mth(leaves[:k]) + mth(leaves[k:]))


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def proof(m: int, leaves: list[bytes], whole: bool = True) -> list[bytes]:
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*proof(m, leaves[:k], whole), mth(leaves[k:])]
    return [*proof(m - k, leaves[k:], False), mth(leaves[:k])]


def tile_name(n: int) -> str:
    parts = [f"{n % 1000:03d}"]
    while n >= 1000:
        n //= 1000
        parts.insert(0, f"x{n % 1000:03d}")
    return "/".join(parts)


def leaves_on_disk(directory: Path, size: int) -> list[bytes]:
    """The log's leaves from its entry tiles alone, as any reader of tlog-tiles would fetch them."""
    leaves: list[bytes] = []
    for n in range((size + 255) // 256):
        width = min(256, size - n * 256)
        name = f"tile/entries/{tile_name(n)}" + ("" if width == 256 else f".p/{width}")
        data, at = (directory / name).read_bytes(), 0
        while at < len(data):
            length = int.from_bytes(data[at : at + 2], "big")
            leaves.append(data[at + 2 : at + 2 + length])
            at += 2 + length
    return leaves


def check_hash_tiles(directory: Path, leaves: list[bytes]) -> None:
    """Every hash tile of the log is the one that its leaves make."""
    row, level = [sha(b"\x00" + leaf) for leaf in leaves], 0
    while row:
        for n in range((len(row) + 255) // 256):
            part = row[n * 256 : n * 256 + 256]
            name = f"tile/{level}/{tile_name(n)}" + ("" if len(part) == 256 else f".p/{len(part)}")
            assert (directory / name).read_bytes() == b"".join(part), name
        size = 256 ** (level + 1)
        row = [mth(leaves[i : i + size]) for i in range(0, len(leaves) // size * size, size)]
        level += 1


def read_checkpoint(note: bytes) -> tuple[str, int, bytes]:
    origin, size, root = note.decode().split("\n")[:3]
    return origin, int(size), base64.b64decode(root)
