"""The tables of the log: which event became which leaf, each subject's chain of records, every head that was signed."""

from sqlalchemy import Column, Integer, LargeBinary
from sqlmodel import Field, SQLModel

ORGANISATION = ""
"""The chain of events that concern no subject (their record has `subject: null`)."""


class LogEntry(SQLModel, table=True):
    """One leaf: the event it commits to, and its bytes as they are hashed."""

    __tablename__ = "log_entry"

    leaf_index: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    outbox_id: int = Field(unique=True)
    event_id: str = Field(unique=True)
    leaf: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    leaf_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    lost: bool = Field(default=False, index=True)
    """Its event was lost with the database that held it (a restore): the leaf and its commitments stay."""


class LogRecord(SQLModel, table=True):
    """One record of an event: its place in its subject's chain. `seq` counts from 0 without gaps."""

    __tablename__ = "log_record"

    subject: str = Field(primary_key=True)
    seq: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    leaf_index: int = Field(index=True)
    place: int
    commitment: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    prev: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    link: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    type: str = Field(index=True)
    at: str = Field(index=True)
    fields: str
    """Names of the fields it concerns, each between blanks (` contact.email address.city `), for filters."""


class LogCheckpoint(SQLModel, table=True):
    """Every head ever signed, so that consistency between any two can be shown."""

    __tablename__ = "log_checkpoint"

    size: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    root: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    note: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    at: str
