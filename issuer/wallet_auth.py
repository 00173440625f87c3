"""Who calls: wallets sign each request (RFC 9421), each nonce once, and need a living enrolment.

Staff tokens are refused.
"""

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import Request
from sqlalchemy import ColumnElement, delete
from sqlalchemy.exc import IntegrityError
from sqlmodel import Field, Session, SQLModel, col, select
from starlette.concurrency import run_in_threadpool

from issuer import attempts, proved
from protocol import signature
from protocol.consent import SubjectId
from protocol.did import Did
from protocol.errors import EvidenceError
from protocol.signature import VerifiedRequest
from protocol.times import iso_ms
from runtime.limits import RateLimit
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import StaffAccount, staff_of
from runtime.staff_session import COOKIE, ticket

MAX_AGE = timedelta(seconds=120)
PER_WALLET = "240/minute"
PER_ADDRESS = "1200/minute"


class Nonce(SQLModel, table=True):
    """A nonce that a signed request used, kept until the request would be stale anyway."""

    __tablename__ = "nonce"

    did: str = Field(primary_key=True)
    nonce: str = Field(primary_key=True)
    seen_at: str = Field(index=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletCaller:
    """An enrolled wallet that signed this request."""

    did: Did
    subject: SubjectId


def wallet_caller(
    platform: Platform, *, service: str = "issuer", per_wallet: str = PER_WALLET, per_address: str = PER_ADDRESS
) -> Callable[[Request], Awaitable[WalletCaller]]:
    """A FastAPI dependency that gives the WalletCaller or refuses.

    `service` names whose base URL (settings.urls) wallets sign as the target. Problem 401 with the codes of
    `protocol.signature.verify_request` and `nonce_used`, 403 `not_enrolled`, `staff_not_wallet`, 429
    `too_many_requests`.
    """
    base = platform.settings.urls[service]
    wallets, addresses = RateLimit(per_wallet), RateLimit(per_address)

    async def caller(request: Request) -> WalletCaller:
        addresses.hit(address_of(request))
        body = await request.body()
        return await run_in_threadpool(_caller, platform, base, request, body, wallets)

    return caller


def refuse_staff(platform: Platform, request: Request, action: str) -> None:
    """Problem 403 `staff_not_wallet` for a request with a staff token or the cookie of the staff pages.

    Nobody answers for a customer from a desk.
    """
    if "authorization" in request.headers or COOKIE in request.cookies:
        with attempts.recorded(platform, action, did=_staff_did(platform, request)):
            raise Problem(403, "staff_not_wallet", "A staff token is no wallet: sign the request instead.")


def _staff_did(platform: Platform, request: Request) -> Did | None:
    """Whose token it is, for the record; None when it is nobody's."""
    held = ticket(request)
    if held is not None:
        with platform.database.read() as session, contextlib.suppress(Problem):
            return staff_of(session, platform, held, platform.clock.now()).did
    return None


def address_of(request: Request) -> str:
    """The caller's network address, for rate limits only."""
    return request.client.host if request.client else "unknown"


def forget(session: Session, at: datetime) -> None:
    """Drop the nonces of requests that are stale by now."""
    session.exec(delete(Nonce).where(_stale(at)))


def forgettable(session: Session, at: datetime) -> bool:
    """Are there any?"""
    return session.exec(select(Nonce.nonce).where(_stale(at)).limit(1)).first() is not None


def _stale(at: datetime) -> ColumnElement[bool]:
    return col(Nonce.seen_at) < iso_ms(at - 5 * MAX_AGE)


def _caller(platform: Platform, base: str, request: Request, body: bytes, wallets: RateLimit) -> WalletCaller:
    refuse_staff(platform, request, "wallet-request")
    at = platform.clock.now()
    with attempts.recorded(platform, "wallet-request"):
        signed = _verified(platform, base, request, body, at)
    wallets.hit(signed.did)
    with platform.database.read() as session:
        subject = proved.customer(session, platform, signed.did)
        staff = session.exec(select(StaffAccount.account).where(StaffAccount.did == signed.did)).first()
    with attempts.recorded(platform, "wallet-request", did=signed.did, subject=subject):
        if staff is not None:
            raise Problem(403, "staff_not_wallet", "A member of staff signs here as staff, not as a wallet.")
        if subject is None:
            raise Problem(403, "not_enrolled", "This wallet is not enrolled, or not any more.")
        _use_nonce(platform, signed, at)
    return WalletCaller(did=signed.did, subject=subject)


def _verified(platform: Platform, base: str, request: Request, body: bytes, at: datetime) -> VerifiedRequest:
    query = f"?{request.url.query}" if request.url.query else ""
    # the public address, not the one that a proxy gave us; the path as it was sent, before any decoding
    path = request.scope.get("raw_path", b"").decode("ascii", "replace").partition("?")[0] or request.url.path
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        return signature.verify_request(
            request.method, f"{base}{path}{query}", headers, body, platform.keys, at=at, max_age=MAX_AGE
        )
    except EvidenceError as error:
        raise Problem(401, error.code, error.detail, field=error.field) from None


def _use_nonce(platform: Platform, signed: VerifiedRequest, at: datetime) -> None:
    try:
        with platform.database.write() as session:
            session.add(Nonce(did=signed.did, nonce=signed.nonce, seen_at=iso_ms(at)))
            session.flush()
    except IntegrityError:
        raise Problem(401, "nonce_used", "This request was sent before; sign a new one.") from None
