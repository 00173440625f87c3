"""Recorder: concurrent reads share one durable write of what they release (group commit)."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlmodel import Session

from protocol import event
from protocol.consent import SubjectId
from runtime import outbox
from runtime.platform import Platform
from runtime.problem import Problem
from verifier import disclosure

Entry = tuple[SubjectId | None, Mapping[str, Any]]


@dataclass(slots=True)
class _Waiting:
    type: str
    at: datetime
    header: Mapping[str, Any]
    records: Sequence[Entry]
    done: threading.Event = field(default_factory=threading.Event)
    event_id: str | None = None


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
        waiting = _Waiting(type_, self._clock.now(), header, records)
        with self._queue_lock:
            self._queue.append(waiting)
        if not self._turn.acquire(timeout=self._patience):
            with self._queue_lock:
                if waiting in self._queue:  # written later, it would tell of a read that nobody had
                    self._queue.remove(waiting)
            raise _not_recorded()
        try:
            if not waiting.done.is_set():
                self._commit()
        finally:
            self._turn.release()
        if waiting.event_id is None:
            raise _not_recorded()
        return waiting.event_id

    def _commit(self) -> None:
        with self._queue_lock:
            batch, self._queue = self._queue, []
        ids: list[str] = []
        try:
            with self._database.write() as session:
                for one in batch:
                    ids.append(outbox.emit(session, one.type, at=one.at, header=one.header, records=one.records))
                    if one.type == event.RELEASE:
                        self._disclosed(session, one, ids[-1])
        except Exception:  # noqa: BLE001 - the batch's loop: whatever went wrong, no read of this batch may answer
            ids = []
        for one, event_id in zip(batch, ids, strict=False):
            one.event_id = event_id
        for one in batch:
            one.done.set()

    def _disclosed(self, session: Session, one: _Waiting, event_id: str) -> None:
        disclosure.note(
            session,
            controller=self._controller,
            header=one.header,
            records=one.records,
            event_id=event_id,
            at=one.at,
        )


def _not_recorded() -> Problem:
    return Problem(503, "not_recorded", "The record of this read could not be kept, so nothing is shown. Try again.")
