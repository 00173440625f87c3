"""The outbox: an event commits with the change it tells of; the audit drains it into the log."""

import secrets
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Column, Integer, LargeBinary, Text, bindparam, insert
from sqlmodel import Field, Session, SQLModel, col, select

from protocol import canonical, event
from protocol.consent import SubjectId
from runtime.clock import instant, iso

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


_INSERT = insert(SQLModel.metadata.tables["outbox"]).inline()
_KNOWN = select(Outbox.event_id).where(col(Outbox.key) == bindparam("key"))


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
        common = {"id": self.event_id, "type": self.type, "time": iso(self.at), "header": dict(self.header)}
        return [canonical.jcs({**common, "subject": subject, "data": dict(data)}) for subject, data in self.records]


def emit(
    session: Session,
    type: str,
    *,
    at: datetime,
    header: Mapping[str, Any] | None = None,
    records: Sequence[tuple[SubjectId | None, Mapping[str, Any]]] = (),
    key: str | None = None,
) -> str:
    """Add an event to the session's transaction; its id (`urn:uuid:…`).

    With a `key`, only the first emission counts and later ones return its id. ValueError for an unknown type.
    """
    if type not in event.TYPES:
        raise ValueError(f"unknown type of event: {type}")
    if key is not None:
        # The writing session holds the write lock: nobody can put the same key in between.
        known = session.connection().execute(_KNOWN, {"key": key}).scalar()
        if known is not None:
            return str(known)
    row = {
        "event_id": f"urn:uuid:{uuid.uuid4()}",
        "type": type,
        "at": iso(at),
        "header": canonical.jcs(dict(header or {})).decode(),
        "records": canonical.jcs([{"subject": subject, "data": dict(data)} for subject, data in records]).decode(),
        "salts": secrets.token_bytes(SALT * len(records)),
        "key": key,
    }
    session.flush()  # what the event tells of comes first: an error there must not look like one of the event
    added = session.connection().execute(_INSERT, row)  # no object: every read writes one of these
    if added.rowcount != 1:
        raise RuntimeError("the outbox took no event")
    return str(row["event_id"])


def pending(session: Session, after: int, limit: int) -> list[OutboxEvent]:
    """At most `limit` events with an outbox id above `after`, in order of commit.

    On SQLite writers follow each other, so ids commit in order and none can appear below `after` later.
    """
    query = select(Outbox).where(col(Outbox.id) > after).order_by(col(Outbox.id)).limit(limit)
    return [_event(row) for row in session.exec(query)]


def _event(row: Outbox) -> OutboxEvent:
    records = orjson.loads(row.records)
    return OutboxEvent(
        id=row.id or 0,
        event_id=row.event_id,
        type=row.type,
        at=instant(row.at),
        header=orjson.loads(row.header),
        records=tuple((record["subject"], record["data"]) for record in records),
        salts=tuple(row.salts[start : start + SALT] for start in range(0, len(row.salts), SALT)),
    )
