"""Verifiable credentials (VCDM 2.0): structure, dates, issuer binding."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from protocol.did import Did, Keys
from protocol.proof import VerifiedProof

CREDENTIALS_V2 = "https://www.w3.org/ns/credentials/v2"
CONSENT_V1 = "https://ns.fieldgrant.example/consent/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedCredential:
    """A credential whose every proof verified; `bytes` is its JCS form and `digest` the digestMultibase of that."""

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
    """Structure of a credential."""
    raise NotImplementedError


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
) -> VerifiedCredential:
    """Verify a credential from its bytes."""
    raise NotImplementedError
