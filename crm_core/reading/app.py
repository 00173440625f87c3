"""The HTTP edge of gated reads: a page of customers, asked for in an address or in a body; one customer."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path, Query, Response

from crm_core import openapi as text
from crm_core.reading import asking, token
from crm_core.reading import openapi as bodies
from crm_core.reading.planner import Item, Page, Planner
from crm_core.reading.query import DEFAULT_LIMIT, MAX_LIMIT
from issuer.catalogue import Catalogue
from protocol.consent import Field, SubjectId
from protocol.errors import EvidenceError
from runtime import problem, staff
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff
from verifier.gate import Gate, Reader, Visit
from verifier.response import GatedResponse

_ATTEMPTS = frozenset(
    {
        "unknown_field",
        "item_field",
        "unknown_subject",
        "bad_filter",
        "bad_search",
        "bad_sort",
        "bad_limit",
        "bad_cursor",
        "bad_aggregate",
        "bad_export",
        "bad_request",
    }
)

Caller = Callable[[], Staff]
Purpose = Annotated[str, Query(description=text.PURPOSE, examples=["marketing"])]
Select = Annotated[str | None, Query(description=text.SELECT, examples=["contact.given_name,address.city"])]
Filter = Annotated[str | None, Query(alias="filter", description=text.FILTER, examples=text.FILTERS)]
Sort = Annotated[str | None, Query(description=text.SORT, examples=["-contact.family_name"])]
Limit = Annotated[str, Query(description=text.LIMIT, examples=["50"])]
Cursor = Annotated[str | None, Query(description=text.CURSOR)]
Subject = Annotated[str, Path(description=text.SUBJECT, examples=["sub_mfrggzdfmztwq2lknnwg23tpoa"])]


def router(platform: Platform, catalogue: Catalogue, gate: Gate) -> APIRouter:
    """The routes under `/customers`."""
    routes = APIRouter()
    _add_query(routes, platform, catalogue, gate)
    _add_list(routes, platform, catalogue, gate)
    _add_one(routes, platform, catalogue, gate)
    return routes


def reader(caller: Staff) -> Reader:
    """A member of staff as the gate knows them."""
    return Reader(did=caller.did, role=caller.role, account=caller.account, since=caller.since)


def fields_of(catalogue: Catalogue, purpose: str) -> tuple[Field, ...]:
    """The customer's own fields that a purpose may be asked for, in the catalogue's order; not those of their items."""
    necessity = catalogue.purpose(purpose).necessity
    return tuple(Field(field) for field, entry in catalogue.fields.items() if field in necessity and entry.item is None)


def purpose_of(gate: Gate, caller: Staff, body: Mapping[str, Any]) -> str:
    """The member `purpose`. Problem 422 `bad_request`, on record."""
    purpose = body.get("purpose")
    if not isinstance(purpose, str):
        gate.attempt(reader(caller), "bad_request")
        raise Problem(422, "bad_request", "purpose is missing: one of the catalogue's, by its key", field="purpose")
    return purpose


@contextmanager
def attempts_on_record(gate: Gate, visit: Visit) -> Iterator[None]:
    """What is refused before the gate has anything to decide is on record, too."""
    try:
        yield
    except (Problem, EvidenceError) as error:
        if error.code in _ATTEMPTS:
            gate.attempt(visit.reader, error.code, purpose=visit.purpose)
        raise


def _add_query(routes: APIRouter, platform: Platform, catalogue: Catalogue, gate: Gate) -> None:
    planner = Planner(platform, gate)
    signing_in = staff.signing_in(platform)

    @routes.post(
        "/customers/query",
        summary="Query customers",
        description=bodies.QUERY,
        responses=text.LIST_RESPONSES,
        openapi_extra=bodies.QUERY_BODY,
    )
    def customers_query(
        calls: Caller = Depends(signing_in), body: dict[str, Any] = Depends(problem.json_body())
    ) -> Response:
        caller = calls()
        visit = gate.visit(reader(caller), purpose_of(gate, caller, body))
        with attempts_on_record(gate, visit):
            asked = asking.of_body(catalogue, body, default=fields_of(catalogue, visit.purpose))
            with planner.page(visit, asked) as (passage, page):
                return GatedResponse(listed(visit, page), passage)


def _add_list(routes: APIRouter, platform: Platform, catalogue: Catalogue, gate: Gate) -> None:
    planner = Planner(platform, gate)
    signing_in = staff.signing_in(platform)

    @routes.get("/customers", summary="List customers", description=text.LIST, responses=text.LIST_RESPONSES)
    def customers(
        *,
        calls: Caller = Depends(signing_in),
        purpose: Purpose,
        select: Select = None,
        filter_: Filter = None,
        sort: Sort = None,
        limit: Limit = str(DEFAULT_LIMIT),
        cursor: Cursor = None,
    ) -> Response:
        visit = gate.visit(reader(calls()), purpose)
        with attempts_on_record(gate, visit):
            asked = asking.parse(
                catalogue,
                select=select,
                filter_=filter_,
                sort=sort,
                limit=number(limit),
                cursor=cursor,
                default=fields_of(catalogue, purpose),
            )
            with planner.page(visit, asked) as (passage, page):
                return GatedResponse(listed(visit, page), passage)


def _add_one(routes: APIRouter, platform: Platform, catalogue: Catalogue, gate: Gate) -> None:
    planner = Planner(platform, gate)
    signing_in = staff.signing_in(platform)

    @routes.get("/customers/{subject}", summary="Read one", description=text.ONE, responses=text.ONE_RESPONSES)
    def customer(
        subject: Subject, purpose: Purpose, select: Select = None, calls: Caller = Depends(signing_in)
    ) -> Response:
        visit = gate.visit(reader(calls()), purpose, about=SubjectId(subject))
        with attempts_on_record(gate, visit):
            fields = asking.parse_select(catalogue, select, fields_of(catalogue, purpose))
            with planner.one(visit, SubjectId(subject), fields) as (passage, page):
                shown = _shown(page.items[0], visit, page)
                if not select:  # of all that the purpose may ask for: what a correction is compared with
                    shown["version"] = token.of(platform, visit, subject, page.items[0].fields)
                return GatedResponse(orjson.dumps(shown), passage)


def listed(visit: Visit, page: Page) -> bytes:
    """A page as JSON."""
    return orjson.dumps({"items": [_shown(item, visit, page) for item in page.items], "next": page.next})


def _shown(item: Item, visit: Visit, page: Page) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "subject": item.subject,
        "fields": item.fields,
        "withheld": item.withheld,
        "purpose": visit.purpose,
        "release": page.release,
    }
    return shown | ({"unreadable": list(item.unreadable)} if item.unreadable else {})


def number(limit: str) -> int:
    """A page's length as it was typed; 0 when it is no number."""
    return int(limit) if limit.isascii() and limit.isdecimal() and len(limit) < 9 else 0


def checked_limit(limit: str) -> int:
    """A page's length. Problem 400 `bad_limit`."""
    if not 1 <= number(limit) <= MAX_LIMIT:
        raise Problem(400, "bad_limit", f"limit is a number from 1 to {MAX_LIMIT}", field="limit")
    return number(limit)
