"""The HTTP edge of `live`: one endless answer per open page."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from crm_core.reading.live import LIFE, Live
from issuer.catalogue import Catalogue
from runtime import serve, staff, staff_session
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff

MEDIA_TYPE: Final = "text/event-stream"
_LAST: Final = 30.0  # seconds that a stream may outlive its life, until its connection is cut
_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Server-sent events (WHATWG HTML, 9.2): `look` when an open page has to read again.",
        "content": {MEDIA_TYPE: {"example": "event: look\ndata: {}\n\n"}},
    }
}


def router(platform: Platform, catalogue: Catalogue) -> APIRouter:
    """GET /live."""
    routes, live = APIRouter(), Live(platform, catalogue)
    signed_in = staff.signed_in(platform)

    @routes.get("/live", summary="When to look again", response_class=Response, responses=_RESPONSES)
    async def look(request: Request, caller: Annotated[Staff, Depends(signed_in)]) -> Response:
        """Says `look` within a second of a change in what the caller's role may see: consents, grounds, the catalogue.

        It does not say what changed, nor for whom. It ends when the sign-in does, at the latest after a quarter of an
        hour; browsers open the next one by themselves. A `beat` comes every four seconds: who hears none for longer
        does not hear of changes either.
        """
        live.enter(caller.account)
        events = live.stream(caller.role, _alive(platform, request), lambda: serve.stopping(request.scope))
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        answer = _Stream(events, media_type=MEDIA_TYPE, headers=headers)
        answer.over = lambda: live.leave(caller.account)
        return answer

    return routes


class _Stream(StreamingResponse):
    """Gives its place back however it ends, begun or not, and ends although nobody takes its bytes."""

    over: Callable[[], None]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(LIFE + _LAST):
                await super().__call__(scope, receive, send)
        except TimeoutError:
            serve.cut(scope)
        finally:
            self.over()


def _alive(platform: Platform, request: Request) -> Callable[[], bool]:
    held = staff_session.ticket(request)

    def alive() -> bool:
        try:
            with platform.database.read() as session:
                return held is not None and bool(staff.staff_of(session, platform, held, platform.clock.now()))
        except Problem:
            return False

    return alive
