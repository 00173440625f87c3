"""The HTTP edge of the records: gated reads, the import, the catalogue for staff."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request, Response

from crm_core import importer, query
from crm_core import openapi as text
from crm_core.planner import Item, Page, Planner
from issuer.catalogue import Catalogue
from protocol.consent import Field, SubjectId
from protocol.errors import EvidenceError
from runtime import problem, staff
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff
from verifier.gate import Gate, Reader, Visit
from verifier.response import GatedResponse

# For the `problem.install` of whoever composes the apps.
BODY_LIMITS: Mapping[str, int] = {"/crm/imports": 64 * 2**20}
STATUSES: Mapping[str, int] = {"unknown_subject": 404, "unknown_purpose": 404, "too_large": 413}
IMPORTERS = frozenset({"admin", "dpo"})

_ATTEMPTS = frozenset({"unknown_field", "unknown_subject", "bad_filter", "bad_sort", "bad_limit", "bad_cursor"})

Purpose = Annotated[str, Query(description=text.PURPOSE, examples=["marketing"])]
Select = Annotated[str | None, Query(description=text.SELECT, examples=["contact.given_name,address.city"])]
Filter = Annotated[str | None, Query(alias="filter", description=text.FILTER, examples=text.FILTERS)]
Sort = Annotated[str | None, Query(description=text.SORT, examples=["-contact.family_name"])]
Limit = Annotated[str, Query(description=text.LIMIT, examples=["50"])]
Cursor = Annotated[str | None, Query(description=text.CURSOR)]
Subject = Annotated[str, Path(description=text.SUBJECT, examples=["sub_mfrggzdfmztwq2lknnwg23tpoa"])]
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
    _add_list(routes, platform, catalogue, gate)
    _add_one(routes, platform, catalogue, gate)
    _add_import(routes, platform, catalogue, gate)
    _add_fields(routes, platform, catalogue)
    return routes


def _add_list(routes: APIRouter, platform: Platform, catalogue: Catalogue, gate: Gate) -> None:
    planner = Planner(platform, gate)
    signed_in = staff.signed_in(platform)

    @routes.get("/customers", summary="List customers", description=text.LIST, responses=text.LIST_RESPONSES)
    def customers(
        *,
        caller: Staff = Depends(signed_in),
        purpose: Purpose,
        select: Select = None,
        filter_: Filter = None,
        sort: Sort = None,
        limit: Limit = str(query.DEFAULT_LIMIT),
        cursor: Cursor = None,
    ) -> Response:
        visit = gate.visit(_reader(caller), purpose)
        with _attempts_on_record(gate, visit):
            asked = query.parse(
                catalogue,
                select=select,
                filter_=filter_,
                sort=sort,
                limit=_number(limit),
                cursor=cursor,
                default=_fields_of(catalogue, purpose),
            )
            with planner.page(visit, asked) as (passage, page):
                items = [_shown(item, visit, page) for item in page.items]
                return GatedResponse(orjson.dumps({"items": items, "next": page.next}), passage)


def _add_one(routes: APIRouter, platform: Platform, catalogue: Catalogue, gate: Gate) -> None:
    planner = Planner(platform, gate)
    signed_in = staff.signed_in(platform)

    @routes.get("/customers/{subject}", summary="Read one", description=text.ONE, responses=text.ONE_RESPONSES)
    def customer(
        subject: Subject, purpose: Purpose, select: Select = None, caller: Staff = Depends(signed_in)
    ) -> Response:
        visit = gate.visit(_reader(caller), purpose, about=SubjectId(subject))
        with _attempts_on_record(gate, visit):
            fields = query.parse_select(catalogue, select, _fields_of(catalogue, purpose))
            with planner.one(visit, SubjectId(subject), fields) as (passage, page):
                return GatedResponse(orjson.dumps(_shown(page.items[0], visit, page)), passage)


def _add_import(routes: APIRouter, platform: Platform, catalogue: Catalogue, gate: Gate) -> None:
    signed_in = staff.signed_in(platform)

    def importing(caller: Staff = Depends(signed_in)) -> Staff:
        if caller.role not in IMPORTERS:
            gate.attempt(_reader(caller), "role")
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


@contextmanager
def _attempts_on_record(gate: Gate, visit: Visit) -> Iterator[None]:
    """What is refused before the gate has anything to decide is on record, too."""
    try:
        yield
    except (Problem, EvidenceError) as error:
        if error.code in _ATTEMPTS:
            gate.attempt(visit.reader, error.code, purpose=visit.purpose)
        raise


def _shown(item: Item, visit: Visit, page: Page) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "subject": item.subject,
        "fields": item.fields,
        "withheld": item.withheld,
        "purpose": visit.purpose,
        "release": page.release,
    }
    return shown | ({"unreadable": list(item.unreadable)} if item.unreadable else {})


def _reader(caller: Staff) -> Reader:
    return Reader(did=caller.did, role=caller.role, account=caller.account)


def _fields_of(catalogue: Catalogue, purpose: str) -> tuple[Field, ...]:
    necessity = catalogue.purpose(purpose).necessity
    return tuple(Field(field) for field in catalogue.fields if field in necessity)


def _number(limit: str) -> int:
    return int(limit) if limit.isascii() and limit.isdecimal() and len(limit) < 9 else 0


def _columns(pairs: Sequence[str]) -> dict[str, str]:
    columns = {}
    for pair in pairs:
        column, colon, field = pair.rpartition(":")
        if not colon or not column:
            raise Problem(400, "bad_map", "map is column:field", field="map")
        columns[column] = field
    return columns
