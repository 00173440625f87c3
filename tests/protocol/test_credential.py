import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from protocol import canonical, credential, did, proof
from protocol.did import Keys
from protocol.errors import EvidenceError
from protocol.keys import Ed25519Signer

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)
SUBJECT, CONTROLLER, STRANGER = (Ed25519Signer(bytes([n]) * 32) for n in range(3))
KEYS = Keys()
SUITES = ("eddsa-jcs-2022", "eddsa-rdfc-2022")
# The consent of DESIGN.md, word for word but for the identifiers.
CONSENT: dict[str, Any] = {
    "@context": [credential.CREDENTIALS_V2, credential.CONSENT_V1],
    "id": "urn:uuid:8e1f7f6e-9f5c-4a6f-8f0f-1c6a52cf0a01",
    "type": ["VerifiableCredential", "ConsentCredential"],
    "issuer": SUBJECT.did,
    "validFrom": "2026-11-22T08:00:00Z",
    "validUntil": "2027-05-21T08:00:00Z",
    "credentialSubject": {
        "id": SUBJECT.did,
        "hasConsent": {
            "type": "ConsentRecord",
            "hasConsentStatus": "dpv:ConsentGiven",
            "hasDataController": "did:web:crm.example.com",
            "hasProcess": [
                {
                    "hasPurpose": "https://w3id.org/dpv#DirectMarketing",
                    "hasPersonalData": ["contact.email", "contact.given_name"],
                    "hasProcessing": ["dpv:Use"],
                    "hasRecipient": ["did:web:crm.example.com"],
                    "hasJurisdiction": ["CN"],
                    "hasStorageCondition": {"hasDuration": "P180D", "hasLocation": ["CN"]},
                }
            ],
            "hasNotice": {
                "id": "https://crm.example.com/issuer/notices/marketing/3",
                "digestMultibase": "zQmb",
                "language": "zh-CN",
            },
            "ask": {"id": "urn:uuid:0d1f7f6e-9f5c-4a6f-8f0f-1c6a52cf0a01", "digestMultibase": "zQma"},
        },
    },
    "credentialStatus": {
        "id": "https://crm.example.com/issuer/status/7#94567",
        "type": "BitstringStatusListEntry",
        "statusPurpose": "revocation",
        "statusListIndex": "94567",
        "statusListCredential": "https://crm.example.com/issuer/status/7",
    },
}


def changed(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in {**CONSENT, **members}.items() if value is not ...}


def signed(document: dict[str, Any] = CONSENT, by: Ed25519Signer = SUBJECT, **named: Any) -> bytes:
    return canonical.jcs(proof.sign(document, by, created=AT, **named))


def verify(data: bytes, **named: Any) -> credential.VerifiedCredential:
    return credential.verify(data, KEYS, **{"at": AT, "expected_type": "ConsentCredential", **named})


def refused(data: bytes, **named: Any) -> EvidenceError:
    with pytest.raises(EvidenceError) as caught:
        verify(data, **named)
    return caught.value


@pytest.mark.parametrize("suite", SUITES)
def test_a_consent_verifies_under_both_suites(suite: str) -> None:
    before = copy.deepcopy(CONSENT)
    data = signed(suite=suite, challenge="c", domain="d")
    told = verify(data, expected_issuer=SUBJECT.did, expected_challenge="c", expected_domain="d")
    assert before == CONSENT
    assert (told.bytes, told.digest, told.id) == (data, canonical.digest(data), CONSENT["id"])
    assert told.types == {"VerifiableCredential", "ConsentCredential"}
    assert (told.issuer, told.valid_from, told.valid_until) == (SUBJECT.did, AT, AT + timedelta(days=180))
    assert [one.suite for one in told.proofs] == [suite]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [path_ for key, inner in value.items() for path_ in leaves(inner, (*path, key))]
    if isinstance(value, list):
        return [path_ for place, inner in enumerate(value) for path_ in leaves(inner, (*path, place))]
    return [path]


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("path", leaves({k: v for k, v in CONSENT.items() if k != "@context"}), ids=str)
def test_no_member_can_be_changed_or_taken_away(suite: str, path: tuple[Any, ...]) -> None:
    document = canonical.parse(signed(suite=suite))
    node = document
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] += "x"
    assert refused(canonical.jcs(document), expected_type="VerifiableCredential").code
    del node[path[-1]]
    assert refused(canonical.jcs(document), expected_type="VerifiableCredential").code


@pytest.mark.parametrize("suite", SUITES)
def test_no_member_can_be_added(suite: str) -> None:
    document = canonical.parse(signed(suite=suite))
    assert refused(canonical.jcs({**document, "name": "x"})).code == "bad_signature"
    assert refused(canonical.jcs({**document, "extra": "x"})).code == "undefined_term"
    document["credentialSubject"]["hasConsent"]["extra"] = "x"
    assert refused(canonical.jcs(document)).code == "undefined_term"


def test_bytes_that_are_not_canonical_are_read_and_made_so() -> None:
    data = signed()
    told = verify(data.replace(b'":"', b'" :  "') + b"\n")
    assert (told.bytes, told.digest) == (data, canonical.digest(data))


@pytest.mark.parametrize(
    ("at", "code", "field"),
    [
        (AT - timedelta(seconds=1), "not_yet_valid", "validFrom"),
        (AT + timedelta(days=180), "expired", "validUntil"),
        (AT + timedelta(days=900), "expired", "validUntil"),
        (AT - timedelta(days=1), "proof_from_future", "proof.created"),
    ],
)
def test_dates_are_judged_at_the_given_instant(at: datetime, code: str, field: str) -> None:
    error = refused(signed(), at=at)
    assert (error.code, error.field) == (code, field)
    assert verify(signed(), at=at, check_dates=False).valid_from == AT


def test_an_issuers_clock_may_be_ahead_of_ours_but_that_lengthens_nothing() -> None:
    ahead, ends = timedelta(minutes=5), AT + timedelta(days=180)
    assert verify(signed(), at=AT - ahead, ahead=ahead).valid_from == AT
    assert refused(signed(), at=AT - ahead, ahead=ahead - timedelta(seconds=1)).code == "not_yet_valid"
    assert refused(signed(), at=ends, ahead=ahead).code == "expired"


def test_the_last_instant_is_still_valid() -> None:
    assert verify(signed(), at=AT + timedelta(days=180) - timedelta(microseconds=1))


def test_only_the_issuer_s_own_key_speaks_for_the_issuer() -> None:
    assert refused(signed(by=STRANGER)).code == "wrong_issuer"
    assert refused(signed(), expected_issuer=CONTROLLER.did).code == "wrong_issuer"
    with_other = proof.sign(proof.sign(CONSENT, STRANGER, created=AT), SUBJECT, created=AT)
    assert len(verify(canonical.jcs(with_other)).proofs) == 2


def test_a_did_web_issuer_needs_its_pinned_document() -> None:
    web = did.web_did("https://crm.example.com")
    signer = Ed25519Signer(bytes(32), did=web, verification_method=f"{web}#key-1")
    data = signed(changed(issuer=web), by=signer)
    assert refused(data).code == "unknown_key"
    pinned = Keys([did.controller_document(web, assertion_keys={"key-1": signer.public}, services={})])
    assert credential.verify(data, pinned, at=AT, expected_type="ConsentCredential").issuer == web


def test_type_challenge_and_domain_must_be_those_expected() -> None:
    assert refused(signed(), expected_type="EnrolmentCredential").code == "wrong_type"
    data = signed(challenge="c", domain="d")
    assert refused(data, expected_challenge="x").code == "wrong_challenge"
    assert refused(data, expected_domain="x").code == "wrong_domain"
    assert refused(signed(), expected_challenge="c").code == "wrong_challenge"


@pytest.mark.parametrize(
    ("members", "code", "field"),
    [
        ({"@context": ...}, "bad_credential", "@context"),
        ({"@context": credential.CREDENTIALS_V2}, "bad_credential", "@context"),
        ({"@context": []}, "bad_credential", "@context"),
        ({"@context": [credential.CONSENT_V1, credential.CREDENTIALS_V2]}, "bad_credential", "@context"),
        ({"@context": [credential.CREDENTIALS_V2, "https://evil.example/v1"]}, "context_unknown", "@context"),
        ({"@context": [*CONSENT["@context"], {"x": "urn:x"}]}, "context_unknown", "@context"),
        (
            {"@context": [*CONSENT["@context"], "https://www.w3.org/ns/credentials/examples/v2"]},
            "bad_credential",
            "@context",
        ),
        ({"type": ...}, "bad_credential", "type"),
        ({"type": "VerifiableCredential"}, "bad_credential", "type"),
        ({"type": ["ConsentCredential"]}, "bad_credential", "type"),
        ({"type": ["VerifiableCredential", 5]}, "bad_credential", "type"),
        ({"type": ["VerifiableCredential", "NoSuchThing"]}, "undefined_term", "type"),
        ({"id": ...}, "bad_credential", "id"),
        ({"id": "not an iri"}, "bad_credential", "id"),
        ({"id": 5}, "bad_credential", "id"),
        ({"issuer": ...}, "bad_credential", "issuer"),
        ({"issuer": "me"}, "bad_credential", "issuer"),
        ({"issuer": {}}, "bad_credential", "issuer"),
        ({"issuer": {"id": SUBJECT.did}}, "bad_credential", "issuer"),
        ({"issuer": "https://example.com/me"}, "bad_credential", "issuer"),
        ({"validFrom": ...}, "bad_credential", "validFrom"),
        ({"validFrom": "2026-11-22"}, "bad_datetime", "validFrom"),
        ({"validUntil": ["2027-05-21T08:00:00Z"]}, "bad_datetime", "validUntil"),
        ({"validUntil": "2026-11-21T08:00:00Z"}, "bad_credential", "validUntil"),
        ({"credentialSubject": ...}, "bad_credential", "credentialSubject"),
        ({"credentialSubject": []}, "bad_credential", "credentialSubject"),
        ({"credentialSubject": {}}, "bad_credential", "credentialSubject"),
        ({"credentialSubject": [CONSENT["credentialSubject"]]}, "bad_credential", "credentialSubject"),
        ({"credentialSubject": {"id": "me"}}, "bad_credential", "credentialSubject.id"),
        ({"credentialStatus": "x"}, "bad_credential", "credentialStatus.type"),
        ({"credentialStatus": {"id": "urn:x:1"}}, "bad_credential", "credentialStatus.type"),
        ({"credentialStatus": {"type": []}}, "bad_credential", "credentialStatus.type"),
        (
            {"credentialStatus": [{"type": "BitstringStatusListEntry", "id": "x"}]},
            "bad_credential",
            "credentialStatus.id",
        ),
        ({"evidence": [5]}, "bad_credential", "evidence.type"),
        ({"secret": 1}, "undefined_term", "secret"),
    ],
)
def test_a_malformed_credential_is_refused_naming_the_member(members: dict[str, Any], code: str, field: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        credential.check(changed(**members))
    assert (caught.value.code, caught.value.field) == (code, field)


def test_a_proof_over_fewer_contexts_than_ours_is_refused() -> None:
    plain = proof.sign(changed(**{"@context": [credential.CREDENTIALS_V2]}), SUBJECT, created=AT)
    assert refused(canonical.jcs({**plain, "@context": CONSENT["@context"]})).code == "bad_proof"


def test_an_rdf_spelling_of_the_end_date_does_not_hide_it() -> None:
    """The same triples, signature and all, in other words: without the end that a reader of the JSON looks for."""
    document = canonical.parse(signed(suite=SUITES[1]))
    end = document.pop("validUntil")
    hidden = {"@value": end, "@type": "http://www.w3.org/2001/XMLSchema#dateTime"}
    for name in ("https://www.w3.org/2018/credentials#validUntil", "cred:validUntil"):
        assert refused(canonical.jcs({**document, name: hidden})).code == "undefined_term"


def test_credentials_of_other_vocabularies_may_be_looser() -> None:
    other = {
        "@context": [credential.CREDENTIALS_V2],
        "type": ["VerifiableCredential"],
        "issuer": {"id": SUBJECT.did, "name": "me"},
        "credentialSubject": [{"id": "urn:x:1"}, {"name": "x"}],
        "credentialSchema": {"id": "urn:x:schema", "type": ["JsonSchema"]},
    }
    told = verify(signed(other), expected_type="VerifiableCredential")
    assert (told.id, told.valid_from, told.valid_until) == ("", AT, None)


@pytest.mark.parametrize("data", [b"", b"[]", b'{"a":1,"a":1}', b'{"a":NaN}', b"{" * 9000, b" " * 70000])
def test_what_is_not_strict_json_is_no_credential(data: bytes) -> None:
    assert refused(data).code in {"bad_json", "not_an_object", "duplicate_key", "bad_number", "too_deep", "too_large"}
