"""The rotations as they rest: one of a bucket to a new epoch, how far it has come, and which of them go on."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Update, bindparam, delete, insert, update
from sqlalchemy import select as columns
from sqlmodel import Field as Column
from sqlmodel import Session, SQLModel, col, select

from redaction.disposition import JOURNALLED, RESEALED, Job
from runtime import bulk
from runtime.keyring import BUCKETS


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

    @property
    def old(self) -> tuple[int, ...]:
        """The epochs that this rotation destroys, as it was noted; what is destroyed the key-ring says."""
        try:
            found = json.loads(self.ended)
        except ValueError:
            return ()
        return tuple(one for one in found if type(one) is int and one < self.epoch) if isinstance(found, list) else ()


_TABLE: Final = SQLModel.metadata.tables["rotation"]
_NAMES: Final = tuple(_TABLE.c.keys())


def buckets(session: Session) -> list[int]:
    """The buckets in which a job waits for its key to be destroyed, or a rotation was cut off.

    There are no others than ours: what else stands in a row is left alone (`sweep.held_back` counts it).
    """
    waiting = session.exec(select(Job.bucket).where(Job.step == JOURNALLED).distinct())
    pending = session.exec(select(Rotation.bucket).where(col(Rotation.dropped_at).is_(None)).distinct())
    return sorted({*waiting, *pending}.intersection(range(BUCKETS)))


_PENDING: Final = columns(*_TABLE.c).where(_TABLE.c.bucket.in_(bulk.these()), _TABLE.c.dropped_at.is_(None))


def pending(session: Session, buckets: Sequence[int]) -> list[Rotation]:
    """The rotations of these buckets that are not over, by their rows."""
    return [_of(dict(zip(_NAMES, row, strict=True))) for row in bulk.rows(session, _PENDING, buckets)]


def _of(row: dict[str, Any]) -> Rotation:
    return Rotation(**row)


_DELETE: Final = delete(_TABLE).where(_TABLE.c.bucket == bindparam("of"), _TABLE.c.epoch == bindparam("under"))
_INSERT: Final = insert(_TABLE)


def begin(session: Session, epochs: dict[int, tuple[int, list[int]]], at: str) -> list[Rotation]:
    """Store new rotations: by bucket the new epoch and those that end with it.

    A row that says that this one is over, while the old key is there, is wrong: it is begun anew.
    """
    rows = [
        {"bucket": bucket, "epoch": epoch, "ended": json.dumps(old), "began_at": at, "rewrapped": 0}
        for bucket, (epoch, old) in epochs.items()
    ]
    bulk.execute(session, _DELETE, [{"of": row["bucket"], "under": row["epoch"]} for row in rows])
    bulk.execute(session, _INSERT, rows)
    return [_of(row) for row in rows]


_OPEN: Final = columns(_TABLE.c.bucket, _TABLE.c.epoch).where(
    _TABLE.c.bucket.in_(bulk.these()), _TABLE.c.dropped_at.is_(None)
)


def still(session: Session, rows: Sequence[Rotation]) -> list[Rotation]:
    """Those of the rotations that are under way."""
    open_ = {tuple(one) for one in bulk.rows(session, _OPEN, [row.bucket for row in rows])}
    return [row for row in rows if (row.bucket, row.epoch) in open_]


_AT_STEP: Final = select(Job.bucket).where(col(Job.bucket).in_(bulk.these()), Job.step == bindparam("at")).distinct()


def ready(session: Session, rows: Sequence[Rotation]) -> list[Rotation]:
    """Those under way whose buckets have no survivors that are not journalled."""
    unjournalled = {bucket for (bucket,) in bulk.rows(session, _AT_STEP, [row.bucket for row in rows], at=RESEALED)}
    return [row for row in still(session, rows) if row.bucket not in unjournalled]


@lru_cache(maxsize=8)
def _noting(name: str) -> Update:
    these = _TABLE.c.bucket == bindparam("of"), _TABLE.c.epoch == bindparam("under")
    return update(_TABLE).where(*these).values({name: bindparam("now")})


def note(session: Session, rows: Sequence[Rotation], name: str, at: str | None) -> None:
    """Note of each of these rotations when it came to a step, by the step's column."""
    bulk.execute(session, _noting(name), [{"of": row.bucket, "under": row.epoch, "now": at} for row in rows])


_COUNT: Final = (
    update(_TABLE)
    .where(_TABLE.c.bucket == bindparam("of"), _TABLE.c.epoch == bindparam("under"))
    .values(rewrapped=_TABLE.c.rewrapped + bindparam("more"))
)


def count(session: Session, moved: Sequence[tuple[Rotation, int]]) -> None:
    """Add to how many data keys each of these rotations has moved."""
    bulk.execute(session, _COUNT, [{"of": row.bucket, "under": row.epoch, "more": more} for row, more in moved])
