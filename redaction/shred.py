"""Shredding: the survivors under the subject's next generation, the old data key dropped, the survivors journalled.

What is left after that is the key of the bucket, which an older copy of the database could still use: see `rotation`.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from crm_core import items, records
from crm_core.items import Sealed
from crm_core.records import Record
from issuer.catalogue import Catalogue
from protocol import canonical
from protocol.consent import Field
from protocol.errors import EvidenceError
from redaction import archive, crash, disposition, judge, looking, seal, survivors
from redaction.disposition import DROPPED, JOURNALLED, RESEALED, SEALED, Fate, Task
from redaction.looking import Proofs, Resting
from runtime.journal import DROPPED as DROPPED_ENTRY
from runtime.keyring import KeyGone
from runtime.platform import Platform


@dataclass(frozen=True, slots=True)
class Made:
    """What rests of a customer once some fields are gone; made ahead, without any lock."""

    rest: Resting
    gone: frozenset[Field]
    record: Record
    items: Sequence[Sealed]


def reseal(platform: Platform, catalogue: Catalogue, jobs: Sequence[str], proofs: Proofs | None = None) -> None:
    """From sealed to resealed, all or none: drop the data keys that sealed the lapsed fields.

    Raises EvidenceError, KeyGone.
    """
    crash.point("reseal.before")
    ahead = _ahead(platform, jobs)
    with platform.database.write() as session:
        tasks = disposition.at_step(session, jobs, SEALED)
        if not tasks:
            return
        at = platform.clock.now()
        judged = judge.judge(session, platform, proofs or Proofs(platform, catalogue), tasks, at)
        seal.settle(session, platform, judged, at)
        gone = {task: lost for task in judged.tasks if (lost := _gone(judged.fates.get(task.id, ())))}
        drop(session, platform, gone, ahead)
        disposition.move(session, [task.id for task in gone], RESEALED)
        disposition.move(session, [task.id for task in judged.tasks if task not in gone], DROPPED)
        crash.point("reseal.within")
    crash.point("reseal.after")


def journal(platform: Platform, jobs: Sequence[str]) -> None:
    """From resealed to journalled: the survivors are durable elsewhere before a key that a backup needs is destroyed.

    A kill between journal and commit leaves second, equal entries: harmless, for a replay takes the last of them.
    Raises EvidenceError, JournalError.
    """
    crash.point("journal.before")
    with platform.database.write() as session:
        tasks = disposition.at_step(session, jobs, RESEALED)
        if not tasks:
            return
        at, subjects = platform.clock.now(), [task.subject for task in tasks]
        rest, archived = looking.resting(session, subjects), archive.columns(session, subjects)
        platform.journal.append_all(
            [survivors.entry(rest[one].existing(), rest[one].items, archived.get(one, ()), at) for one in subjects]
        )
        disposition.move(session, [task.id for task in tasks], JOURNALLED)
        crash.point("journal.within")
    crash.point("journal.after")


def drop(
    session: Session, platform: Platform, gone: Mapping[Task, frozenset[Field]], ahead: Mapping[str, Made] | None = None
) -> None:
    """Put what survives in the place of what rests, under the next generation, and write down which keys went."""
    if not gone:
        return
    rest = looking.resting(session, [task.subject for task in gone])
    made, old = [], {}
    for task, lost in gone.items():
        old[task] = rest[task.subject].existing()
        known = (ahead or {}).get(task.id)
        # an epoch that was the newest may be destroyed by now: never wrap under it
        epoch = platform.keyring.current(old[task].bucket)[0]
        if known is None or (known.rest, known.gone, known.record.epoch) != (rest[task.subject], lost, epoch):
            known = _make(platform, rest[task.subject], lost)
        made.append(known)
    records.put_back_all(session, [one.record for one in made])
    with_items = [one for one in made if one.rest.items]
    items.replace_all(
        session, [one.record.subject for one in with_items], [item for one in with_items for item in one.items]
    )
    disposition.give_up(session, [(task.id, record.generation, record.epoch) for task, record in old.items()])
    # Outside the database, so that no row can have a certificate signed for what was never dropped.
    fates = disposition.fates(session, [task.id for task in gone])
    platform.journal.append_all(
        [claim(task, record, gone[task], fates.get(task.id, ())) for task, record in old.items()]
    )


def claim(task: Task, record: Record, gone: frozenset[Field], fates: Sequence[Fate]) -> dict[str, Any]:
    """The journal's entry of a job that drops a data key: which, of what, and what is to be certified then."""
    told = disposition.facts(task, fates)
    return {
        "kind": DROPPED_ENTRY,
        "job": task.id,
        "subject": task.subject,
        "version": task.version,
        "bucket": record.bucket,
        "epoch": record.epoch,
        "generation": record.generation,
        "fields": sorted(gone),
        "ended_at": task.ended_at,
        "planned_at": task.planned_at,
        "told": told,
        "facts": canonical.digest(canonical.jcs(told)),
    }


def _gone(fates: Sequence[Fate]) -> frozenset[Field]:
    return frozenset(fate.field for fate in fates if fate.action != "keep")


def _ahead(platform: Platform, jobs: Sequence[str]) -> dict[str, Made]:
    """What will rest of the customers of these jobs, by job. What fails here is left out: it fails under the lock."""
    with platform.database.read() as session:
        tasks = disposition.at_step(session, jobs, SEALED)
        fates = disposition.fates(session, [task.id for task in tasks])
        rest = looking.resting(session, [task.subject for task in tasks])
    made = {}
    for task in tasks:
        with suppress(EvidenceError, KeyGone):
            made[task.id] = _make(platform, rest[task.subject], _gone(fates.get(task.id, ())))
    return made


def _make(platform: Platform, rest: Resting, gone: frozenset[Field]) -> Made:
    keep = rest.fields(platform) - gone
    record, own = records.resealed(platform, rest.existing(), rest.items, keep)
    return Made(rest, gone, record, own)
