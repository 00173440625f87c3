"""Sealing: the lapsed fields with a legal ground go into the archive; what has a ground again is kept after all.

The boxes are made ahead, without any lock, for that is the long part; under the lock one counts only if it is what
would be made then.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from crm_core import archiving
from crm_core.archiving import Archivable
from crm_core.records import Record
from protocol import event, times
from protocol.consent import Field, SubjectId
from redaction import archive, telling, terms
from redaction.archive import Context
from redaction.disposition import DONE, PLANNED, Fate, Task
from redaction.looking import Resting
from redaction.telling import Told
from runtime.keyring import KeyGone
from runtime.platform import Platform


@dataclass(frozen=True, slots=True)
class Made:
    """A box that was made ahead: out of what rested then, under that archive key, with that context inside."""

    rest: Resting
    key: str
    context: Context
    box: tuple[bytes, str]  # and its digest


Key = tuple[str, Field]
Ahead = Mapping[Key, Made]


def settle(
    session: Session,
    platform: Platform,
    tasks: Sequence[Task],
    rest: Mapping[SubjectId, Resting],
    at: datetime,
    *,
    ahead: Ahead | None = None,
) -> list[dict[str, Any]]:
    """Tell what is kept and archive what is to be sealed, as far as that was not done yet; the archive's new rows.

    The caller stores what became of the fields.
    """
    keep(session, [one for task in tasks for one in task.fates if one.action == "keep" and one.state == PLANNED], at)
    found = ((task, [one for one in task.fates if to_seal(one)]) for task in tasks)
    sealing = [(task, fates) for task, fates in found if fates]
    return archive_all(session, platform, sealing, rest, at, ahead=ahead)


def to_seal(fate: Fate) -> bool:
    """Whether a field is to go into the archive and is not there yet."""
    return fate.action == "seal" and fate.state == PLANNED


def keep(session: Session, fates: Iterable[Fate], at: datetime) -> None:
    """Tell that these fields are kept; the caller stores it."""
    told: list[Told] = []
    for fate in fates:
        fate.state, fate.at = DONE, times.iso_ms(at)
        told.append((fate, {"ground": fate.ground, "legal_ground": fate.legal_ground}))
    telling.tell(session, event.VALUE_KEPT, told, at)


def archive_all(
    session: Session,
    platform: Platform,
    planned: Sequence[tuple[Task, Sequence[Fate]]],
    rest: Mapping[SubjectId, Resting],
    at: datetime,
    *,
    ahead: Ahead | None = None,
) -> list[dict[str, Any]]:
    """Put the fields to seal into the archive; its new rows. The caller stores what became of the fields.

    Raises EvidenceError, also `unknown_subject` for whom nothing rests, KeyGone.
    """
    boxes, told, now = Boxes(platform), [], times.iso_ms(at)
    rows: list[dict[str, Any]] = []
    for task, fates in planned:
        for fate, made in boxes.of(rest[task.subject], fates, ahead or {}):
            if made is None:
                # nothing to archive, no right to, or two officers ended this period's key: then it is over
                fate.action, fate.legal_ground, fate.period, fate.destroy_by = "shred", None, None, None
                continue
            rows.append(_row(task, fate, made, now))
            fate.digest, fate.state, fate.at = made.box[1], DONE, now
            data = {"digest": fate.digest, "legal_ground": fate.legal_ground, "period": fate.period}
            told.append((fate, data | {"destroy_by": fate.destroy_by}))
    stored = archive.store(session, platform, rows)
    telling.tell(session, event.VALUE_SEALED, told, at)
    return stored


def _row(task: Task, fate: Fate, made: Made, now: str) -> dict[str, Any]:
    return {
        "job": task.id,
        "subject": task.subject,
        "field": fate.field,
        "period": fate.period,
        "archive_key": made.key,
        "ground": made.context.ground,
        "generation": made.context.generation,
        "box": made.box[0],
        "digest": made.box[1],
        "destroy_by": made.context.destroy_by,
        "at": now,
    }


Opened = Mapping[Field, Archivable]
Wanted = tuple[Fate, Resting, Archivable]
Placed = tuple[Fate, Resting, str, bytes, tuple[Archivable, Context]]  # under which archive key, and its public half


class Boxes:
    """Makes boxes, or takes those that were made ahead; looks each archive key up once."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._org = platform.controller
        self._places: dict[tuple[str, str], tuple[str, bytes | None]] = {}  # by period and destroy-by date

    def of(self, rest: Resting, fates: Sequence[Fate], ahead: Ahead) -> list[tuple[Fate, Made | None]]:
        """Each of these fields of a customer with its box; None where there is nothing to archive, or no right to.

        Raises EvidenceError `unknown_subject` and what opening raises, KeyGone.
        """
        record, still = rest.existing(), _Still(rest)
        known = {fate.field: self._known(record, fate, ahead.get(fate.key), still) for fate in fates}
        missing = [fate for fate in fates if known[fate.field] is None]
        if missing:
            names = [fate.field for fate in missing]
            values: Opened = archiving.taken(self._platform, record, rest.items, names)
            made = self.made([(fate, rest, values[fate.field]) for fate in missing if fate.field in values])
            known |= {fate.field: made.get(fate.key) for fate in missing}
        return [(fate, known[fate.field]) for fate in fates]

    def made(self, wanted: Sequence[Wanted]) -> dict[Key, Made]:
        """Boxes of these values, by disposition; those without a place in the archive are left out."""
        together: dict[tuple[SubjectId, str, str], list[Placed]] = {}
        for fate, rest, value in wanted:
            place = self._place(rest.existing(), fate)
            if place is not None:
                name, context, public = place
                shared = (context.subject, name, context.destroy_by)
                together.setdefault(shared, []).append((fate, rest, name, public, (value, context)))
        found = {}
        for ones in together.values():
            boxes = archive.seal(ones[0][3], [sealing for *_, sealing in ones])
            for (fate, rest, name, _, (_, context)), box in zip(ones, boxes, strict=True):
                found[fate.key] = Made(rest, name, context, box)
        return found

    def _known(self, record: Record, fate: Fate, made: Made | None, still: "_Still") -> Made | None:
        if made is None or not still.holds(made.rest):
            return None
        place = self._place(record, fate)
        return made if place is not None and place[:2] == (made.key, made.context) else None

    def _place(self, record: Record, fate: Fate) -> tuple[str, Context, bytes] | None:
        """Archive key, context and public half for a field; None where its row does not name them, or it has ended."""
        period, destroy_by, ground = fate.period, fate.destroy_by, fate.legal_ground
        if period is None or not destroy_by or not ground:
            return None
        place = self._places.get((period, destroy_by))
        if place is None:
            place = self._places[period, destroy_by] = self._key(period, destroy_by)
        name, public = place
        if public is None:
            return None
        return name, Context(self._org, fate.subject, fate.field, record.generation, ground, destroy_by), public

    def _key(self, period: str, destroy_by: str) -> tuple[str, bytes | None]:
        """The archive key, and its public half; None where it has ended."""
        name = terms.key_name(period, times.parse(destroy_by, field="destroy_by"))
        try:
            return name, self._platform.keyring.archive.public(name)
        except KeyGone:
            return name, None


class _Still:
    """Whether what a box was made of still rests; the fields of a customer were mostly made of the same."""

    def __init__(self, rest: Resting) -> None:
        self._rest = rest
        self._same: Resting | None = None

    def holds(self, made_of: Resting) -> bool:
        if made_of is not self._same:
            if made_of is not self._rest and made_of != self._rest:
                return False
            self._same = made_of
        return True
