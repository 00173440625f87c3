"""Many leaves followed to one head: what is remembered accepts nothing that each proof by itself would not."""

import secrets

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit.event_file import Head
from audit.tree import Merkle
from protocol import log
from protocol.errors import EvidenceError


def grown(size: int) -> tuple[list[bytes], bytes, list[tuple[bytes, ...]]]:
    hashes = [log.leaf_hash(n.to_bytes(4, "big")) for n in range(size)]
    levels = [hashes]
    while len(levels[-1]) > 1:
        row = levels[-1]
        levels.append([log.node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)])
    tree = Merkle(size, lambda level, index: levels[level][index])
    return hashes, tree.root(), [tuple(tree.inclusion(index)) for index in range(size)]


def held(check: object, *given: object) -> bool:
    try:
        check(*given)  # type: ignore[operator]
    except EvidenceError:
        return False
    return True


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 300), st.data())
def test_every_leaf_is_followed_and_nothing_else(size: int, data: st.DataObject) -> None:
    hashes, root, proofs = grown(size)
    head = Head(size, root)
    for index in data.draw(st.permutations(range(size))):
        head.verify(hashes[index], index, proofs[index])
    for _ in range(20):
        index, other = (data.draw(st.integers(0, size - 1)) for _ in range(2))
        proof = list(proofs[index])
        match data.draw(st.integers(0, 4)):
            case 0 if proof:
                proof[data.draw(st.integers(0, len(proof) - 1))] = secrets.token_bytes(32)
            case 1 if proof:
                proof.pop(data.draw(st.integers(0, len(proof) - 1)))
            case 2:
                proof.insert(data.draw(st.integers(0, len(proof))), secrets.token_bytes(32))
            case 3:
                proof = list(proofs[other])
            case _:
                index = data.draw(st.integers(-2, size + 2))
        leaf = hashes[other]
        by_itself = held(log.verify_inclusion, leaf, index, size, proof, root)
        assert held(head.verify, leaf, index, tuple(proof)) == by_itself


def test_a_leaf_that_is_none_is_refused_where_all_others_were_followed() -> None:
    hashes, root, proofs = grown(256)
    head = Head(256, root)
    for index, leaf in enumerate(hashes):
        head.verify(leaf, index, proofs[index])
    for index in range(256):
        with pytest.raises(EvidenceError, match="not in the tree"):
            head.verify(secrets.token_bytes(32), index, proofs[index])


def test_what_neighbours_have_in_common_is_hashed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes, root, proofs = grown(1024)
    calls = 0

    def counted(left: bytes, right: bytes) -> bytes:
        nonlocal calls
        calls += 1
        return made(left, right)

    made = log.node_hash
    monkeypatch.setattr(log, "node_hash", counted)
    head = Head(1024, root)
    for index, leaf in enumerate(hashes):
        head.verify(leaf, index, proofs[index])
    assert calls < 4 * 1024  # each by itself: 10
