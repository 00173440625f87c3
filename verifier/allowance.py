"""Allowances: what a (subject, purpose, recipient, jurisdiction) releases now, compiled from verified grounds.

A row carries a mask of released fields, the reason byte of each withheld one, the grounds, the next change, the
standing's version, the catalogue's digest and a MAC over all of that and its key columns. The key is in the key-ring:
whoever writes to the database can neither make a row nor move one.
"""

from collections.abc import Iterable

from sqlmodel import Field, Session, SQLModel

from issuer.catalogue import Catalogue
from protocol.consent import SubjectId
from runtime.platform import Platform


class Allowance(SQLModel, table=True):
    """One compiled decision."""

    __tablename__ = "allowance"

    subject: str = Field(primary_key=True)
    purpose: str = Field(primary_key=True)
    recipient: str = Field(primary_key=True)
    jurisdiction: str = Field(primary_key=True)
    mask: bytes  # 16 bytes, little endian; the catalogue's bit per field
    reasons: bytes  # one byte per bit, up to the highest: 0 released or not in the catalogue, else 1 + index in Reason
    grounds: str  # JSON {ground id: mask in hexadecimal}
    next_change_at: str | None = Field(default=None, index=True)
    version: int
    catalogue: str
    mac: bytes


def compile(session: Session, platform: Platform, catalogue: Catalogue, subject: SubjectId) -> None:
    """Write the subject's allowances from its evidence, in the caller's transaction. Skips a quarantined subject."""
    compile_many(session, platform, catalogue, [subject])


def compile_many(session: Session, platform: Platform, catalogue: Catalogue, subjects: Iterable[SubjectId]) -> int:
    """The same for many subjects, in batches; returns how many were compiled (quarantined ones are skipped)."""
    raise NotImplementedError


def compile_due(platform: Platform, catalogue: Catalogue, *, limit: int = 500) -> int:
    """Compile again each subject with an allowance past its `next_change_at`; returns how many."""
    raise NotImplementedError
