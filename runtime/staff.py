"""Staff accounts and their sign-in: Argon2id passwords, bearer tokens stored as digests, one role per account."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Request
from sqlalchemy import Column, LargeBinary, Text
from sqlmodel import Field, Session, SQLModel

from protocol.did import Did
from runtime.clock import Clocks
from runtime.keyring import KeyRing
from runtime.limits import RateLimit
from runtime.session import Database

ROLES = frozenset({"sales", "service", "marketing", "dpo", "auditor", "admin"})


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


class StaffSession(SQLModel, table=True):
    """A bearer token's SHA-256 and until when it holds."""

    __tablename__ = "staff_session"

    token_hash: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    account: str = Field(sa_column=Column(Text, nullable=False, index=True))
    expires_at: str = Field(sa_column=Column(Text, nullable=False))


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


def create_account(
    session: Session, keyring: KeyRing, *, account: str, name: str, role: str, password: str, at: datetime
) -> Staff:
    """Make an account with a signing key of its own (`staff/<account>`). Problem account_exists, unknown_role, weak_password."""
    raise NotImplementedError


def end_account(session: Session, account: str, at: datetime) -> None:
    """End an account and all its sessions. Problem unknown_account."""
    raise NotImplementedError


def sign_in(session: Session, account: str, password: str, at: datetime) -> SignedIn:
    """Exchange a password for a token. Problem(401, "bad_sign_in"), after the same work for an unknown account."""
    raise NotImplementedError


def sign_out(session: Session, token: str) -> None:
    """End a token. Idempotent."""
    raise NotImplementedError


def staff_of(session: Session, token: str, at: datetime) -> Staff:
    """Whose token this is. Problem(401, "not_signed_in")."""
    raise NotImplementedError


def signed_in(
    database: Database, clock: Clocks, roles: Collection[str] | None = None, *, limit: RateLimit | None = None
) -> Callable[[Request], Staff]:
    """A FastAPI dependency: the member of staff who calls. Problem 401 not_signed_in, 403 role, 429 too_many_requests."""
    raise NotImplementedError


def router(database: Database, clock: Clocks, *, rate: str = "10/minute") -> APIRouter:
    """POST /staff/sessions, DELETE /staff/sessions/current, GET /staff/me."""
    raise NotImplementedError
