import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from protocol import canonical, presentation, proof
from protocol.context import CREDENTIALS_V2
from protocol.did import Keys
from protocol.errors import EvidenceError
from protocol.keys import Ed25519Signer

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)
HOLDER, ISSUER, THIEF = (Ed25519Signer(bytes([n]) * 32) for n in range(3))
KEYS = Keys()


def held(**members: Any) -> dict[str, Any]:
    document = {
        "@context": [CREDENTIALS_V2],
        "id": "urn:uuid:1",
        "type": ["VerifiableCredential"],
        "issuer": ISSUER.did,
        "validUntil": "2026-12-01T00:00:00Z",
        "credentialSubject": {"id": HOLDER.did},
        **members,
    }
    return proof.sign(document, ISSUER, created=AT)


def presented(*credentials: dict[str, Any], **named: Any) -> dict[str, Any]:
    return presentation.present(credentials, HOLDER, **{"challenge": "c", "domain": "d", "created": AT, **named})


def verify(document: Any, **named: Any) -> presentation.VerifiedPresentation:
    expected = {"expected_challenge": "c", "expected_domain": "d", "at": AT}
    return presentation.verify(document, KEYS, **{**expected, **named})


def refused(document: Any, **named: Any) -> EvidenceError:
    with pytest.raises(EvidenceError) as caught:
        verify(document, **named)
    return caught.value


def test_control_of_a_did_is_shown_without_credentials() -> None:
    document = presented()
    before = copy.deepcopy(document)
    told = verify(document)
    assert document == before
    assert (told.holder, told.credentials, told.document) == (HOLDER.did, (), document)
    assert told.bytes == canonical.jcs(document)
    assert told.digest == canonical.digest(told.bytes)
    assert verify(told.bytes) == told


def test_credentials_come_verified() -> None:
    told = verify(presented(held(), held(id="urn:uuid:2")))
    assert [one.id for one in told.credentials] == ["urn:uuid:1", "urn:uuid:2"]
    assert {one.issuer for one in told.credentials} == {ISSUER.did}


def test_a_single_credential_may_stand_alone() -> None:
    document = {
        "@context": [CREDENTIALS_V2],
        "type": "VerifiablePresentation",
        "holder": HOLDER.did,
        "verifiableCredential": held(),
    }
    signed = proof.sign(
        document, HOLDER, created=AT, purpose="authentication", challenge="c", domain="d", suite="eddsa-rdfc-2022"
    )
    assert len(verify(signed).credentials) == 1


def test_a_bad_credential_spoils_the_presentation() -> None:
    assert refused(presented({**held(), "name": "x"})).code == "bad_signature"
    assert refused(presented(held()), at=AT + timedelta(days=30)).code == "expired"
    assert refused(presented({"type": ["VerifiableCredential"]})).code == "bad_credential"


def test_a_presentation_is_good_for_its_challenge_and_domain_alone() -> None:
    assert refused(presented(challenge="x")).code == "wrong_challenge"
    assert refused(presented(domain="x")).code == "wrong_domain"
    loose = proof.sign(unsigned(), HOLDER, created=AT, purpose="authentication")
    assert refused(loose).code == "wrong_challenge"


def unsigned(**members: Any) -> dict[str, Any]:
    document = {"@context": [CREDENTIALS_V2], "type": ["VerifiablePresentation"], "holder": HOLDER.did, **members}
    return {name: value for name, value in document.items() if value is not ...}


def sealed(by: Ed25519Signer = HOLDER, purpose: str = "authentication", **members: Any) -> dict[str, Any]:
    return proof.sign(unsigned(**members), by, created=AT, purpose=purpose, challenge="c", domain="d")


def test_only_the_holder_presents() -> None:
    assert refused(sealed(by=THIEF)).code == "wrong_holder"
    both = proof.sign(sealed(), THIEF, created=AT, purpose="authentication", challenge="c", domain="d")
    assert refused(both).code == "wrong_holder"


def test_a_proof_for_assertions_is_no_presentation() -> None:
    assert refused(sealed(purpose="assertionMethod")).code == "wrong_purpose"
    assert refused(unsigned()).code == "no_proof"


@pytest.mark.parametrize(
    ("members", "code", "field"),
    [
        ({"extra": 1}, "bad_presentation", None),
        ({"@context": ...}, "bad_presentation", "@context"),
        ({"@context": CREDENTIALS_V2}, "bad_presentation", "@context"),
        ({"@context": [CREDENTIALS_V2, "https://evil.example/v1"]}, "context_unknown", "@context"),
        ({"type": ["VerifiableCredential"]}, "bad_presentation", "type"),
        ({"holder": ...}, "bad_presentation", "holder"),
        ({"holder": {"id": HOLDER.did}}, "bad_presentation", "holder"),
        ({"holder": "me"}, "bad_presentation", "holder"),
        ({"id": 5}, "bad_presentation", "id"),
        ({"verifiableCredential": "x"}, "bad_presentation", "verifiableCredential"),
        ({"verifiableCredential": [{}] * 17}, "bad_presentation", "verifiableCredential"),
    ],
)
def test_a_malformed_presentation_is_refused(members: dict[str, Any], code: str, field: str | None) -> None:
    error = refused(sealed(**members))
    assert (error.code, error.field) == (code, field)


@pytest.mark.parametrize("data", [b"", b"[]", b'{"a":NaN}', b" " * 70000])
def test_what_is_not_strict_json_is_no_presentation(data: bytes) -> None:
    assert refused(data).code in {"bad_json", "not_an_object", "bad_number", "too_large"}
