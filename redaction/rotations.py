"""The rotations as they rest: one of a bucket to a new epoch, how far it has come, and which of them go on."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import fields as members
from functools import lru_cache
from typing import Final

from sqlalchemy import Update, bindparam, delete, insert, update
from sqlalchemy import select as columns
from sqlmodel import Field as Column
from sqlmodel import Session, SQLModel, col, select

from redaction.disposition import JOURNALLED, RESEALED, Job
from runtime import bulk


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


@dataclass(frozen=True, slots=True)
class Going:
    """A rotation under way, as a pass needs it: to make an object of the table for each costs ten times as much."""

    bucket: int
    epoch: int
    ended: str
    rewrapped_at: str | None = None
    destroyed_at: str | None = None

    @property
    def old(self) -> tuple[int, ...]:
        """The epochs that this rotation destroys, as it was noted; what is destroyed the key-ring says."""
        try:
            found = json.loads(self.ended)
        except (ValueError, TypeError):
            return ()
        return tuple(one for one in found if type(one) is int and one < self.epoch) if isinstance(found, list) else ()


_TABLE: Final = SQLModel.metadata.tables["rotation"]
_GOING: Final = tuple(_TABLE.c[one.name] for one in members(Going))


def buckets(session: Session) -> list[int]:
    """The buckets in which a job waits for its key to be destroyed, or a rotation was cut off."""
    waiting = session.exec(select(Job.bucket).where(Job.step == JOURNALLED).distinct())
    pending = session.exec(select(Rotation.bucket).where(col(Rotation.dropped_at).is_(None)).distinct())
    return sorted({*waiting, *pending})


_PENDING: Final = columns(*_GOING).where(_TABLE.c.bucket.in_(bulk.these()), _TABLE.c.dropped_at.is_(None))


def pending(session: Session, buckets: Sequence[int]) -> list[Going]:
    """The rotations of these buckets that are not over, by their rows."""
    return [Going(*row) for row in bulk.rows(session, _PENDING, buckets)]


_DELETE: Final = delete(_TABLE).where(_TABLE.c.bucket == bindparam("of"), _TABLE.c.epoch == bindparam("under"))
_INSERT: Final = insert(_TABLE)


def begin(session: Session, epochs: dict[int, tuple[int, list[int]]], at: str) -> list[Going]:
    """Store new rotations: by bucket the new epoch and those that end with it.

    A row that says that this one is over, while the old key is there, is wrong: it is begun anew.
    """
    going = [Going(bucket, epoch, json.dumps(old)) for bucket, (epoch, old) in epochs.items()]
    rows = [
        {"bucket": one.bucket, "epoch": one.epoch, "ended": one.ended, "began_at": at, "rewrapped": 0} for one in going
    ]
    bulk.execute(session, _DELETE, [{"of": one.bucket, "under": one.epoch} for one in going])
    bulk.execute(session, _INSERT, rows)
    return going


_OPEN: Final = columns(_TABLE.c.bucket, _TABLE.c.epoch).where(
    _TABLE.c.bucket.in_(bulk.these()), _TABLE.c.dropped_at.is_(None)
)


def still(session: Session, rows: Sequence[Going]) -> list[Going]:
    """Those of the rotations that are under way."""
    open_ = {tuple(one) for one in bulk.rows(session, _OPEN, [row.bucket for row in rows])}
    return [row for row in rows if (row.bucket, row.epoch) in open_]


_AT_STEP: Final = select(Job.bucket).where(col(Job.bucket).in_(bulk.these()), Job.step == bindparam("at")).distinct()


def ready(session: Session, rows: Sequence[Going]) -> list[Going]:
    """Those under way whose buckets have no survivors that are not journalled."""
    unjournalled = {bucket for (bucket,) in bulk.rows(session, _AT_STEP, [row.bucket for row in rows], at=RESEALED)}
    return [row for row in still(session, rows) if row.bucket not in unjournalled]


@lru_cache(maxsize=8)
def _noting(name: str) -> Update:
    these = _TABLE.c.bucket == bindparam("of"), _TABLE.c.epoch == bindparam("under")
    return update(_TABLE).where(*these).values({name: bindparam("now")})


def note(session: Session, rows: Sequence[Going], name: str, at: str | None) -> None:
    """Note of each of these rotations when it came to a step, by the step's column."""
    bulk.execute(session, _noting(name), [{"of": row.bucket, "under": row.epoch, "now": at} for row in rows])


_COUNT: Final = (
    update(_TABLE)
    .where(_TABLE.c.bucket == bindparam("of"), _TABLE.c.epoch == bindparam("under"))
    .values(rewrapped=_TABLE.c.rewrapped + bindparam("more"))
)


def count(session: Session, moved: Sequence[tuple[Going, int]]) -> None:
    """Add to how many data keys each of these rotations has moved."""
    bulk.execute(session, _COUNT, [{"of": row.bucket, "under": row.epoch, "more": more} for row, more in moved])
