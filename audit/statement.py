"""The bundle's statement: in-toto Statement v1 about its manifest, in a DSSE envelope signed with the log's key. Pure.

DSSE (secure-systems-lab/dsse v1.0.2): the signature is over PAE(type, payload). Envelope and payload must be canonical
JSON and canonical base64, so that there is one envelope for one statement.
"""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audit.scope import Scope
from protocol import canonical, keys, note
from protocol.errors import EvidenceError
from protocol.keys import Signer

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://ns.fieldgrant.example/evidence/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What the log says of a bundle: whose data, what of it, how long the subject's chain is, under which head."""

    subject: str
    scope: Scope
    exported: str
    origin: str
    size: int
    root: bytes
    length: int
    head: bytes

    @property
    def field(self) -> str | None:
        """The field, where the bundle is about one."""
        return self.scope.field


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is signed."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(claim: Claim, manifest: bytes, vkey: str, signer: Signer) -> bytes:
    """The envelope's bytes (JCS)."""
    narrowed = {"scope": told} if (told := claim.scope.told()) else {}
    payload = canonical.jcs(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": "manifest.json", "digest": {"sha256": hashlib.sha256(manifest).hexdigest()}}],
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "subject": claim.subject,
                "field": claim.field,
                **narrowed,
                "exported": claim.exported,
                "checkpoint": {"origin": claim.origin, "size": claim.size, "root": _text(claim.root)},
                "chain": {"length": claim.length, "head": _text(claim.head)},
            },
        }
    )
    signature = {"keyid": _key_id(vkey), "sig": _text(signer.sign(pae(PAYLOAD_TYPE, payload)))}
    return canonical.jcs({"payload": _text(payload), "payloadType": PAYLOAD_TYPE, "signatures": [signature]})


def verify(envelope: bytes, manifest: bytes, vkey: str) -> Claim:
    """The claim, when the log's key signed it over just this manifest.

    Raises EvidenceError: `bad_statement` (form), `wrong_log_key`, `bad_signature`, `manifest_mismatch`, `bad_vkey`.
    """
    public = public_key(vkey)
    document = canonical_json(envelope, "bad_statement")
    try:
        payload_type, payload = document["payloadType"], raw(document["payload"])
        (signature,) = document["signatures"]
        signed, key_id = raw(signature["sig"]), signature["keyid"]
    except (KeyError, TypeError, ValueError):
        raise EvidenceError("bad_statement", "not a DSSE envelope with one signature") from None
    if payload_type != PAYLOAD_TYPE or len(document) != 3 or len(signature) != 2:
        raise EvidenceError("bad_statement", "not an in-toto statement in a DSSE envelope")
    if key_id != _key_id(vkey):
        raise EvidenceError("wrong_log_key", "the statement was signed by another log's key")
    keys.check_signature(public, pae(payload_type, payload), signed)
    statement = canonical_json(payload, "bad_statement")
    try:
        (about,) = statement["subject"]
        digest = about["digest"]["sha256"]
        claim = _claim(statement["predicate"])
    except (AttributeError, KeyError, TypeError, ValueError):
        raise EvidenceError("bad_statement", "the statement lacks a member or has a wrong one") from None
    if statement.get("_type") != STATEMENT_TYPE or statement.get("predicateType") != PREDICATE_TYPE:
        raise EvidenceError("bad_statement", "the statement is of another type")
    if about.get("name") != "manifest.json" or digest != hashlib.sha256(manifest).hexdigest():
        raise EvidenceError("manifest_mismatch", "the statement is about another manifest")
    return claim


def public_key(vkey: str) -> bytes:
    """The Ed25519 key (32 bytes) of a verifier key. Raises EvidenceError("bad_vkey")."""
    name, _, rest = vkey.partition("+")
    try:
        data = raw(rest.partition("+")[2])
        if len(data) == 33 and note.vkey(name, data[1:]) == vkey:
            return data[1:]
    except (ValueError, EvidenceError):
        pass
    raise EvidenceError("bad_vkey", "not a verifier key (name+hash+key, Ed25519)")


def canonical_json(data: bytes, code: str) -> dict[str, Any]:
    """The object in `data`, which must be its own JCS form. Raises EvidenceError(`code`)."""
    try:
        if len(data) <= canonical.MAX_BYTES:
            document, form, _ = canonical.read(data)
        else:
            document = canonical.parse(data, limit=len(data))
            form = canonical.jcs(document)
        if form == data:
            return document
    except EvidenceError as error:
        raise EvidenceError(code, f"not readable: {error.detail}") from None
    raise EvidenceError(code, "not in canonical form (RFC 8785)")


def raw(text: str, length: int | None = None) -> bytes:
    """Bytes from canonical base64. Raises ValueError (TypeError for what is no text)."""
    data = binascii.a2b_base64(text, strict_mode=True)
    if binascii.b2a_base64(data, newline=False).decode() != text or length not in (None, len(data)):
        raise ValueError("not canonical base64 of the length expected")
    return data


def _claim(predicate: Mapping[str, Any]) -> Claim:
    checkpoint, chain = predicate["checkpoint"], predicate["chain"]
    claim = Claim(
        subject=predicate["subject"],
        scope=Scope.read(predicate["field"], predicate.get("scope", {})),
        exported=predicate["exported"],
        origin=checkpoint["origin"],
        size=checkpoint["size"],
        root=raw(checkpoint["root"], 32),
        length=chain["length"],
        head=raw(chain["head"], 32),
    )
    texts = (claim.subject, claim.exported, claim.origin, claim.field or "")
    if not all(isinstance(text, str) for text in texts) or not all(type(n) is int for n in (claim.size, claim.length)):
        raise ValueError("a member of the wrong kind")
    return claim


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _key_id(vkey: str) -> str:
    name, hash_, _ = vkey.split("+", 2)
    return f"{name}+{hash_}"
