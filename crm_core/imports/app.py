"""The HTTP edge of imports: the file as a stream, the list of runs, and what was merged, for the steward alone."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import StreamingResponse

from crm_core.imports import importer, mapping, matching, preview, source, telling
from crm_core.imports import openapi as text
from crm_core.imports import run as import_run
from crm_core.imports import undo as import_undo
from crm_core.imports.importer import Plan, Report
from crm_core.imports.intake import Progress
from crm_core.imports.source import Source
from crm_core.imports.spool import Spool
from crm_core.reading.app import reader
from issuer.catalogue import Catalogue
from runtime import staff
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff
from verifier.gate import Gate

MAX_BYTES = 2**30
IMPORTERS = frozenset({"admin", "dpo"})
STEWARDS = frozenset({"steward"})
_RUNS = 50
_PAGE = 500
_KINDS = {
    "text/csv": "csv", "text/vcard": "vcard", "text/x-vcard": "vcard", "application/jsonl": "jsonl",
    "application/x-ndjson": "jsonl",
}  # fmt: skip

Columns = Annotated[list[str], Query(alias="map", description=text.MAP, examples=["Mail=contact.email"])]
Match = Annotated[str, Query(description=text.MATCH, examples=["email,phone+name"])]
Encoding = Annotated[str | None, Query(description=text.ENCODING, examples=["gb18030"])]
Run = Annotated[str, Path(description=text.RUN, examples=["imp_mfrggzdfmztwq2lk"])]
After = Annotated[int, Query(description=text.AFTER, ge=0)]


def router(platform: Platform, catalogue: Catalogue, gate: Gate) -> APIRouter:
    """POST and GET /imports and what belongs to them, for an app with `BODY_LIMITS` of `MAX_BYTES`."""
    routes = APIRouter()
    importing = _importing(platform, gate)
    _add_preview(routes, catalogue, importing)
    _add_import(routes, platform, catalogue, importing)
    _add_undo(routes, platform, importing)
    _add_runs(routes, platform)
    return routes


def _importing(platform: Platform, gate: Gate) -> Callable[..., Staff]:
    signed_in = staff.signed_in(platform)

    def importing(caller: Staff = Depends(signed_in)) -> Staff:
        if caller.role not in IMPORTERS:
            gate.attempt(reader(caller), "role")
            raise Problem(403, "role", "Your role may not import customers.")
        return caller

    return importing


def _kind(request: Request) -> str:
    kind = _KINDS.get(request.headers.get("content-type", "").partition(";")[0].strip().lower())
    if kind is None:
        raise Problem(415, "unsupported_media_type", f"send the file itself as one of {', '.join(_KINDS)}")
    return kind


def _add_preview(routes: APIRouter, catalogue: Catalogue, importing: Callable[..., Staff]) -> None:
    async def beginning(request: Request) -> bytes:
        return await request.body()

    @routes.post(
        "/imports/preview",
        summary="Look at a file before it is imported",
        description=text.PREVIEW,
        responses=text.PREVIEW_RESPONSES,
        openapi_extra=text.IMPORT_BODY,
    )
    def look(
        request: Request,
        caller: Staff = Depends(importing),
        body: bytes = Depends(beginning),
        columns: Columns = [],  # noqa: B006 - FastAPI copies it
        encoding: Encoding = None,
    ) -> dict[str, Any]:
        found = preview.look(
            body, catalogue.current(), caller.role, format=_kind(request), encoding_=encoding,
            asked=mapping.parse(columns),
        )  # fmt: skip
        columns_ = zip(found.headings, found.fields, found.suggestions, strict=True)
        return {
            "format": found.format,
            "encoding": found.encoding,
            "columns": [{"heading": heading, "field": field, "suggestions": near} for heading, field, near in columns_],
            "rows": [asdict(line) for line in found.lines],
        }


def _add_import(routes: APIRouter, platform: Platform, catalogue: Catalogue, importing: Callable[..., Staff]) -> None:
    async def spooled(request: Request) -> Spool:
        """The body on the disk, sealed: what comes in clear must not rest in a temporary file."""
        _kind(request)
        spool = Spool(platform.settings.data_dir / "spool")
        try:
            async for chunk in request.stream():
                spool.write(chunk)
            spool.end()
        except BaseException:
            spool.close()
            raise
        return spool

    @routes.post(
        "/imports",
        summary="Import customers",
        description=text.IMPORT,
        responses=text.IMPORT_RESPONSES,
        openapi_extra=text.IMPORT_BODY,
    )
    def imports(  # noqa: PLR0917 - FastAPI gives them by name
        request: Request,
        caller: Staff = Depends(importing),  # before the body: a stranger's megabytes are not read
        spool: Spool = Depends(spooled),
        columns: Columns = [],  # noqa: B006 - FastAPI copies it
        match: Match = ",".join(matching.RULES),
        encoding: Encoding = None,
    ) -> Any:
        try:
            body = source.of_spool(spool, format=_kind(request), encoding=encoding)
            plan = partial(Plan, columns=mapping.parse(columns), rules=matching.rules(match))
        except BaseException:
            spool.close()
            raise

        def run(progress: Progress) -> dict[str, Any]:
            try:
                return _shown(_run(body, caller, plan(progress=progress)))
            finally:
                spool.close()

        if telling.MEDIA_TYPE in request.headers.get("accept", ""):
            headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
            return StreamingResponse(telling.told(run), media_type=telling.MEDIA_TYPE, headers=headers)
        return run(lambda _what, _done, _of: None)

    def _run(body: Source, caller: Staff, plan: Plan) -> Report:
        return importer.run(platform, catalogue, body, source="upload", importer=caller.did, plan=plan)


def _add_undo(routes: APIRouter, platform: Platform, importing: Callable[..., Staff]) -> None:
    @routes.post(
        "/imports/{run}/undo", summary="Take an import back", description=text.UNDO, responses=text.UNDO_RESPONSES
    )
    def undo(run: Run, caller: Staff = Depends(importing)) -> dict[str, Any]:
        with import_undo.alone(platform):
            import_undo.sweep(platform)
            return asdict(import_undo.undo(platform, run, by={"reader": caller.did, "role": caller.role}))


def _add_runs(routes: APIRouter, platform: Platform) -> None:
    @routes.get("/imports", summary="List imports", description=text.RUNS, responses=text.RUNS_RESPONSES)
    def runs(
        _caller: Staff = Depends(staff.signed_in(platform, IMPORTERS | STEWARDS)),
    ) -> dict[str, Any]:
        with platform.database.read() as session:
            rows = import_run.latest(session, _RUNS)
            now = platform.clock.now()
            undoable = {row.id for row in rows if row.state == "done" and import_run.undoable(session, row, now)}
        shown = [
            {
                "id": row.id,
                "at": row.at,
                "importer": row.importer,
                "source": row.source,
                "state": row.state,
                "counts": None if row.counts is None else orjson.loads(row.counts),
                "undoable": row.id in undoable,
            }
            for row in rows
        ]
        return {"items": shown}

    @routes.get(
        "/imports/{run}/merges", summary="What was merged", description=text.MERGES, responses=text.MERGES_RESPONSES
    )
    def merges(
        run: Run, after: After = 0, _caller: Staff = Depends(staff.signed_in(platform, STEWARDS))
    ) -> dict[str, Any]:
        with platform.database.read() as session:
            import_run.find(session, platform, run)
            found = import_run.merges(session, run, after, _PAGE)
        items = [
            {"subject": one.subject, "rows": one.rows, "rule": one.rule, "differing": one.differing} for one in found
        ]
        return {"items": items, "next": found[-1].rows[0] if len(found) == _PAGE else None}


def _shown(report: Report) -> dict[str, Any]:
    rejects = [{"row": each.row, "column": each.column, "reason": each.reason} for each in report.rejects]
    return {
        **report.counts(),
        "rejects": rejects,
        "left_out": report.left_out,
        "run": report.run,
        "format": report.format,
        "encoding": report.encoding,
        "merged": report.merged,
    }
