"""The auditor's view of the log: records by subject, field, type, actor, purpose and time, newest first."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, tuple_
from sqlmodel import Session, col, or_, select

from audit.log import ORGANISATION, LogEntry, LogRecord
from protocol import times
from protocol.event import ENROLMENT_COMPLETED
from runtime import outbox
from runtime.outbox import Outbox

MAX_PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which records; None is any. `since` is part of the time asked for, `until` is not.

    `subject` is a reference, or the DID of a wallet that was enrolled: then those are meant whom it was enrolled for.
    `actor` is the DID of who read, decided or brought a value; `purpose` an IRI. Both are in the event, not in the
    index: alone they are looked for from the newest leaf on, so narrow by subject or time where the log is long.
    """

    subject: str | None = None
    field: str | None = None
    type: str | None = None
    actor: str | None = None
    purpose: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    besides: frozenset[str] = frozenset()
    """Types that are not meant."""


@dataclass(frozen=True, slots=True)
class Found:
    """One page of records, newest first; `next` is the leaf before which the next page begins, None at the end."""

    items: tuple[dict[str, Any], ...]
    next: int | None


def find(
    session: Session, wanted: Filter, *, limit: int = 50, before: int | None = None, folded: bool = False
) -> Found:
    """Up to `limit` (1..200) leaves below the leaf `before`, with those of their records that match.

    `folded`: of each leaf only the first of them, which says how many there are (`records`).
    """
    limit = max(1, min(limit, MAX_PAGE))
    matching = _conditions(wanted)
    leaves = select(LogRecord.leaf_index).where(*matching).distinct().order_by(col(LogRecord.leaf_index).desc())
    if before is not None:
        leaves = leaves.where(col(LogRecord.leaf_index) < before)
    indexes = list(session.exec(leaves.limit(limit + 1)))
    shown, more = indexes[:limit], len(indexes) > limit
    statement = (
        select(LogEntry.outbox_id, LogRecord)
        .join(LogRecord, col(LogRecord.leaf_index) == col(LogEntry.leaf_index))
        .where(col(LogRecord.leaf_index).in_(shown), *matching)
        .order_by(col(LogRecord.leaf_index).desc(), col(LogRecord.place))
    )
    counts: dict[int, int] = {}
    if folded:
        leaf, place = col(LogRecord.leaf_index), col(LogRecord.place)
        first = select(leaf, func.min(place), func.count()).where(leaf.in_(shown), *matching).group_by(leaf)
        firsts = session.exec(first).all()
        counts = {index: count for index, _, count in firsts}
        statement = statement.where(tuple_(leaf, place).in_([(index, place_) for index, place_, _ in firsts]))
    bodies: dict[int, outbox.OutboxEvent] = {}
    items: list[dict[str, Any]] = []
    for outbox_id, row in session.exec(statement):
        if outbox_id not in bodies:
            bodies |= {event.id: event for event in outbox.pending(session, outbox_id - 1, 1)}
        item = _told_by(bodies.get(outbox_id), row)
        items.append(item | {"records": counts[row.leaf_index]} if folded else item)
    return Found(tuple(items), shown[-1] if more else None)


def at(session: Session, leaf: int, place: int) -> tuple[dict[str, Any], LogRecord] | None:
    """One record by its leaf and its place in the leaf's small tree, as `find` gives it, and its row."""
    statement = select(LogEntry.outbox_id, LogRecord).join(
        LogRecord, col(LogRecord.leaf_index) == col(LogEntry.leaf_index)
    )
    found = session.exec(statement.where(LogRecord.leaf_index == leaf, LogRecord.place == place)).first()
    if found is None:
        return None
    outbox_id, row = found
    told = [event for event in outbox.pending(session, outbox_id - 1, 1) if event.id == outbox_id]
    return _told_by(told[0] if told else None, row), row


def _conditions(wanted: Filter) -> list[Any]:
    conditions: list[Any] = []
    if wanted.subject is not None and wanted.subject.startswith("did:"):
        conditions.append(col(LogRecord.subject).in_(_enrolled(wanted.subject)))
    elif wanted.subject is not None:
        conditions.append(LogRecord.subject == wanted.subject)
    if wanted.field is not None:
        conditions.append(col(LogRecord.fields).contains(f" {wanted.field} ", autoescape=True))
    if wanted.type is not None:
        conditions.append(LogRecord.type == wanted.type)
    if wanted.besides:
        conditions.append(col(LogRecord.type).not_in(wanted.besides))
    if wanted.since is not None:
        conditions.append(col(LogRecord.at) >= times.iso_ms(wanted.since))
    if wanted.until is not None:
        conditions.append(col(LogRecord.at) < times.iso_ms(wanted.until))
    if wanted.actor is not None:
        conditions.append(_told(*(_named(Outbox.header, name, wanted.actor) for name in ("reader", "importer"))))
    if wanted.purpose is not None:
        said = (_named(Outbox.header, "purpose", wanted.purpose), _named(Outbox.records, "purpose", wanted.purpose))
        conditions.append(_told(*said))
    return conditions


def _enrolled(did: str) -> Any:
    """The subjects for whom a wallet was enrolled."""
    told = select(col(LogRecord.subject)).join(LogEntry, col(LogEntry.leaf_index) == col(LogRecord.leaf_index))
    event_ = told.join(Outbox, col(Outbox.id) == col(LogEntry.outbox_id))
    return event_.where(LogRecord.type == ENROLMENT_COMPLETED, _named(Outbox.records, "did", did))


def _told(*said: ColumnElement[bool]) -> ColumnElement[bool]:
    """The leaf's event says one of these."""
    here = select(LogEntry.leaf_index).join(Outbox, col(Outbox.id) == col(LogEntry.outbox_id))
    return here.where(col(LogEntry.leaf_index) == col(LogRecord.leaf_index), or_(*said)).correlate(LogRecord).exists()


def _named(column: Any, name: str, value: str) -> ColumnElement[bool]:
    """A member of a text in JCS. A quote inside a value is escaped there, so no value can look like a member."""
    return col(column).contains(f"{json.dumps(name)}:{json.dumps(value, ensure_ascii=False)}", autoescape=True)


def _bare(row: LogRecord) -> dict[str, Any]:
    """A record whose body was destroyed: what the log itself still tells."""
    subject = None if row.subject == ORGANISATION else row.subject
    told = {"leaf": row.leaf_index, "place": row.place, "sequence": row.seq, "type": row.type, "time": row.at}
    return told | {"subject": subject}


def _told_by(event: outbox.OutboxEvent | None, row: LogRecord) -> dict[str, Any]:
    """What the event says for this record; only what the log itself has, where the event or its record is gone."""
    if event is None or row.place >= len(event.records):
        return _bare(row)
    return _bare(row) | {
        "event": event.event_id, "header": dict(event.header), "data": dict(event.records[row.place][1])
    }  # fmt: skip
