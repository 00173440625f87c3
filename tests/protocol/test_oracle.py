"""didkit (Rust, `ssi`) as an independent judge of our did:key, canonical RDF and Ed25519.

It speaks VC 1.1 with Ed25519Signature2020 only, and may crash the interpreter at exit: it runs in a process of its own
that leaves without the usual clean-up.
"""

import base64
import hashlib
import importlib.util
import json
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from pyld import BUNDLED_CONTEXTS

from protocol import context, did, multibase, rdf, times
from protocol.keys import Ed25519Signer, check_signature

# There is no wheel for Python 3.13 and later (see pyproject.toml).
pytestmark = pytest.mark.skipif(importlib.util.find_spec("didkit") is None, reason="no didkit for this Python")

V1 = "https://www.w3.org/2018/credentials/v1"
SUITE_2020 = "https://w3id.org/security/suites/ed25519-2020/v1"
SEED = bytes(range(32))
SIGNER = Ed25519Signer(SEED)

JUDGE = """
import asyncio, json, os, sys
import didkit

async def main(told):
    key = json.dumps(told["jwk"])
    method = await didkit.key_to_verification_method("key", key)
    options = {"type": "Ed25519Signature2020", "proofPurpose": "assertionMethod", "verificationMethod": method}
    issued = await didkit.issue_credential(json.dumps(told["unsigned"]), json.dumps(options), key)
    check = json.dumps({"proofPurpose": "assertionMethod"})
    verdicts = [json.loads(await didkit.verify_credential(json.dumps(one), check))["errors"] for one in told["signed"]]
    return {"did": didkit.key_to_did("key", key), "method": method, "issued": json.loads(issued), "errors": verdicts}

print(json.dumps(asyncio.run(main(json.load(sys.stdin)))), flush=True)
os._exit(0)
"""


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unsigned() -> dict[str, Any]:
    return {
        "@context": [V1, SUITE_2020],
        "id": "urn:uuid:9f0d7b3a-60d9-4a5a-9a52-1a7e9b0a7e11",
        "type": ["VerifiableCredential"],
        "issuer": SIGNER.did,
        "issuanceDate": "2024-01-01T00:00:00Z",
        "credentialSubject": {"id": "did:web:crm.example.com"},
        "termsOfUse": [{"type": "VerifiablePresentation"}, {"type": "VerifiablePresentation", "id": "urn:x:1"}],
    }


def hashes(document: dict[str, Any], options: dict[str, Any]) -> bytes:
    told = rdf.canonical({**options, "@context": document["@context"]})
    return hashlib.sha256(told).digest() + hashlib.sha256(rdf.canonical(document)).digest()


def signed() -> dict[str, Any]:
    options = {
        "type": "Ed25519Signature2020",
        "created": times.iso(datetime(2026, 1, 1, tzinfo=UTC)),
        "verificationMethod": SIGNER.verification_method,
        "proofPurpose": "assertionMethod",
    }
    value = multibase.encode(SIGNER.sign(hashes(unsigned(), options)))
    return {**unsigned(), "proof": {**options, "proofValue": value}}


@pytest.fixture(autouse=True)
def _contexts_of_vc_1_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """What VC 1.1 needs beyond our own contexts, for these tests alone."""
    ours = context.load
    extra = {url: BUNDLED_CONTEXTS[url] for url in (V1, SUITE_2020)}
    monkeypatch.setattr(context, "PINNED", {**context.PINNED, **dict.fromkeys(extra, ("", ""))})
    monkeypatch.setattr(context, "load", lambda url: json.loads(extra[url].read_text()) if url in extra else ours(url))


@pytest.fixture
def judged() -> dict[str, Any]:
    right = signed()
    wrong = {**right, "credentialSubject": {"id": "did:web:evil.example"}}
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": text(SIGNER.public), "d": text(SEED)}
    told = {"jwk": jwk, "unsigned": unsigned(), "signed": [right, wrong]}
    ended = subprocess.run(
        [sys.executable, "-c", JUDGE], input=json.dumps(told), capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.stdout, ended.stderr
    return dict(json.loads(ended.stdout))


def test_didkit_agrees_with_our_did_key_and_our_signatures(judged: dict[str, Any]) -> None:
    assert judged["did"] == SIGNER.did
    assert judged["method"] == SIGNER.verification_method
    right, wrong = judged["errors"]
    assert right == []
    assert wrong


def test_we_agree_with_didkit_s_signature(judged: dict[str, Any]) -> None:
    issued = judged["issued"]
    proof = issued.pop("proof")
    value = multibase.decode(proof.pop("proofValue"), length=64)
    check_signature(did.public_of(proof["verificationMethod"]), hashes(issued, proof), value)
