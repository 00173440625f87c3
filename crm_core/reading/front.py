"""The layer in front of the routes that gives plain reads to `Together`, all that wait at a time.

The routes stay what they are, for the documentation, for every other read, and for whatever is not an ordinary answer.
"""

import asyncio
import logging
import re
import threading
from collections import deque
from collections.abc import Sequence

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from crm_core.reading import plain
from crm_core.reading.query import DEFAULT_LIMIT, MAX_LIMIT
from crm_core.reading.together import Answer, Asked, Together
from runtime import staff_session
from runtime.settings import Settings
from verifier.response import GatedResponse

# What one round takes on: a withdrawal waits for it as it waits for any read. One customer never waits for a page.
_READS, _CUSTOMERS = 32, 500
_LIMIT = re.compile(rb"(?:^|&)limit=([1-9]\d{0,2})(?:&|$)")
_ODD = re.compile(rb"(?:^|&)(?:limit|[^&=]*%)")  # a limit otherwise written, or a name that may be one
_AT_ONCE = 2  # rounds, so that one is worked on while the other's record is on its way to the disk
_log = logging.getLogger("fieldgrant.front")

_Waiting = tuple[Asked, int, "asyncio.Future[Answer]"]
"""A read, how many customers it looks at, and who waits for it."""


class Front:
    """ASGI. Put it where an answer needs nothing more: its headers are those that `Together` was given."""

    def __init__(self, app: ASGIApp, together: Together, settings: Settings) -> None:
        self._app, self._together, self._settings = app, together, settings
        self._lock = threading.Lock()
        self._waiting: tuple[deque[_Waiting], deque[_Waiting]] = deque(), deque()  # pages, and single customers
        self._rounds = self._turn = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        asked = self._asked(scope) if scope["type"] == "http" and scope["method"] == "GET" else None
        answer = None if asked is None else await self._answer(asked)
        if answer is None:
            await self._app(scope, receive, send)
        elif isinstance(answer, GatedResponse):
            await answer(scope, receive, send)
        else:
            await answer.response()(scope, receive, send)

    def _asked(self, scope: Scope) -> Asked | None:
        path = scope["path"]
        if not path.startswith(plain.LIST):
            return None
        subject = plain.subject(path)
        if subject is None and path != plain.LIST:
            return None
        request = Request(scope)
        headers = request.headers
        if "content-length" in headers or "transfer-encoding" in headers:
            return None
        ticket = staff_session.ticket(request)
        if ticket is None or (ticket.kind == "cookie" and staff_session.foreign(request, self._settings)):
            return None
        return Asked(ticket, scope["query_string"], subject)

    async def _answer(self, asked: Asked) -> Answer:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        with self._lock:
            self._waiting[asked.subject is not None].append((asked, _size(asked), future))
            starts = self._rounds < _AT_ONCE
            self._rounds += starts
        if starts:
            loop.run_in_executor(None, self._work)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                _drop(future.result())
            raise

    def _work(self) -> None:
        """Rounds, until nobody waits."""
        while taken := self._taken():
            try:
                answers: Sequence[Answer] = self._together.answer([asked for asked, _, _ in taken])
            except Exception as error:  # noqa: BLE001 - a worker's loop: the routes meet the same and say it
                _log.warning("plain reads take the long way: %s", type(error).__name__)
                answers = [None] * len(taken)
            _deliver(taken, answers)

    def _taken(self) -> list[_Waiting]:
        taken: list[_Waiting] = []
        room = _CUSTOMERS
        with self._lock:
            self._turn ^= 1
            waiting = self._waiting[self._turn] or self._waiting[self._turn ^ 1]
            while waiting and len(taken) < _READS and (not taken or waiting[0][1] <= room):
                taken.append(waiting.popleft())
                room -= taken[-1][1]
            self._rounds -= not taken
        return taken


def _size(asked: Asked) -> int:
    if asked.subject is not None:
        return 1
    found = _LIMIT.search(asked.text)
    if found is not None:
        return min(int(found[1]), MAX_LIMIT)
    return DEFAULT_LIMIT if _ODD.search(asked.text) is None else MAX_LIMIT


def _deliver(taken: Sequence[_Waiting], answers: Sequence[Answer]) -> None:
    """Each to the loop that waits for it; mostly there is one."""
    loops = {future.get_loop() for _, _, future in taken}
    for loop in loops:
        own = [
            (future, answer) for (_, _, future), answer in zip(taken, answers, strict=True) if future.get_loop() is loop
        ]
        try:
            loop.call_soon_threadsafe(_settle, own)
        except RuntimeError:  # it has ended meanwhile
            for _, answer in own:
                _drop(answer)


def _settle(own: Sequence[tuple["asyncio.Future[Answer]", Answer]]) -> None:
    for future, answer in own:
        if future.done():
            _drop(answer)
        else:
            future.set_result(answer)


def _drop(answer: Answer) -> None:
    if isinstance(answer, GatedResponse):
        answer.drop()
