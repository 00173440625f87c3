"""Run an ASGI app on uvicorn so that `await send` means: the bytes before are with the socket."""

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Generator, MutableMapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

GRACE = 10  # seconds for the requests under way when we are told to stop
_CUT = "fieldgrant.cut"
_STOPPING = "fieldgrant.stopping"


class HandedOver(H11Protocol):
    """HTTP/1.1 without a write buffer that is allowed to fill.

    With the high-water mark at 0, any byte that the socket did not take pauses writing, and uvicorn's `send` waits for
    that before it does anything. So the return of a `send` says that all bytes of *earlier* sends are with the socket:
    whoever needs that of the last part sends it with `more_body` true and an empty one after it.
    """

    _stopping = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """asyncio's, with the app wrapped so that a request can cut its connection."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=0)
        app = cast(ASGIApp, self.app)

        async def with_cut(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {}).update({_CUT: transport.abort, _STOPPING: lambda: self._stopping})
            await app(scope, receive, send)

        self.app = cast(Any, with_cut)

    def shutdown(self) -> None:
        """uvicorn's, when the server is told to stop: an answer without an end has to know."""
        self._stopping = True
        super().shutdown()


class Server(uvicorn.Server):
    """A uvicorn server that tells when it listens, and returns after SIGTERM and SIGINT instead of dying of them."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[int], None] | None) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then call `ready` with the port."""
        await super().startup(sockets)
        if self._ready is not None and not self.should_exit:
            self._ready(self.servers[0].sockets[0].getsockname()[1])

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """As uvicorn's, but the signal is not raised again: those who called `run` still have keys to drop."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        signals = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.signal(number, self._stop) for number in signals}
        try:
            yield
        finally:
            for number, old in before.items():
                signal.signal(number, old)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.handle_exit(number, frame)


def server(app: ASGIApp, port: int, host: str = "127.0.0.1", *, ready: Callable[[int], None] | None = None) -> Server:
    """A server that is not running yet: `.run()` serves, `.should_exit = True` from another thread ends it."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=HandedOver,
        ws="none",
        loop="asyncio",
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=GRACE,
    )
    return Server(config, ready)


def run(app: ASGIApp, port: int, host: str = "127.0.0.1", *, ready: Callable[[int], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then stop gracefully. `ready` gets the port once we listen (port 0: any)."""
    server(app, port, host, ready=ready).run()


def stopping(scope: MutableMapping[str, Any]) -> bool:
    """Whether the server of a request was told to stop; what has no end of its own then ends."""
    told = scope.get("extensions", {}).get(_STOPPING)
    return told is not None and bool(told())


def cut(scope: MutableMapping[str, Any]) -> bool:
    """Cut a request's connection at once, dropping bytes not yet with the socket. False where the server cannot."""
    abort = scope.get("extensions", {}).get(_CUT)
    if abort is None:
        return False
    abort()
    return True
