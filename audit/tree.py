"""Roots and proofs of RFC 6962 section 2.1 over a stored tree, reading only the nodes that are needed. Pure.

A node is named by (level, index): it is the root of the perfect subtree over leaves
[index * 2**level, (index + 1) * 2**level). Whatever stores perfect subtrees (tiles, a list) can answer for it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from protocol import log as rfc6962

Node = Callable[[int, int], bytes]
"""(level, index) -> 32-byte hash of that perfect subtree."""


@dataclass(frozen=True, slots=True)
class Merkle:
    """A tree of `size` leaves whose perfect subtrees `node` knows."""

    size: int
    node: Node

    def root(self) -> bytes:
        """The tree's root; of an empty tree the hash of nothing."""
        return self._range(0, self.size) if self.size else rfc6962.root([])

    def inclusion(self, index: int) -> list[bytes]:
        """Audit path of the leaf `index` (RFC 6962 section 2.1.1), lowest sibling first."""
        if not 0 <= index < self.size:
            raise IndexError(index)
        return self._path(index, 0, self.size)

    def consistency(self, old: int) -> list[bytes]:
        """Proof that the tree of the first `old` leaves is a prefix of this one (RFC 6962 section 2.1.2)."""
        if not 0 < old <= self.size:
            raise IndexError(old)
        return self._proof(old, 0, self.size, whole=True)

    def _range(self, start: int, end: int) -> bytes:
        size = end - start
        if size & (size - 1) == 0:  # a power of two; ranges met here are aligned to their own size
            level = size.bit_length() - 1
            return self.node(level, start >> level)
        middle = start + _split(size)
        return rfc6962.node_hash(self._range(start, middle), self._range(middle, end))

    def _path(self, index: int, start: int, end: int) -> list[bytes]:
        if end - start == 1:
            return []
        middle = start + _split(end - start)
        if index < middle:
            return [*self._path(index, start, middle), self._range(middle, end)]
        return [*self._path(index, middle, end), self._range(start, middle)]

    def _proof(self, old: int, start: int, end: int, *, whole: bool) -> list[bytes]:
        if old == end:
            return [] if whole else [self._range(start, end)]
        middle = start + _split(end - start)
        if old <= middle:
            return [*self._proof(old, start, middle, whole=whole), self._range(middle, end)]
        return [*self._proof(old, middle, end, whole=False), self._range(start, middle)]


def _split(size: int) -> int:
    """The largest power of two below `size` (at least 2)."""
    return 1 << ((size - 1).bit_length() - 1)
