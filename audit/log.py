"""The log: which events became which leaves, and the signed head that covers them.

The database says which leaf stands where; the tiles on disk (C2SP tlog-tiles) are what the world reads. Both are
written by `audit.drain` alone. `Log.check` compares them, and nobody appends to a log whose halves differ.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import BLOB, Column, Integer, func, select
from sqlmodel import Field, Session, SQLModel

from audit.tiles import Tiles
from audit.tree import Merkle
from protocol import note, times
from protocol import log as rfc6962
from protocol.errors import EvidenceError
from runtime.platform import Platform

ORGANISATION = ""
"""The chain of events that concern no subject (their record has `subject: null`)."""


class LogEntry(SQLModel, table=True):
    """One leaf: the event it commits to, and its bytes as they are hashed."""

    __tablename__ = "log_entry"

    leaf_index: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    outbox_id: int = Field(unique=True)
    event_id: str = Field(unique=True)
    leaf: bytes = Field(sa_column=Column(BLOB, nullable=False))
    leaf_hash: bytes = Field(sa_column=Column(BLOB, nullable=False))


class LogRecord(SQLModel, table=True):
    """One record of an event: its place in its subject's chain. `seq` counts from 0 without gaps."""

    __tablename__ = "log_record"

    subject: str = Field(primary_key=True)
    seq: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    leaf_index: int = Field(index=True)
    place: int
    commitment: bytes = Field(sa_column=Column(BLOB, nullable=False))
    prev: bytes = Field(sa_column=Column(BLOB, nullable=False))
    link: bytes = Field(sa_column=Column(BLOB, nullable=False))
    type: str = Field(index=True)
    at: str = Field(index=True)
    fields: str
    """Names of the fields it concerns, each between blanks (` contact.email address.city `), for the auditor's filter."""


class LogCheckpoint(SQLModel, table=True):
    """Every head ever signed, so that consistency between any two can be shown."""

    __tablename__ = "log_checkpoint"

    size: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    root: bytes = Field(sa_column=Column(BLOB, nullable=False))
    note: bytes = Field(sa_column=Column(BLOB, nullable=False))
    at: str
