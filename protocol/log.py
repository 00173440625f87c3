"""The Merkle log: RFC 6962 hashes and proofs, C2SP tlog-tiles paths, and the small salted tree under each leaf."""

import base64
import hashlib
from collections.abc import Iterable, Sequence

from protocol import canonical
from protocol.errors import EvidenceError

TILE_WIDTH = 256
TILE_HEIGHT = 8
HASH_SIZE = 32
SALT_SIZE = 32
MAX_ENTRY = 0xFFFF
"""An entry's length is written in two bytes (tlog-tiles, section "Log entries")."""
_LEAF, _NODE = hashlib.sha256(b"\x00"), hashlib.sha256(b"\x01")  # begun: a copy costs half of a beginning


def leaf_hash(data: bytes) -> bytes:
    """MTH of one leaf (RFC 6962, section 2.1)."""
    made = _LEAF.copy()
    made.update(data)
    return made.digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node (RFC 6962, section 2.1)."""
    made = _NODE.copy()
    made.update(left + right)
    return made.digest()


def leaf_hashes(leaves: Iterable[bytes]) -> list[bytes]:
    """`leaf_hash` of each: one call for many, since a call costs as much as the hash."""
    begun = _LEAF.copy
    hashes: list[bytes] = []
    for leaf in leaves:
        made = begun()
        made.update(leaf)
        hashes.append(made.digest())
    return hashes


def root(hashes: Sequence[bytes]) -> bytes:
    """The root over leaf hashes; of no leaves, the hash of nothing."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    level = list(hashes)
    while len(level) > 1:
        level = _above(level)
    return level[0]


def inclusion(hashes: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of leaf ``index``, nearest sibling first (RFC 6962, section 2.1.1). IndexError beyond the end."""
    if not 0 <= index < len(hashes):
        raise IndexError(index)
    path: list[bytes] = []
    level = list(hashes)
    while len(level) > 1:
        if (sibling := index ^ 1) < len(level):
            path.append(level[sibling])
        level = _above(level)
        index //= 2
    return path


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that ``leaf`` (a leaf hash) is number ``index`` of the tree (RFC 9162, section 2.1.3.2).

    Raises:
        EvidenceError: ``bad_inclusion_proof``.
    """
    if not 0 <= index < size or any(len(one) != HASH_SIZE for one in proof):
        raise _bad_inclusion()
    at, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise _bad_inclusion()
        if at % 2 or at == last:
            found = node_hash(sibling, found)
            while at % 2 == 0 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        at, last = at >> 1, last >> 1
    if last or found != root:
        raise _bad_inclusion()


def consistency(size: int, hashes: Sequence[bytes]) -> list[bytes]:
    """The proof that the first ``size`` leaves are a prefix (RFC 6962, section 2.1.2). IndexError beyond the end."""
    if not 0 <= size <= len(hashes):
        raise IndexError(size)
    return [] if size == 0 else _subproof(size, hashes, True)


def verify_consistency(old_size: int, old_root: bytes, size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the larger tree begins with the smaller one (RFC 9162, section 2.1.4.2).

    Raises:
        EvidenceError: ``bad_consistency_proof``.
    """
    if not 0 <= old_size <= size or any(len(one) != HASH_SIZE for one in proof):
        raise _bad_consistency()
    if old_size in (0, size):
        same = old_root == (new_root if old_size else root(()))
        if proof or not same:
            raise _bad_consistency()
        return
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    if not path:
        raise _bad_consistency()
    at, last = old_size - 1, size - 1
    while at % 2:
        at, last = at >> 1, last >> 1
    before = after = path[0]
    for one in path[1:]:
        if last == 0:
            raise _bad_consistency()
        if at % 2 or at == last:
            before, after = node_hash(one, before), node_hash(one, after)
            while at % 2 == 0 and at:
                at, last = at >> 1, last >> 1
        else:
            after = node_hash(after, one)
        at, last = at >> 1, last >> 1
    if last or before != old_root or after != new_root:
        raise _bad_consistency()


def tile_path(level: int | None, number: int, width: int = TILE_WIDTH) -> str:
    """Path of a tile, e.g. ``tile/0/x001/234``; level nothing for entry bundles, a width under 256 for partial ones."""
    if not 1 <= width <= TILE_WIDTH or number < 0 or (level is not None and not 0 <= level <= 63):
        raise ValueError("no such tile")
    groups = [f"{number % 1000:03d}"]
    while number := number // 1000:
        groups.append(f"x{number % 1000:03d}")
    partial = "" if width == TILE_WIDTH else f".p/{width}"
    return f"tile/{'entries' if level is None else level}/{'/'.join(reversed(groups))}{partial}"


def entry_bundle(entries: Sequence[bytes]) -> bytes:
    """Up to 256 entries, each after its length in two bytes; ValueError for one that is too long."""
    if len(entries) > TILE_WIDTH or max(map(len, entries), default=0) > MAX_ENTRY:
        raise ValueError("too many entries, or too long a one")
    return b"".join([len(entry).to_bytes(2, "big") + entry for entry in entries])


def read_bundle(data: bytes) -> list[bytes]:
    """The entries of a bundle; EvidenceError ``bad_tile``."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if at + 2 > len(data) or end > len(data) or len(entries) == TILE_WIDTH:
            raise EvidenceError("bad_tile", "the bundle of entries is not whole")
        entries.append(data[at + 2 : end])
        at = end
    return entries


def record_commitment(salt: bytes, body: bytes) -> bytes:
    """SHA-256 over a 32-byte salt and a record's body; it tells nothing without the salt. ValueError: bad salt."""
    if len(salt) != SALT_SIZE:
        raise ValueError("a salt has 32 bytes")
    return hashlib.sha256(salt + body).digest()


def chain_link(sequence: int, previous: bytes, commitment: bytes) -> bytes:
    """The link of a subject's chain of records: SHA-256 over number (8 bytes), the link before and the commitment."""
    if len(previous) != HASH_SIZE or len(commitment) != HASH_SIZE:
        raise ValueError("links and commitments have 32 bytes")
    return hashlib.sha256(b"\x02" + sequence.to_bytes(8, "big") + previous + commitment).digest()


def tree(commitments: Sequence[bytes]) -> bytes:
    """Root of the small tree of one leaf: one commitment per record of the event."""
    return root([leaf_hash(one) for one in commitments])


def path(commitments: Sequence[bytes], index: int) -> list[bytes]:
    """The path of commitment ``index`` in its small tree."""
    return inclusion([leaf_hash(one) for one in commitments], index)


def verify_path(commitment: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check a path of a small tree; EvidenceError ``bad_inclusion_proof``."""
    verify_inclusion(leaf_hash(commitment), index, size, proof, root)


def leaf_bytes(type: str, at_ms: str, root: bytes) -> bytes:
    """A log entry: JCS of version, event type, time (milliseconds) and the small tree's root."""
    return canonical.jcs({"v": 1, "type": type, "time": at_ms, "root": base64.b64encode(root).decode()})


def _above(level: Sequence[bytes]) -> list[bytes]:
    """The next level of a tree; who has no neighbour goes up as it is."""
    begun = _NODE.copy
    nodes: list[bytes] = []
    pairs = iter(level)
    for left, right in zip(pairs, pairs, strict=False):
        made = begun()
        made.update(left + right)
        nodes.append(made.digest())
    if len(level) % 2:
        nodes.append(level[-1])
    return nodes


def _subproof(size: int, hashes: Sequence[bytes], whole: bool) -> list[bytes]:
    if size == len(hashes):
        return [] if whole else [root(hashes)]
    split = 1 << (len(hashes) - 1).bit_length() - 1
    if size <= split:
        return [*_subproof(size, hashes[:split], whole), root(hashes[split:])]
    return [*_subproof(size - split, hashes[split:], False), root(hashes[:split])]


def _bad_inclusion() -> EvidenceError:
    return EvidenceError("bad_inclusion_proof", "the leaf is not in the tree as the proof says")


def _bad_consistency() -> EvidenceError:
    return EvidenceError("bad_consistency_proof", "the tree does not begin with the older one as the proof says")
