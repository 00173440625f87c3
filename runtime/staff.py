"""Staff accounts and their sign-in: Argon2id passwords, sessions stored as keyed digests, one role per account.

A session belongs to a bearer token or to a browser's cookie (`staff_session`); the routes are in `staff_app`.

The database cannot sign in: accounts and sessions carry a MAC whose key is in the key-ring, so that whoever writes to
the database can neither give an account another role or password nor make a session. Ends of accounts are in the
journal: an older row that is put back whole opens nothing.
"""

import hmac
import re
import secrets
import threading
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Annotated, Any

import nacl.exceptions
from fastapi import Request, Security
from fastapi.security import APIKeyCookie, HTTPBearer
from nacl.pwhash import argon2id
from sqlalchemy import Column, Executable, LargeBinary, Row, Text, bindparam, delete, select
from sqlmodel import Field, Session, SQLModel, col

from protocol import event
from protocol.did import Did
from runtime import outbox, staff_session
from runtime.clock import iso
from runtime.journal import STAFF
from runtime.keyring import KeyRing
from runtime.limits import RateLimit
from runtime.problem import Problem
from runtime.staff_session import COOKIE, Ticket

if TYPE_CHECKING:
    from runtime.platform import Platform

ROLES = frozenset({"sales", "service", "marketing", "dpo", "auditor", "admin", "steward"})
SESSION_LIFE = timedelta(hours=8)
PASSWORD_MIN, PASSWORD_MAX = 12, 1024  # characters
_ACCOUNT = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
# Each Argon2id run takes 64 MiB: more at once than this would let sign-ins eat the machine.
_HASHING = threading.BoundedSemaphore(2)
_BEARER = HTTPBearer(auto_error=False, description="The token of POST /staff/sessions.")
_COOKIE = APIKeyCookie(
    name=COOKIE,
    scheme_name="StaffCookie",
    auto_error=False,
    description=f"Of POST /staff/sessions with `cookie`. What changes something needs `{staff_session.HEADER}` too.",
)
_mac = staff_session.mac


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
    """The keyed digest of a bearer token or of a cookie, and until when it holds."""

    __tablename__ = "staff_session"

    token_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    account: str = Field(sa_column=Column(Text, nullable=False, index=True))
    expires_at: str = Field(sa_column=Column(Text, nullable=False))
    mac: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


# The tables' own columns, not the objects': this is on the way of every request of staff.
_STAFF_TABLE, _SESSION_TABLE = (SQLModel.metadata.tables[name] for name in ("staff", "staff_session"))
_CALLER: Executable = (
    select(
        *_STAFF_TABLE.c,
        _SESSION_TABLE.c.expires_at.label("session_expires_at"),
        _SESSION_TABLE.c.mac.label("session_mac"),
    )
    .join(_SESSION_TABLE, _SESSION_TABLE.c.account == _STAFF_TABLE.c.account)
    .where(
        _SESSION_TABLE.c.token_hash == bindparam("token_hash"),
        _SESSION_TABLE.c.expires_at > bindparam("now"),
        _STAFF_TABLE.c.ended_at.is_(None),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """A member of staff who is signed in. `since`: when the account was made, by which the journal knows its end."""

    account: str
    name: str
    role: str
    did: Did
    since: str = ""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a sign-in hands out: the token itself, shown once (to a browser as a cookie, never to a script)."""

    token: str
    expires_at: datetime
    role: str
    account: str
    name: str


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
    return Staff(account=account, name=name, role=role, did=did, since=row.created_at)


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


def sign_in(
    platform: "Platform",
    account: str,
    password: str,
    at: datetime,
    *,
    kind: staff_session.Kind = "token",
    instead_of: Ticket | None = None,
) -> SignedIn:
    """Exchange a password for a token that holds for SESSION_LIFE. Problem(401, "bad_sign_in").

    The token is always a new one; the session `instead_of` ends with it. The same work is done for an account that does
    not exist. Takes the platform, not a session: the write lock must not be held while a password is being hashed.
    """
    database, keyring = platform.database, platform.keyring
    with database.read() as session:
        row = session.get(StaffAccount, account)
    if row is not None and not hmac.compare_digest(row.mac, _account_mac(keyring, row)):
        row = None  # somebody wrote to the database: nobody signs in with that
    platform.journal.refresh()
    if row is not None and platform.journal.staff_ended(row.account, row.created_at):
        row = None  # or put an older row back
    fits = _fits(row.password_hash if row is not None else nobody(), password)
    if row is None or not fits or row.ended_at is not None:
        refusal = Problem(401, "bad_sign_in", "the account or the password is wrong")
        _on_record(platform, refusal, "sign-in", row)  # for one that does not exist too: it would answer sooner
        raise refusal
    token, expires_at = secrets.token_urlsafe(32), at + SESSION_LIFE
    with database.write() as session:
        session.execute(delete(StaffSession).where(col(StaffSession.expires_at) <= iso(at)))
        if instead_of is not None:
            sign_out(session, keyring, instead_of)
        digest = Ticket(kind, token).digest(keyring)
        made = StaffSession(token_hash=digest, account=account, expires_at=iso(expires_at), mac=b"")
        made.mac = _mac(keyring, "session", made.token_hash, made.account, made.expires_at)
        session.add(made)
    return SignedIn(token, expires_at, row.role, row.account, row.name)


def sign_out(session: Session, keyring: KeyRing, held: Ticket | str) -> None:
    """End a session, of a bearer token where it is given as text. Idempotent."""
    digest = _ticket(held).digest(keyring)
    session.execute(delete(StaffSession).where(col(StaffSession.token_hash) == digest))


def expires_at(session: Session, keyring: KeyRing, held: Ticket) -> str:
    """When a session ends (ISO, UTC): ask only for one that `staff_of` took."""
    return session.get_one(StaffSession, held.digest(keyring)).expires_at


def staff_of(session: Session, platform: "Platform", held: Ticket | str, at: datetime) -> Staff:
    """Whose session this is. Problem(401, "not_signed_in"): unknown, expired, account ended, or a MAC does not fit."""
    keyring, journal = platform.keyring, platform.journal
    digest = _ticket(held).digest(keyring)
    row = session.connection().execute(_CALLER, {"token_hash": digest, "now": iso(at)}).first()
    if row is None:
        raise _not_signed_in()
    ours = _mac(keyring, "session", digest, row.account, row.session_expires_at)
    if not (hmac.compare_digest(row.session_mac, ours) and hmac.compare_digest(row.mac, _account_mac(keyring, row))):
        raise _not_signed_in()
    journal.refresh()
    if journal.staff_ended(row.account, row.created_at):
        raise _not_signed_in()
    return Staff(account=row.account, name=row.name, role=row.role, did=Did(row.did), since=row.created_at)


def signed_in(
    platform: "Platform", roles: Collection[str] | None = None, *, limit: RateLimit | None = None
) -> Callable[..., Staff]:
    """A FastAPI dependency: the member of staff who calls, by bearer token or cookie, if of one of `roles`.

    Problem: 401 not_signed_in, 403 role, and for a cookie csrf and foreign_origin, 429 too_many_requests (counted per
    session).
    """
    limit = limit or RateLimit(platform.settings.token_rate)

    def caller(
        request: Request, _bearer: Annotated[Any, Security(_BEARER)], _cookie: Annotated[Any, Security(_COOKIE)]
    ) -> Staff:
        return _called(platform, request, _held(request), roles, limit)

    return caller


def signing_in(
    platform: "Platform", roles: Collection[str] | None = None, *, limit: RateLimit | None = None
) -> Callable[..., Awaitable[Callable[[], Staff]]]:
    """The same for a route that is called often: what it is given says who calls when it is asked, first of all.

    So the database is looked at in the thread in which the route does its work, and not in another one before.
    """
    limit = limit or RateLimit(platform.settings.token_rate)

    async def caller(
        request: Request, _bearer: Annotated[Any, Security(_BEARER)], _cookie: Annotated[Any, Security(_COOKIE)]
    ) -> Callable[[], Staff]:
        return partial(_called, platform, request, _held(request), roles, limit)

    return caller


def _held(request: Request) -> Ticket:
    held = staff_session.ticket(request)
    if held is None:
        raise _not_signed_in()
    return held


def _called(
    platform: "Platform", request: Request, held: Ticket, roles: Collection[str] | None, limit: RateLimit
) -> Staff:
    with platform.database.read() as session:
        staff = staff_of(session, platform, held, platform.clock.now())
    limit.hit(held.text)  # after the look-up: only sessions that exist take up memory
    refusal = _cookie_refused(platform, request, held) if held.kind == "cookie" else None
    if refusal is None and roles is not None and staff.role not in roles:
        refusal = Problem(403, "role", "this role may not do that")
    if refusal is not None:
        _on_record(platform, refusal, getattr(request.scope.get("route"), "path", ""), staff)
        raise refusal
    return staff


def _cookie_refused(platform: "Platform", request: Request, held: Ticket) -> Problem | None:
    """Why a good cookie is not enough: browsers send it along with what another page asks for."""
    if staff_session.foreign(request, platform.settings):
        return Problem(403, "foreign_origin", "a page of another origin may not act for a member of staff")
    said = request.headers.get(staff_session.HEADER, "")
    if staff_session.guarded(request) and not staff_session.csrf_fits(platform.keyring, held, said):
        return Problem(403, "csrf", f"the {staff_session.HEADER} header is missing or of another session")
    return None


def _on_record(platform: "Platform", refusal: Problem, action: str, who: Staff | StaffAccount | None) -> None:
    """`action` comes from our own code; an account that does not exist is not named: it may be anything, a password."""
    header = {} if who is None else {"reader": who.did, "role": who.role}
    data = {"action": action, "code": refusal.code}
    with platform.database.write() as session:
        outbox.emit(session, event.ATTEMPT_REFUSED, at=platform.clock.now(), header=header, records=[(None, data)])


def _not_signed_in() -> Problem:
    return Problem(401, "not_signed_in", "sign in first", headers={"www-authenticate": "Bearer"})


def _ticket(held: Ticket | str) -> Ticket:
    return Ticket("token", held) if isinstance(held, str) else held


def _account_mac(keyring: KeyRing, row: "StaffAccount | Row[Any]") -> bytes:
    facts = (row.account, row.name, row.role, row.did, row.password_hash, row.created_at, row.ended_at)
    return _mac(keyring, "account", *facts)


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
def nobody() -> bytes:
    """A hash that no password fits, so that an unknown account costs the same work."""
    return _hash(secrets.token_urlsafe(32))
