"""Sealing: the lapsed fields with a legal ground go into the archive; what has a ground again is kept after all.

The boxes are made ahead, without any lock, for that is the long part; under the lock one counts only if it is what
would be made then.
"""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlmodel import Session

from crm_core import archiving
from crm_core.archiving import Archivable
from issuer.catalogue import Catalogue
from protocol import event, times
from protocol.consent import Field, SubjectId
from protocol.errors import EvidenceError
from redaction import archive, crash, disposition, judge, looking, telling, terms
from redaction.archive import Context
from redaction.disposition import DONE, DROPPED, PLANNED, SEALED, Fate, Task
from redaction.judge import Judged
from redaction.looking import Proofs, Resting
from redaction.telling import Told
from runtime.keyring import KeyGone
from runtime.platform import Platform

_THREADS: Final = 2  # libsodium works without the interpreter's lock


@dataclass(frozen=True, slots=True)
class Made:
    """A box that was made ahead: out of what rested then, under that archive key, with that context inside."""

    rest: Resting
    key: str
    context: Context
    box: tuple[bytes, str]  # and its digest


def seal(platform: Platform, catalogue: Catalogue, jobs: Sequence[str], proofs: Proofs | None = None) -> None:
    """Take these jobs from planned to sealed, all or none. Raises EvidenceError, KeyGone."""
    crash.point("seal.before")
    ahead = _ahead(platform, jobs)
    with platform.database.write() as session:
        tasks = disposition.at_step(session, jobs, PLANNED)
        if not tasks:
            return
        at = platform.clock.now()
        judged = judge.judge(session, platform, proofs or Proofs(platform, catalogue), tasks, at)
        settle(session, platform, judged, at, ahead=ahead)
        # nothing to drop, no key to destroy: on to the certificate
        kept = {task.id for task in tasks if all(one.action == "keep" for one in judged.fates.get(task.id, ()))}
        disposition.move(session, kept, DROPPED)
        disposition.move(session, {task.id for task in tasks} - kept, SEALED)
        crash.point("seal.within")
    crash.point("seal.after")


def settle(
    session: Session, platform: Platform, judged: Judged, at: datetime, *, ahead: Mapping[int, Made] | None = None
) -> None:
    """Tell what is kept and archive what is to be sealed, as far as that was not done yet."""
    planned = judged.planned()
    keep(session, [one for one in planned if one.action == "keep"], at)
    sealing = {task.id for task in judged.tasks for one in judged.fates.get(task.id, ()) if _to_seal(one)}
    tasks = {task: [one for one in planned if one.job == task.id] for task in judged.tasks if task.id in sealing}
    rest = looking.resting(session, [task.subject for task in tasks])
    archive_all(session, platform, tasks, rest, at, ahead=ahead)
    disposition.carry_out(session, planned)


def _to_seal(fate: Fate) -> bool:
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
    planned: Mapping[Task, Sequence[Fate]],
    rest: Mapping[SubjectId, Resting],
    at: datetime,
    *,
    ahead: Mapping[int, Made] | None = None,
) -> None:
    """Put the fields to seal into the archive; the caller stores what became of them.

    Raises EvidenceError, also `unknown_subject` for whom nothing rests, KeyGone.
    """
    boxes, told, now = _Boxes(platform, ahead or {}), [], times.iso_ms(at)
    rows: list[dict[str, Any]] = []
    for task, fates in planned.items():
        rest[task.subject].existing()
        sealing = [fate for fate in fates if fate.action == "seal"]
        for fate, made in boxes.of(rest[task.subject], sealing):
            if made is None:
                # nothing to archive, no right to, or two officers ended this period's key: then it is over
                fate.action, fate.legal_ground, fate.period, fate.destroy_by = "shred", None, None, None
                continue
            rows.append(_row(task, fate, made, now))
            fate.digest, fate.state, fate.at = made.box[1], DONE, now
            data = {"digest": fate.digest, "legal_ground": fate.legal_ground, "period": fate.period}
            told.append((fate, data | {"destroy_by": fate.destroy_by}))
    archive.store(session, platform, rows)
    telling.tell(session, event.VALUE_SEALED, told, at)


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


def _ahead(platform: Platform, jobs: Sequence[str]) -> dict[int, Made]:
    """The boxes of these jobs, by disposition. What fails here is left out: it fails under the lock, if it has to."""
    with platform.database.read() as session:
        tasks = disposition.at_step(session, jobs, PLANNED)
        fates = disposition.fates(session, [task.id for task in tasks])
        rest = looking.resting(session, [task.subject for task in tasks])
    boxes = _Boxes(platform, {})
    made: dict[int, Made] = {}

    def make(task: Task) -> list[tuple[Fate, Made | None]]:
        sealing = [one for one in fates.get(task.id, ()) if (one.action, one.state) == ("seal", PLANNED)]
        with suppress(EvidenceError, KeyGone):
            return boxes.of(rest[task.subject], sealing)
        return []

    with ThreadPoolExecutor(_THREADS) as pool:
        for found in pool.map(make, tasks):
            made |= {fate.key: box for fate, box in found if box is not None}
    return made


class _Boxes:
    """Makes boxes, or takes those that were made ahead; looks each archive key up once."""

    def __init__(self, platform: Platform, ahead: Mapping[int, Made]) -> None:
        self._platform, self._ahead = platform, ahead
        self._public: dict[str, bytes | None] = {}

    def of(self, rest: Resting, fates: Sequence[Fate]) -> list[tuple[Fate, Made | None]]:
        """Each of these fields of a customer with its box; None where there is nothing to archive, or no right to.

        Raises EvidenceError, KeyGone.
        """
        known = {fate.key: self._known(rest, fate) for fate in fates}
        missing = [fate.field for fate in fates if known[fate.key] is None]
        values: Mapping[Field, Archivable] = {}
        if missing:
            values = archiving.taken(self._platform, rest.existing(), rest.items, missing)
        return [(fate, known[fate.key] or self._make(rest, fate, values)) for fate in fates]

    def _known(self, rest: Resting, fate: Fate) -> Made | None:
        made = self._ahead.get(fate.key)
        if made is None or made.rest != rest:
            return None
        fits = (made.key, made.context) == self._place(rest, fate)
        return made if fits and self._key(made.key) is not None else None

    def _make(self, rest: Resting, fate: Fate, values: Mapping[Field, Archivable]) -> Made | None:
        place = self._place(rest, fate)
        public = None if place is None else self._key(place[0])
        if place is None or public is None or fate.field not in values:
            return None
        return Made(rest, *place, archive.seal(public, values[fate.field], place[1]))

    def _place(self, rest: Resting, fate: Fate) -> tuple[str, Context] | None:
        """Archive key and context of a field; None where its row does not name them."""
        if fate.period is None or not fate.destroy_by or not fate.legal_ground:
            return None
        context = Context(
            org=self._platform.controller,
            subject=fate.subject,
            field=fate.field,
            generation=rest.existing().generation,
            ground=fate.legal_ground,
            destroy_by=fate.destroy_by,
        )
        return terms.key_name(fate.period, times.parse(fate.destroy_by, field="destroy_by")), context

    def _key(self, name: str) -> bytes | None:
        """The public half; None where the key has ended."""
        if name not in self._public:
            keys = self._platform.keyring.archive
            self._public[name] = None if keys.ended(name) else keys.public(name)
        return self._public[name]
