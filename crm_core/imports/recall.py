"""By when imported values are to be gone is said twice: in a row, and in the event that told of the import.

The event is chained under a key of the ring (`runtime.outbox_chain`). Whoever postpones the row's date in the database,
takes a field out of it, or the row away, would have values kept without a ground: so events are drawn by lot, and
where a row says less than its event, the event is believed. A row that was dealt with is only looked at once more.
Whoever brings the date forward, or plants a row, destroys nothing: what is due is `due` by the event.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlmodel import Session, col, func, select

from crm_core import origin
from issuer.credentials import Standing
from protocol import event, times
from protocol.consent import Field, SubjectId
from runtime import outbox
from runtime.outbox import Outbox, OutboxEvent
from runtime.platform import Platform

EVENTS: Final = 100  # looked at in one round
LOT: Final = 20  # customers in one round
_BROUGHT: Final = (event.VALUE_COLLECTED, event.VALUE_CORRECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What an event says of one customer: these fields are to be gone by then."""

    subject: SubjectId
    fields: frozenset[Field]
    by: OutboxEvent


def some(platform: Platform, at: datetime) -> int:
    """Put right what the rows of a few customers say, once it is due; how many were. Idempotent."""
    with platform.database.read() as session:
        told = [one for one in _drawn(session, at) if origin.less_than(session, one.subject, one.by, one.fields)]
    if not told:
        return 0
    with platform.database.write("keeper") as session:
        alive = set(
            session.exec(select(Standing.subject).where(col(Standing.subject).in_([one.subject for one in told])))
        )
        undone = _undone(session, min(one.by.id for one in told))
        mended = [one for one in told if one.subject in alive and one.subject not in undone]
        for one in mended:
            origin.mend(session, one.subject, one.by, one.fields)
    return len(mended)


def due(session: Session, subject: SubjectId, at: datetime) -> frozenset[Field]:
    """The fields of a customer that are to be gone by `at` unless a ground has come: by the events, not the rows."""
    said = (_told(session, subject, one) for one in {one.event_id for one in origin.of_subject(session, subject)})
    return frozenset[Field]().union(*(one.fields for one in said if one is not None and _due(one.by.header, at)))


def put_right(session: Session, subject: SubjectId, at: datetime) -> None:
    """Rows that bring the day of a customer's values forward say again what their events say."""
    now = times.iso(at)
    every = origin.of_subject(session, subject)
    rows = [one for one in every if one.destroy_by is not None and str(one.destroy_by) <= now]  # it may be bytes
    for one in {row.event_id for row in rows}:
        told = _told(session, subject, one)
        if told is not None and "destroy_by" in told.by.header and not _due(told.by.header, at):
            origin.mend(session, subject, told.by, told.fields)


def _told(session: Session, subject: SubjectId, event_id: str) -> Told | None:
    by = outbox.told(session, event_id)
    if by is None or by.type not in _BROUGHT:
        return None
    named = (data.get("fields", ()) for whom, data in by.records if whom == subject)
    return Told(subject=subject, fields=frozenset(Field(field) for fields in named for field in fields), by=by)


def _drawn(session: Session, at: datetime) -> Sequence[Told]:
    newest = session.exec(select(func.max(Outbox.id))).one() or 0
    start = secrets.randbelow(newest + EVENTS) - EVENTS if newest else 0
    events, _ = outbox.inspected(session, max(start, 0), EVENTS)
    due = [one for one in events if one.type in _BROUGHT and _due(one.header, at)]
    told = [
        Told(subject=subject, fields=frozenset(map(Field, data.get("fields", ()))), by=one)
        for one in due
        for subject, data in one.records
        if subject is not None
    ]
    return secrets.SystemRandom().sample(told, min(LOT, len(told)))


def _due(header: Mapping[str, Any], at: datetime) -> bool:
    by = header.get("destroy_by")
    return by is not None and times.parse(by, field="destroy_by") <= at


def _undone(session: Session, after: int) -> set[str]:
    """Customers of imports that were taken back since: what is there of them now is not what was imported."""
    rows = session.exec(select(Outbox).where(col(Outbox.id) > after, Outbox.type == event.IMPORT_UNDONE))
    return {subject for row in rows for subject, _ in outbox.read(row).records if subject is not None}
