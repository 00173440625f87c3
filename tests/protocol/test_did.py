import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import did, multibase
from protocol.did import Did, Keys
from protocol.errors import EvidenceError
from protocol.keys import Ed25519Signer

SIGNER = Ed25519Signer(bytes(range(32)))
WEB = did.web_did("http://localhost:8700")
DOCUMENT = did.controller_document(
    WEB, assertion_keys={"key-1": SIGNER.public}, services={"FieldgrantIssuer": "http://localhost:8700"}
)


@given(st.binary(min_size=32, max_size=32))
def test_a_did_key_carries_its_key(public: bytes) -> None:
    name = did.key_did(public)
    assert name.startswith("did:key:z6Mk")
    assert did.public_of(name) == public
    assert did.public_of(f"{name}#{did.multikey(public)}") == public


def refused(call, *arguments, **named) -> str:  # type: ignore[no-untyped-def]
    with pytest.raises(EvidenceError) as caught:
        call(*arguments, **named)
    return caught.value.code


X25519 = "z" + multibase.encode(b"\xec\x01" + bytes(32))[1:]
SHORT = multibase.encode(b"\xed\x01" + bytes(31))
LONG = multibase.encode(b"\xed\x01" + bytes(33))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("did:key:" + X25519, "unsupported_did"),
        ("did:key:zDnaegE6RR3atJtHKwTRTWHsJ3kNHqFwv7n9YjTgmU7TyfU76", "bad_did"),
        ("did:key:" + SHORT, "bad_did"),
        ("did:key:" + LONG, "bad_did"),
        ("did:key:" + SIGNER.did[8:] + " ", "bad_did"),
        ("did:key:" + SIGNER.did[9:], "bad_did"),
        ("did:key:u" + SIGNER.did[9:], "bad_did"),
        ("did:key:z0OIl", "bad_did"),
        ("did:key:z", "bad_did"),
        ("did:key:z" + "2" * 5000, "bad_did"),
        (SIGNER.did + "#", "bad_did"),
        (SIGNER.did + "#" + Ed25519Signer.generate().did[8:], "bad_did"),
        ("did:web:example.com", "unsupported_did"),
        ("did:ion:abc", "unsupported_did"),
        ("", "unsupported_did"),
    ],
)
def test_what_is_no_ed25519_did_key_is_refused(text: str, code: str) -> None:
    assert refused(did.public_of, text) == code


def test_every_other_spelling_of_a_key_is_another_key() -> None:
    text = SIGNER.did[8:]
    for place in range(1, len(text)):
        for other in "1z":
            changed = text[:place] + other + text[place + 1 :]
            if changed != text:
                try:
                    assert did.public_of("did:key:" + changed) != SIGNER.public
                except EvidenceError as error:
                    assert error.code in {"bad_did", "unsupported_did"}  # noqa: PT017


def test_a_public_key_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="32"):
        did.multikey(bytes(31))


@pytest.mark.parametrize(
    ("url", "name", "document"),
    [
        ("http://localhost:8700", "did:web:localhost%3A8700", "http://localhost:8700/.well-known/did.json"),
        ("http://127.0.0.1:1/", "did:web:127.0.0.1%3A1", "http://127.0.0.1:1/.well-known/did.json"),
        ("https://CRM.example.com", "did:web:crm.example.com", "https://crm.example.com/.well-known/did.json"),
        ("https://crm.example.com/a/b", "did:web:crm.example.com:a:b", "https://crm.example.com/a/b/did.json"),
    ],
)
def test_a_did_web_is_made_from_a_url_and_leads_to_its_document(url: str, name: str, document: str) -> None:
    assert did.web_did(url) == name
    assert did.web_document_url(Did(name)) == document
    assert did.check(name) == name


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com",
        "example.com",
        "https://user@example.com",
        "https://example.com?x",
        "https://example.com#x",
        "https://example.com/a b",
        "https://[::1]/",
        "https://",
    ],
)
def test_a_url_that_did_web_cannot_carry_is_refused(url: str) -> None:
    assert refused(did.web_did, url) == "bad_did"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("did:web:", "bad_did"),
        ("did:web:example.com%2Fevil", "bad_did"),
        ("did:web:user%40example.com", "bad_did"),
        ("did:web:example.com:..", "bad_did"),
        ("did:web:example.com::a", "bad_did"),
        ("did:web:example.com:a/b", "bad_did"),
        ("did:key:z6Mk", "unsupported_did"),
    ],
)
def test_a_did_web_that_leads_elsewhere_is_refused(name: str, code: str) -> None:
    assert refused(did.web_document_url, Did(name)) == code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, "bad_did"),
        ("did:key", "bad_did"),
        ("DID:key:z6Mk", "bad_did"),
        ("did:web:a\n", "bad_did"),
        ("did:web:" + "a" * 600, "bad_did"),
        ("did:ion:abc", "unsupported_did"),
        ("did:key:zzz", "bad_did"),
    ],
)
def test_only_dids_of_known_methods_pass(text: object, code: str) -> None:
    assert refused(did.check, text) == code


def test_a_did_key_passes() -> None:
    assert did.check(SIGNER.did) == SIGNER.did


def test_a_controller_document_tells_keys_and_services() -> None:
    assert DOCUMENT["verificationMethod"][0]["publicKeyMultibase"] == did.multikey(SIGNER.public)
    assert did.service_endpoint(DOCUMENT, "FieldgrantIssuer") == "http://localhost:8700"
    assert refused(did.service_endpoint, DOCUMENT, "FieldgrantCrm") == "no_service"
    for broken in ({}, {"service": 3}, {"service": [3, {"type": "X", "serviceEndpoint": "file:///etc/passwd"}]}):
        assert refused(did.service_endpoint, broken, "X") == "no_service"


def test_pinned_keys_are_found_for_their_purpose_alone() -> None:
    document = {**DOCUMENT, "authentication": []}
    keys = Keys([document])
    assert keys.public(f"{WEB}#key-1") == SIGNER.public
    assert refused(keys.public, f"{WEB}#key-1", purpose="authentication") == "key_not_for_purpose"
    assert refused(keys.public, f"{WEB}#key-2") == "unknown_key"
    assert refused(keys.public, "did:web:evil.example#key-1") == "unknown_key"
    assert refused(keys.public, "https://crm.example.com/key") == "unsupported_did"


def test_a_did_key_needs_no_document() -> None:
    keys = Keys()
    assert keys.public(SIGNER.verification_method) == SIGNER.public
    assert refused(keys.public, SIGNER.did) == "bad_did"
    assert refused(keys.public, SIGNER.verification_method, purpose="keyAgreement") == "key_not_for_purpose"


METHOD = DOCUMENT["verificationMethod"][0]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"id": None}, "bad_did_document"),
        ({"verificationMethod": {}}, "bad_did_document"),
        ({"assertionMethod": "x"}, "bad_did_document"),
        ({"verificationMethod": [{**METHOD, "id": "did:web:other.example#key-1"}]}, "bad_did_document"),
        ({"verificationMethod": [{**METHOD, "controller": "did:web:other.example"}]}, "bad_did_document"),
        ({"verificationMethod": [METHOD, METHOD]}, "bad_did_document"),
        ({"verificationMethod": [{**METHOD, "publicKeyMultibase": 5}]}, "bad_did_document"),
        ({"verificationMethod": [{**METHOD, "publicKeyMultibase": "z"}]}, "bad_key"),
        ({"verificationMethod": [{**METHOD, "publicKeyMultibase": X25519}]}, "unsupported_key"),
    ],
)
def test_a_document_that_claims_what_is_not_its_own_is_refused(change: dict[str, object], code: str) -> None:
    assert refused(Keys, [{**DOCUMENT, **change}]) == code


def test_keys_of_other_kinds_are_passed_over() -> None:
    keys = Keys([{**DOCUMENT, "verificationMethod": ["x", {**METHOD, "type": "JsonWebKey"}]}])
    assert refused(keys.public, METHOD["id"]) == "unknown_key"


def test_a_signer_shows_no_secret_and_is_of_its_did() -> None:
    seed = secrets.token_bytes(32)
    signer = Ed25519Signer(seed)
    assert seed.hex() not in repr(signer)
    assert signer.did in repr(signer)
    assert Ed25519Signer(seed, did=WEB).verification_method == f"{WEB}#{did.multikey(signer.public)}"
    with pytest.raises(ValueError, match="verification method"):
        Ed25519Signer(seed, did=WEB, verification_method="did:web:other#key-1")
