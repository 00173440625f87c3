"""The records: one row per subject with its wrapped data key and its sealed cells. Nothing in clear is ever here.

Only the planner, the writer and `redaction` reach this module (import-linter checks it).
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace as changed

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Row, Table
from sqlmodel import Field as Column
from sqlmodel import Session, SQLModel

from crm_core import cells, seal
from crm_core.seal import DataKeyPlace, Value
from protocol.consent import Field, SubjectId
from protocol.errors import EvidenceError
from runtime import keyring
from runtime.platform import Platform


class RecordRow(SQLModel, table=True):
    """Table `record`."""

    __tablename__ = "record"

    subject: str = Column(primary_key=True)
    created_at: str
    bucket: int = Column(index=True)
    epoch: int
    generation: int
    wrapped: bytes
    cells: bytes


TABLE: Table = SQLModel.metadata.tables["record"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One sealed record as it rests: `wrapped` is the data key under (bucket, epoch), `cells` the packed boxes."""

    subject: SubjectId
    created_at: str
    bucket: int
    epoch: int
    generation: int
    wrapped: bytes
    cells: bytes


def load(session: Session, subject: SubjectId) -> Record | None:
    """The record of one subject, or None."""
    raise NotImplementedError


def every(session: Session) -> Iterator[Record]:
    """All records in the order of their subjects, streamed."""
    raise NotImplementedError


def insert(session: Session, record: Record) -> None:
    """Add a new record."""
    raise NotImplementedError


def replace(
    session: Session, subject: SubjectId, *, cells: bytes, generation: int, wrapped: bytes, bucket: int, epoch: int
) -> None:
    """Put new cells and their data key in the place of the old ones. Raises EvidenceError `unknown_subject`."""
    raise NotImplementedError


def stored_fields(session: Session, subject: SubjectId) -> frozenset[Field]:
    """The fields that hold a value; empty for an unknown subject."""
    raise NotImplementedError


def data_key(platform: Platform, record: Record) -> AESGCM:
    """Unwrap the record's data key. Raises EvidenceError `bad_data_key`, KeyGone when its bucket epoch was destroyed."""
    raise NotImplementedError


def open_fields(platform: Platform, record: Record, fields: Collection[Field]) -> dict[Field, Value]:
    """Open the given fields of a record; those without a stored value are missing from the answer.

    Raises EvidenceError `bad_data_key`, `bad_cells`, `bad_cell`; KeyGone when the bucket epoch was destroyed.
    """
    raise NotImplementedError


def seal_record(
    platform: Platform, subject: SubjectId, *, generation: int, created_at: str, values: Mapping[Field, Value]
) -> Record:
    """A record with a new data key under the bucket's current epoch. To be called inside the write transaction."""
    raise NotImplementedError


def reseal(session: Session, platform: Platform, subject: SubjectId, keep: frozenset[Field]) -> Record:
    """Seal the survivors `keep` anew under the subject's next generation and drop everything else.

    Returns the new record (for the journal). Raises EvidenceError `unknown_subject` and what `open_fields` raises.
    """
    raise NotImplementedError


def rewrap_bucket(session: Session, platform: Platform, bucket: int, new_epoch: int) -> int:
    """Wrap all data keys of a bucket under `new_epoch`; those that are there already stay. Returns how many changed."""
    raise NotImplementedError
