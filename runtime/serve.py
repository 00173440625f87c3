"""Run an ASGI app on uvicorn so that `await send` means: the bytes before are with the socket."""

from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Scope


def run(app: ASGIApp, port: int, host: str = "127.0.0.1", *, ready: Callable[[int], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then stop gracefully. `ready` is called with the port once we listen (port 0: any)."""
    raise NotImplementedError


def cut(scope: Scope | dict[str, Any]) -> bool:
    """Cut the connection of a request at once, dropping bytes not yet with the socket. False where the server cannot."""
    raise NotImplementedError
