"""Both cryptosuites sign every member of every credential that the vocabulary can make."""

import copy
from typing import Any

import pytest

from protocol import canonical, credential, proof, rdf
from protocol.did import Keys
from protocol.errors import EvidenceError
from tests.protocol import pieces

EVERY = pieces.every_document()


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where the leaves are, and where the members and items are that can be taken away."""
    if not isinstance(value, (dict, list)):
        return [path]
    steps = value.items() if isinstance(value, dict) else enumerate(value)
    return [path, *(place for step, inner in steps if step != "@context" for place in places(inner, (*path, step)))]


def changes(document: dict[str, Any]) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """The document once with each leaf changed and once with each member or item taken away."""
    made = []
    for path in places(document)[1:]:
        for remove in (False, True):
            changed = copy.deepcopy(document)
            node: Any = changed
            for step in path[:-1]:
                node = node[step]
            leaf = node[path[-1]]
            if remove:
                del node[path[-1]]
            elif isinstance(leaf, (dict, list)):
                continue
            else:
                node[path[-1]] = (not leaf) if isinstance(leaf, bool) else leaf + (1 if isinstance(leaf, int) else "x")
            made.append((path, changed))
    return made


@pytest.mark.parametrize("suite", ["eddsa-jcs-2022", "eddsa-rdfc-2022"])
@pytest.mark.parametrize("type_", EVERY)
def test_it_verifies_under_both_suites(type_: str, suite: str) -> None:
    document, signers = EVERY[type_]
    for signer in signers:
        document = proof.sign(document, signer, created=pieces.AT, suite=suite)
    told = credential.verify(canonical.jcs(document), Keys(), at=pieces.AT, expected_type=type_)
    assert len(told.proofs) == len(signers)


@pytest.mark.parametrize("type_", EVERY)
def test_rdf_drops_and_merges_none_of_its_members(type_: str) -> None:
    document, _ = EVERY[type_]
    whole = rdf.canonical(document)
    for path, changed in changes(document):
        try:
            assert rdf.canonical(changed) != whole, path
        except EvidenceError as error:
            assert error.code in {"undefined_term", "relative_iri"}, path  # noqa: PT017
