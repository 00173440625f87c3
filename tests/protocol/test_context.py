import json
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import context, credential, rdf
from protocol.errors import EvidenceError
from protocol.vocabulary import TERMS

OURS = (context.CREDENTIALS_V2, context.CONSENT_V1)


def refused(call, *arguments) -> str:  # type: ignore[no-untyped-def]
    with pytest.raises(EvidenceError) as caught:
        call(*arguments)
    return caught.value.code


@pytest.mark.parametrize("url", context.PINNED)
def test_every_pinned_context_ships_as_pinned(url: str) -> None:
    assert "@context" in context.load(url)


def test_every_file_that_ships_is_pinned() -> None:
    shipped = {entry.name for entry in resources.files("protocol").joinpath("contexts").iterdir()}
    assert {name for name in shipped if name.endswith(".json")} == {name for name, _ in context.PINNED.values()}


@pytest.mark.parametrize(
    "url", ["https://evil.example/v1", "https://www.w3.org/2018/credentials/v1", "", "/etc/passwd"]
)
def test_no_other_context_exists(url: str) -> None:
    assert refused(context.load, url) == "context_unknown"
    assert refused(context.listed, url) == "context_unknown"


@pytest.mark.parametrize("value", [None, 5, {"@vocab": "https://evil.example/"}, [None], [[OURS[0]]]])
def test_inline_and_malformed_contexts_are_refused(value: object) -> None:
    assert refused(context.listed, value) == "context_unknown"
    assert refused(context.check, {"a": [{"@context": value}]}) == "context_unknown"


def test_a_changed_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "PINNED", {"urn:x:changed": ("consent-v1.json", "0" * 64)})
    assert refused(context.load, "urn:x:changed") == "context_unknown"


def test_our_context_defines_every_term_of_the_vocabulary_and_changes_none_of_the_w3c_s() -> None:
    own = context.load(context.CONSENT_V1)["@context"]
    assert own["@protected"] is True
    assert set(own) >= TERMS
    theirs = context.load(context.CREDENTIALS_V2)["@context"]
    assert set(own) & set(theirs) == {"@protected", "id", "type"}
    assert context.terms(OURS) >= TERMS | {"validFrom", "statusListIndex", "proofValue"}


def test_every_term_of_ours_is_signed_under_rdfc() -> None:
    own = context.load(context.CONSENT_V1)["@context"]
    for term in TERMS:
        value = "urn:x:linked" if isinstance(own[term], dict) and own[term].get("@type") == "@id" else "said"
        document = {"@context": list(OURS), "id": "urn:x:1", term: value}
        lines = rdf.canonical(document).decode().splitlines()
        assert len(lines) == 1, term
        assert value in lines[0]


def test_no_two_terms_mean_the_same() -> None:
    own = context.load(context.CONSENT_V1)["@context"]
    meanings = [
        json.dumps(value["@id"] if isinstance(value, dict) else value) for key, value in own.items() if key[0] != "@"
    ]
    assert len(meanings) == len(set(meanings))


@pytest.mark.parametrize(
    "members",
    [
        {"hasConsentt": "x"},
        {"credentialSubject": {"hasConsent": {"Purpose": "x"}}},
        {"credentialSubject": [[{"no such": 1}]]},
        {"dpv:hasPurpose": "x"},
        {"https://w3id.org/dpv#hasPurpose": "x"},
        {"@id": "urn:x:1"},
        {"@value": "x", "id": "urn:x:1"},
        {"type": "NoSuchType"},
        {"credentialSubject": {"type": ["ConsentRecord", "https://w3id.org/dpv#ConsentRecord"]}},
    ],
)
def test_members_and_types_without_a_definition_are_refused(members: dict[str, object]) -> None:
    assert refused(context.check_terms, members, OURS) == "undefined_term"


_ODD = st.sampled_from(["id", "Nope", list(OURS), [OURS[0]], "https://evil.example/v1", 1.5, True, None, (), {}, []])
_NODES: st.SearchStrategy[Any] = st.recursive(
    st.just("ConsentRecord") | _ODD,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["id", "type", "hasConsent", "@context", "@value", "Nope"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["id", "type", "hasConsent", "proof"]), _NODES, max_size=3))
def test_what_is_seen_to_be_known_in_one_passage_has_nothing_to_refuse(members: dict[str, Any]) -> None:
    document = {"@context": list(OURS), **members}
    if context.all_known(document, OURS):
        context.check(document)
        context.check_terms(document, OURS)


@pytest.mark.parametrize(
    "members",
    [
        {"Nope": "x"},
        {"type": "Nope"},
        {"type": ["ConsentRecord", "Nope"]},
        {"hasConsent": {"Nope": "x"}},
        {"hasProcess": [[{"id": {"Nope": "x"}}]]},
        {"hasConsent": {"@context": "https://evil.example/v1"}},
        {"proof": [{"@context": [OURS[0]]}]},
        {"hasConsent": {"@value": "x", "@language": "en"}},
        {"hasConsent": ({"Nope": "x"},)},
    ],
)
def test_what_is_unusual_is_not_seen_to_be_known(members: dict[str, Any]) -> None:
    usual = {"@context": list(OURS), "type": ["VerifiableCredential"], "hasConsent": {"type": "ConsentRecord"}}
    assert context.all_known(usual, OURS)
    assert not context.all_known(usual | members, OURS)


def test_values_with_a_language_are_taken_and_a_stranger_s_key_is_not_repeated() -> None:
    context.check_terms({"name": {"@value": "x", "@language": "en"}, "type": 5}, OURS)
    with pytest.raises(EvidenceError) as caught:
        context.check_terms({"ann@example.com": 1}, OURS)
    assert caught.value.field == "?"
    assert credential.CONSENT_V1 == context.CONSENT_V1
