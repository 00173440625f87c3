"""An import that broke off, or that was a mistake, is taken back whole, without overwriting what changed since.

Batch by batch, the newest first, each in a transaction with the loss of what it took to undo it: whatever is killed
when, the next pass goes on. New customers go unless something was done with them since; fields of older customers
become what they were where they still are what the import wrote.
"""

import fcntl
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete
from sqlmodel import Session, col, select

from crm_core import changes as marks
from crm_core import origin, records
from crm_core.changes import Change
from crm_core.imports import run as import_run
from crm_core.items import ItemRow
from issuer import credentials
from issuer.credentials import Credential, GroundSubject, Standing
from issuer.invitation import Invitation
from issuer.requests import DataRequest
from protocol import event
from protocol.consent import Field, SubjectId
from protocol.errors import EvidenceError
from runtime import outbox
from runtime.keyring import KeyGone
from runtime.platform import Platform
from verifier.allowance import Allowance


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """What an undoing did: customers removed, customers put back, and those left as they are in whole or in part."""

    run: str
    removed: int
    restored: int
    kept: int


@contextmanager
def alone(platform: Platform) -> Iterator[None]:
    """One import, or one undoing, at a time, of all processes. EvidenceError `import_running`."""
    descriptor = os.open(_lock(platform), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EvidenceError("import_running", "another import is under way: wait for its end") from None
        yield
    finally:
        os.close(descriptor)


def sweep(platform: Platform) -> list[Undone]:
    """Take back what broke off. To be called inside `alone`: whatever is unfinished then has died."""
    with platform.database.read() as session:
        dead = import_run.unfinished(session, platform)
    return [undo(platform, run) for run in dead]


def pending(platform: Platform) -> bool:
    """Is there an unfinished run, dead or not?"""
    with platform.database.read() as session:
        return bool(import_run.unfinished(session, platform))


def _unseen(_done: int, _total: int) -> None:
    pass


def undo(
    platform: Platform,
    run: str,
    progress: Callable[[int, int], None] = _unseen,
    *,
    by: Mapping[str, str] | None = None,
) -> Undone:
    """Take a run back, inside `alone`; `progress` gets batches done and all, `by` is who wanted it, for the record.

    EvidenceError `unknown_run`, `bad_run`,
    `bad_undo`, `not_undoable` (too long ago, or undone already).
    """
    with platform.database.write("keeper") as session:
        row = import_run.find(session, platform, run)
        if row.state == "undone" or (
            row.state == "done" and not import_run.undoable(session, row, platform.clock.now())
        ):
            raise EvidenceError("not_undoable", "this import was undone already, or was too long ago")
        import_run.move(session, platform, row, state="undoing")
        batches = row.batches
    undone = Undone(run=run, removed=0, restored=0, kept=0)
    for batch in range(batches, 0, -1):
        with platform.database.write("keeper") as session:
            kept = import_run.kept(session, platform, run, batch)
            if kept is not None:
                undone = _batch(session, platform, *kept, undone)
                import_run.drop(session, run, batch)
        progress(batches - batch + 1, batches)
    with platform.database.write("keeper") as session:
        row = import_run.find(session, platform, run)
        import_run.move(session, platform, row, state="undone")
        import_run.forget_merges(session, run)
        told = {"run": run, "removed": undone.removed, "restored": undone.restored, "kept": undone.kept}
        _tell(session, platform, [(None, told)], by)
    return undone


def _batch(
    session: Session, platform: Platform, changes: list[Change], events: tuple[str, ...], so_far: Undone
) -> Undone:
    now = records.load_many(session, [change.subject for change in changes])
    busy = _busy(session, list(now))
    gone: list[SubjectId] = []
    back: dict[SubjectId, frozenset[Field]] = {}
    run, kept = so_far.run, 0
    for change in changes:
        record = now.get(change.subject)
        if record is None:
            continue
        if change.before is None:
            if change.subject in busy or marks.mark(record.cells) != change.wrote[Field("")]:
                kept += 1
            else:
                gone.append(change.subject)
        else:
            fields = _restore(session, platform, record, change)
            kept += len(fields) < len(change.wrote)
            if fields:
                back[change.subject] = fields
    _remove(session, platform, run, gone, events)
    if back:
        origin.forget(session, back, events)
        had = {change.subject: (change.before or {}).keys() for change in changes}
        _tell(session, platform, [(who, _told(run, fields, fields - had[who])) for who, fields in back.items()])
    return Undone(
        run=run, removed=so_far.removed + len(gone), restored=so_far.restored + len(back), kept=so_far.kept + kept
    )


def _restore(session: Session, platform: Platform, record: records.Record, change: Change) -> frozenset[Field]:
    """Put back the fields that still are what the import wrote; which these are."""
    before = change.before or {}
    if record.generation != change.generation:
        return frozenset()  # sealed anew since: what was before opens under no key any more
    try:
        boxes = records.boxes(record)
        mine = frozenset(
            field for field, mark in change.wrote.items() if field in boxes and marks.mark(boxes[field]) == mark
        )
        if mine:
            back = {field: box for field, box in before.items() if field in mine}
            records.put_boxes(session, platform, record.subject, back, mine - back.keys())
    except (EvidenceError, KeyGone):
        return frozenset()  # somebody else's work: not ours to mend
    return mine


def _remove(session: Session, platform: Platform, run: str, gone: list[SubjectId], events: tuple[str, ...]) -> None:
    """Take new customers away with all that was made for them."""
    if not gone:
        return
    fields = origin.collected_of(session, gone)
    records.remove(session, gone)
    origin.forget(session, fields, events)
    session.connection().execute(delete(Allowance).where(col(Allowance.subject).in_(gone)))
    credentials.close_standings(session, gone)
    _tell(session, platform, [(who, _told(run, fields.get(who, ()), fields.get(who, ()))) for who in gone])


def _busy(session: Session, subjects: list[SubjectId]) -> set[str]:
    """New customers with whom something was done since: an invitation, a wallet, a ground of their own, a request, an
    item.
    """
    found: set[str] = set()
    for owner in (Credential, GroundSubject, Invitation, DataRequest, ItemRow):
        found.update(session.exec(select(owner.subject).where(col(owner.subject).in_(subjects))))
    changed = select(Standing.subject).where(col(Standing.subject).in_(subjects), Standing.version != 1)
    return found | set(session.exec(changed))


def _told(run: str, fields: Collection[Field], gone: Collection[Field]) -> dict[str, object]:
    """`fields` are as they were before the import, `gone` of them are those of which there was nothing."""
    return {"run": run, "fields": sorted(fields), "gone": sorted(gone)}


def _tell(
    session: Session,
    platform: Platform,
    told: list[tuple[SubjectId | None, dict[str, object]]],
    by: Mapping[str, str] | None = None,
) -> None:
    outbox.emit(session, event.IMPORT_UNDONE, at=platform.clock.now(), header=by or {}, records=told)


def _lock(platform: Platform) -> Path:
    return platform.settings.data_dir / "import.lock"
