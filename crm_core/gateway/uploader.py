"""Who uploads: a registered touchpoint signs each request (RFC 9421), or a browser's key that it delegated to.

Each nonce counts once. A page's key cannot be kept secret, so it is made for one visit: the site's own server, which
is the registered touchpoint, signs a delegation for it that lasts a quarter of an hour at most.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from fastapi import Request
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from crm_core.gateway import touchpoints
from issuer import attempts
from issuer.wallet_auth import MAX_AGE, Nonce
from protocol import canonical, credential, signature, touchpoint
from protocol.consent import Field, Purpose
from protocol.did import Did
from protocol.errors import EvidenceError
from protocol.signature import CLOCK_SKEW, VerifiedRequest
from protocol.times import iso_ms
from protocol.touchpoint import Delegation, Registration
from runtime.platform import Platform
from runtime.problem import Problem

ACTION: Final = "upload"
MAX_BYTES: Final = 2**20
PATH: Final = "/crm/ingest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploader:
    """Under which registration somebody uploads; with a delegation it is a browser, and less is allowed."""

    registration: Registration
    delegation: Delegation | None = None

    @property
    def key(self) -> Did:
        """Whose key signed the request."""
        return self.registration.touchpoint if self.delegation is None else self.delegation.browser

    def may_bring(self, purpose: Purpose) -> frozenset[Field]:
        """The fields it may bring for a purpose."""
        registered = self.registration.fields_for(purpose)
        return registered if self.delegation is None else registered & self.delegation.scope.get(purpose, frozenset())


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came: the path as it was sent, headers in lower case, the body's bytes."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def origin(self) -> str | None:
        """The page's origin, where a browser sends it."""
        return self.headers.get("origin")


async def received(request: Request) -> Received:
    """Read a request whole; the edge bounds its length."""
    query = f"?{request.url.query}" if request.url.query else ""
    # the path as it was sent, before any decoding
    path = request.scope.get("raw_path", b"").decode("ascii", "replace").partition("?")[0] or request.url.path
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Received(request.method, path + query, headers, await request.body())


def verified(platform: Platform, came: Received) -> tuple[Uploader, dict[str, Any]]:
    """Who sent this, and the body, read only once that is known. What is refused is on record.

    Problem 401 (codes of `protocol.signature.verify_request`, `nonce_used`), 403 `unknown_touchpoint`,
    `origin_not_allowed`, `delegation_wider`, `foreign_delegation`; EvidenceError of `canonical.parse` and
    `credential.verify`, `delegation_too_long`.
    """
    at = platform.clock.now()
    with attempts.recorded(platform, ACTION):
        signed = _signed(platform, came, at)
    with attempts.recorded(platform, ACTION, did=signed.did):
        with platform.database.read() as session:
            registration = touchpoints.living(session, platform, signed.did, at)
        # a stranger's bytes are parsed only where a browser's delegation may be among them: then they are small
        limit = MAX_BYTES if registration is not None else canonical.MAX_BYTES
        body = canonical.parse(came.body, limit=limit)
        uploader = _uploader(platform, signed.did, registration, body.pop("delegation", None), at)
        _check_origin(uploader, came.origin)
        _use_nonce(platform, signed, at)
    return uploader, body


def _signed(platform: Platform, came: Received, at: datetime) -> VerifiedRequest:
    base = platform.settings.urls["crm"]  # the public address, not the one that a proxy gave us
    try:
        return signature.verify_request(
            came.method, f"{base}{came.target}", came.headers, came.body, platform.keys, at=at, max_age=MAX_AGE
        )
    except EvidenceError as error:
        raise Problem(401, error.code, error.detail, field=error.field) from None


def _uploader(
    platform: Platform, did: Did, registration: Registration | None, delegated: object, at: datetime
) -> Uploader:
    if delegated is None:
        if registration is None:
            raise Problem(403, "unknown_touchpoint", "No touchpoint is registered with this key.")
        return Uploader(registration=registration)
    if not isinstance(delegated, dict):
        raise Problem(400, "bad_credential", "A delegation is a signed credential.", field="delegation")
    told = touchpoint.parse_delegation(
        credential.verify(
            canonical.jcs(delegated),
            platform.keys,
            at=at,
            expected_type=touchpoint.DELEGATION_TYPE,
            ahead=CLOCK_SKEW,
        )
    )
    if told.browser != did or told.controller != platform.controller:
        raise Problem(403, "foreign_delegation", "This delegation is for another key or organisation.")
    with platform.database.read() as session:
        site = touchpoints.living(session, platform, told.touchpoint, at)
    if site is None:
        raise Problem(403, "unknown_touchpoint", "No touchpoint is registered with the key that delegated.")
    wider = any(not fields <= site.fields_for(purpose) for purpose, fields in told.scope.items())
    if wider or not told.origins <= site.origins:
        raise Problem(403, "delegation_wider", "The touchpoint delegated more than it may do itself.")
    return Uploader(registration=site, delegation=told)


def _check_origin(uploader: Uploader, origin: str | None) -> None:
    if uploader.delegation is not None:
        allowed = origin in uploader.delegation.origins
    else:
        allowed = origin is None or origin in uploader.registration.origins
    if not allowed:
        raise Problem(403, "origin_not_allowed", "Pages of this origin may not upload here.", field="Origin")


def _use_nonce(platform: Platform, signed: VerifiedRequest, at: datetime) -> None:
    # only its digest rests: whoever uploads chose the text, and it could be anything
    nonce = hashlib.sha256(signed.nonce.encode()).hexdigest()
    try:
        with platform.database.write() as session:
            _add(session, Nonce(did=signed.did, nonce=nonce, seen_at=iso_ms(at)))
    except IntegrityError:
        raise Problem(401, "nonce_used", "This request was sent before; sign a new one.") from None


def _add(session: Session, nonce: Nonce) -> None:
    session.add(nonce)
    session.flush()
