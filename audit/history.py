"""What a subject may see of what was done with their data: each event about them, newest first, names but no values."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import tuple_
from sqlmodel import Session, col, select

from audit.drain import drained_until
from audit.log import LogEntry, LogRecord
from protocol.consent import SubjectId
from protocol.errors import EvidenceError
from runtime import outbox, telling
from runtime.outbox import OutboxEvent

MAX_PAGE = 200
_CURSOR = re.compile(r"([0-9]{1,15})\.([0-9]{1,6})")
_BLOCK = 500


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a history; `next` is the `before` of the page that follows, None at the end."""

    items: tuple[dict[str, Any], ...]
    next: str | None


def history(session: Session, subject: SubjectId, *, limit: int = 50, before: str | None = None) -> Page:
    """Up to `limit` (1..200) events about `subject` before the cursor `before`. Raises EvidenceError("bad_cursor")."""
    limit = max(1, min(limit, MAX_PAGE))
    place = None if before is None else _place(before)
    found: list[tuple[tuple[int, int], dict[str, Any]]] = []
    for item in _newest_first(session, subject, place):
        found.append(item)
        if len(found) > limit:
            break
    more = len(found) > limit
    cursor = found[limit - 1][0] if more else None
    return Page(tuple(item for _, item in found[:limit]), None if cursor is None else f"{cursor[0]}.{cursor[1]}")


def _newest_first(
    session: Session, subject: SubjectId, before: tuple[int, int] | None
) -> Iterator[tuple[tuple[int, int], dict[str, Any]]]:
    """(place, item): first what is not in the log yet, then what is."""
    drained = drained_until(session)
    if before is None or before[0] > drained:
        waiting = [
            ((event.id, place), telling.item(event, data, None))
            for event in _waiting(session, drained)
            for place, (about, data) in enumerate(event.records)
            if about == subject and (before is None or (event.id, place) < before)
        ]
        yield from reversed(waiting)
    statement = (
        select(LogEntry.outbox_id, LogRecord)
        .join(LogRecord, col(LogRecord.leaf_index) == col(LogEntry.leaf_index))
        .where(LogRecord.subject == subject)
        .order_by(col(LogRecord.seq).desc())
    )
    if before is not None:
        statement = statement.where(tuple_(col(LogEntry.outbox_id), col(LogRecord.place)) < before)
    for outbox_id, row in session.exec(statement.limit(MAX_PAGE + 1)):
        events = outbox.pending(session, outbox_id - 1, 1)
        if events and events[0].id == outbox_id:
            yield (outbox_id, row.place), telling.item(events[0], events[0].records[row.place][1], row.leaf_index)


def _waiting(session: Session, drained: int) -> Iterator[OutboxEvent]:
    while events := outbox.pending(session, drained, _BLOCK):
        yield from events
        drained = events[-1].id


def _place(cursor: str) -> tuple[int, int]:
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise EvidenceError("bad_cursor", "this cursor was not given out by a history", field="before")
    return int(match[1]), int(match[2])
