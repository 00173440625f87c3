"""The audit over HTTP: a customer's own history, the public log, and the auditor's events and bundles."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Depends, FastAPI, Query, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field

from audit import bundle, events, examining_app, export_app, export_worker, history, proofs, worker
from audit.bundle import Credentials
from audit.examining_app import BODY_LIMITS
from audit.log import Log
from protocol import times
from protocol.consent import Field as FieldName
from protocol.consent import SubjectId
from protocol.errors import EvidenceError
from runtime import problem, staff, staff_app
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff

__all__ = ["BODY_LIMITS", "build_app", "build_router"]

AUDITORS = frozenset({"auditor", "dpo"})
_TILE = re.compile(
    r"(?:entries|[0-9]|[1-5][0-9]|6[0-3])/(?:x[0-9]{3}/)*[0-9]{3}(?:\.p/(?:[1-9][0-9]?|1[0-9]{2}|2[0-5][0-9]))?"
)
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_STATUS = {
    "unknown_subject": 404, "unknown_field": 404, "not_in_log": 404, "bad_cursor": 400, "too_large": 413,
    "too_many_files": 413,
}  # fmt: skip


class Caller(Protocol):
    """Who signed the request: the enrolled subject."""

    @property
    def subject(self) -> SubjectId:
        """The subject whose wallet it is."""


class HistoryItem(BaseModel):
    """One thing that was done with your data, or refused."""

    event: str = Field(examples=["urn:uuid:6f1c2c8e-4a37-4a39-9df5-2f2d8f4a2f10"])
    time: str = Field(examples=["2026-11-22T08:00:00.123Z"])
    kind: str = Field(examples=["release"], description="Type of the event, e.g. release, refusal, consent.withdrawn.")
    reader: str | None = Field(description="DID of who read, where somebody did.")
    role: str | None = Field(examples=["marketing"])
    purpose: str | None = Field(examples=["https://w3id.org/dpv#DirectMarketing"])
    recipient: str | None
    jurisdiction: str | None = Field(examples=["CN"])
    released: list[str] = Field(examples=[["address.city"]])
    withheld: dict[str, str] = Field(examples=[{"contact.email": "withdrawn"}], description="Field → reason.")
    grounds: dict[str, list[str]] = Field(
        examples=[{"urn:uuid:6f1c2c8e-4a37-4a39-9df5-2f2d8f4a2f10": ["address.city"]}],
        description="Why: the consent or statutory ground (its id) → the fields that it released.",
    )
    way: str | None = Field(
        examples=["list"], description="Of a read: list, items, history, aggregates, decision or export."
    )
    fields: list[str] = Field(description="The fields that any other event concerns.")
    credential: str | None = Field(description="Id of the credential that the event is about.")
    leaf: int | None = Field(description="Its place in the public log; null until it is there.")


class HistoryPage(BaseModel):
    """One page, newest first; give `next` as `before` for the one that follows."""

    items: list[HistoryItem]
    next: str | None


class ProofAnswer(BaseModel):
    """A record as a bundle has it (`events/NNNNN.json`), and the checkpoint that its proof leads to."""

    file: dict[str, Any] = Field(
        examples=[{"v": 1, "record": {}, "salt": "…", "chain": {}, "tree": {}, "log": {"index": 41, "proof": []}}]
    )
    checkpoint: str = Field(examples=["crm.example.com/audit\n42\n…\n\n— crm.example.com/audit …\n"])


class EventPage(BaseModel):
    """One page of records, newest first; give `next` as `before` for the one that follows."""

    items: list[dict[str, Any]] = Field(
        examples=[[{"leaf": 41, "sequence": 7, "type": "release", "time": "2026-11-22T08:00:00.123Z"}]]
    )
    next: int | None


def build_router(
    platform: Platform, log: Log, *, wallet_caller: Callable[..., Any], credentials: Credentials
) -> APIRouter:
    """Routes under `/audit`; `wallet_caller` is the dependency that yields a `Caller`."""
    router = APIRouter(prefix="/audit", tags=["audit"])
    _log_routes(router, log)
    _wallet_routes(router, platform, log, wallet_caller)
    _auditor_routes(router, platform, log, credentials)
    auditor = staff.signed_in(platform, AUDITORS)
    examining_app.add(router, platform, log, credentials, auditor)
    export_app.add(router, platform, auditor)
    return router


def build_app(platform: Platform, *, wallet_caller: Callable[..., Any], credentials: Credentials) -> FastAPI:
    """The audit as an application of its own, its drain worker included."""
    log = Log(platform)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with worker.running(log), export_worker.running(log, credentials):
            yield

    app = FastAPI(title="Fieldgrant audit", version="0.1.0", lifespan=lifespan)
    problem.install(app, larger=BODY_LIMITS)
    app.include_router(staff_app.router(platform))
    app.include_router(build_router(platform, log, wallet_caller=wallet_caller, credentials=credentials))
    return app


def _log_routes(router: APIRouter, log: Log) -> None:
    @router.get("/checkpoint", response_class=PlainTextResponse, summary="The log's signed head (tlog-checkpoint)")
    def checkpoint() -> Response:
        """How many leaves the log has, and their root, signed. Check it with a key that you have from elsewhere."""
        found = log.checkpoint()
        if found is None:
            raise Problem(404, "log_empty", "Nothing is in the log yet.")
        return Response(found, media_type="text/plain; charset=utf-8", headers={"Cache-Control": "no-cache"})

    @router.get("/tile/{path:path}", response_class=Response, summary="A tile of the log (tlog-tiles)")
    def tile(path: str) -> Response:
        """256 hashes of one level, or the leaves below them (`entries/…`); a full tile never changes."""
        found = log.tiles.find(f"tile/{path}") if _TILE.fullmatch(path) else None
        if found is None:
            raise Problem(404, "no_such_tile", "The log has no such tile.")
        return Response(found, media_type="application/octet-stream", headers=_FOREVER)

    @router.get("/log.vkey", response_class=PlainTextResponse, summary="The log's verifier key (signed-note)")
    def vkey() -> Response:
        """Compare it with the key that you have from elsewhere; a key from here alone proves nothing."""
        return PlainTextResponse(log.vkey + "\n")


def _wallet_routes(router: APIRouter, platform: Platform, log: Log, wallet_caller: Callable[..., Any]) -> None:
    @router.get("/proofs", summary="The proof that an event about you is in the log")
    def own_proof(
        caller: Annotated[Caller, Depends(wallet_caller)],
        event: Annotated[str, Query(max_length=64, examples=["urn:uuid:6f1c2c8e-4a37-4a39-9df5-2f2d8f4a2f10"])],
    ) -> ProofAnswer:
        """Signed by an enrolled wallet (RFC 9421). The record, its salt, and its way to the signed checkpoint."""
        try:
            with platform.database.read() as session:
                return ProofAnswer(**proofs.of_event(log, session, caller.subject, event))
        except EvidenceError as error:
            raise _problem(error) from error

    @router.get("/history", summary="What was done with your data")
    def own_history(
        caller: Annotated[Caller, Depends(wallet_caller)],
        limit: Annotated[int, Query(ge=1, le=history.MAX_PAGE)] = 50,
        before: Annotated[str | None, Query(max_length=32)] = None,
    ) -> HistoryPage:
        """Signed by an enrolled wallet (RFC 9421). Names fields, readers, purposes and reasons, never a value."""
        try:
            with platform.database.read() as session:
                page = history.history(session, caller.subject, limit=limit, before=before)
        except EvidenceError as error:
            raise _problem(error) from error
        return HistoryPage(items=[HistoryItem(**item) for item in page.items], next=page.next)


def _auditor_routes(router: APIRouter, platform: Platform, log: Log, credentials: Credentials) -> None:
    auditor = staff.signed_in(platform, AUDITORS)

    @router.get("/events", summary="Records of the log", dependencies=[Depends(auditor)])
    def find_events(
        *,
        subject: Annotated[str | None, Query(max_length=200)] = None,
        field: Annotated[str | None, Query(max_length=64)] = None,
        type_: Annotated[str | None, Query(alias="type", max_length=64, examples=["release"])] = None,
        actor: Annotated[str | None, Query(max_length=300, examples=["did:key:z6Mk…"])] = None,
        purpose: Annotated[str | None, Query(max_length=300, examples=["https://w3id.org/dpv#DirectMarketing"])] = None,
        since: Annotated[str | None, Query(alias="from", examples=["2026-11-22T00:00:00Z"])] = None,
        until: Annotated[str | None, Query(alias="to", examples=["2026-11-23T00:00:00Z"])] = None,
        limit: Annotated[int, Query(ge=1, le=events.MAX_PAGE)] = 50,
        before: Annotated[int | None, Query(ge=0, le=2**62)] = None,
        folded: bool = False,
    ) -> EventPage:
        """Newest first, for auditors and the data protection officer. Records name fields, never values.

        `subject` is a reference, or the DID of a wallet; `actor` is the DID of who read, decided or brought a value;
        `purpose` is an IRI. `folded`: of each leaf the first record that matches, and how many do (`records`).
        """
        wanted = events.Filter(
            subject=subject,
            field=field,
            type=type_,
            actor=actor,
            purpose=purpose,
            since=_moment(since, "from"),
            until=_moment(until, "to"),
        )
        with platform.database.read() as session:
            found = events.find(session, wanted, limit=limit, before=before, folded=folded)
        return EventPage(items=list(found.items), next=found.next)

    @router.get("/bundles", response_class=Response, summary="The evidence bundle of one subject, as a zip")
    def export_bundle(
        reader: Annotated[Staff, Depends(auditor)],
        subject: Annotated[str, Query(max_length=64)],
        field: Annotated[str | None, Query(max_length=64, examples=["contact.email"])] = None,
    ) -> Response:
        """The export itself goes on record, where the subject sees it."""
        name = None if field is None else FieldName(field)
        try:
            data = bundle.export(
                log, credentials, subject=SubjectId(subject), field=name, by=reader.did, role=reader.role
            )
        except EvidenceError as error:
            raise _problem(error) from error
        headers = {"Content-Disposition": 'attachment; filename="bundle.zip"', "Cache-Control": "no-store"}
        return Response(data, media_type="application/zip", headers=headers)


def _moment(text: str | None, name: str) -> datetime | None:
    try:
        return None if text is None else times.parse(text, field=name)
    except EvidenceError as error:
        raise Problem(400, error.code, error.detail, field=name) from error


def _problem(error: EvidenceError) -> Problem:
    return Problem(_STATUS.get(error.code, 503), error.code, error.detail, field=error.field)
