"""Merkle proofs against RFC 6962 word for word, for every size and place."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol import log
from protocol.errors import EvidenceError


def mth(data: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, as it is written there."""
    if not data:
        return hashlib.sha256().digest()
    if len(data) == 1:
        return hashlib.sha256(b"\x00" + data[0]).digest()
    k = split(len(data))
    return hashlib.sha256(b"\x01" + mth(data[:k]) + mth(data[k:])).digest()


def path(m: int, data: list[bytes]) -> list[bytes]:
    if len(data) == 1:
        return []
    k = split(len(data))
    return [*path(m, data[:k]), mth(data[k:])] if m < k else [*path(m - k, data[k:]), mth(data[:k])]


def subproof(m: int, data: list[bytes], b: bool) -> list[bytes]:
    if m == len(data):
        return [] if b else [mth(data)]
    k = split(len(data))
    if m <= k:
        return [*subproof(m, data[:k], b), mth(data[k:])]
    return [*subproof(m - k, data[k:], False), mth(data[:k])]


def split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def leaves(n: int) -> tuple[list[bytes], list[bytes]]:
    data = [b"leaf %d" % i for i in range(n)]
    return data, [log.leaf_hash(one) for one in data]


def test_the_known_roots_of_certificate_transparency() -> None:
    data = [
        bytes.fromhex(x)
        for x in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
    ]
    hashes = [log.leaf_hash(one) for one in data]
    assert log.root([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert log.root(hashes[:1]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert log.root(hashes).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@pytest.mark.parametrize("n", [*range(1, 35), 255, 256, 257, 300])
def test_proofs_are_those_of_the_standard(n: int) -> None:
    data, hashes = leaves(n)
    assert log.root(hashes) == mth(data)
    for i in range(0, n, max(1, n // 17)):
        proof = log.inclusion(hashes, i)
        assert proof == path(i, data)
        log.verify_inclusion(hashes[i], i, n, proof, log.root(hashes))
    for m in range(1, n + 1, max(1, n // 17)):
        proof = log.consistency(m, hashes)
        assert proof == subproof(m, data, True)
        log.verify_consistency(m, log.root(hashes[:m]), n, log.root(hashes), proof)
    log.verify_consistency(0, log.root([]), n, log.root(hashes), log.consistency(0, hashes))


@settings(max_examples=300)
@given(st.integers(1, 70), st.data())
def test_an_inclusion_proof_fits_nothing_else(n: int, data: st.DataObject) -> None:
    _, hashes = leaves(n)
    i, j = data.draw(st.integers(0, n - 1)), data.draw(st.integers(0, n + 3))
    size = data.draw(st.integers(0, n + 3))
    proof, root = log.inclusion(hashes, i), log.root(hashes)
    attacks = [
        (hashes[i], j, size, proof, root),
        (log.leaf_hash(b"other"), i, n, proof, root),
        (hashes[i], i, n, [*proof, root], root),
        (hashes[i], i, n, proof[:-1], root),
        (hashes[i], i, n, proof, log.leaf_hash(b"other")),
        (hashes[i], i, n, [one[:-1] for one in proof] or [b""], root),
        (hashes[i], -1, n, proof, root),
    ]
    for leaf, at, of, told, top in attacks:
        if (leaf, at, of, told, top) == (hashes[i], i, n, proof, root):
            continue
        # places whose path has the same shape are told apart by the size, which a checkpoint signs with the root
        same = 0 <= at < of and path_shape(at, of) == path_shape(i, n)
        if same and (leaf, told, top) == (hashes[i], proof, root):
            continue
        with pytest.raises(EvidenceError) as caught:
            log.verify_inclusion(leaf, at, of, told, top)
        assert caught.value.code == "bad_inclusion_proof"


def path_shape(i: int, n: int) -> list[str] | None:
    if i >= n:
        return None
    if n == 1:
        return []
    k = split(n)
    left = path_shape(i, k) if i < k else path_shape(i - k, n - k)
    return None if left is None else [*left, "right" if i < k else "left"]


@settings(max_examples=300)
@given(st.integers(1, 70), st.data())
def test_a_consistency_proof_of_a_changed_past_is_refused(n: int, data: st.DataObject) -> None:
    _, hashes = leaves(n)
    m = data.draw(st.integers(1, n))
    rewritten = [*hashes]
    rewritten[data.draw(st.integers(0, m - 1))] = log.leaf_hash(b"rewritten")
    old, new, proof = log.root(hashes[:m]), log.root(rewritten), log.consistency(m, rewritten)
    attacks = [
        (m, old, n, new, proof),
        (m, old, n, log.root(hashes), [*log.consistency(m, hashes), old]),
        (n + 1, old, n, new, proof),
        (m, old, n, log.root(hashes), [b"short", *log.consistency(m, hashes)]),
        (0, old, n, new, []),
    ]
    if m < n:
        attacks += [
            (m, old, n, log.root(hashes), []),
            (m, old, n, log.root(hashes), log.consistency(m, hashes)[:-1]),
            (m, log.root(rewritten[:m]), n, log.root(hashes), log.consistency(m, hashes)),
        ]
    for attack in attacks:
        with pytest.raises(EvidenceError) as caught:
            log.verify_consistency(*attack)
        assert caught.value.code == "bad_consistency_proof"


def test_indices_beyond_the_end_are_mistakes_of_the_caller() -> None:
    for call in (lambda: log.inclusion([], 0), lambda: log.consistency(1, []), lambda: log.consistency(-1, [])):
        with pytest.raises(IndexError):
            call()


@pytest.mark.parametrize(
    ("level", "number", "width", "expected"),
    [
        (0, 0, 256, "tile/0/000"),
        (0, 5, 70, "tile/0/005.p/70"),
        (1, 1234067, 256, "tile/1/x001/x234/067"),
        (None, 1000, 256, "tile/entries/x001/000"),
        (None, 0, 1, "tile/entries/000.p/1"),
    ],
)
def test_tiles_lie_where_tlog_tiles_says(level: int | None, number: int, width: int, expected: str) -> None:
    assert log.tile_path(level, number, width) == expected


@pytest.mark.parametrize(("level", "number", "width"), [(0, 0, 0), (0, 0, 257), (0, -1, 1), (64, 0, 1), (-1, 0, 1)])
def test_there_are_no_other_tiles(level: int, number: int, width: int) -> None:
    with pytest.raises(ValueError, match="tile"):
        log.tile_path(level, number, width)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_bundles_read_back(entries: list[bytes]) -> None:
    assert log.read_bundle(log.entry_bundle(entries)) == entries


def test_a_bundle_that_is_not_whole_is_refused() -> None:
    whole = log.entry_bundle([b"abc", b"de"])
    for cut in (1, 3, len(whole) - 1):
        with pytest.raises(EvidenceError):
            log.read_bundle(whole[:cut])
    with pytest.raises(EvidenceError):
        log.read_bundle(b"\x00\x00" * 257)
    with pytest.raises(ValueError, match="too"):
        log.entry_bundle([bytes(65536)])


def test_the_small_tree_hides_its_other_records() -> None:
    commitments = [log.record_commitment(bytes([i]) * 32, b"same body") for i in range(5)]
    assert len(set(commitments)) == 5
    root = log.tree(commitments)
    for i, one in enumerate(commitments):
        log.verify_path(one, i, 5, log.path(commitments, i), root)
    with pytest.raises(EvidenceError):
        log.verify_path(commitments[0], 1, 5, log.path(commitments, 1), root)
    with pytest.raises(ValueError, match="salt"):
        log.record_commitment(b"short", b"body")


def test_links_bind_number_past_and_record() -> None:
    one, other = log.leaf_hash(b"1"), log.leaf_hash(b"2")
    links = {log.chain_link(0, one, other), log.chain_link(1, one, other), log.chain_link(0, other, one)}
    assert len(links) == 3
    with pytest.raises(ValueError, match="32"):
        log.chain_link(0, b"", other)


def test_a_leaf_is_canonical() -> None:
    root = b"A" * 43 + b"="
    expected = b'{"root":"%s","time":"2026-11-22T08:00:00.123Z","type":"release","v":1}' % root
    assert log.leaf_bytes("release", "2026-11-22T08:00:00.123Z", bytes(32)) == expected
