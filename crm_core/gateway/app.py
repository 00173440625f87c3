"""The HTTP edge of the gateway: uploads of touchpoints, and what is held of them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.concurrency import run_in_threadpool

from crm_core.gateway import held, ingest, touchpoints
from crm_core.gateway import openapi as text
from crm_core.gateway import uploader as uploaders
from crm_core.gateway.ingest import Intake, Result
from crm_core.gateway.uploader import Received, Uploader
from issuer import attempts
from issuer.registry import Registry
from issuer.wallet_auth import WalletCaller, address_of, refuse_staff, wallet_caller
from protocol.consent import SubjectId
from protocol.errors import EvidenceError
from runtime.journal import JournalError
from runtime.limits import RateLimit
from runtime.platform import Platform
from runtime.problem import MEDIA_TYPE, STATUSES, TITLES, TYPES, Problem
from runtime.staff import Staff, signed_in

MAX_UPLOADS: Final = 500
IN_WORK: Final = 2_000  # uploads that one process takes at a time
PER_ADDRESS: Final = "1200/minute"
PER_BROWSER: Final = 30  # uploads a minute, however many come at once
MAX_KEY: Final = 128
_ALLOWED: Final = "content-type, content-digest, signature, signature-input, idempotency-key"


class InWork:
    """How many uploads are in work in this process."""

    def __init__(self, most: int) -> None:
        self._most, self._now, self._lock = most, 0, threading.Lock()

    @contextmanager
    def of(self, count: int) -> Iterator[None]:
        """Problem 429 `busy` where there would be too many; nothing waits in a queue."""
        with self._lock:
            if self._now and self._now + count > self._most:
                raise Problem(429, "busy", "Too many uploads are in work. Try again.", headers={"Retry-After": "1"})
            self._now += count
        try:
            yield
        finally:
            with self._lock:
                self._now -= count


class Gateway:
    """Takes signed requests apart, bounds them, and gives them to the intake."""

    def __init__(self, registry: Registry, *, in_work: int = IN_WORK) -> None:
        """`in_work` bounds the uploads that this process takes at a time."""
        self._platform = registry.platform
        self._intake, self._in_work = Intake(registry), InWork(in_work)
        self._addresses, self._browsers = RateLimit(PER_ADDRESS), RateLimit(f"{PER_BROWSER}/minute")
        self._rates: dict[int, RateLimit] = {}
        self._pages: tuple[str, frozenset[str]] = ("", frozenset())

    def bound(self, address: str) -> None:
        """Count a request of this address. Problem 429."""
        self._addresses.hit(address)

    def take(self, came: Received) -> Response:
        """Verify, bound, take in. Raises Problem, EvidenceError, ClockError."""
        uploader, body = uploaders.verified(self._platform, came)
        with attempts.recorded(self._platform, uploaders.ACTION, did=uploader.key):
            nodes, key = _uploads(body), _key(came)
            self._rate(uploader, len(nodes))
        with self._in_work.of(len(nodes)):
            try:
                results = self._intake.take(uploader, nodes, key=key)
            except JournalError as error:
                raise Problem(503, error.code, "What this rests on cannot be believed now.") from error
        return _answer(results)

    def origins(self, at: datetime) -> frozenset[str]:
        """The origins whose pages may upload here. Pages ask before each upload: looked up once a second."""
        second = f"{at:%Y%m%d%H%M%S}"
        if self._pages[0] != second:
            with self._platform.database.read() as session:
                self._pages = (second, touchpoints.origins(session, self._platform, at))
        return self._pages[1]

    def _rate(self, uploader: Uploader, count: int) -> None:
        rate, browser = uploader.registration.rate, uploader.delegation is not None
        most = min(rate, PER_BROWSER) if browser else rate
        if count > most:
            raise Problem(413, "too_many_uploads", f"{most} uploads a minute may be brought here.")
        if browser:
            self._browsers.hit(uploader.key, cost=count)
        limit = self._rates.setdefault(rate, RateLimit(f"{rate}/minute"))
        limit.hit(uploader.registration.id, cost=count)


def router(registry: Registry) -> APIRouter:
    """The routes of uploads and of the hold, under `/crm`."""
    routes = APIRouter()
    gateway = Gateway(registry)
    _add_ingest(routes, registry.platform, gateway)
    _add_held(routes, registry.platform)
    return routes


def _add_ingest(routes: APIRouter, platform: Platform, gateway: Gateway) -> None:
    @routes.post(
        "/ingest",
        summary="Upload collected values",
        description=text.INGEST,
        responses=text.INGEST_RESPONSES,
        openapi_extra=text.INGEST_BODY,
    )
    async def upload(request: Request) -> Response:
        gateway.bound(address_of(request))
        pages = await run_in_threadpool(gateway.origins, platform.clock.now())
        headers = _cors(request, pages)
        try:
            await run_in_threadpool(refuse_staff, platform, request, uploaders.ACTION)
            answer = await run_in_threadpool(gateway.take, await uploaders.received(request))
        except Problem as error:
            answer = error.response()
        except EvidenceError as error:
            status = STATUSES.get(error.code, 400)
            answer = Problem(status, error.code, error.detail, field=error.field).response()
        answer.headers.update(headers)
        return answer

    @routes.options("/ingest", include_in_schema=False)
    async def preflight(request: Request) -> Response:
        gateway.bound(address_of(request))
        pages = await run_in_threadpool(gateway.origins, platform.clock.now())
        return Response(status_code=204, headers=_cors(request, pages))


def _add_held(routes: APIRouter, platform: Platform) -> None:
    staff = signed_in(platform)

    def officer(caller: Staff = Depends(staff)) -> Staff:
        if caller.role != "dpo":
            attempts.record(platform, "held", "role", did=caller.did)
            raise Problem(403, "role", "Only the data protection officer sees what is held.")
        return caller

    @routes.get("/held", summary="What is held", description=text.HELD, responses=text.HELD_RESPONSES)
    def of_all(
        _caller: Staff = Depends(officer), subject: str | None = Query(None, description=text.SUBJECT)
    ) -> dict[str, Any]:
        with platform.database.read() as session:
            found = held.listed(session, None if subject is None else SubjectId(subject))
        return {"items": [asdict(one) for one in found]}

    @routes.get("/wallet/held", summary="What is held of me", description=text.MINE, responses=text.HELD_RESPONSES)
    def of_me(caller: WalletCaller = Depends(wallet_caller(platform, service="crm"))) -> dict[str, Any]:
        with platform.database.read() as session:
            found = held.listed(session, caller.subject)
        return {"items": [asdict(one) for one in found]}


def _uploads(body: dict[str, Any]) -> list[Any]:
    nodes = body.get("uploads")
    if set(body) != {"uploads"} or not isinstance(nodes, list) or not nodes:
        raise EvidenceError("bad_upload", "an object with a list of uploads is expected", field="uploads")
    if len(nodes) > MAX_UPLOADS:
        raise Problem(413, "too_many_uploads", f"A request holds {MAX_UPLOADS} uploads at most.", field="uploads")
    return nodes


def _key(came: Received) -> str | None:
    key = came.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise Problem(400, "bad_idempotency_key", f"At most {MAX_KEY} printable characters.", field="Idempotency-Key")
    return key


def _cors(request: Request, pages: frozenset[str]) -> dict[str, str]:
    """Registered pages alone may read the answer, and no cookie ever comes along."""
    origin = request.headers.get("origin")
    if origin is None or origin not in pages:
        return {"Vary": "Origin"}
    return {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": "POST",
        "Access-Control-Allow-Headers": _ALLOWED,
        "Access-Control-Expose-Headers": "Date, Retry-After",
        "Access-Control-Max-Age": "600",
    }


def _answer(results: list[Result]) -> Response:
    """Success looks like success only where every upload got through."""
    status = ingest.overall(results)
    told: dict[str, Any] = {"results": [one.told() for one in results]}
    media = "application/json"
    if status == 422:
        code = "nothing_taken"
        told |= {"type": TYPES + code, "title": TITLES[422], "status": 422, "code": code}
        told["detail"] = "None of these uploads was taken: see the result of each."
        media = MEDIA_TYPE
    return Response(orjson.dumps(told), status, media_type=media)
