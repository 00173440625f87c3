"""The HTTP edge of the records: gated reads, the import, the catalogue for staff."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Request

from crm_core import importer, read_app
from crm_core import openapi as text
from issuer.catalogue import Catalogue
from runtime import problem, staff
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff
from verifier.gate import Gate

# For the `problem.install` of whoever composes the apps.
BODY_LIMITS: Mapping[str, int] = {"/crm/imports": 64 * 2**20}
STATUSES: Mapping[str, int] = {"unknown_subject": 404, "unknown_purpose": 404, "too_large": 413}
IMPORTERS = frozenset({"admin", "dpo"})

Columns = Annotated[list[str], Query(alias="map", description=text.MAP, examples=["Mail:contact.email"])]


def create(platform: Platform, catalogue: Catalogue, gate: Gate) -> FastAPI:
    """The app on its own, with errors and staff sign-in, so that it can run without the other parties."""
    app = FastAPI(title="Fieldgrant CRM", version="0.1.0", description=text.APP)
    problem.install(app, larger=BODY_LIMITS, statuses=STATUSES)
    app.include_router(staff.router(platform))
    app.include_router(router(platform, catalogue, gate))
    return app


def router(platform: Platform, catalogue: Catalogue, gate: Gate) -> APIRouter:
    """The routes under `/crm`, for an app that has `problem.install` with `BODY_LIMITS` and `STATUSES`."""
    routes = APIRouter(prefix="/crm", tags=["crm"])
    routes.include_router(read_app.router(platform, catalogue, gate))
    _add_import(routes, platform, catalogue, gate)
    _add_fields(routes, platform, catalogue)
    return routes


def _add_import(routes: APIRouter, platform: Platform, catalogue: Catalogue, gate: Gate) -> None:
    signed_in = staff.signed_in(platform)

    def importing(caller: Staff = Depends(signed_in)) -> Staff:
        if caller.role not in IMPORTERS:
            gate.attempt(read_app.reader(caller), "role")
            raise Problem(403, "role", "Your role may not import customers.")
        return caller

    @routes.post(
        "/imports",
        summary="Import customers",
        description=text.IMPORT,
        responses=text.IMPORT_RESPONSES,
        openapi_extra=text.IMPORT_BODY,
    )
    def imports(
        caller: Staff = Depends(importing),  # before the body: a stranger's megabytes are not read
        data: bytes = Depends(_csv),
        columns: Columns = [],  # noqa: B006 - FastAPI copies it
    ) -> dict[str, Any]:
        report = importer.run(
            platform, catalogue, data, source="upload", importer=caller.did, columns=_columns(columns)
        )
        rejects = [{"row": each.row, "column": each.column, "reason": each.reason} for each in report.rejects]
        return {**report.counts(), "rejects": rejects}


def _add_fields(routes: APIRouter, platform: Platform, catalogue: Catalogue) -> None:
    signed_in = staff.signed_in(platform)

    @routes.get("/fields", summary="Fields and purposes", description=text.FIELDS, responses=text.FIELDS_RESPONSES)
    def fields(caller: Staff = Depends(signed_in)) -> dict[str, Any]:
        return {
            "version": catalogue.version,
            "fields": [
                {
                    "id": entry.id,
                    "category": entry.category,
                    "sensitive": entry.sensitive,
                    "type": entry.type,
                    "labels": dict(entry.labels),
                    "disposition": entry.disposition,
                }
                for entry in catalogue.fields.values()
            ],
            "purposes": [
                {
                    "key": entry.key,
                    "iri": entry.iri,
                    "labels": dict(entry.labels),
                    "fields": list(entry.necessity),
                    "roles": sorted(entry.roles),
                    "allowed": catalogue.may(caller.role, entry.key),
                }
                for entry in catalogue.purposes.values()
            ],
        }


async def _csv(request: Request) -> bytes:
    """The body as bytes: in memory alone, for what comes in clear must not rest in a temporary file."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "text/csv":
        raise Problem(415, "unsupported_media_type", "send the file itself as text/csv")
    return await request.body()


def _columns(pairs: Sequence[str]) -> dict[str, str]:
    columns = {}
    for pair in pairs:
        column, colon, field = pair.rpartition(":")
        if not colon or not column:
            raise Problem(400, "bad_map", "map is column:field", field="map")
        columns[column] = field
    return columns
