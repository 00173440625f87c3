"""Who can sign: the port that proofs and HTTP signatures use, and an Ed25519 key in memory (RFC 8032)."""

import secrets
from typing import Protocol, Self

import nacl.bindings
import nacl.exceptions
import nacl.signing

from protocol import did as dids
from protocol.did import Did
from protocol.errors import EvidenceError


class Signer(Protocol):
    """Signs bytes under one verification method. Two kinds exist: a key in memory and one behind a key-ring."""

    @property
    def did(self) -> Did: ...

    @property
    def verification_method(self) -> str: ...

    def sign(self, data: bytes) -> bytes:
        """A detached Ed25519 signature, 64 bytes."""
        ...


class Ed25519Signer:
    """An Ed25519 key in memory. Without a DID of its own it signs as its did:key."""

    __slots__ = ("_key", "did", "public", "verification_method")

    def __init__(self, seed: bytes, *, did: Did | None = None, verification_method: str | None = None) -> None:
        """`seed`: 32 bytes. A did:web needs `verification_method` only where its fragment is not the Multikey."""
        self._key = nacl.signing.SigningKey(seed)
        self.public: bytes = bytes(self._key.verify_key)
        self.did: Did = did or dids.key_did(self.public)
        self.verification_method: str = verification_method or f"{self.did}#{dids.multikey(self.public)}"
        if not self.verification_method.startswith(self.did + "#"):
            raise ValueError("the verification method is not one of the DID's")

    @classmethod
    def generate(cls) -> Self:
        """A fresh key as did:key."""
        return cls(secrets.token_bytes(32))

    def sign(self, data: bytes) -> bytes:
        """A detached signature, 64 bytes (RFC 8032 §5.1.6)."""
        return self._key.sign(data).signature

    def __repr__(self) -> str:
        return f"Ed25519Signer({self.verification_method})"


def check_signature(public: bytes, data: bytes, signature: bytes) -> None:
    """EvidenceError `bad_signature` unless the 64 bytes sign the data; libsodium refuses small-order keys and S ≥ L."""
    if len(signature) != 64:
        raise EvidenceError("bad_signature", "an Ed25519 signature has 64 bytes", field="proofValue")
    try:
        nacl.bindings.crypto_sign_open(signature + data, public)
    except (nacl.exceptions.CryptoError, ValueError):
        raise EvidenceError("bad_signature", "the signature does not fit", field="proofValue") from None
