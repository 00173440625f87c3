"""The HTTP edge of the records: gated reads, the import, the catalogue for staff."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter, Depends, FastAPI
from sqlmodel import Session

from crm_core import openapi as text
from crm_core.editing import item_app, organisation_app
from crm_core.gateway import app as ingest_app
from crm_core.gateway import touchpoints_app, uploader
from crm_core.imports import app as import_app
from crm_core.imports import preview
from crm_core.reading import aggregate_app, export_app, live_app
from crm_core.reading import app as read_app
from crm_core.reading.front import Front
from crm_core.reading.history import Told, untold
from crm_core.reading.together import Together
from crm_core.rights import app as rights_app
from crm_core.rights.copies import NOTHING, Beyond
from issuer.catalogue import Catalogue
from issuer.registry import Registry
from protocol.consent import SubjectId
from runtime import problem, staff, staff_app
from runtime.platform import Platform
from runtime.staff import Staff
from verifier import allowance
from verifier.gate import Gate

# For the `problem.install` of whoever composes the apps.
BODY_LIMITS: Mapping[str, int] = {
    "/crm/ingest": uploader.MAX_BYTES,
    "/crm/imports": import_app.MAX_BYTES,
    "/crm/imports/preview": preview.MAX_BYTES,
}
STATUSES: Mapping[str, int] = {
    "unknown_subject": 404,
    "unknown_purpose": 404,
    "too_large": 413,
    "unknown_run": 404,
    "import_running": 409,
    "not_undoable": 409,
}


def create(platform: Platform, catalogue: Catalogue, gate: Gate) -> FastAPI:
    """The app on its own, with errors and staff sign-in, so that it can run without the other parties."""
    app = FastAPI(title="Fieldgrant CRM", version="0.1.0", description=text.APP)
    problem.install(app, larger=BODY_LIMITS, statuses=STATUSES)
    front(app, platform, gate)
    app.include_router(staff_app.router(platform))
    app.include_router(router(platform, catalogue, gate))
    return app


def front(app: FastAPI, platform: Platform, gate: Gate, headers: Mapping[str, str] | None = None) -> None:
    """Answer plain reads in front of all layers that `app` has so far; `headers`: what those would add."""
    app.add_middleware(Front, together=Together(platform, gate, headers or {}), settings=platform.settings)


def router(
    platform: Platform, catalogue: Catalogue, gate: Gate, told: Told = untold, beyond: Beyond = NOTHING
) -> APIRouter:
    """The routes under `/crm`, for an app that has `problem.install` with `BODY_LIMITS` and `STATUSES`.

    `told`: what the log has of a customer's field (see `history`); `beyond`: what archive and log have of a customer.
    """
    routes = APIRouter(prefix="/crm", tags=["crm"])
    for part in (read_app, aggregate_app, export_app):
        routes.include_router(part.router(platform, catalogue, gate))
    routes.include_router(import_app.router(platform, catalogue, gate))
    routes.include_router(item_app.router(platform, catalogue, gate, told))
    routes.include_router(organisation_app.router(platform, catalogue, gate))
    _add_fields(routes, platform, catalogue)
    routes.include_router(live_app.router(platform, catalogue))
    registry = Registry(platform, catalogue, partial(_compile, platform, catalogue), gate.turnstile.drain)
    routes.include_router(ingest_app.router(registry))
    routes.include_router(touchpoints_app.router(platform, catalogue))
    routes.include_router(rights_app.router(platform, catalogue, beyond))
    return routes


def _compile(platform: Platform, catalogue: Catalogue, session: Session, subject: SubjectId) -> None:
    allowance.compile(session, platform, catalogue, subject)


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
                    "many": entry.many,
                    "item": entry.item,
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
