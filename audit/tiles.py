"""Tiles: the log as static files (C2SP tlog-tiles), each written whole or not at all.

`tile/<level>/<N>[.p/<W>]` holds up to 256 hashes of 32 bytes, `tile/entries/<N>[.p/<W>]` the leaves themselves, each
after its length in two bytes. A file that is there is never written again: a different content means a forked log.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from audit import files
from protocol import log as rfc6962
from protocol.errors import EvidenceError

WIDTH, HEIGHT, _HASH = rfc6962.TILE_WIDTH, rfc6962.TILE_HEIGHT, rfc6962.HASH_SIZE
_CACHED = 512  # tiles of 8 KiB
_NODES = 65_536  # nodes within tiles, of 32 bytes
AHEAD = 16  # tiles of entries that a drain may write before it signs a head that covers them
_LEFT = 2 * AHEAD  # tiles of one level that a crash may leave behind the last head, and more


class Tiles:
    """The tile files under one directory. What was read is kept: a tile never changes."""

    def __init__(self, directory: Path) -> None:
        """Use `directory`, which need not exist yet."""
        self.directory = directory
        self._read: dict[str, bytes] = {}
        self._nodes: dict[tuple[int, int], bytes] = {}

    def extend(self, old: int, leaves: Sequence[bytes]) -> None:
        """Write every tile that changes when `leaves` follow the first `old`; durable when it returns.

        Doing it again after a crash is harmless. Raises EvidenceError("log_forked") when a file holds something else.
        """
        placed: list[str] = []
        first = old // WIDTH
        row = [*_entries(self._tile(None, first, old - first * WIDTH)), *leaves]
        for start in range(0, len(row), WIDTH):
            part = row[start : start + WIDTH]
            placed.append(self._place(None, first + start // WIDTH, len(part), rfc6962.entry_bundle(part)))
        hashes = rfc6962.leaf_hashes(leaves)
        new, level = old + len(leaves), 0
        while hashes:
            before, after = old >> (HEIGHT * level), new >> (HEIGHT * level)
            first = before // WIDTH
            kept = self._tile(level, first, before - first * WIDTH)
            row = [kept[i : i + _HASH] for i in range(0, len(kept), _HASH)] + hashes
            for n in range(first, -(-after // WIDTH)):
                part = row[(n - first) * WIDTH : (n - first + 1) * WIDTH]
                placed.append(self._place(level, n, len(part), b"".join(part)))
            done = after // WIDTH - first
            hashes = [rfc6962.root(row[i * WIDTH : (i + 1) * WIDTH]) for i in range(done)]
            level += 1
        for folder in sorted({os.path.dirname(path) for path in placed}):
            files.sync(folder)
        # tlog-tiles section "Partial Tiles": they may go once the full tile is there, also after a power cut.
        for path in placed:
            if os.path.isdir(f"{path}.p"):
                shutil.rmtree(f"{path}.p", ignore_errors=True)

    def node(self, size: int, level: int, index: int) -> bytes:
        """Hash of a perfect subtree (see `audit.tree`) in the tree of `size` leaves."""
        height, above = divmod(level, HEIGHT)
        if above == 0:
            n, place = divmod(index, WIDTH)
            data = self._tile(height, n, min(WIDTH, (size >> (HEIGHT * height)) - n * WIDTH))
            return data[place * _HASH : (place + 1) * _HASH]
        known = self._nodes.get((level, index))
        if known is None:
            left, right = self.node(size, level - 1, 2 * index), self.node(size, level - 1, 2 * index + 1)
            if len(self._nodes) >= _NODES:
                self._nodes.clear()
            known = self._nodes[level, index] = rfc6962.node_hash(left, right)
        return known

    def leaves(self, size: int, n: int) -> list[bytes]:
        """The leaves of the entry tile `n` in the log of `size` leaves."""
        return _entries(self._tile(None, n, min(WIDTH, size - n * WIDTH)))

    def hashes(self, size: int, n: int) -> bytes:
        """The hashes of those leaves, one after another."""
        return self._tile(0, n, min(WIDTH, size - n * WIDTH))

    def compare(self, expected: Sequence[bytes]) -> None:
        """Check that the tiles of the log of `expected` leaves hold just these. Raises EvidenceError("log_forked")."""
        size = len(expected)
        for n in range(-(-size // WIDTH)):
            if self.leaves(size, n) != list(expected[n * WIDTH : (n + 1) * WIDTH]):
                raise EvidenceError("log_forked", f"entry tile {n} does not hold the leaves that the database holds")
        hashes, level = rfc6962.leaf_hashes(expected), 0
        while hashes:
            for n in range(-(-len(hashes) // WIDTH)):
                part = hashes[n * WIDTH : (n + 1) * WIDTH]
                if self._tile(level, n, len(part)) != b"".join(part):
                    raise EvidenceError("log_forked", f"tile {n} of level {level} is not the tree over the leaves")
            full = len(hashes) // WIDTH
            hashes = [rfc6962.root(hashes[n * WIDTH : (n + 1) * WIDTH]) for n in range(full)]
            level += 1

    def forget(self, size: int) -> None:
        """Remove what a crash left of tiles that no signed head covers: other leaves will come there."""
        self._read.clear()
        self._nodes.clear()
        level: int | None = None
        while True:
            width = size >> (HEIGHT * (level or 0))
            first, kept = divmod(width, WIDTH)
            found = False
            for n in range(first, first + _LEFT):
                path = self.directory / rfc6962.tile_path(level, n, WIDTH)
                parts = path.with_name(f"{path.name}.p")
                found |= path.is_file() or parts.is_dir()
                if n == first and kept and path.is_file():  # it may have taken the place of what the head covers
                    name = rfc6962.tile_path(level, n, kept)
                    files.write(self.directory / name, self.find(name) or b"")
                path.unlink(missing_ok=True)
                for part in parts.glob("*") if parts.is_dir() else ():
                    if n > first or not part.name.isdigit() or int(part.name) > kept:
                        part.unlink()
            level = 0 if level is None else level + 1
            if level and not width and not found:
                return

    def find(self, path: str) -> bytes | None:
        """The file at `tile/…` (a path by the rules of tlog-tiles), or None.

        A partial tile that a full one has replaced is cut out of that, so that no older head goes without its tiles.
        """
        whole, _, width = path.partition(".p/")
        full = self.directory / whole
        if not width:
            return full.read_bytes() if full.is_file() else None
        if full.is_file():
            data = full.read_bytes()
            if "/entries/" not in whole:
                return data[: int(width) * _HASH]
            return rfc6962.entry_bundle(_entries(data)[: int(width)])
        part = self.directory / path
        return part.read_bytes() if part.is_file() else None

    def _tile(self, level: int | None, n: int, width: int) -> bytes:
        """The first `width` members of a tile, from the file of that width or the full one."""
        if width == 0:
            return b""
        name = rfc6962.tile_path(level, n, width)
        known = self._read.get(name)
        if known is None:
            known = self.find(name)
            if known is None:
                raise EvidenceError("log_forked", f"{name} is missing")
            if len(self._read) >= _CACHED:
                self._read.clear()
            self._read[name] = known
        return known

    def _place(self, level: int | None, n: int, width: int, data: bytes) -> str:
        """Write one tile, if it is not there; its path. Its folder is still to be synced, in both cases.

        For a drain may have been killed when it had written the file and not synced the folder.
        """
        name = rfc6962.tile_path(level, n, width)
        path = f"{self.directory}/{name}"
        if not os.path.isfile(path):
            files.place(path, data)
        elif Path(path).read_bytes() != data:
            raise EvidenceError("log_forked", f"{name} holds other bytes than the log")
        return path


def _entries(data: bytes) -> list[bytes]:
    try:
        return rfc6962.read_bundle(data)
    except EvidenceError as error:
        raise EvidenceError("log_forked", "an entry tile is not whole") from error
