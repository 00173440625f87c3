"""Bundles over HTTP, made in the background: ask for one, see how far it is, stop it, take it up again, fetch it."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from audit.exporting import Exports, Job
from audit.scope import Scope
from protocol import times
from protocol.errors import EvidenceError
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff

_STATUS = {"unknown_export": 404, "too_many_exports": 429}
_EXAMPLE: dict[str, Any] = {
    "subject": "sub_aaaaaaaaaaaaaaaaaaaaaaaaaa", "field": "contact.email", "from": "2026-11-01T00:00:00Z"
}  # fmt: skip


class ExportBody(BaseModel):
    """Whose story, and what of it. Purpose and time narrow the reads (releases and refusals) and nothing else."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    subject: str = Field(min_length=1, max_length=64)
    field: str | None = Field(None, min_length=1, max_length=64)
    purpose: str | None = Field(None, min_length=1, max_length=300, examples=["https://w3id.org/dpv#DirectMarketing"])
    since: str | None = Field(None, alias="from", max_length=40, examples=["2026-11-01T00:00:00Z"])
    until: str | None = Field(None, alias="to", max_length=40, examples=["2026-12-01T00:00:00Z"])


class ExportAnswer(BaseModel):
    """How far an export is: `count` of `total` records in this `stage` (reading, proving, packing)."""

    id: str = Field(examples=["0f3c5be21f0a4a7e9d6d0b7c3a1e5f28"])
    at: str
    subject: str
    field: str | None
    scope: dict[str, str] = Field(description="`purpose`, `from` and `to`, where they were asked for.")
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    stage: str = Field(examples=["proving"])
    count: int
    total: int
    size: int = Field(description="Bytes of the bundle, once it is there.")
    code: str | None = Field(description="Why it failed.", examples=["unknown_subject"])
    finished_at: str | None


class ExportList(BaseModel):
    """Your exports of the last day, newest first."""

    items: list[ExportAnswer]


def add(router: APIRouter, platform: Platform, auditor: Callable[..., Staff]) -> None:
    """Add the routes to the router of `/audit`."""
    exports = Exports(platform)

    @router.post("/exports", status_code=202, summary="Have an evidence bundle made")
    def ask(body: ExportBody, who: Annotated[Staff, Depends(auditor)]) -> ExportAnswer:
        """The bundle of `GET /audit/bundles`, made in the background. It is on record from its beginning, cancelled or
        not, where the subject sees it; files are kept for a day.
        """
        try:
            scope = Scope(
                field=body.field,
                purpose=body.purpose,
                since=None if body.since is None else times.parse(body.since, field="from"),
                until=None if body.until is None else times.parse(body.until, field="to"),
            )
            job = exports.ask(account=who.account, did=who.did, role=who.role, subject=body.subject, scope=scope)
        except EvidenceError as error:
            raise _problem(error) from error
        return _told(job)

    @router.get("/exports", summary="Your exports")
    def mine(who: Annotated[Staff, Depends(auditor)]) -> ExportList:
        """Those of the last day, newest first."""
        return ExportList(items=[_told(job) for job in exports.of(who.account)])

    @router.get("/exports/{id}", summary="How far an export is")
    def watch(id: str, who: Annotated[Staff, Depends(auditor)]) -> ExportAnswer:
        """Your own ones only: others' do not exist for you."""
        return _found(lambda: exports.find(id, who.account))

    @router.post("/exports/{id}/cancellation", summary="Stop an export")
    def cancel(id: str, who: Annotated[Staff, Depends(auditor)]) -> ExportAnswer:
        """Nothing of its bundle is kept. That it was asked for stays on record."""
        return _found(lambda: exports.cancel(id, who.account))

    @router.post("/exports/{id}/resumption", summary="Take up an export again")
    def resume(id: str, who: Annotated[Staff, Depends(auditor)]) -> ExportAnswer:
        """One that was cancelled or failed is made after all, as of when it was first begun."""
        return _found(lambda: exports.resume(id, who.account))

    @router.get("/exports/{id}/bundle", response_class=Response, summary="The bundle of an export, as a zip")
    def fetch(id: str, who: Annotated[Staff, Depends(auditor)]) -> Response:
        """Check it with `fieldgrant audit verify`, with a key of the log that you have from elsewhere."""
        job = _found(lambda: exports.find(id, who.account))
        path = exports.path(id)
        if job.state != "done" or not path.is_file():
            raise Problem(409, "not_ready", "This export has no bundle (yet).")
        name = f"bundle-{job.id[:8]}.zip"
        return FileResponse(path, media_type="application/zip", filename=name, headers={"Cache-Control": "no-store"})


def _found(look: Callable[[], Job]) -> ExportAnswer:
    try:
        return _told(look())
    except EvidenceError as error:
        raise _problem(error) from error


def _told(job: Job) -> ExportAnswer:
    return ExportAnswer(
        id=job.id, at=job.at, subject=job.subject, field=job.field, scope=job.scope, state=job.state, stage=job.stage,
        count=job.count, total=job.total, size=job.size, code=job.code, finished_at=job.finished_at,
    )  # fmt: skip


def _problem(error: EvidenceError) -> Problem:
    return Problem(_STATUS.get(error.code, 400), error.code, error.detail, field=error.field)
