"""Decentralised identifiers: did:key (Ed25519 Multikey) and did:web, with controller documents (DID 1.0, CID 1.0)."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NewType
from urllib.parse import unquote, urlsplit

from protocol import multibase
from protocol.errors import EvidenceError

Did = NewType("Did", str)

DID_V1 = "https://www.w3.org/ns/did/v1"
MULTIKEY_V1 = "https://w3id.org/security/multikey/v1"
SERVICES = ("FieldgrantIssuer", "FieldgrantVerifier", "FieldgrantCrm", "FieldgrantRedaction", "FieldgrantAudit")

_ED25519 = b"\xed\x01"  # multicodec ed25519-pub
_DID = re.compile(r"did:[a-z0-9]+:[A-Za-z0-9._:%-]*[A-Za-z0-9._%-]")
_WEB_PART = re.compile(r"(?:[A-Za-z0-9._-]|%[0-9A-F]{2})+")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?")
_LOCAL = ("localhost", "127.0.0.1")
_RELATIONSHIPS = (
    "assertionMethod",
    "authentication",
    "keyAgreement",
    "capabilityInvocation",
    "capabilityDelegation",
)


def multikey(public: bytes) -> str:
    """An Ed25519 public key (32 bytes) as Multikey, `z6Mk…` (CID 1.0 §2.2.2)."""
    if len(public) != 32:
        raise ValueError("an Ed25519 public key has 32 bytes")
    return multibase.encode(_ED25519 + public)


@lru_cache(maxsize=4096)
def public_of_multikey(text: str) -> bytes:
    """The 32 bytes of an Ed25519 Multikey; EvidenceError `bad_key` or `unsupported_key`."""
    try:
        data = multibase.decode(text, length=34)
    except EvidenceError:
        raise EvidenceError("bad_key", "not an Ed25519 Multikey of 32 bytes", field="publicKeyMultibase") from None
    if data[:2] != _ED25519:
        raise EvidenceError("unsupported_key", "not an Ed25519 key", field="publicKeyMultibase")
    return data[2:]


def key_did(public: bytes) -> Did:
    """The did:key of an Ed25519 public key."""
    return Did("did:key:" + multikey(public))


@lru_cache(maxsize=4096)
def public_of(did_or_vm: str) -> bytes:
    """The Ed25519 public key in a did:key or in its one verification method `did#multikey`.

    EvidenceError `unsupported_did` for other methods and key types, `bad_did` for what is not a did:key.
    """
    did, hash_mark, fragment = did_or_vm.partition("#")
    if not did.startswith("did:key:"):
        raise EvidenceError("unsupported_did", "only did:key carries its own key")
    text = did[len("did:key:") :]
    if hash_mark and fragment != text:
        raise EvidenceError("bad_did", "the verification method is not the key of its own did:key")
    try:
        return public_of_multikey(text)
    except EvidenceError as error:
        code = "unsupported_did" if error.code == "unsupported_key" else "bad_did"
        raise EvidenceError(code, "not a did:key with an Ed25519 key") from None


def check(text: object, *, field: str | None = None) -> Did:
    """A DID that is well formed and of a method we know (did:key, did:web); EvidenceError bad_did, unsupported_did."""
    if not isinstance(text, str) or len(text) > 512 or _DID.fullmatch(text) is None:
        raise EvidenceError("bad_did", "not a DID", field=field)
    if text.startswith("did:key:"):
        public_of(text)
    elif text.startswith("did:web:"):
        web_document_url(Did(text))
    else:
        raise EvidenceError("unsupported_did", "neither did:key nor did:web", field=field)
    return Did(text)


def web_did(base_url: str) -> Did:
    """The did:web of an organisation's public URL: http://localhost:8700 → did:web:localhost%3A8700."""
    url = urlsplit(base_url)
    host = url.netloc.lower()
    if url.scheme not in ("http", "https") or _HOST.fullmatch(host) is None or url.query or url.fragment:
        raise EvidenceError("bad_did", "a did:web needs an http(s) URL with a host name and nothing after its path")
    parts = [part for part in url.path.split("/") if part]
    if any(_WEB_PART.fullmatch(part) is None for part in parts):
        raise EvidenceError("bad_did", "a path that did:web cannot carry")
    return Did(":".join(["did:web", host.replace(":", "%3A"), *parts]))


def web_document_url(did: Did) -> str:
    """Where a did:web keeps its document: https, but http on this very machine. EvidenceError bad_did."""
    if not did.startswith("did:web:"):
        raise EvidenceError("unsupported_did", "not a did:web")
    host_part, *parts = did[len("did:web:") :].split(":")
    host = unquote(host_part)
    if _HOST.fullmatch(host) is None or any(_WEB_PART.fullmatch(part) is None or part in (".", "..") for part in parts):
        raise EvidenceError("bad_did", "not a did:web")
    scheme = "http" if host.partition(":")[0] in _LOCAL else "https"
    path = "/".join([*parts, "did.json"]) if parts else ".well-known/did.json"
    return f"{scheme}://{host}/{path}"


def controller_document(
    did: Did, *, assertion_keys: Mapping[str, bytes], services: Mapping[str, str]
) -> dict[str, Any]:
    """A DID document with one Multikey per fragment, for assertion and authentication, and one endpoint per service.

    `assertion_keys`: fragment (without `#`) → Ed25519 public key; `services`: service type → URL.
    """
    methods = [
        {"id": f"{did}#{fragment}", "type": "Multikey", "controller": did, "publicKeyMultibase": multikey(public)}
        for fragment, public in assertion_keys.items()
    ]
    names = [method["id"] for method in methods]
    return {
        "@context": [DID_V1, MULTIKEY_V1],
        "id": did,
        "verificationMethod": methods,
        "assertionMethod": names,
        "authentication": list(names),
        "service": [{"id": f"{did}#{kind}", "type": kind, "serviceEndpoint": url} for kind, url in services.items()],
    }


def service_endpoint(document: Mapping[str, Any], type_: str) -> str:
    """The URL of the first service of a type; EvidenceError `no_service`."""
    services = document.get("service")
    for service in services if isinstance(services, list) else ():
        if isinstance(service, Mapping) and service.get("type") == type_:
            endpoint = service.get("serviceEndpoint")
            if isinstance(endpoint, str) and urlsplit(endpoint).scheme in ("http", "https"):
                return endpoint
    raise EvidenceError("no_service", f"the controller document offers no {type_}", field="service")


class Keys:
    """Verification methods to public keys, without a network: did:key from itself, did:web from pinned documents."""

    __slots__ = ("_known",)

    def __init__(self, documents: Iterable[Mapping[str, Any]] = ()) -> None:
        """Index the Ed25519 Multikeys of trusted controller documents; EvidenceError `bad_did_document`."""
        self._known: dict[str, tuple[bytes, frozenset[str]]] = {}
        for document in documents:
            self._known.update(_methods(document))

    def public(self, verification_method: str, *, purpose: str = "assertionMethod") -> bytes:
        """The 32-byte public key; EvidenceError bad_did, unsupported_did, unknown_key, key_not_for_purpose."""
        if verification_method.startswith("did:key:"):
            if "#" not in verification_method:
                raise EvidenceError("bad_did", "a DID, not a verification method", field="verificationMethod")
            if purpose == "keyAgreement":
                raise EvidenceError("key_not_for_purpose", "an Ed25519 key only signs", field="verificationMethod")
            return public_of(verification_method)
        found = self._known.get(verification_method)
        if found is None:
            if not verification_method.startswith("did:web:"):
                raise EvidenceError("unsupported_did", "neither did:key nor did:web", field="verificationMethod")
            raise EvidenceError("unknown_key", "no pinned document has this key", field="verificationMethod")
        public, purposes = found
        if purpose not in purposes:
            raise EvidenceError("key_not_for_purpose", f"not a key for {purpose}", field="verificationMethod")
        return public


def _methods(document: Mapping[str, Any]) -> dict[str, tuple[bytes, frozenset[str]]]:
    did, methods = document.get("id"), document.get("verificationMethod", [])
    if not isinstance(did, str) or not isinstance(methods, list):
        raise EvidenceError("bad_did_document", "id or verificationMethod is missing or malformed")
    granted = {name: document.get(name, []) for name in _RELATIONSHIPS}
    if not all(isinstance(members, list) for members in granted.values()):
        raise EvidenceError("bad_did_document", "a verification relationship is not a list")
    known: dict[str, tuple[bytes, frozenset[str]]] = {}
    for method in methods:
        if not isinstance(method, Mapping) or method.get("type") != "Multikey":
            continue  # keys of kinds that we cannot use may stand beside ours
        name, key = method.get("id"), method.get("publicKeyMultibase")
        if not (isinstance(name, str) and name.startswith(did + "#") and method.get("controller") == did):
            raise EvidenceError("bad_did_document", "a key that its own document does not control")
        if not isinstance(key, str) or name in known:
            raise EvidenceError("bad_did_document", "a key is missing or named twice")
        known[name] = (
            public_of_multikey(key),
            frozenset(purpose for purpose, members in granted.items() if name in members),
        )
    return known
