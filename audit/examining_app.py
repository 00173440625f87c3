"""What an auditor does at a desk, over HTTP: look at one record, follow one value, watch the log, check a bundle."""

import asyncio
import base64
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from audit import actors, exhibit, story, verify
from audit.bundle import Credentials
from audit.graph import graph
from audit.log import Log
from protocol.errors import EvidenceError
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff

BUNDLE_MAX: Final = 32 * 1024 * 1024
PATH: Final = "/audit/verifications"
BODY_LIMITS: Final = {PATH: BUNDLE_MAX}
"""For the `problem.install` of whoever composes the apps."""
_MISSING: Final = {"not_in_log": 404, "body_gone": 410}
_VERDICT: Final = {0: "valid", 1: "invalid", 2: "incomplete"}


class Record(BaseModel):
    """One record, everything that proves it, and the signed credentials that it names.

    `file` is what a bundle has of it (`events/NNNNN.json`); its proof leads to `checkpoint`. `records` says how many
    the event has: one for each subject. `controller` is the organisation's own word of its keys.
    """

    record: dict[str, Any] = Field(
        examples=[{"leaf": 41, "place": 0, "sequence": 7, "type": "release", "time": "2026-11-22T08:00:00.123Z"}]
    )
    records: int
    file: dict[str, Any]
    checkpoint: str = Field(examples=["crm.example.com/audit\n42\n…\n\n— crm.example.com/audit …\n"])
    credentials: list[dict[str, Any]] = Field(
        examples=[[{"kind": "consent", "id": "urn:uuid:…", "digest": "zQm…", "document": {}}]]
    )
    controller: dict[str, Any]


class Actor(BaseModel):
    """A member of staff, and the DID under which the records know them."""

    did: str = Field(examples=["did:key:z6Mk…"])
    account: str = Field(examples=["mei"])
    name: str
    role: str = Field(examples=["marketing"])
    ended: bool


class Actors(BaseModel):
    """Everybody who ever had an account, by name."""

    items: list[Actor]


class Graph(BaseModel):
    """One value's story: PROV's entities, activities and agents as `nodes`, its relations as `edges`.

    `events` are the same activities in a row, oldest first; `whole` is false where the story is longer than this.
    """

    subject: str
    field: str = Field(examples=["contact.email"])
    nodes: list[dict[str, Any]] = Field(
        examples=[[{"id": "value:1", "kind": "value", "field": "contact.email", "state": 1}]]
    )
    edges: list[dict[str, Any]] = Field(
        examples=[[{"kind": "wasGeneratedBy", "from": "value:1", "to": "urn:uuid:6f1c2c8e-4a37-4a39-9df5-2f2d8f4a2f"}]]
    )
    events: list[dict[str, Any]]
    whole: bool


class Growth(BaseModel):
    """The log's head, and the proof that an older log is a prefix of it (RFC 6962 §2.1.2), base64."""

    origin: str = Field(examples=["crm.example.com/audit"])
    size: int
    root: str
    key: str = Field(examples=["crm.example.com/audit+1a2b3c4d+AbCd…"], description="The log's verifier key.")
    checkpoint: str
    since: int | None
    consistency: list[str] = Field(description="Empty without `since`, and where nothing came since.")


class Verdict(BaseModel):
    """Every check of a bundle, in the order made. `key` says whose word the log's key was."""

    verdict: str = Field(examples=["valid"])
    key: str = Field(examples=["ours"], description="`yours` when the request brought the log's key, else `ours`.")
    checks: list[dict[str, Any]] = Field(
        examples=[[{"name": "manifest", "outcome": "ok", "code": None, "detail": "…"}]]
    )


def add(
    router: APIRouter, platform: Platform, log: Log, credentials: Credentials, auditor: Callable[..., Staff]
) -> None:
    """Add the routes to the router of `/audit`."""
    _add_record(router, log, credentials, auditor)
    _add_story(router, platform, auditor)
    _add_growth(router, log, auditor)
    _add_verification(router, log, auditor)


def _add_record(router: APIRouter, log: Log, credentials: Credentials, auditor: Callable[..., Staff]) -> None:
    @router.get("/records/{leaf}/{place}", summary="One record and its proof", dependencies=[Depends(auditor)])
    def record(
        leaf: Annotated[int, Path(ge=0, le=2**53 - 1)], place: Annotated[int, Path(ge=0, le=2**31 - 1)]
    ) -> Record:
        """By its leaf, and by its place in the leaf: a page that was read is one leaf with a record for each subject.

        Whoever asks checks the proof themselves, under a key of the log that they have from elsewhere.
        """
        try:
            with log.platform.database.read() as session:
                return Record(**asdict(exhibit.show(log, session, credentials, leaf, place)))
        except EvidenceError as error:
            raise Problem(_MISSING.get(error.code, 409), error.code, error.detail, field=error.field) from error

    @router.get("/actors", summary="Who the staff in the records are", dependencies=[Depends(auditor)])
    def staff_of_the_records() -> Actors:
        """Accounts that ended too: the log does not forget them."""
        with log.platform.database.read() as session:
            return Actors(items=[Actor(**one) for one in actors.known(session)])


def _add_story(router: APIRouter, platform: Platform, auditor: Callable[..., Staff]) -> None:
    @router.get("/provenance", summary="The provenance of one value", dependencies=[Depends(auditor)])
    def provenance(
        subject: Annotated[str, Query(max_length=64)],
        field: Annotated[str, Query(max_length=64, examples=["contact.email"])],
    ) -> Graph:
        """From where a value came, under what it was read by whom, and how it ended. Never the value itself."""
        with platform.database.read() as session:
            found, whole = story.of(session, subject, field)
        if not found:
            raise Problem(404, "unknown_subject", "The log holds nothing about this subject.", field="subject")
        return Graph(**graph(subject, field, found), whole=whole)


def _add_growth(router: APIRouter, log: Log, auditor: Callable[..., Staff]) -> None:
    @router.get("/log", summary="The log's head, and that it only grew", dependencies=[Depends(auditor)])
    def growth(since: Annotated[int | None, Query(ge=1, le=2**62, examples=[41])] = None) -> Growth:
        """With `since`, the size that was seen before, the proof that those leaves are still the first of the log.

        Whoever asks keeps size and root of what they saw last, and checks the proof themselves.
        """
        try:
            head = log.head()
            if since is not None and since > head.size:
                raise EvidenceError("log_shorter", "the log is shorter than the one that was seen before")
            proof = log.merkle(head.size).consistency(since) if since is not None and head.size else []
        except EvidenceError as error:
            raise Problem(409, error.code, error.detail, field=error.field) from error
        if not head.size:
            raise Problem(404, "log_empty", "Nothing is in the log yet.")
        return Growth(
            origin=log.origin,
            size=head.size,
            root=base64.b64encode(head.root).decode(),
            key=log.vkey,
            checkpoint=head.note.decode("utf-8"),
            since=since,
            consistency=[base64.b64encode(one).decode() for one in proof],
        )


def _add_verification(router: APIRouter, log: Log, auditor: Callable[..., Staff]) -> None:
    turn = asyncio.Lock()  # one at a time: a bundle is unpacked in memory
    zipped = {"requestBody": {"required": True, "content": {"application/zip": {"schema": {"type": "string"}}}}}

    @router.post("/verifications", summary="Check a bundle", dependencies=[Depends(auditor)], openapi_extra=zipped)
    async def verification(
        request: Request,
        log_key: Annotated[str | None, Query(alias="key", max_length=300, examples=["crm.example.com/audit+…"])] = None,
    ) -> Verdict:
        """Each check of an evidence bundle (the zip is the body), made as `fieldgrant audit verify` makes it.

        Here the organisation checks its own evidence: for a proof without it, run that command on a machine of yours,
        with a key of the log that you have from elsewhere. Nothing of the bundle is kept.
        """
        data = await request.body()
        async with turn:
            report = await run_in_threadpool(verify.verify, data, log_key or log.vkey)
        checks = [
            {"name": one.name, "outcome": str(one.outcome), "code": one.code, "detail": one.detail}
            for one in report.checks
        ]
        return Verdict(verdict=_VERDICT[report.status], key="ours" if log_key is None else "yours", checks=checks)
