"""What an upload was answered, kept for a week: the same upload again gets the same answer and changes nothing.

Only keyed digests rest here of what a touchpoint chose (its upload's id, its body), beside an answer that names fields
and codes. Each row carries a MAC: whoever writes to the database cannot make an upload seem to have been taken.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from sqlalchemy import delete
from sqlmodel import Field as Column
from sqlmodel import Session, SQLModel, col, select

from protocol import canonical
from protocol.did import Did
from protocol.times import iso_ms
from runtime.platform import Platform

KEPT: Final = timedelta(days=7)
_BATCH: Final = 500


class UploadAnswer(SQLModel, table=True):
    """Table `upload_answer`."""

    __tablename__ = "upload_answer"

    key: str = Column(primary_key=True)  # keyed digest of who sent it and of its id
    body: str  # keyed digest of what was sent
    answer: str
    at: str = Column(index=True)
    mac: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """This id was used before, for something else (or somebody changed the row)."""


class Memory:
    """Looks up and keeps answers under one key of the key-ring."""

    def __init__(self, platform: Platform) -> None:
        self._secret = platform.keyring.secret("uploads")

    def key(self, who: Did, kind: str, id_: str) -> str:
        """The row's key. `kind` parts the ids of uploads from the keys of requests."""
        return self._digest(b"key", canonical.jcs([who, kind, id_]))

    def body(self, data: bytes) -> str:
        """What a body is known by."""
        return self._digest(b"body", data)

    def find(self, session: Session, key: str, body: str) -> dict[str, Any] | Conflict | None:
        """The answer that was given; Conflict when it was given to another body; None when there is none yet."""
        row = session.get(UploadAnswer, key)
        if row is None:
            return None
        told = self._mac(row.key, row.body, row.answer, row.at)
        if row.body != body or not hmac.compare_digest(told, row.mac):
            return Conflict()
        found: dict[str, Any] = orjson.loads(row.answer)
        return found

    def keep(self, session: Session, key: str, body: str, answer: dict[str, Any], at: datetime) -> None:
        """Keep an answer in the transaction of what it tells of."""
        text, when = orjson.dumps(answer, option=orjson.OPT_SORT_KEYS).decode(), iso_ms(at)
        session.add(UploadAnswer(key=key, body=body, answer=text, at=when, mac=self._mac(key, body, text, when)))
        session.flush()

    def _mac(self, *parts: str) -> str:
        return self._digest(b"row", canonical.jcs(list(parts)))

    def _digest(self, person: bytes, data: bytes) -> str:
        return hashlib.blake2b(data, key=self._secret, person=person, digest_size=32).hexdigest()


def forgettable(session: Session, at: datetime) -> bool:
    """Is there an answer that need not be kept any more?"""
    statement = select(UploadAnswer.key).where(col(UploadAnswer.at) < iso_ms(at - KEPT)).limit(1)
    return session.exec(statement).first() is not None


def forget(session: Session, at: datetime) -> None:
    """Drop some of those, so that the write lock is held for a moment only."""
    old = select(UploadAnswer.key).where(col(UploadAnswer.at) < iso_ms(at - KEPT)).limit(_BATCH)
    session.connection().execute(delete(UploadAnswer).where(col(UploadAnswer.key).in_(old)))
