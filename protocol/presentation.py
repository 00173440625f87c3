"""Verifiable presentations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from protocol.did import Did, Keys
from protocol.keys import Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedPresentation:
    holder: Did
    credentials: tuple[Mapping[str, Any], ...]
    document: Mapping[str, Any]
    bytes: bytes
    digest: str


def present(
    credentials: Sequence[Mapping[str, Any]], signer: Signer, *, challenge: str, domain: str, created: datetime
) -> dict[str, Any]:
    raise NotImplementedError


def verify(
    document: Mapping[str, Any] | bytes, keys: Keys, *, expected_challenge: str, expected_domain: str, at: datetime
) -> VerifiedPresentation:
    raise NotImplementedError
