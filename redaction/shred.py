"""Shredding: survivors under the next generation, the old data key dropped, the bucket rotated, its old key destroyed.

After that, old pages, write-ahead logs and backups hold only what no key opens. Each step acts and marks in one
transaction; what happens in the key-ring (which has no transaction with the database) is idempotent there.
"""

from sqlmodel import Field as Column
from sqlmodel import SQLModel

from runtime.platform import Platform


class Rotation(SQLModel, table=True):
    """One rotation of one bucket to a new epoch. Instants are ISO with milliseconds."""

    __tablename__ = "rotation"

    bucket: int = Column(primary_key=True)
    epoch: int = Column(primary_key=True)  # the new one
    ended: str  # JSON list of the older epochs that this rotation destroys
    rewrapped: int = 0  # data keys that moved to the new epoch
    began_at: str
    rewrapped_at: str | None = None
    destroyed_at: str | None = None  # older epochs overwritten and unlinked
    dropped_at: str | None = Column(default=None, index=True)  # no opener holds them any more


def reseal(platform: Platform, job_id: str) -> None:
    """Seal the survivors of a job anew and drop the data key that sealed the lapsed fields too."""
    raise NotImplementedError


def journal(platform: Platform, job_id: str) -> None:
    """Make the survivors durable outside the database, before the key that a backup would need is destroyed."""
    raise NotImplementedError


def rotate(platform: Platform, bucket: int) -> bool:
    """Carry the bucket's rotation as far as it goes now; True when nothing of it is left to do."""
    raise NotImplementedError
