"""Sealed for one reader: libsodium sealed boxes to a wallet's key or to the controller's, and files under a passphrase.

A wallet has one Ed25519 key for one organisation. Its X25519 form (RFC 7748; libsodium's own conversion) receives what
only its owner may read. The controller publishes an X25519 key of its own, signed, for what customers send sealed.
"""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import nacl.bindings
import nacl.exceptions
from nacl.public import PrivateKey, PublicKey, SealedBox
from nacl.pwhash import argon2id
from nacl.secret import SecretBox

from protocol import canonical, did, multibase, shape, vocabulary
from protocol.credential import VerifiedCredential
from protocol.did import Did
from protocol.errors import EvidenceError

KEY_TYPE = "SealingKeyCredential"
FILE_KIND = "fieldgrant-answer"
MAX_FILE = 32 * 1024 * 1024
_X25519 = b"\xec\x01"  # multicodec x25519-pub
_OPS, _MEM = argon2id.OPSLIMIT_MODERATE, argon2id.MEMLIMIT_MODERATE
# a file from elsewhere may not make us work for hours or fill the memory
_MAX_OPS, _MAX_MEM = 16, 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class SealingKey:
    """The controller's key (32 bytes, X25519) for what is sent sealed to it; `period` names its private half."""

    controller: Did
    period: str
    public: bytes


def seal_to_wallet(wallet: Did, data: bytes) -> bytes:
    """A sealed box that the wallet of a did:key alone opens; EvidenceError `unsupported_did`, `bad_did`, `bad_key`."""
    try:
        public = nacl.bindings.crypto_sign_ed25519_pk_to_curve25519(did.public_of(wallet))
    except (nacl.exceptions.CryptoError, RuntimeError):
        raise EvidenceError("bad_key", "this key cannot receive anything sealed") from None
    return seal(public, data)


def open_with_seed(seed: bytes, box: bytes) -> bytes:
    """What was sealed to the wallet with this Ed25519 seed; EvidenceError `bad_box`."""
    public, secret = nacl.bindings.crypto_sign_seed_keypair(seed)
    del public
    return open_with(PrivateKey(nacl.bindings.crypto_sign_ed25519_sk_to_curve25519(secret)), box)


def seal(public: bytes, data: bytes) -> bytes:
    """A libsodium sealed box to an X25519 key of 32 bytes."""
    return bytes(SealedBox(PublicKey(public)).encrypt(data))


def open_with(private: PrivateKey, box: bytes) -> bytes:
    """What a sealed box holds; EvidenceError `bad_box`."""
    try:
        return bytes(SealedBox(private).decrypt(box))
    except (nacl.exceptions.CryptoError, ValueError):
        raise EvidenceError("bad_box", "this was sealed for somebody else, or changed") from None


def seal_file(passphrase: str, data: bytes) -> bytes:
    """A file that the passphrase opens: Argon2id, then XSalsa20-Poly1305; JSON around it."""
    salt = secrets.token_bytes(argon2id.SALTBYTES)
    kdf = {"algorithm": "argon2id", "opslimit": _OPS, "memlimit": _MEM, "salt": base64.b64encode(salt).decode()}
    box = SecretBox(_key(passphrase, salt, _OPS, _MEM)).encrypt(data)
    return canonical.jcs({"v": 1, "kind": FILE_KIND, "kdf": kdf, "box": base64.b64encode(bytes(box)).decode()})


def open_file(passphrase: str, file: bytes) -> bytes:
    """What a file of `seal_file` holds; EvidenceError `bad_answer_file`, `wrong_passphrase`."""
    bad = EvidenceError("bad_answer_file", "this is no answer of Fieldgrant, or it is damaged")
    try:
        node = canonical.parse(file, limit=MAX_FILE)
        kdf: Mapping[str, Any] = node["kdf"]
        salt = base64.b64decode(kdf["salt"], validate=True)
        box = base64.b64decode(node["box"], validate=True)
        ops, mem = int(kdf["opslimit"]), int(kdf["memlimit"])
        fits = node["kind"] == FILE_KIND and node["v"] == 1 and len(salt) == argon2id.SALTBYTES
    except (EvidenceError, KeyError, TypeError, ValueError):
        raise bad from None
    if not fits or not 1 <= ops <= _MAX_OPS or not 8192 <= mem <= _MAX_MEM:
        raise bad
    try:
        return bytes(SecretBox(_key(passphrase, salt, ops, mem)).decrypt(box))
    except (nacl.exceptions.CryptoError, ValueError):
        raise EvidenceError("wrong_passphrase", "the passphrase does not open this file") from None


def _key(passphrase: str, salt: bytes, ops: int, mem: int) -> bytes:
    # people type it from paper: groups, spaces and letter case do not count
    plain = "".join(passphrase.split()).replace("-", "").lower()
    return bytes(argon2id.kdf(SecretBox.KEY_SIZE, plain.encode(), salt, opslimit=ops, memlimit=mem))


def build_key(public: bytes, *, id: str, controller: Did, period: str, at: datetime, until: datetime) -> dict[str, Any]:
    """An unsigned statement of the controller's sealing key, to be signed by the controller."""
    claim = {
        "type": "SealingKey",
        "hasDataController": controller,
        "sealingPeriod": period,
        "sealingKey": multibase.encode(_X25519 + public),
    }
    return vocabulary.skeleton(
        KEY_TYPE, id=id, issuer=controller, at=at, until=until, subject={"id": controller, "declaresSealingKey": claim}
    )


def parse_key(credential: VerifiedCredential) -> SealingKey:
    """Read a verified statement; EvidenceError `wrong_type`, `wrong_issuer`, `bad_credential`."""
    _, node = vocabulary.claim(credential, KEY_TYPE, "declaresSealingKey")
    path = "credentialSubject.declaresSealingKey"
    claim = shape.exact(node, path, ("type", "hasDataController", "sealingPeriod", "sealingKey"))
    vocabulary.kind(claim, path, "SealingKey")
    data = multibase.decode(shape.text(claim, "sealingKey", path), length=34)
    if data[:2] != _X25519:
        raise shape.refuse(f"{path}.sealingKey", "must be an X25519 Multikey")
    return SealingKey(
        controller=vocabulary.controller(claim, path, credential.issuer),
        period=shape.text(claim, "sealingPeriod", path),
        public=data[2:],
    )
