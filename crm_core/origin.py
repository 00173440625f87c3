"""Where each stored value came from: source, digest of the file, row, who brought it, when. Names fields, never values."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Table
from sqlmodel import Field as Column
from sqlmodel import Session, SQLModel

from protocol.consent import Field, SubjectId


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """The fields that one row of the source (1 is the first after the headings; 0 for none) gave to a subject."""

    subject: SubjectId
    rows: Mapping[Field, int]


def note(session: Session, origin: Origin, collected: Collection[Collected], *, event_id: str) -> None:
    """Remember where the values of these subjects came from."""
    raise NotImplementedError


def collected_fields(session: Session, subject: SubjectId) -> frozenset[Field]:
    """Every field that was ever collected for a subject, stored still or not."""
    raise NotImplementedError


def subjects_by_row(session: Session, source_digest: str) -> dict[int, SubjectId]:
    """Which subject each row of an earlier import of the same bytes went to."""
    raise NotImplementedError
