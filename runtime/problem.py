"""Errors as problem+json (RFC 9457) with a stable `code`, for every way in which a request can fail."""

import errno
import logging
import sqlite3
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from protocol import canonical
from protocol.errors import EvidenceError
from runtime.clock import ClockError
from runtime.dialect.common import DatabaseError
from runtime.journal import JournalError

TYPES = "https://ns.fieldgrant.example/problems/"
MEDIA_TYPE = "application/problem+json"
STATUSES: Mapping[str, int] = {
    "too_large": 413,
    "no_signature": 401,
    "stale_signature": 401,
    "unknown_field": 404,
    "unknown_purpose": 404,
    "unknown_read": 404,
}
TITLES = {
    400: "Bad request",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    410: "Gone",
    413: "Too large",
    422: "Bad request",
    429: "Too many requests",
    500: "Internal error",
    503: "Not available",
}
FULL_OR_BROKEN = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})
_CODES = {401: "not_signed_in", 403: "not_allowed", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}
_log = logging.getLogger("fieldgrant.problem")


class Problem(Exception):  # noqa: N818 - RFC 9457's own word
    """An answer that is not the one asked for. Never holds a personal value."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`status` is HTTP's, `code` stable for programs, `detail` for people, `field` names the offending input."""
        super().__init__(detail)
        self.status, self.code, self.detail, self.field, self.headers = status, code, detail, field, headers

    def response(self) -> Response:
        """The problem as HTTP says it (RFC 9457 §3)."""
        body: dict[str, Any] = {
            "type": TYPES + self.code,
            "title": TITLES.get(self.status, "Error"),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        if self.field is not None:
            body["field"] = self.field
        return Response(orjson.dumps(body), self.status, dict(self.headers or {}), media_type=MEDIA_TYPE)


def install(
    app: FastAPI,
    *,
    body_limit: int = canonical.MAX_BYTES,
    larger: Mapping[str, int] | None = None,
    statuses: Mapping[str, int] | None = None,
) -> None:
    """Make every error of `app` a problem, and bound the bodies it takes.

    `larger` gives other limits in bytes by full path (`{"/crm/imports": 64 * 2**20}`); what comes there, JSON too, is
    read and parsed by the route, once it knows who calls; an app that mounts others must be given theirs. `statuses`
    gives the HTTP status of EvidenceError codes beyond `STATUSES`; the rest is 400. All other JSON bodies are parsed
    strictly (duplicate keys, depth, numbers) before any route sees them.
    """
    mapped = {**STATUSES, **(statuses or {})}

    async def evidence(_request: Request, error: Exception) -> Response:
        assert isinstance(error, EvidenceError)  # noqa: S101 - narrows the type for mypy
        return _of_evidence(error, mapped).response()

    app.add_exception_handler(JournalError, _journal)
    app.add_exception_handler(OSError, _disk)
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(EvidenceError, evidence)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(ClockError, _clock)
    # SQLite's own: a lock that is not given at BEGIN comes past SQLAlchemy
    for lost in (OperationalError, InterfaceError, InternalError, PoolTimeout, DatabaseError, sqlite3.OperationalError):
        app.add_exception_handler(lost, _database)
    app.add_exception_handler(DataError, _value)
    app.add_middleware(Edge, body_limit=body_limit, larger=dict(larger or {}), statuses=mapped)


def json_body(limit: int = canonical.MAX_BYTES) -> Callable[[Request], Awaitable[dict[str, Any]]]:
    """A FastAPI dependency: the body as a strictly parsed JSON object, whatever its content type.

    Problems: 413 too_large, 400 with the codes of `protocol.canonical.parse`.
    """

    async def body(request: Request) -> dict[str, Any]:
        return canonical.parse(await request.body(), limit=limit)

    return body


def _of_evidence(error: EvidenceError, statuses: Mapping[str, int]) -> Problem:
    return Problem(statuses.get(error.code, 400), error.code, error.detail, field=error.field)


async def _problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - narrows the type for mypy
    return error.response()


async def _clock(_request: Request, error: Exception) -> Response:
    return Problem(503, ClockError.code, str(error)).response()


async def _database(_request: Request, error: Exception) -> Response:
    _log.warning("the database: %s", type(error).__name__)  # its words could quote what was asked of it
    return _again("database_unavailable", "The database cannot be used now. Try again.")


async def _value(_request: Request, error: Exception) -> Response:
    """PostgreSQL keeps no NUL in a text and no whole number of more than 64 bits: nothing of ours has either."""
    _log.warning("a value that the database does not take: %s", type(error).__name__)
    return Problem(400, "bad_request", "A text or a number that is not kept here.").response()


async def _journal(_request: Request, error: Exception) -> Response:
    assert isinstance(error, JournalError)  # noqa: S101 - narrows the type for mypy
    return _again(error.code, "What ends something could not be made durable, so nothing was done. Try again.")


async def _disk(_request: Request, error: Exception) -> Response:
    assert isinstance(error, OSError)  # noqa: S101 - narrows the type for mypy
    if error.errno not in FULL_OR_BROKEN:
        raise error
    return _again("storage_failed", "The disk takes nothing now, so nothing was done. Try again.")


def _again(code: str, detail: str) -> Response:
    return Problem(503, code, detail, headers={"Retry-After": "2"}).response()


async def _http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - narrows the type for mypy
    code = _CODES.get(error.status_code, f"http_{error.status_code}")
    title = TITLES.get(error.status_code, "Error")
    return Problem(error.status_code, code, title, headers=error.headers).response()


async def _validation(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - narrows the type for mypy
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return Problem(400, "bad_json", "not JSON").response()
    # Only where and what kind: pydantic's own entry also carries the input.
    where = ".".join(str(part) for part in first["loc"][1:])[:200] or None
    return Problem(422, "bad_request", str(first["msg"])[:200], field=where).response()


class Edge:
    """The outermost layer: bounds bodies, parses JSON strictly, and lets no exception out with its text."""

    def __init__(
        self, app: ASGIApp, *, body_limit: int, larger: Mapping[str, int], statuses: Mapping[str, int]
    ) -> None:
        """See `install`."""
        self._app, self._limit, self._larger, self._statuses = app, body_limit, larger, statuses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, await self._checked(scope, receive), noting)
        except Exception as error:  # noqa: BLE001
            # The edge of the process: an exception's text may hold anything, so only its kind and place are logged.
            problem = self._problem_of(error)
            if started:
                raise ConnectionAbortedError("the answer broke off") from None
            await problem.response()(scope, receive, send)

    def _problem_of(self, error: Exception) -> Problem:
        if isinstance(error, Problem):
            return error
        if isinstance(error, EvidenceError):
            return _of_evidence(error, self._statuses)
        places = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-6:]]
        _log.error("unexpected %s at %s", type(error).__qualname__, " > ".join(places))
        return Problem(500, "internal", "Something unexpected went wrong.")

    async def _checked(self, scope: Scope, receive: Receive) -> Receive:
        """`receive`, or one that replays a body read here. Problem too_large; EvidenceError for bad JSON."""
        headers = Headers(scope=scope)
        limit = self._larger.get(scope["path"], self._limit)
        json = _is_json(headers.get("content-type", "")) and scope["path"] not in self._larger
        length = headers.get("content-length")
        if length is not None and int(length) > limit:
            raise _too_large(limit)
        if not json and (length is not None or "transfer-encoding" not in headers):
            return receive  # the server itself holds the body to its content-length
        if not json and limit > self._limit:
            return _counted(receive, limit)  # read by the route, once it knows who calls
        body = await _read(receive, limit)
        if json and body and not scope.get("fieldgrant.strict"):
            canonical.parse(body, limit=limit)
            scope["fieldgrant.strict"] = True  # an app mounted inside need not parse it again
        return _replay(body, receive)


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


async def _read(receive: Receive, limit: int) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Problem(400, "bad_request", "the body broke off")
        body += message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        if not message.get("more_body", False):
            return bytes(body)


def _counted(receive: Receive, limit: int) -> Receive:
    """`receive` that stops a body of unknown length at the limit. Problem too_large."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise _too_large(limit)
        return message

    return counted


def _too_large(limit: int) -> Problem:
    return Problem(413, "too_large", f"more than {limit} bytes", headers={"connection": "close"})


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay
