"""Shredding: the survivors under the subject's next generation, the old data key dropped.

What is left after that is the key of the bucket, which an older copy of the database could still use: see `rotation`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from crm_core import items, records
from crm_core.items import Sealed
from crm_core.records import Record
from crm_core.seal import Value
from protocol.consent import Field
from redaction import oath
from redaction.disposition import Fate, Task
from redaction.looking import Resting
from runtime.journal import DROPPED as DROPPED_ENTRY
from runtime.platform import Platform


@dataclass(frozen=True, slots=True)
class Made:
    """What rests of a customer once some fields are gone; made ahead, without any lock."""

    rest: Resting
    gone: frozenset[Field]
    record: Record
    items: Sequence[Sealed]

    def left(self) -> Resting:
        """What rests then."""
        return Resting(self.record, tuple(self.items))


@dataclass(frozen=True, slots=True)
class Losing:
    """A job that drops a data key: what rests of the customer, and what the rows say of each field."""

    task: Task
    rest: Resting

    @property
    def fates(self) -> Sequence[Fate]:
        """What the job says of each field."""
        return self.task.fates

    @property
    def gone(self) -> frozenset[Field]:
        """The fields that go."""
        return gone(self.fates)


def gone(fates: Sequence[Fate]) -> frozenset[Field]:
    """The fields that do not stay."""
    return frozenset(fate.field for fate in fates if fate.action != "keep")


def drop(
    session: Session, platform: Platform, losing: Sequence[Losing], ahead: Mapping[str, Made] | None = None
) -> list[tuple[Resting, dict[str, Any]]]:
    """Put what survives in the place of what rests, under the next generation.

    What rests now of each, and what the journal has to know before any of it is committed. Raises EvidenceError, also
    `unknown_subject`; KeyGone.
    """
    made, told = [], []
    for one in losing:
        old, lost = one.rest.existing(), one.gone
        known = (ahead or {}).get(one.task.id)
        # an epoch that was the newest may be destroyed by now: never wrap under it
        epoch = platform.keyring.current(old.bucket)[0]
        if known is None or (known.gone, known.record.epoch) != (lost, epoch) or known.rest != one.rest:
            known = make(platform, one.rest, lost)
        made.append(known)
        told.append((known.left(), claim(one.task, old, lost, one.fates)))
    records.put_back_all(session, [one.record for one in made])
    with_items = [one for one in made if one.rest.items]
    items.replace_all(
        session, [one.record.subject for one in with_items], [item for one in with_items for item in one.items]
    )
    return told


def claim(task: Task, record: Record, gone: frozenset[Field], fates: Sequence[Fate]) -> dict[str, Any]:
    """The journal's entry of a job that drops a data key: which, of what, and what is to be certified then."""
    told = oath.facts(task, fates)
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
        "facts": oath.digest_of(told),
    }


def make(
    platform: Platform, rest: Resting, gone: frozenset[Field], opened: Mapping[Field, Value] | None = None
) -> Made:
    """What is to rest without the fields that go; `opened` holds all values of the record if they were opened already.

    Raises EvidenceError, KeyGone.
    """
    if not opened:
        records.check(platform, rest.existing())
    keep = rest.fields(platform) - gone
    record, own = records.resealed(platform, rest.existing(), rest.items, keep, opened=opened)
    return Made(rest, gone, record, own)
