"""Whatever a stranger sends, verification answers or raises EvidenceError, and nothing else."""

import json
import string
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocol import canonical, credential, presentation, proof, rdf
from protocol.did import Keys
from protocol.errors import EvidenceError
from protocol.keys import Ed25519Signer

AT = datetime(2026, 11, 22, 8, tzinfo=UTC)
SIGNER = Ed25519Signer(bytes(32))
KEYS = Keys()
DOCUMENT: dict[str, Any] = {
    "@context": [credential.CREDENTIALS_V2, credential.CONSENT_V1],
    "id": "urn:uuid:8e1f7f6e-9f5c-4a6f-8f0f-1c6a52cf0a01",
    "type": ["VerifiableCredential", "ConsentWithdrawalCredential"],
    "issuer": SIGNER.did,
    "validFrom": "2026-11-22T08:00:00Z",
    "credentialSubject": {
        "id": SIGNER.did,
        "withdrawsConsent": {
            "type": "ConsentWithdrawal",
            "hasConsentStatus": "dpv:ConsentWithdrawn",
            "hasDataController": "did:web:crm.example.com",
            "consent": {"id": "urn:uuid:1", "digestMultibase": "zQma"},
        },
    },
}
SIGNED = {
    suite: canonical.jcs(proof.sign(DOCUMENT, SIGNER, created=AT, suite=suite, challenge="c", domain="d")).decode()
    for suite in ("eddsa-jcs-2022", "eddsa-rdfc-2022")
}
slow = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def verify(data: bytes) -> None:
    credential.verify(
        data,
        KEYS,
        at=AT,
        expected_type="ConsentWithdrawalCredential",
        expected_challenge="c",
        expected_domain="d",
    )


@pytest.mark.parametrize("suite", SIGNED)
def test_the_unchanged_credential_verifies(suite: str) -> None:
    verify(SIGNED[suite].encode())


def mutated(text: str, place: int, character: str) -> str | None:
    """The text with one character replaced; None where that says the same in JSON."""
    place %= len(text)
    changed = text[:place] + character + text[place + 1 :]
    with suppress(ValueError):
        if json.loads(changed) == json.loads(text):
            return None
    return changed


@settings(max_examples=600, deadline=None)
@given(st.integers(0, 5000), st.sampled_from(string.printable) | st.characters())
def test_no_character_of_a_jcs_credential_can_be_changed(place: int, character: str) -> None:
    changed = mutated(SIGNED["eddsa-jcs-2022"], place, character)
    if changed is not None:
        with pytest.raises(EvidenceError):
            verify(changed.encode("utf-8", "surrogatepass"))


def test_no_character_of_a_jcs_credential_can_be_raised_or_lost() -> None:
    text = SIGNED["eddsa-jcs-2022"]
    for place, character in enumerate(text):
        for changed in (mutated(text, place, chr(ord(character) ^ 1)), text[:place] + text[place + 1 :]):
            if changed is not None:
                with pytest.raises(EvidenceError):
                    verify(changed.encode())


@slow
@given(st.integers(0, 5000), st.sampled_from(string.printable))
def test_no_character_of_an_rdfc_credential_can_be_changed(place: int, character: str) -> None:
    changed = mutated(SIGNED["eddsa-rdfc-2022"], place, character)
    if changed is not None:
        with pytest.raises(EvidenceError):
            verify(changed.encode())


names = st.sampled_from(
    [*json.loads(SIGNED["eddsa-jcs-2022"]), *json.loads(SIGNED["eddsa-jcs-2022"])["proof"], "holder", "@id", "@value"]
) | st.text(max_size=4)
words = st.sampled_from(
    [
        credential.CREDENTIALS_V2,
        credential.CONSENT_V1,
        "https://www.w3.org/ns/credentials/examples/v2",
        "VerifiableCredential",
        "VerifiablePresentation",
        "DataIntegrityProof",
        "eddsa-jcs-2022",
        "eddsa-rdfc-2022",
        "assertionMethod",
        "authentication",
        "2026-11-22T08:00:00Z",
        SIGNER.did,
        SIGNER.verification_method,
        json.loads(SIGNED["eddsa-jcs-2022"])["proof"]["proofValue"],
    ]
) | st.text(max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(names, values, max_size=8), st.sampled_from([None, *SIGNED]))
def test_no_json_makes_verification_fail_in_another_way(members: dict[str, Any], suite: str | None) -> None:
    document = {**json.loads(SIGNED[suite]), **members} if suite else members
    with suppress(EvidenceError):
        proof.verify(document, KEYS, at=AT)
    with suppress(EvidenceError):
        credential.check(document)
    with suppress(EvidenceError):
        presentation.verify(document, KEYS, expected_challenge="c", expected_domain="d", at=AT)
    with suppress(EvidenceError):
        rdf.canonical(document)
    with suppress(EvidenceError):
        verify(json.dumps(document).encode())


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(names, values, max_size=6), st.sampled_from([*SIGNED]))
def test_no_proof_makes_verification_fail_in_another_way(changes: dict[str, Any], suite: str) -> None:
    document = json.loads(SIGNED[suite])
    document["proof"] |= changes
    with suppress(EvidenceError):
        proof.verify(document, KEYS, at=AT)


@given(st.binary(max_size=300))
def test_no_bytes_make_verification_fail_in_another_way(data: bytes) -> None:
    with pytest.raises(EvidenceError):
        verify(data)
    with pytest.raises(EvidenceError):
        presentation.verify(data, KEYS, expected_challenge="c", expected_domain="d", at=AT)
