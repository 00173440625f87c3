"""The outbox: an event commits with the change it tells of; the audit drains it into the log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from protocol.consent import SubjectId
from sqlalchemy import Column, Integer, LargeBinary, Text
from sqlmodel import Field, Session, SQLModel

SALT = 32  # bytes per record


class Outbox(SQLModel, table=True):
    """One event. Bodies name fields, never values."""

    __tablename__ = "outbox"
    __table_args__ = {"sqlite_autoincrement": True}

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True, autoincrement=True))
    event_id: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    type: str = Field(sa_column=Column(Text, nullable=False))
    at: str = Field(sa_column=Column(Text, nullable=False))
    header: str = Field(sa_column=Column(Text, nullable=False))
    records: str = Field(sa_column=Column(Text, nullable=False))
    salts: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    key: str | None = Field(default=None, sa_column=Column(Text, nullable=True, unique=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEvent:
    """One event as it was emitted: `records` are (subject or None, data), each with its own 32-byte salt."""

    id: int
    event_id: str
    type: str
    at: datetime
    header: Mapping[str, Any]
    records: tuple[tuple[SubjectId | None, Mapping[str, Any]], ...]
    salts: tuple[bytes, ...]

    def bodies(self) -> list[bytes]:
        """Per record the JCS bytes of {"id","type","time","subject","header","data"}: what a commitment is over."""
        raise NotImplementedError


def emit(
    session: Session,
    type: str,  # noqa: A002 - CloudEvents' own word
    *,
    at: datetime,
    header: Mapping[str, Any] | None = None,
    records: Sequence[tuple[SubjectId | None, Mapping[str, Any]]] = (),
    key: str | None = None,
) -> str:
    """Add an event to the session's transaction; its id (`urn:uuid:…`).

    With a `key`, only the first emission counts and later ones return its id. ValueError for an unknown type.
    """
    raise NotImplementedError


def pending(session: Session, after: int, limit: int) -> list[OutboxEvent]:
    """At most `limit` events with an outbox id above `after`, in order."""
    raise NotImplementedError
