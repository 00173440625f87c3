"""Live: an open page hears that it has to look again, within a second of what changed what may be seen.

The stream says nothing but that: not what changed, nor for whom, nor how often. And it says so only to a role that
could see the change in a list of its own: an event that names its purposes reaches the roles of those purposes. The
outbox is the counter: what ends or begins a release commits an event, whichever process it is in, and the events since
the last look are found by their key. All streams of a process share one look, four times a second, and none is taken
while no stream is open.
"""

import asyncio
import json
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import bindparam, func
from sqlmodel import col, select
from starlette.concurrency import run_in_threadpool

from issuer.catalogue import Catalogue
from protocol import event
from runtime.outbox import Outbox
from runtime.platform import Platform
from runtime.problem import Problem

POLL: Final = 0.25  # seconds between two looks at the outbox
HEARTBEAT: Final = 4.0  # seconds; so often it is also asked whether the listener is still signed in
LIFE: Final = 900.0  # seconds, then the browser opens the next one by itself
LEAST_PAUSE: Final = 0.4  # seconds between two words to one listener: many changes at once make one look
PER_ACCOUNT: Final = 8
PER_PROCESS: Final = 400
OVERSEERS: Final = frozenset({"dpo", "auditor", "admin"})
TYPES: Final = frozenset(
    {
        event.CONSENT_GIVEN, event.CONSENT_NARROWED, event.CONSENT_WITHDRAWN, event.CONSENT_REVOKED,
        event.CONSENT_EXPIRED, event.GROUND_APPROVED, event.GROUND_ENDED, event.GROUND_EXCLUDED, event.GROUND_RESUMED,
        event.CATALOGUE_PUBLISHED, event.CATALOGUE_SETTLED, event.ENROLMENT_COMPLETED, event.ENROLMENT_ENDED,
        event.SUBJECT_QUARANTINED, event.VALUE_RESTORED, event.CONSENT_SHUT,
    }
)  # fmt: skip
# these name all the purposes that they change; of a narrowing only what stays is named
_NAMED: Final = frozenset({event.CONSENT_GIVEN, event.CONSENT_WITHDRAWN, event.CONSENT_REVOKED, event.CONSENT_EXPIRED})
_IN_BATCHES: Final = frozenset({"ground", "catalogue"})  # compiled after their event, and shut once that is done
LOOK: Final = b"event: look\ndata: {}\n\n"
_BEAT: Final = b"event: beat\ndata: {}\n\n"  # a page that hears none for a while hides its values
_HELLO: Final = b"retry: 1000\n\n" + b": listening\n\n"
_AT_ONCE: Final = 1_000  # events per look; more of them and everybody is told
_log = logging.getLogger("fieldgrant.live")
_NEWEST = select(func.max(Outbox.id))
_SINCE = (
    select(Outbox.id, Outbox.type, Outbox.records)
    .where(col(Outbox.id) > bindparam("after"), col(Outbox.id) <= bindparam("newest"), col(Outbox.type).in_(TYPES))
    .order_by(col(Outbox.id))
    .limit(_AT_ONCE + 1)
)


@dataclass(slots=True)
class _Ear:
    """One open stream. `heard` wakes it."""

    role: str
    heard: asyncio.Event = field(default_factory=asyncio.Event)


class Live:
    """The streams of one process. Everything but the look itself runs on the event loop, so it needs no lock."""

    def __init__(self, platform: Platform, catalogue: Catalogue) -> None:
        self._platform, self._catalogue = platform, catalogue
        self._ears: list[_Ear] = []
        self._accounts: Counter[str] = Counter()
        self._task: asyncio.Task[None] | None = None

    def enter(self, account: str) -> None:
        """Take a place. Problem 429 too_many_streams."""
        if self._accounts[account] >= PER_ACCOUNT or sum(self._accounts.values()) >= PER_PROCESS:
            raise Problem(429, "too_many_streams", "close another page first", headers={"retry-after": "30"})
        self._accounts[account] += 1

    def leave(self, account: str) -> None:
        """Give the place back."""
        self._accounts[account] -= 1
        self._accounts += Counter()

    async def stream(
        self, role: str, alive: Callable[[], bool], stopping: Callable[[], bool] = lambda: False
    ) -> AsyncIterator[bytes]:
        """Server-sent events until the listener is signed out (`alive`), the process stops, or LIFE is over."""
        ear, until, beat = _Ear(role), time.monotonic() + LIFE, time.monotonic() + HEARTBEAT
        self._ears.append(ear)
        try:
            await self._begin()
            yield _HELLO
            while time.monotonic() < until and not stopping():
                try:
                    await asyncio.wait_for(ear.heard.wait(), POLL)
                except TimeoutError:
                    if time.monotonic() < beat:
                        continue
                heard, beat = ear.heard.is_set(), time.monotonic() + HEARTBEAT
                ear.heard.clear()
                if not await run_in_threadpool(alive):
                    return
                yield LOOK if heard else _BEAT
                await asyncio.sleep(LEAST_PAUSE)
        finally:
            self._ears.remove(ear)
            if not self._ears and self._task is not None:
                self._task.cancel()
                self._task = None

    async def _begin(self) -> None:
        """Whatever commits after this is heard."""
        if self._task is None or self._task.done():
            newest = await run_in_threadpool(self._newest)
            if self._task is None or self._task.done():
                self._task = asyncio.create_task(self._watch(newest))

    async def _watch(self, after: int) -> None:
        while True:
            await asyncio.sleep(POLL)
            try:
                after, roles = await run_in_threadpool(self._look, after)
            except Exception as error:  # noqa: BLE001 - the loop must outlive a database that is away
                _log.error("looking for what changed failed, every open page is told: %s", type(error).__qualname__)
                roles = None
            for ear in self._ears:
                if roles is None or ear.role in roles:
                    ear.heard.set()

    def _newest(self) -> int:
        with self._platform.database.read() as session:
            return session.exec(_NEWEST).one() or 0

    def _look(self, after: int) -> tuple[int, frozenset[str] | None]:
        """The newest event's place, and the roles to tell (None: all)."""
        with self._platform.database.read() as session:
            newest = session.exec(_NEWEST).one() or 0
            if newest == after:
                return after, frozenset()
            if newest < after:  # cut off, or restored
                return newest, None
            found = session.connection().execute(_SINCE, {"after": after, "newest": newest}).all()
            if len(found) > _AT_ONCE:
                return newest, None
        told: frozenset[str] = frozenset()
        for row in found:
            roles = self._roles(row.type, [record["data"] for record in json.loads(row.records)])
            if roles is None:
                return newest, None
            told |= roles
        return newest, told

    def _roles(self, type_: str, told: list[Mapping[str, Any]]) -> frozenset[str] | None:
        """Who may hear of an event; None: all, for it names no purpose or not all that it changes."""
        if type_ == event.CONSENT_SHUT:
            return None if any(data.get("how") in _IN_BATCHES for data in told) else frozenset()
        if type_ not in _NAMED or not all(data.get("processes") for data in told):
            return None
        iris = {process["purpose"] for data in told for process in data["processes"]}
        entries = [entry for entry in self._catalogue.purposes.values() if entry.iri in iris]
        return frozenset(role for entry in entries for role in entry.roles) | OVERSEERS
