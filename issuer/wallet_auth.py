"""Who calls: wallets sign each request (RFC 9421) and need a living enrolment."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlmodel import Field, SQLModel

from protocol.consent import SubjectId
from protocol.did import Did
from runtime.platform import Platform


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


def wallet_caller(platform: Platform) -> Callable[..., Any]:
    """A FastAPI dependency that gives the WalletCaller or refuses."""
    raise NotImplementedError
