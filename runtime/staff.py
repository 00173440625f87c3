"""Staff accounts and their sign-in: Argon2id passwords, bearer tokens stored as keyed digests, one role per account.

The database cannot sign in: accounts and sessions carry a MAC whose key is in the key-ring, so that whoever writes to
the database can neither give an account another role or password nor make a session. Ends of accounts are in the
journal: an older row that is put back whole opens nothing.
"""

import hashlib
import hmac
import json
import re
import secrets
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

import nacl.exceptions
from fastapi import APIRouter, Depends, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from nacl.pwhash import argon2id
from pydantic import BaseModel, ConfigDict
from pydantic import Field as BodyField
from sqlalchemy import Column, Executable, LargeBinary, Row, Text, bindparam, delete, select
from sqlmodel import Field, Session, SQLModel, col

from protocol import event
from protocol.did import Did
from runtime import outbox
from runtime.clock import iso
from runtime.journal import STAFF
from runtime.keyring import KeyRing
from runtime.limits import RateLimit
from runtime.problem import Problem

if TYPE_CHECKING:
    from runtime.platform import Platform

ROLES = frozenset({"sales", "service", "marketing", "dpo", "auditor", "admin", "steward"})
SESSION_LIFE = timedelta(hours=8)
PER_ADDRESS = "120/minute"  # sign-ins from one network address, over all accounts
PASSWORD_MIN, PASSWORD_MAX = 12, 1024  # characters
_ACCOUNT = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
# Each Argon2id run takes 64 MiB: more at once than this would let sign-ins eat the machine.
_HASHING = threading.BoundedSemaphore(2)
_BEARER = HTTPBearer(auto_error=False, description="The token of POST /staff/sessions.")


class StaffAccount(SQLModel, table=True):
    """An account; `ended_at` is set when it may no longer sign in."""

    __tablename__ = "staff"

    account: str = Field(sa_column=Column(Text, primary_key=True))
    name: str = Field(sa_column=Column(Text, nullable=False))
    role: str = Field(sa_column=Column(Text, nullable=False))
    did: str = Field(sa_column=Column(Text, nullable=False))
    password_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: str = Field(sa_column=Column(Text, nullable=False))
    ended_at: str | None = Field(default=None, sa_column=Column(Text, nullable=True))
    mac: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class StaffSession(SQLModel, table=True):
    """A bearer token's keyed digest and until when it holds."""

    __tablename__ = "staff_session"

    token_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    account: str = Field(sa_column=Column(Text, nullable=False, index=True))
    expires_at: str = Field(sa_column=Column(Text, nullable=False))
    mac: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


# Columns, not objects: this is on the way of every request of staff.
_ACCOUNT_COLUMNS = (
    col(StaffAccount.account),
    col(StaffAccount.name),
    col(StaffAccount.role),
    col(StaffAccount.did),
    col(StaffAccount.password_hash),
    col(StaffAccount.created_at),
    col(StaffAccount.ended_at),
    col(StaffAccount.mac),
)
_CALLER: Executable = (
    select(
        *_ACCOUNT_COLUMNS,
        col(StaffSession.expires_at).label("session_expires_at"),
        col(StaffSession.mac).label("session_mac"),
    )
    .join(StaffSession, col(StaffSession.account) == col(StaffAccount.account))
    .where(
        col(StaffSession.token_hash) == bindparam("token_hash"),
        col(StaffSession.expires_at) > bindparam("now"),
        col(StaffAccount.ended_at).is_(None),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """A member of staff who is signed in."""

    account: str
    name: str
    role: str
    did: Did


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a sign-in hands out: the token itself, shown once."""

    token: str
    expires_at: datetime
    role: str


def check_account(account: str) -> None:
    """Problem bad_account: lower-case ASCII, digits, `._@-` alone."""
    if not _ACCOUNT.fullmatch(account):
        raise Problem(422, "bad_account", "an account is 1 to 64 of a-z, 0-9, . _ @ -", field="account")


def create_account(
    session: Session, keyring: KeyRing, *, account: str, name: str, role: str, password: str, at: datetime
) -> Staff:
    """Make an account with a signing key of its own (`staff/<account>` in the key-ring).

    Problem: bad_account (lower-case ASCII, digits, `._@-`), unknown_role, weak_password, account_exists.
    """
    check_account(account)
    if role not in ROLES:
        raise Problem(422, "unknown_role", f"a role is one of {', '.join(sorted(ROLES))}", field="role")
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        raise Problem(422, "weak_password", f"a password has at least {PASSWORD_MIN} characters", field="password")
    if session.get(StaffAccount, account) is not None:
        raise Problem(409, "account_exists", "there is an account of that name", field="account")
    did = keyring.signer(f"staff/{account}").did
    row = StaffAccount(
        account=account, name=name, role=role, did=did, password_hash=_hash(password), created_at=iso(at), mac=b""
    )
    row.mac = _account_mac(keyring, row)
    session.add(row)
    session.flush()
    return Staff(account=account, name=name, role=role, did=did)


def end_account(session: Session, platform: "Platform", account: str, at: datetime) -> None:
    """End an account and all its sessions, in the journal too. Call it last. Problem unknown_account; JournalError."""
    row = session.get(StaffAccount, account)
    if row is None:
        raise Problem(404, "unknown_account", "no such account")
    if row.ended_at is None:
        row.ended_at = iso(at)
        row.mac = _account_mac(platform.keyring, row)
        session.add(row)
        session.flush()
    session.execute(delete(StaffSession).where(col(StaffSession.account) == account))
    if not platform.journal.staff_ended(account, row.created_at):
        # the last thing before the commit: an older row that somebody puts back opens nothing any more
        entry = {"kind": STAFF, "account": account, "created_at": row.created_at, "at": iso(at)}
        platform.journal.append(entry)


def sign_in(platform: "Platform", account: str, password: str, at: datetime) -> SignedIn:
    """Exchange a password for a token that holds for SESSION_LIFE. Problem(401, "bad_sign_in").

    The same work is done for an account that does not exist. Takes the platform, not a session: the write lock must not
    be held while a password is being hashed.
    """
    database, keyring = platform.database, platform.keyring
    with database.read() as session:
        row = session.get(StaffAccount, account)
    if row is not None and not hmac.compare_digest(row.mac, _account_mac(keyring, row)):
        row = None  # somebody wrote to the database: nobody signs in with that
    platform.journal.refresh()
    if row is not None and platform.journal.staff_ended(row.account, row.created_at):
        row = None  # or put an older row back
    fits = _fits(row.password_hash if row is not None else _nobody(), password)
    if row is None or not fits or row.ended_at is not None:
        refusal = Problem(401, "bad_sign_in", "the account or the password is wrong")
        _on_record(platform, refusal, "sign-in", row)  # for one that does not exist too: it would answer sooner
        raise refusal
    token, expires_at = secrets.token_urlsafe(32), at + SESSION_LIFE
    with database.write() as session:
        session.execute(delete(StaffSession).where(col(StaffSession.expires_at) <= iso(at)))
        made = StaffSession(token_hash=_digest(keyring, token), account=account, expires_at=iso(expires_at), mac=b"")
        made.mac = _mac(keyring, "session", made.token_hash, made.account, made.expires_at)
        session.add(made)
    return SignedIn(token, expires_at, row.role)


def sign_out(session: Session, keyring: KeyRing, token: str) -> None:
    """End a token. Idempotent."""
    session.execute(delete(StaffSession).where(col(StaffSession.token_hash) == _digest(keyring, token)))


def staff_of(session: Session, platform: "Platform", token: str, at: datetime) -> Staff:
    """Whose token this is. Problem(401, "not_signed_in"): unknown, expired, account ended, or a MAC does not fit."""
    keyring, journal = platform.keyring, platform.journal
    digest = _digest(keyring, token)
    row = session.execute(_CALLER, {"token_hash": digest, "now": iso(at)}).first()
    if row is None:
        raise _not_signed_in()
    ours = _mac(keyring, "session", digest, row.account, row.session_expires_at)
    if not (hmac.compare_digest(row.session_mac, ours) and hmac.compare_digest(row.mac, _account_mac(keyring, row))):
        raise _not_signed_in()
    journal.refresh()
    if journal.staff_ended(row.account, row.created_at):
        raise _not_signed_in()
    return Staff(account=row.account, name=row.name, role=row.role, did=Did(row.did))


def signed_in(
    platform: "Platform", roles: Collection[str] | None = None, *, limit: RateLimit | None = None
) -> Callable[..., Staff]:
    """A FastAPI dependency: the member of staff who calls, if of one of `roles`.

    Problem: 401 not_signed_in, 403 role, 429 too_many_requests (counted per token).
    """
    limit = limit or RateLimit(platform.settings.token_rate)

    def caller(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]
    ) -> Staff:
        if credentials is None:
            raise _not_signed_in()
        with platform.database.read() as session:
            staff = staff_of(session, platform, credentials.credentials, platform.clock.now())
        limit.hit(credentials.credentials)  # after the look-up: only tokens that exist take up memory
        if roles is not None and staff.role not in roles:
            refusal = Problem(403, "role", "this role may not do that")
            _on_record(platform, refusal, getattr(request.scope.get("route"), "path", ""), staff)
            raise refusal
        return staff

    return caller


class SignInBody(BaseModel):
    """What is asked for at the door."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"account": "mei", "password": "…"}]})

    account: str = BodyField(max_length=64)
    password: str = BodyField(max_length=PASSWORD_MAX)


class SignInAnswer(BaseModel):
    """The bearer token, told once; `expires_at` is UTC."""

    token: str
    expires_at: str
    role: str


class StaffAnswer(BaseModel):
    """Who is signed in."""

    account: str
    name: str
    role: str
    did: str


def router(platform: "Platform") -> APIRouter:
    """POST /staff/sessions, DELETE /staff/sessions/current, GET /staff/me. Both account and address limit sign-ins."""
    routes = APIRouter(prefix="/staff", tags=["staff"])
    per_account, per_address = RateLimit(platform.settings.sign_in_rate), RateLimit(PER_ADDRESS)
    caller = signed_in(platform)
    _nobody()  # now, so that the first unknown account takes no longer than a known one

    @routes.post("/sessions", status_code=201, summary="Sign in")
    def sign_in_(body: SignInBody, request: Request) -> SignInAnswer:
        """Exchange an account's password for a bearer token. Codes: bad_sign_in (401), too_many_requests (429)."""
        per_address.hit(request.client.host if request.client else "unknown")
        per_account.hit(body.account)
        made = sign_in(platform, body.account, body.password, platform.clock.now())
        return SignInAnswer(token=made.token, expires_at=iso(made.expires_at), role=made.role)

    @routes.delete("/sessions/current", status_code=204, summary="Sign out")
    def sign_out_(request: Request, _staff: Annotated[Staff, Depends(caller)]) -> Response:
        """End the token that this request carries."""
        with platform.database.write() as session:
            sign_out(session, platform.keyring, request.headers["authorization"].split(None, 1)[1].strip())
        return Response(status_code=204)

    @routes.get("/me", summary="Who am I")
    def me(staff: Annotated[Staff, Depends(caller)]) -> StaffAnswer:
        """The account, role and DID behind the token."""
        return StaffAnswer(account=staff.account, name=staff.name, role=staff.role, did=staff.did)

    return routes


def _on_record(platform: "Platform", refusal: Problem, action: str, who: Staff | StaffAccount | None) -> None:
    """`action` comes from our own code; an account that does not exist is not named: it may be anything, a password."""
    header = {} if who is None else {"reader": who.did, "role": who.role}
    data = {"action": action, "code": refusal.code}
    with platform.database.write() as session:
        outbox.emit(session, event.ATTEMPT_REFUSED, at=platform.clock.now(), header=header, records=[(None, data)])


def _not_signed_in() -> Problem:
    return Problem(401, "not_signed_in", "sign in first", headers={"www-authenticate": "Bearer"})


def _digest(keyring: KeyRing, token: str) -> bytes:
    return _mac(keyring, "token", token)


def _account_mac(keyring: KeyRing, row: "StaffAccount | Row[Any]") -> bytes:
    facts = (row.account, row.name, row.role, row.did, row.password_hash, row.created_at, row.ended_at)
    return _mac(keyring, "account", *facts)


def _mac(keyring: KeyRing, kind: str, *facts: str | bytes | None) -> bytes:
    plain = [fact.hex() if isinstance(fact, bytes) else fact for fact in facts]
    text = json.dumps([kind, *plain]).encode()
    return hashlib.blake2b(text, key=keyring.secret("staff"), digest_size=32).digest()


def _hash(password: str) -> bytes:
    with _HASHING:
        return argon2id.str(
            password.encode(), opslimit=argon2id.OPSLIMIT_INTERACTIVE, memlimit=argon2id.MEMLIMIT_INTERACTIVE
        )


def _fits(stored: bytes, password: str) -> bool:
    try:
        with _HASHING:
            return argon2id.verify(stored, password.encode())
    except nacl.exceptions.InvalidkeyError:
        return False


@lru_cache(maxsize=1)
def _nobody() -> bytes:
    return _hash(secrets.token_urlsafe(32))
