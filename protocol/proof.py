"""Data Integrity proofs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from protocol.did import Did, Keys
from protocol.keys import Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedProof:
    verification_method: str
    did: Did
    created: datetime
    purpose: str
    suite: str
    challenge: str | None
    domain: str | None


def sign(
    document: Mapping[str, Any],
    signer: Signer,
    *,
    created: datetime,
    suite: str = "eddsa-jcs-2022",
    purpose: str = "assertionMethod",
    challenge: str | None = None,
    domain: str | None = None,
) -> dict[str, Any]:
    raise NotImplementedError


def verify(
    document: Mapping[str, Any],
    keys: Keys,
    *,
    purpose: str = "assertionMethod",
    expected_challenge: str | None = None,
    expected_domain: str | None = None,
    at: datetime | None = None,
) -> tuple[VerifiedProof, ...]:
    raise NotImplementedError
