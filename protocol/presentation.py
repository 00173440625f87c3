"""Verifiable presentations (VCDM 2.0 §4.13): a holder proves control of a DID over (challenge, domain)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from protocol import canonical, context, credential, proof
from protocol.context import CREDENTIALS_V2
from protocol.credential import VerifiedCredential
from protocol.did import Did, Keys
from protocol.errors import EvidenceError
from protocol.keys import Signer

MAX_CREDENTIALS = 16
_MEMBERS = frozenset({"@context", "id", "type", "holder", "verifiableCredential", "proof"})


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPresentation:
    """A presentation that its holder signed, with credentials that each verified at the same instant."""

    holder: Did
    credentials: tuple[VerifiedCredential, ...]
    document: Mapping[str, Any]
    bytes: bytes
    digest: str


def present(
    credentials: Sequence[Mapping[str, Any]], signer: Signer, *, challenge: str, domain: str, created: datetime
) -> dict[str, Any]:
    """A presentation of signed credentials (or of none, to show control of the DID alone), proof by authentication."""
    document: dict[str, Any] = {
        "@context": [CREDENTIALS_V2],
        "type": ["VerifiablePresentation"],
        "holder": signer.did,
    }
    if credentials:
        document["verifiableCredential"] = list(credentials)
    return proof.sign(document, signer, created=created, purpose="authentication", challenge=challenge, domain=domain)


def verify(
    document: Mapping[str, Any] | bytes, keys: Keys, *, expected_challenge: str, expected_domain: str, at: datetime
) -> VerifiedPresentation:
    """Verify a presentation, from bytes or parsed, and every credential in it.

    EvidenceError: bad_presentation (field named), wrong_holder, those of `canonical.parse`, of `proof.verify`
    (wrong_challenge, wrong_domain, …) and, for its credentials, of `credential.verify`.
    """
    parsed = canonical.parse(document if isinstance(document, bytes) else canonical.jcs(document))
    holder, listed = _read(parsed)
    proofs = proof.verify(
        parsed,
        keys,
        purpose="authentication",
        expected_challenge=expected_challenge,
        expected_domain=expected_domain,
        at=at,
    )
    if any(one.did != holder for one in proofs):
        raise EvidenceError("wrong_holder", "signed by another than the holder", field="holder")
    verified = tuple(
        credential.verify(canonical.jcs(one), keys, at=at, expected_type="VerifiableCredential") for one in listed
    )
    own_bytes = canonical.jcs(parsed)
    return VerifiedPresentation(
        holder=holder, credentials=verified, document=parsed, bytes=own_bytes, digest=canonical.digest(own_bytes)
    )


def _read(document: Mapping[str, Any]) -> tuple[Did, Sequence[Mapping[str, Any]]]:
    if not document.keys() <= _MEMBERS:
        raise EvidenceError("bad_presentation", "a member that no presentation has")
    contexts = document.get("@context")
    if not isinstance(contexts, list) or contexts[:1] != [CREDENTIALS_V2]:
        raise _bad("@context", f"must be a list that starts with {CREDENTIALS_V2}")
    context.listed(contexts)
    types = document.get("type")
    if "VerifiablePresentation" not in (types if isinstance(types, list) else [types]):
        raise _bad("type", "must have VerifiablePresentation")
    holder = document.get("holder")
    if not isinstance(holder, str) or not holder.startswith("did:"):
        raise _bad("holder", "must be a DID")
    if not isinstance(document.get("id", ""), str):
        raise _bad("id", "must be a text")
    listed = document.get("verifiableCredential", [])
    credentials = listed if isinstance(listed, list) else [listed]
    if len(credentials) > MAX_CREDENTIALS or not all(isinstance(one, Mapping) for one in credentials):
        raise _bad("verifiableCredential", f"must be at most {MAX_CREDENTIALS} credentials")
    return Did(holder), credentials


def _bad(field: str, detail: str) -> EvidenceError:
    return EvidenceError("bad_presentation", detail, field=field)
