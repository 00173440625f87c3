import copy
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol import canonical, did, multibase, proof
from protocol.did import Keys
from protocol.errors import EvidenceError
from protocol.keys import Ed25519Signer

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)
V2 = "https://www.w3.org/ns/credentials/v2"
EXAMPLES = "https://www.w3.org/ns/credentials/examples/v2"
SIGNER = Ed25519Signer(bytes(32))
OTHER = Ed25519Signer(b"\x01" * 32)
KEYS = Keys()
SUITES = ("eddsa-jcs-2022", "eddsa-rdfc-2022")
DOCUMENT: dict[str, Any] = {
    "@context": [V2, EXAMPLES],
    "id": "urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33",
    "type": ["VerifiableCredential"],
    "issuer": SIGNER.did,
    "credentialSubject": {"id": "did:example:a", "word": "same"},
}


def signed(suite: str = SUITES[0], **named: Any) -> dict[str, Any]:
    return proof.sign(DOCUMENT, SIGNER, created=AT, suite=suite, **named)


def with_proof(document: dict[str, Any], **changes: Any) -> dict[str, Any]:
    changed = {**document["proof"], **changes}
    return {**document, "proof": {name: value for name, value in changed.items() if value is not ...}}


def refused(document: Any, **named: Any) -> str:
    with pytest.raises(EvidenceError) as caught:
        proof.verify(document, KEYS, **named)
    return caught.value.code


@pytest.mark.parametrize("suite", SUITES)
def test_signing_and_verifying_leave_the_document_as_it_was(suite: str) -> None:
    before = copy.deepcopy(DOCUMENT)
    document = signed(suite, challenge="c", domain="d")
    kept = copy.deepcopy(document)
    (told,) = proof.verify(document, KEYS, expected_challenge="c", expected_domain="d", at=AT)
    assert before == DOCUMENT
    assert kept == document
    assert told == proof.VerifiedProof(
        verification_method=SIGNER.verification_method,
        did=SIGNER.did,
        created=AT,
        purpose="assertionMethod",
        suite=suite,
        challenge="c",
        domain="d",
    )


members = st.dictionaries(
    st.text(st.characters(codec="ascii", categories=("Ll",)), min_size=1, max_size=8),
    st.text(max_size=20) | st.integers(-(2**40), 2**40) | st.booleans() | st.lists(st.text(max_size=5), max_size=3),
    max_size=5,
)


@given(members)
def test_whatever_is_signed_with_jcs_verifies(said: dict[str, Any]) -> None:
    document = {key: value for key, value in {**DOCUMENT, **said}.items() if key != "proof"}
    assert proof.verify(proof.sign(document, SIGNER, created=AT), KEYS)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(st.from_regex(r"w[a-z]{1,6}", fullmatch=True), st.text(max_size=20) | st.integers(0, 99)))
def test_whatever_is_signed_with_rdfc_verifies(said: dict[str, Any]) -> None:
    document = {**DOCUMENT, "credentialSubject": {"id": "did:example:a", **said}}
    assert proof.verify(proof.sign(document, SIGNER, created=AT, suite=SUITES[1]), KEYS)


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"type": "Ed25519Signature2020"}, "unsupported_suite"),
        ({"cryptosuite": "ecdsa-jcs-2019"}, "unsupported_suite"),
        ({"cryptosuite": ...}, "bad_proof"),
        ({"proofValue": 5}, "bad_proof"),
        ({"proofValue": "z"}, "bad_signature"),
        ({"proofValue": "u" + "A" * 86}, "bad_signature"),
        ({"proofValue": multibase.encode(bytes(63))}, "bad_signature"),
        ({"proofValue": multibase.encode(bytes(64))}, "bad_signature"),
        ({"verificationMethod": OTHER.verification_method}, "bad_signature"),
        ({"verificationMethod": SIGNER.did}, "bad_did"),
        ({"verificationMethod": f"{SIGNER.did}#key-1"}, "bad_did"),
        ({"verificationMethod": "did:web:crm.example.com#key-1"}, "unknown_key"),
        ({"verificationMethod": "did:ion:a#b"}, "unsupported_did"),
        ({"created": ...}, "bad_datetime"),
        ({"created": "yesterday"}, "bad_datetime"),
        ({"created": "2026-11-22T08:00:01Z"}, "bad_signature"),
        ({"created": "2026-11-22T08:05:01Z"}, "proof_from_future"),
        ({"expires": "2026-11-22T08:00:00Z"}, "proof_expired"),
        ({"expires": "2026-11-22T09:00:00Z"}, "bad_signature"),
        ({"expires": 5}, "bad_datetime"),
        ({"proofPurpose": "authentication"}, "wrong_purpose"),
        ({"challenge": "x"}, "bad_signature"),
        ({"challenge": 5}, "bad_proof"),
        ({"domain": ["a"]}, "bad_proof"),
        ({"nonce": "x"}, "bad_signature"),
        ({"id": "urn:x:1"}, "bad_signature"),
        ({"proofResult": "ok"}, "bad_proof"),
        ({"previousProof": "urn:x:1"}, "bad_proof"),
        ({"previousProof": []}, "bad_proof"),
        ({"previousProof": [5]}, "bad_proof"),
        ({"@context": [V2, "https://evil.example/context"]}, "context_unknown"),
        ({"@context": [EXAMPLES]}, "bad_proof"),
        ({"@context": {"@vocab": "https://evil.example/"}}, "context_unknown"),
    ],
)
def test_a_changed_proof_is_refused_with_its_code(suite: str, change: dict[str, Any], code: str) -> None:
    assert refused(with_proof(signed(suite), **change), at=AT) == code


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize(
    "change",
    [
        {"id": "urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc34"},
        {"issuer": OTHER.did},
        {"credentialSubject": {"id": "did:example:a", "word": "another"}},
        {"credentialSubject": {"id": "did:example:a", "word": "same", "more": 1}},
        {"name": "added"},
        {"@context": [V2]},
    ],
)
def test_a_changed_document_is_refused(suite: str, change: dict[str, Any]) -> None:
    assert refused({**signed(suite), **change}) in {"bad_signature", "bad_proof", "undefined_term"}


@pytest.mark.parametrize("value", [..., None, []])
def test_a_document_without_a_proof_is_refused(value: Any) -> None:
    document = DOCUMENT if value is ... else {**DOCUMENT, "proof": value}
    assert refused(document) == "no_proof"


@pytest.mark.parametrize("value", ["x", 5, [5], [[]], [{}], {}, [{"type": "DataIntegrityProof"}]])
def test_what_is_no_proof_is_refused(value: Any) -> None:
    assert refused({**DOCUMENT, "proof": value}) == "bad_proof"


def test_too_many_proofs_are_refused_before_any_is_verified() -> None:
    document = signed()
    assert refused({**document, "proof": [document["proof"]] * 9}) == "bad_proof"


@pytest.mark.parametrize("name", ["challenge", "domain"])
def test_what_is_expected_must_be_there_and_equal(name: str) -> None:
    expected = {f"expected_{name}": "right"}
    assert refused(signed(), **expected) == f"wrong_{name}"
    assert refused(signed(**{name: "wrong"}), **expected) == f"wrong_{name}"
    assert proof.verify(signed(**{name: "right"}), KEYS, **expected)


@pytest.mark.parametrize("suite", SUITES)
def test_in_a_set_every_proof_must_verify(suite: str) -> None:
    both = proof.sign(signed(), OTHER, created=AT, suite=suite)
    assert [one.did for one in proof.verify(both, KEYS)] == [SIGNER.did, OTHER.did]
    spoilt = {**both, "proof": [both["proof"][0], {**both["proof"][1], "created": "2026-11-22T07:00:00Z"}]}
    assert refused(spoilt) == "bad_signature"
    three = proof.sign(both, SIGNER, created=AT)
    assert len(proof.verify(three, KEYS)) == 3


def chain() -> dict[str, Any]:
    """A JCS chain: the second proof signs the first."""
    document = signed()
    first = {**document["proof"], "id": "urn:x:first"}
    config = {name: value for name, value in first.items() if name != "proofValue"}

    def seal(signer: Ed25519Signer, options: dict[str, Any], secured: dict[str, Any]) -> dict[str, Any]:
        data = hashlib.sha256(canonical.jcs(options)).digest() + hashlib.sha256(canonical.jcs(secured)).digest()
        return {**options, "proofValue": multibase.encode(signer.sign(data))}

    first = seal(SIGNER, config, DOCUMENT)
    options = {
        **config,
        "id": "urn:x:second",
        "verificationMethod": OTHER.verification_method,
        "previousProof": "urn:x:first",
    }
    return {**DOCUMENT, "proof": [first, seal(OTHER, options, {**DOCUMENT, "proof": [first]})]}


def test_a_chain_holds_only_with_the_proof_that_it_follows() -> None:
    document = chain()
    assert len(proof.verify(document, KEYS)) == 2
    first, second = document["proof"]
    again = proof.sign(DOCUMENT, SIGNER, created=AT - timedelta(days=1))["proof"]
    assert refused({**document, "proof": second}) == "bad_proof"
    assert refused({**document, "proof": [again, second]}) == "bad_proof"
    assert refused({**document, "proof": [first, first, second]}) == "bad_proof"
    assert refused({**document, "proof": [{**again, "id": "urn:x:first"}, second]}) == "bad_signature"
    loose = {name: value for name, value in second.items() if name != "previousProof"}
    assert refused({**document, "proof": [first, loose]}) == "bad_signature"


def test_a_jcs_proof_may_cover_the_first_contexts_alone() -> None:
    document = proof.sign({**DOCUMENT, "@context": [V2]}, SIGNER, created=AT)
    assert proof.verify({**document, "@context": [V2, EXAMPLES]}, KEYS)
    assert refused({**document, "@context": [EXAMPLES]}) == "bad_proof"
    assert refused({**document, "@context": EXAMPLES}) == "bad_proof"
    alone = proof.sign({**DOCUMENT, "@context": V2}, SIGNER, created=AT)
    assert alone["proof"]["@context"] == V2
    assert proof.verify({**alone, "@context": [V2, EXAMPLES]}, KEYS)


def test_a_document_without_contexts_is_signed_as_plain_json() -> None:
    document = proof.sign({"a": 1}, SIGNER, created=AT)
    assert "@context" not in document["proof"]
    assert proof.verify(document, KEYS)


def test_an_rdfc_proof_may_repeat_its_document_s_context() -> None:
    document = signed(SUITES[1])
    assert proof.verify(with_proof(document, **{"@context": DOCUMENT["@context"]}), KEYS)
    assert refused(with_proof(document, **{"@context": [V2]})) == "bad_proof"


def test_another_suite_is_not_signed() -> None:
    with pytest.raises(EvidenceError) as caught:
        signed("ecdsa-rdfc-2019")
    assert caught.value.code == "unsupported_suite"


def test_a_key_of_the_controller_signs_for_its_purpose_alone() -> None:
    web = did.web_did("https://crm.example.com")
    signer = Ed25519Signer(bytes(32), did=web, verification_method=f"{web}#key-1")
    document = did.controller_document(web, assertion_keys={"key-1": signer.public}, services={})
    pinned = Keys([{**document, "authentication": []}])
    (told,) = proof.verify(proof.sign(DOCUMENT, signer, created=AT), pinned)
    assert told.did == web
    login = proof.sign(DOCUMENT, signer, created=AT, purpose="authentication")
    with pytest.raises(EvidenceError) as caught:
        proof.verify(login, pinned, purpose="authentication")
    assert caught.value.code == "key_not_for_purpose"
