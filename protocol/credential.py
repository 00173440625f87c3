"""Verifiable credentials (VCDM 2.0): their structure, their dates, and that their issuer signed them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from protocol import canonical, context, proof, times
from protocol.context import CONSENT_V1, CREDENTIALS_V2
from protocol.did import Did, Keys
from protocol.errors import EvidenceError
from protocol.proof import VerifiedProof

__all__ = ["CONSENT_V1", "CREDENTIALS_V2", "VerifiedCredential", "check", "verify"]

_IRI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"{}|\\^`\x00-\x20]+")
_TYPED = ("credentialStatus", "credentialSchema", "evidence", "refreshService", "termsOfUse")
_OUR_CONTEXTS = (CREDENTIALS_V2, CONSENT_V1)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedCredential:
    """A credential whose every proof verified; `bytes` is its JCS form and `digest` the digestMultibase of that.

    `id` is empty where a credential of another vocabulary has none; `valid_from` is then, where it is missing, the
    instant of the issuer's proof.
    """

    document: Mapping[str, Any]
    bytes: bytes
    digest: str
    id: str
    issuer: Did
    types: frozenset[str]
    valid_from: datetime
    valid_until: datetime | None
    proofs: tuple[VerifiedProof, ...]


def check(document: Mapping[str, Any]) -> None:
    """Refuse what is not a VCDM 2.0 credential (§4), signed or not.

    A credential in our consent vocabulary has exactly our two contexts, an id, an issuer that is a DID, a `validFrom`,
    and no member that the contexts do not define: both cryptosuites then sign the same statement.

    EvidenceError: bad_credential (field named), context_unknown, undefined_term, bad_datetime.
    """
    _structure(document)


def verify(
    data: bytes,
    keys: Keys,
    *,
    at: datetime,
    expected_type: str,
    expected_issuer: Did | None = None,
    expected_challenge: str | None = None,
    expected_domain: str | None = None,
    check_dates: bool = True,
    ahead: timedelta = timedelta(),
) -> VerifiedCredential:
    """Verify a credential from its bytes: structure, every proof, a proof by the issuer's own key, dates.

    `check_dates=False` is for evidence of the past: it judges neither validity nor the proofs' dates. `ahead` is how
    far ahead of ours the issuer's clock may be: `validFrom` may lie so far in the future. It never lengthens anything.

    EvidenceError: those of `canonical.parse`, `check` and `proof.verify`; wrong_type, wrong_issuer, not_yet_valid,
    expired.
    """
    document, own_bytes, plain = canonical.read(data)
    issuer, valid_from, valid_until, known = _structure(document)
    types = frozenset(document["type"])
    if expected_type not in types:
        raise EvidenceError("wrong_type", f"a {expected_type} is expected", field="type")
    if expected_issuer is not None and issuer != expected_issuer:
        raise EvidenceError("wrong_issuer", "issued by another than expected", field="issuer")
    proofs = proof.verify(
        document,
        keys,
        expected_challenge=expected_challenge,
        expected_domain=expected_domain,
        at=at if check_dates else None,
        plain=plain,
        contexts_known=known,
    )
    own = next((one for one in proofs if one.did == issuer), None)
    if own is None:
        raise EvidenceError("wrong_issuer", "no proof is by the issuer's own key", field="issuer")
    if check_dates:
        _check_dates(valid_from, valid_until, at, ahead)
    return VerifiedCredential(
        document=document,
        bytes=own_bytes,
        digest=canonical.digest(own_bytes),
        id=document.get("id", ""),
        issuer=issuer,
        types=types,
        valid_from=valid_from or own.created,
        valid_until=valid_until,
        proofs=proofs,
    )


def _bad(field: str, detail: str) -> EvidenceError:
    return EvidenceError("bad_credential", detail, field=field)


def _structure(document: Mapping[str, Any]) -> tuple[Did, datetime | None, datetime | None, bool]:
    """What `check` checks: the issuer, both dates, and whether every context in it is known to be one of ours."""
    urls = _contexts(document)
    types = document.get("type")
    if not isinstance(types, list) or not all(isinstance(name, str) for name in types):
        raise _bad("type", "must be a list of texts")
    if "VerifiableCredential" not in types:
        raise _bad("type", "must have VerifiableCredential")
    issuer = _issuer(document)
    _optional_id(document)
    _check_subjects(document.get("credentialSubject"))
    for name in _TYPED:
        if name in document:
            _check_typed(document[name], name)
    valid_from, valid_until = _dates(document)
    known = _check_ours(document, urls) if CONSENT_V1 in urls else False
    return issuer, valid_from, valid_until, known


def _contexts(document: Mapping[str, Any]) -> tuple[str, ...]:
    value = document.get("@context")
    if not isinstance(value, list) or not value or value[0] != CREDENTIALS_V2:
        raise _bad("@context", f"must be a list that starts with {CREDENTIALS_V2}")
    return context.listed(value)


def _check_ours(document: Mapping[str, Any], urls: tuple[str, ...]) -> bool:
    if urls != _OUR_CONTEXTS:
        raise _bad("@context", "must be the credentials context and the consent context, nothing else")
    if "id" not in document or "validFrom" not in document:
        raise _bad("id" if "id" not in document else "validFrom", "is missing")
    if not isinstance(document["issuer"], str) or not document["issuer"].startswith("did:"):
        raise _bad("issuer", "must be a DID")
    if not isinstance(document["credentialSubject"], Mapping):
        raise _bad("credentialSubject", "must be one subject")
    proofs = document.get("proof", [])
    for one in proofs if isinstance(proofs, list) else [proofs]:
        # A proof over fewer contexts than the document has would leave the words' meaning to whoever adds one.
        if isinstance(one, Mapping) and "@context" in one and one["@context"] != document["@context"]:
            raise EvidenceError("bad_proof", "the proof's context is not the document's", field="proof.@context")
    if context.all_known(document, urls):
        return True
    context.check_terms(document, urls)
    return False


def _issuer(document: Mapping[str, Any]) -> Did:
    issuer = document.get("issuer")
    name = issuer if isinstance(issuer, str) else issuer.get("id") if isinstance(issuer, Mapping) else None
    if not isinstance(name, str) or _IRI.fullmatch(name) is None:
        raise _bad("issuer", "must be an absolute IRI, or an object with one as id")
    return Did(name)


def _optional_id(node: Mapping[str, Any], path: str = "") -> None:
    if "id" in node and not (isinstance(node["id"], str) and _IRI.fullmatch(node["id"])):
        raise _bad(f"{path}id", "must be an absolute IRI")


def _check_subjects(value: object) -> None:
    subjects = value if isinstance(value, list) else [value]
    for subject in subjects or [None]:
        if not isinstance(subject, (dict, Mapping)) or not subject:
            raise _bad("credentialSubject", "must be an object that says something")
        _optional_id(subject, "credentialSubject.")


def _check_typed(value: object, name: str) -> None:
    for node in value if isinstance(value, list) else [value]:
        if not isinstance(node, (dict, Mapping)):
            raise _bad(f"{name}.type", "is missing")
        types = node.get("type")
        for one in (types or [None]) if isinstance(types, list) else (types,):
            if not isinstance(one, str) or not one:
                raise _bad(f"{name}.type", "is missing")
        _optional_id(node, f"{name}.")


def _dates(document: Mapping[str, Any]) -> tuple[datetime | None, datetime | None]:
    valid_from = times.parse(document["validFrom"], field="validFrom") if "validFrom" in document else None
    valid_until = times.parse(document["validUntil"], field="validUntil") if "validUntil" in document else None
    if valid_from and valid_until and valid_until < valid_from:
        raise _bad("validUntil", "must not be before validFrom")
    return valid_from, valid_until


def _check_dates(valid_from: datetime | None, valid_until: datetime | None, at: datetime, ahead: timedelta) -> None:
    if valid_from is not None and at + ahead < valid_from:
        raise EvidenceError("not_yet_valid", "not valid yet", field="validFrom")
    if valid_until is not None and at >= valid_until:
        raise EvidenceError("expired", "not valid any more", field="validUntil")
