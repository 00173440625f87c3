"""HTTP message signatures (RFC 9421)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from protocol.did import Did, Keys
from protocol.keys import Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedRequest:
    did: Did
    verification_method: str
    nonce: str
    created: datetime


def sign_request(
    method: str, url: str, headers: Mapping[str, str], body: bytes, signer: Signer, *, created: datetime, nonce: str
) -> dict[str, str]:
    raise NotImplementedError


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
    raise NotImplementedError
