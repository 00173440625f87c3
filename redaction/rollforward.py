"""Rolling forward: a restored database takes up what the journal and the replica of data keys know.

An older copy of the database holds data keys under bucket keys that were destroyed since, those of customers who
withdrew nothing too. Each record whose key is gone gets the newest wrapped data key of its generation; one whose
generation was shredded since gets its survivors. Nothing is taken that does not open: a replica's line that belongs to
another customer, and an entry that somebody edited, change nothing.
"""

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, select

from crm_core import items, records
from crm_core.items import Heads, Sealed
from crm_core.records import Record
from protocol import times
from protocol.consent import SubjectId
from protocol.errors import EvidenceError
from redaction import archive, disposition, replica, survivors
from redaction.archive import Archived
from redaction.disposition import DONE, PLANNED, RESTORED
from redaction.rotation import Rotation
from runtime import crash
from runtime.keyring import BUCKETS, KeyGone
from runtime.platform import Platform

BATCH = 200  # records in one transaction

Progress = Callable[[int, int], None]
Keys = Mapping[SubjectId, tuple[int, int, bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rolled:
    """What was behind: records that got a newer data key, and survivors with the boxes they have in the archive.

    `dark` are the records that nothing opens: their keys are gone, and neither journal nor replica has a newer one.
    """

    rewrapped: int = 0
    survivors: int = 0
    archived: int = 0
    dark: tuple[SubjectId, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether nothing was behind."""
        return not (self.rewrapped or self.survivors or self.archived or self.dark)


def behind(platform: Platform) -> list[int]:
    """The buckets with a data key whose bucket key is destroyed: a look at an index, for the start-up."""
    with platform.database.read() as session:
        oldest = records.oldest_epochs(session)
    return [bucket for bucket, epoch in sorted(oldest.items()) if epoch not in platform.keyring.epochs(bucket)]


def roll_forward(platform: Platform, *, dry_run: bool = False, progress: Progress = lambda _done, _of: None) -> Rolled:
    """Bring every record up to the newest state that is known outside the database. Again: nothing; a kill is harmless.

    With `dry_run` nothing is written. Raises JournalError.
    """
    kept = survivors.newest(platform)
    total = Rolled()
    crash.point("rollforward.before")
    for bucket in range(BUCKETS):
        epochs = platform.keyring.epochs(bucket)
        if epochs:
            total = _added(total, _bucket(platform, bucket, epochs, kept, dry_run))
        progress(bucket + 1, BUCKETS)
    crash.point("rollforward.after")
    return total


def _bucket(
    platform: Platform, bucket: int, epochs: Collection[int], kept: Mapping[SubjectId, Mapping[str, Any]], dry_run: bool
) -> Rolled:
    keys = replica.read(platform, bucket)
    found, after = Rolled(), ""
    while True:
        with suppress(_Undone), platform.database.write("keeper") as session:
            page = records.of_bucket(session, bucket, after, BATCH)
            for record in page:
                if record.epoch not in epochs:
                    found = _added(found, _one(session, platform, record, kept.get(record.subject), keys))
            if len(page) < BATCH:
                _end_rotations(session, platform, bucket, epochs)
            if dry_run:
                raise _Undone
            crash.point("rollforward.within")
        if len(page) < BATCH:
            return found
        after = page[-1].subject


class _Undone(Exception):  # noqa: N818 - rolls a look back
    """Nothing of it is kept."""


def _added(one: Rolled, other: Rolled) -> Rolled:
    return Rolled(
        rewrapped=one.rewrapped + other.rewrapped,
        survivors=one.survivors + other.survivors,
        archived=one.archived + other.archived,
        dark=(*one.dark, *other.dark),
    )


def _one(session: Session, platform: Platform, old: Record, kept: Mapping[str, Any] | None, keys: Keys) -> Rolled:
    """One record whose bucket key is gone."""
    record, sealed = old, None
    if kept is not None and int(kept["generation"]) > old.generation:
        record, sealed = survivors.record_of(kept, old.created_at), survivors.items_of(kept)
    generation, epoch, wrapped = keys.get(old.subject, (0, 0, b""))
    for candidate in (
        record,
        record._replace(epoch=epoch, wrapped=wrapped) if generation == record.generation else None,
    ):
        if candidate is None or not _opens(platform, candidate, sealed):
            continue
        survivors.put(session, candidate, sealed)
        if sealed is None or kept is None:
            return Rolled(rewrapped=1)
        archived = survivors.put_archived(session, kept)
        _came_back(session, platform, old.subject, kept)
        _carried_out(session, old.subject)
        return Rolled(survivors=1, archived=archived)
    return Rolled(dark=(old.subject,))


def _opens(platform: Platform, record: Record, sealed: list[Sealed] | None) -> bool:
    """Whether the present keys open all of it."""
    try:
        fields = records.stored(record)
        key = records.data_key(platform, record)
        if len(records.open_fields(platform, record, fields)) != len(fields):
            return False
        heads = Heads(platform)
        for item in sealed or ():
            items.open_values(platform, heads, key, item, frozenset(heads.boxes(item)))
    except (EvidenceError, KeyGone):
        return False
    return True


def _came_back(session: Session, platform: Platform, subject: SubjectId, kept: Mapping[str, Any]) -> None:
    """Boxes of the restored database whose field came back from the archive before the survivors were journalled.

    Their value is among the survivors.
    """
    known = {(one["job"], one["field"]) for one in survivors.archived_of(kept)}
    stored = records.stored_fields(session, platform, subject)
    for box in archive.of_subject(session, subject):
        if (box.job, box.field) in known or box.field_id not in stored:
            continue
        if any((one.field, one.state) == (box.field, DONE) for one in disposition.of_job(session, box.job)):
            disposition.mark(session, box.job, box.field_id, RESTORED)
        session.delete(box)
    session.flush()


def _carried_out(session: Session, subject: SubjectId) -> None:
    """A job of the restored database that sealed its fields before: they lie in the archive, do not seal them again."""
    job = disposition.open_job(session, subject)
    if job is None or job.step != PLANNED:
        return
    boxes = {
        row.field: row
        for row in session.exec(select(Archived).where(Archived.subject == subject, Archived.job == job.id))
    }
    fates = disposition.fates_of(job)
    for one in fates:
        if one.action == "seal" and one.field in boxes:
            box = boxes[one.field]
            one.digest, one.state, one.at, one.destroy_by = box.digest, DONE, box.at, box.destroy_by
    disposition.rewrite(session, job, fates)


def _end_rotations(session: Session, platform: Platform, bucket: int, epochs: Collection[int]) -> None:
    """A rotation that the restored database thinks under way, to an epoch that was destroyed since, is over."""
    open_ = select(Rotation).where(Rotation.bucket == bucket, col(Rotation.dropped_at).is_(None))
    for row in session.exec(open_):
        if row.epoch not in epochs:
            at = times.iso_ms(platform.clock.now())
            row.rewrapped_at, row.destroyed_at = row.rewrapped_at or at, row.destroyed_at or at
            row.dropped_at = at
            session.add(row)
