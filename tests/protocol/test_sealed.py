"""Sealed for one reader: wallets, the controller's key of the month, files under a passphrase."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.public import PrivateKey

from protocol import multibase, proof, request, sealed
from protocol.did import Did
from protocol.errors import EvidenceError
from protocol.keys import Ed25519Signer
from tests.protocol import pieces
from tests.protocol.pieces import AT, CONTROLLER


@given(st.binary(max_size=300), st.binary(min_size=32, max_size=32))
@settings(max_examples=50)
def test_what_is_sealed_to_a_wallet_opens_with_its_seed_alone(data: bytes, seed: bytes) -> None:
    signer = Ed25519Signer(seed)
    box = sealed.seal_to_wallet(signer.did, data)
    assert sealed.open_with_seed(seed, box) == data
    with pytest.raises(EvidenceError, match="somebody else"):
        sealed.open_with_seed(bytes(32) if seed != bytes(32) else b"x" * 32, box)


@pytest.mark.parametrize(
    "did", ["did:web:localhost", "did:key:zNothing", "did:key:" + multibase.encode(b"\xed\x01" + bytes(32))]
)
def test_nothing_is_sealed_to_what_is_no_wallets_key(did: str) -> None:
    with pytest.raises(EvidenceError):
        sealed.seal_to_wallet(Did(did), b"data")


def test_a_changed_box_does_not_open() -> None:
    key = PrivateKey.generate()
    box = sealed.seal(bytes(key.public_key), b"data")
    assert sealed.open_with(key, box) == b"data"
    for bad in (box[:-1], box + b"x", b""):
        with pytest.raises(EvidenceError):
            sealed.open_with(key, bad)


def test_the_controllers_key_is_its_own_word(monkeypatch: pytest.MonkeyPatch) -> None:
    until = AT + timedelta(days=9)
    common: dict[str, Any] = {"id": "urn:uuid:1", "controller": CONTROLLER.did, "at": AT, "until": until}
    document = proof.sign(sealed.build_key(b"\x07" * 32, period="requests-2026-11", **common), CONTROLLER, created=AT)
    read = sealed.parse_key(pieces.verified(document, type_=sealed.KEY_TYPE))
    assert (read.public, read.period, read.controller) == (b"\x07" * 32, "requests-2026-11", CONTROLLER.did)
    for name, value in {
        "sealingKey": multibase.encode(b"\xed\x01" + bytes(32)),
        "hasDataController": pieces.DPO.did,
        "type": "Key",
    }.items():
        bent = sealed.build_key(b"\x07" * 32, period="requests-2026-11", **common)
        bent["credentialSubject"]["declaresSealingKey"][name] = value
        with pytest.raises(EvidenceError):
            sealed.parse_key(pieces.verified(proof.sign(bent, CONTROLLER, created=AT), type_=sealed.KEY_TYPE))


@pytest.mark.parametrize(
    ("kind", "bent"),
    [
        ("access", {"purpose": "dpv:DirectMarketing"}),
        ("access", {"ground": "urn:uuid:1"}),
        ("objection", {}),
        ("erasure", {"fields": ["contact.email"]}),
        ("rectification", {"fields": ["contact.email"]}),
        ("rectification", {"correction": "zQm"}),
        ("access", {"subject": pieces.SUBJECT_ID}),
        ("oblivion", {}),
    ],
)
def test_a_request_that_does_not_fit_its_kind_is_refused(kind: str, bent: dict[str, Any]) -> None:
    document = request.build_request(
        kind, id="urn:uuid:1", controller=CONTROLLER.did, issuer=pieces.SUBJECT.did, at=AT, **bent
    )
    with pytest.raises(EvidenceError):
        request.parse_request(
            pieces.verified(proof.sign(document, pieces.SUBJECT, created=AT), type_=request.REQUEST_TYPE)
        )


def test_an_objection_reads_back_with_its_purpose_in_full_and_evidence_is_bound() -> None:
    document = request.build_request(
        "objection", id="urn:uuid:1", controller=CONTROLLER.did, issuer=pieces.SUBJECT.did, at=AT,
        purpose="dpv:DirectMarketing", ground="urn:uuid:2",
    )  # fmt: skip
    read = request.parse_request(
        pieces.verified(proof.sign(document, pieces.SUBJECT, created=AT), type_=request.REQUEST_TYPE)
    )
    assert (read.purpose, read.ground) == ("https://w3id.org/dpv#DirectMarketing", "urn:uuid:2")
    desk, signers = pieces.every_document()[request.REQUEST_TYPE]
    desk["credentialSubject"]["makesRequest"]["groundEvidence"]["evidenceText"] += "x"
    with pytest.raises(EvidenceError, match="evidence"):
        request.parse_request(pieces.verified(proof.sign(desk, signers[0], created=AT), type_=request.REQUEST_TYPE))
