"""Where each stored value came from: source, digest of the file, row, who brought it, when. Never the value.

The digest is keyed: a plain hash of a small file could be tried out until the values in it are found.
"""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Table, select
from sqlmodel import Field as Column
from sqlmodel import Session, SQLModel

from protocol import times
from protocol.consent import Field, SubjectId
from runtime.platform import Platform


class OriginRow(SQLModel, table=True):
    """Table `origin`: one row per subject, field and event that brought a value."""

    __tablename__ = "origin"

    subject: str = Column(primary_key=True)
    field: str = Column(primary_key=True)
    event_id: str = Column(primary_key=True)
    source: str
    source_digest: str = Column(index=True)
    row: int
    importer: str
    at: str


TABLE: Table = SQLModel.metadata.tables["origin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What brought values: a file (or another touchpoint) with its digest, brought by `importer` (a DID) at `at`."""

    source: str
    source_digest: str
    importer: str
    at: datetime

    def told(self) -> dict[str, str]:
        """What the events say of it."""
        return {"source": self.source, "digest": self.source_digest, "importer": self.importer}


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """The fields that a source gave to a subject, each with its row (1 is the first after the headings; 0: no row)."""

    subject: SubjectId
    rows: Mapping[Field, int]


def digest(platform: Platform, data: bytes) -> str:
    """The keyed digest of a file's bytes (BLAKE2b, 256 bits, key `origin` of the key-ring) in hexadecimal."""
    return hashlib.blake2b(data, digest_size=32, key=platform.keyring.secret("origin")).hexdigest()


def note(session: Session, origin: Origin, collected: Collection[Collected], *, event_id: str) -> None:
    """Remember where the values of these subjects came from; there is at least one."""
    common = {
        "event_id": event_id,
        "source": origin.source,
        "source_digest": origin.source_digest,
        "importer": origin.importer,
        "at": times.iso_ms(origin.at),
    }
    rows = [
        {"subject": each.subject, "field": field, "row": row, **common}
        for each in collected
        for field, row in each.rows.items()
    ]
    session.connection().execute(TABLE.insert(), rows)


def collected_fields(session: Session, subject: SubjectId) -> frozenset[Field]:
    """Every field that was ever collected for a subject, stored still or not."""
    statement = select(TABLE.c.field).where(TABLE.c.subject == subject).distinct()
    return frozenset(Field(name) for name in session.connection().execute(statement).scalars())


def subjects_by_row(session: Session, source_digest: str) -> dict[int, SubjectId]:
    """Which subject each row of an earlier import of the same bytes gave values to."""
    statement = select(TABLE.c.row, TABLE.c.subject).where(TABLE.c.source_digest == source_digest).distinct()
    return {row: SubjectId(subject) for row, subject in session.connection().execute(statement)}
