"""Signed HTTP requests: HTTP Message Signatures (RFC 9421) with Ed25519, over a Content-Digest (RFC 9530).

`http-message-signatures` builds and reads the signature base; ours are the clock that it is judged by (the library
asks the machine's), the signer, which may keep its key elsewhere, and the stable codes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
    InvalidSignature,
    algorithms,
)
from http_message_signatures.digests import ContentDigest
from http_message_signatures.exceptions import HTTPMessageSignaturesException

from protocol.did import Did, Keys
from protocol.errors import EvidenceError
from protocol.keys import Signer

TAG = "fieldgrant"
COVERED = ("@method", "@target-uri", "content-digest")
MAX_NONCE = 128
CLOCK_SKEW = timedelta(seconds=30)  # how far ahead of ours a wallet's clock may be


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedRequest:
    """Who signed a request. That the nonce is new is for the caller's table to say."""

    did: Did
    verification_method: str
    nonce: str
    created: datetime


@dataclass(frozen=True, slots=True)
class _Message:
    method: str
    url: str
    headers: dict[str, str]


def sign_request(
    method: str, url: str, headers: Mapping[str, str], body: bytes, signer: Signer, *, created: datetime, nonce: str
) -> dict[str, str]:
    """The headers to add: Content-Digest, Signature-Input, Signature. `url` is absolute, as it will be sent."""
    message = _Message(method.upper(), url, {name.lower(): value for name, value in headers.items()})
    message.headers["content-digest"] = ContentDigest.create(body)
    writer = HTTPMessageSigner(signature_algorithm=algorithms.ED25519)
    prepared = writer.prepare(
        message,
        key_id=signer.verification_method,
        created=created,
        nonce=nonce,
        label=TAG,
        tag=TAG,
        covered_component_ids=COVERED,
        use_existing_digest=True,
    )
    writer.apply(message, prepared, signer.sign(prepared.signature_base))
    names = {"Content-Digest": "content-digest", "Signature-Input": "Signature-Input", "Signature": "Signature"}
    return {header: message.headers[name] for header, name in names.items()}


def verify_request(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    keys: Keys,
    *,
    at: datetime,
    max_age: timedelta = timedelta(seconds=120),
) -> VerifiedRequest:
    """Verify the one signature with our tag over method, target URI and body.

    EvidenceError: no_signature, bad_digest, stale_signature (older than `max_age`, or made in the future),
    bad_signature, and those of `Keys.public`.
    """
    message = _Message(method.upper(), url, {name.lower(): value for name, value in headers.items()})
    if "signature" not in message.headers or "signature-input" not in message.headers:
        raise EvidenceError("no_signature", "the request is not signed", field="Signature")
    _check_digest(message.headers.get("content-digest"), body)
    reader = _Verifier(keys, at=at)
    try:
        results = reader.verify(message, max_age=max_age, expect_tag=TAG, require_components=COVERED)
    except (HTTPMessageSignaturesException, ValueError, TypeError) as error:
        if isinstance(error.__cause__, EvidenceError):
            raise error.__cause__ from None
        raise EvidenceError("bad_signature", "the signature does not fit the request", field="Signature") from None
    if len(results) != 1:
        raise EvidenceError("bad_signature", "more than one signature of ours", field="Signature-Input")
    told: Mapping[str, Any] = results[0].parameters
    nonce = told.get("nonce")
    if told.get("alg") != "ed25519" or not isinstance(nonce, str) or not 0 < len(nonce) <= MAX_NONCE:
        raise EvidenceError("bad_signature", "alg or nonce is missing", field="Signature-Input")
    return VerifiedRequest(
        did=Did(told["keyid"].partition("#")[0]),
        verification_method=told["keyid"],
        nonce=nonce,
        created=datetime.fromtimestamp(told["created"], tz=UTC),
    )


def _check_digest(value: str | None, body: bytes) -> None:
    if value is None:
        raise EvidenceError("bad_digest", "a Content-Digest is missing", field="Content-Digest")
    try:
        ContentDigest.verify(value, body)
    except (HTTPMessageSignaturesException, ValueError):
        raise EvidenceError("bad_digest", "not the digest of the body", field="Content-Digest") from None


class _Resolver(HTTPSignatureKeyResolver):
    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def resolve_public_key(self, key_id: str) -> Ed25519PublicKey:
        return Ed25519PublicKey.from_public_bytes(self._keys.public(key_id, purpose="authentication"))


class _Verifier(HTTPMessageVerifier):
    def __init__(self, keys: Keys, *, at: datetime) -> None:
        super().__init__(signature_algorithm=algorithms.ED25519, key_resolver=_Resolver(keys))
        self._at = at

    def validate_created_and_expires(self, sig_input: Any, max_age: timedelta | None = None) -> None:
        """Judge by our clock instead of the machine's."""
        created, expires = sig_input.params.get("created"), sig_input.params.get("expires")
        if type(created) is not int or max_age is None:
            raise InvalidSignature("created is missing")
        age = self._at.timestamp() - created
        ended = type(expires) is int and expires <= self._at.timestamp()
        if age > max_age.total_seconds() or age < -CLOCK_SKEW.total_seconds() or ended:
            raise EvidenceError("stale_signature", "made too long ago, or in the future", field="Signature-Input")
