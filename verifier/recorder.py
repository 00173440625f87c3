"""Recorder: concurrent reads share one durable write of what they release (group commit)."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from protocol import event
from protocol.consent import SubjectId
from runtime import outbox
from runtime.outbox import Written
from runtime.platform import Platform
from runtime.problem import Problem
from verifier import disclosure

Entry = tuple[SubjectId | None, Mapping[str, Any]]


@dataclass(slots=True)
class _Told:
    type: str
    at: datetime
    header: Mapping[str, Any]
    records: Sequence[Entry]


@dataclass(slots=True, eq=False)
class _Waiting:
    events: Sequence[_Told] | Sequence[Written]
    done: bool = False
    ids: Sequence[str] = ()


class Recorder:
    """Whoever comes first commits for all who wait meanwhile; no thread of its own, so nothing to start or to stop.

    `patience`: seconds that a read waits for its turn before it fails closed.
    """

    def __init__(self, platform: Platform, *, patience: float = 10.0) -> None:
        self._database = platform.database
        self._clock = platform.clock
        self._controller = platform.controller
        self._patience = patience
        self._turn = threading.Lock()
        self._queue: list[_Waiting] = []
        self._queue_lock = threading.Lock()

    def record(self, type_: str, *, header: Mapping[str, Any], records: Sequence[Entry]) -> str:
        """The event's id, once it is durable.

        Raises:
            Problem: 503 `not_recorded`. Then nothing may leave.
        """
        return self._recorded([_Told(type_, self._clock.now(), header, records)])[0]

    def record_all(self, events: Sequence[Written]) -> Sequence[str]:
        """The same for releases within the house that were written down already: their ids, in their order."""
        return self._recorded(events)

    def now(self) -> datetime:
        """The instant that a record made now tells. Raises ClockError."""
        return self._clock.now()

    def _recorded(self, events: Sequence[_Told] | Sequence[Written]) -> Sequence[str]:
        waiting = _Waiting(events)
        with self._queue_lock:
            self._queue.append(waiting)
        if not self._turn.acquire(timeout=self._patience):
            with self._queue_lock:
                if waiting in self._queue:  # written later, it would tell of a read that nobody had
                    self._queue.remove(waiting)
            raise _not_recorded()
        try:
            if not waiting.done:
                self._commit()
        finally:
            self._turn.release()
        if not waiting.ids:
            raise _not_recorded()
        return waiting.ids

    def _commit(self) -> None:
        with self._queue_lock:
            batch, self._queue = self._queue, []
        ids: list[Sequence[str]] = []
        try:
            with self._database.write() as session:
                ids += (self._emitted(session, one.events) for one in batch)
        except Exception:  # noqa: BLE001 - the batch's loop: whatever went wrong, no read of this batch may answer
            ids = []
        for one, own in zip(batch, ids, strict=False):
            one.ids = own
        for one in batch:
            one.done = True

    def _emitted(self, session: Session, events: Sequence[_Told] | Sequence[Written]) -> Sequence[str]:
        written = [one for one in events if isinstance(one, Written)]
        if written:
            return outbox.emit_written(session, written)
        return [self._emit(session, one) for one in events if isinstance(one, _Told)]

    def _emit(self, session: Session, one: _Told) -> str:
        event_id = outbox.emit(session, one.type, at=one.at, header=one.header, records=one.records)
        if one.type == event.RELEASE:
            disclosure.note(
                session,
                controller=self._controller,
                header=one.header,
                records=one.records,
                event_id=event_id,
                at=one.at,
            )
        return event_id


def _not_recorded() -> Problem:
    return Problem(503, "not_recorded", "The record of this read could not be kept, so nothing is shown. Try again.")
