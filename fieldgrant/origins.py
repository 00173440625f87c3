"""Which pages may call what: wallets come from any origin and without credentials; staff pages from our own alone.

A wallet signs each request (RFC 9421), so what it may do hangs on its key and on nothing that a browser sends along.
Its routes answer every origin with `*`, which a browser never joins with a cookie. No other route answers another
origin, preflights included, and none of our answers is kept in a browser's cache unless it says so itself.
"""

import re
from collections.abc import Mapping
from typing import Final

from fastapi import Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# what wallet/*.py and wallet/web call: path → methods
_OPEN: Final[Mapping[str, frozenset[str]]] = {
    r"/\.well-known/did\.json": frozenset({"GET"}),
    r"/issuer/catalogue": frozenset({"GET"}),
    r"/issuer/notices/[^/]+/[^/]+": frozenset({"GET"}),
    r"/issuer/status/[^/]+": frozenset({"GET"}),
    r"/issuer/contexts/consent/v1": frozenset({"GET"}),
    r"/issuer/enrolments/challenge": frozenset({"POST"}),
    r"/issuer/enrolments": frozenset({"POST"}),  # GET is staff's list
    r"/issuer/wallet/.+": frozenset({"GET", "POST"}),
    r"/crm/rights/answers": frozenset({"POST"}),
    r"/crm/wallet/held": frozenset({"GET"}),
    r"/redaction/certificates": frozenset({"GET"}),
    r"/redaction/state": frozenset({"GET"}),
    r"/audit/history": frozenset({"GET"}),
    r"/audit/proofs": frozenset({"GET"}),
    r"/audit/checkpoint": frozenset({"GET"}),
    r"/audit/tile/.+": frozenset({"GET"}),
    r"/audit/log\.vkey": frozenset({"GET"}),
}
_PATHS: Final = tuple((re.compile(path), methods) for path, methods in _OPEN.items())
_SENT: Final = frozenset({"accept", "content-type", "content-digest", "signature", "signature-input"})
_SHOWN: Final = "Date, Retry-After"  # a wallet sets its clock by the one, and waits by the other
_PREFLIGHT_LASTS: Final = "600"  # seconds

OURS: Final[Mapping[str, str]] = {
    "cache-control": "no-store", "x-content-type-options": "nosniff", "cross-origin-resource-policy": "same-origin"
}  # fmt: skip
"""What every answer carries that is for our own origin alone."""


class Origins:
    """The layer around an app that answers other origins where wallets call, and nowhere else."""

    def __init__(self, app: ASGIApp) -> None:
        """`app` is whatever lies within; put this outermost, so that refusals carry the headers too."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        methods = open_to_all(scope["path"])
        headers = Headers(scope=scope)
        if scope["method"] == "OPTIONS" and methods and "access-control-request-method" in headers:
            await _preflight(headers, methods)(scope, receive, send)
            return
        open_ = scope["method"].replace("HEAD", "GET") in methods

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                _mark(MutableHeaders(scope=message), open_=open_)
            await send(message)

        await self._app(scope, receive, marked)


def open_to_all(path: str) -> frozenset[str]:
    """The methods with which a wallet of any origin may call a path; none for most."""
    return next((methods for known, methods in _PATHS if known.fullmatch(path)), frozenset())


def _preflight(headers: Headers, methods: frozenset[str]) -> Response:
    asked = headers.get("access-control-request-headers", "").split(",")
    wanted = {name.strip().lower() for name in asked if name.strip()}
    answer = Response(status_code=204, headers={"Vary": "Access-Control-Request-Headers"})
    if headers["access-control-request-method"] in methods and wanted <= _SENT:
        answer.headers["Access-Control-Allow-Origin"] = "*"
        answer.headers["Access-Control-Allow-Methods"] = ", ".join(sorted(methods))
        answer.headers["Access-Control-Allow-Headers"] = ", ".join(sorted(_SENT))
        answer.headers["Access-Control-Max-Age"] = _PREFLIGHT_LASTS
    return answer


def _mark(headers: MutableHeaders, *, open_: bool) -> None:
    for name, value in OURS.items():
        headers.setdefault(name, "cross-origin" if open_ and value == "same-origin" else value)
    if open_:
        headers["Access-Control-Allow-Origin"] = "*"
        headers["Access-Control-Expose-Headers"] = _SHOWN
