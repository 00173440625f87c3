"""The tree over stored nodes, against RFC 6962 written down by brute force."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.tree import Merkle
from protocol import log as rfc
from tests.audit import rfc6962


def tree_of(leaves: list[bytes]) -> Merkle:
    def node(level: int, index: int) -> bytes:
        return rfc6962.mth(leaves[index << level : (index + 1) << level])

    return Merkle(len(leaves), node)


sizes = st.integers(1, 70)


@given(sizes, st.data())
def test_roots_and_inclusion_proofs_are_those_of_the_standard(size: int, data: st.DataObject) -> None:
    leaves = [b"%d" % i for i in range(size)]
    index = data.draw(st.integers(0, size - 1))
    tree = tree_of(leaves)
    assert tree.root() == rfc6962.mth(leaves)
    assert tree.inclusion(index) == rfc6962.path(index, leaves)
    rfc.verify_inclusion(rfc.leaf_hash(leaves[index]), index, size, tree.inclusion(index), tree.root())


@given(sizes, st.data())
def test_consistency_proofs_are_those_of_the_standard(size: int, data: st.DataObject) -> None:
    leaves = [b"%d" % i for i in range(size)]
    old = data.draw(st.integers(1, size))
    tree = tree_of(leaves)
    assert tree.consistency(old) == rfc6962.proof(old, leaves)
    rfc.verify_consistency(old, rfc6962.mth(leaves[:old]), size, tree.root(), tree.consistency(old))


def test_an_empty_tree_has_the_hash_of_nothing_and_no_proofs() -> None:
    tree = tree_of([])
    assert tree.root() == rfc6962.mth([])
    with pytest.raises(IndexError):
        tree.inclusion(0)
    with pytest.raises(IndexError):
        tree.consistency(0)
