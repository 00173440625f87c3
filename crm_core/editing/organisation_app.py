"""The HTTP edge of organisations, and of the customers who let a visit see that they work there."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict
from pydantic import Field as Member

from crm_core.editing import openapi as text
from crm_core.reading import app as read_app
from crm_core.reading import organisations
from crm_core.reading.app import Cursor, Limit, Purpose, reader
from crm_core.reading.organisations import MAX_TEXT, Content, Organisation
from crm_core.reading.planner import Planner
from crm_core.reading.query import Filter, Operator, Where
from crm_core.reading.query import Query as Asked
from issuer.catalogue import Catalogue
from protocol.consent import Field
from protocol.errors import EvidenceError
from runtime import staff
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff
from verifier.gate import Gate
from verifier.response import GatedResponse

ROLES = frozenset({"sales", "service", "marketing", "dpo"})
LINK = Field("employment.organisation")
MOST = 50
_STATUS = {"unknown_organisation": 404, "conflict": 409}

Id = Annotated[str, Path(description=text.ID, max_length=64, examples=["org_mfrggzdfmztwq2lknnwg23tpoa"])]


class Described(BaseModel):
    """What is known of an organisation."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: str = Member(max_length=MAX_TEXT, examples=["Example Cars Ltd"])
    domain: str = Member(default="", max_length=MAX_TEXT, examples=["cars.example.com"])
    registration_number: str = Member(default="", max_length=MAX_TEXT, examples=["91310000MA1K35A00X"])
    address: str = Member(default="", max_length=MAX_TEXT, examples=["1 Century Avenue, Shanghai"])
    country: str = Member(default="", max_length=MAX_TEXT, examples=["CN"])
    website: str = Member(default="", max_length=MAX_TEXT, examples=["https://cars.example.com"])

    def content(self) -> Content:
        """As the records have it."""
        return Content(**self.model_dump(include={*Described.model_fields}))


class Changed(BaseModel):
    """New content."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    content: Described
    if_revision: int | None = Member(default=None, examples=[1])


class Merged(BaseModel):
    """Which one is absorbed."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    other: str = Member(max_length=64, examples=["org_mfrggzdfmztwq2lknnwg23tpob"])


def router(platform: Platform, catalogue: Catalogue, gate: Gate) -> APIRouter:
    """The routes under `/organisations`."""
    routes = APIRouter()
    _add_reading(routes, platform)
    _add_writing(routes, platform)
    _add_removing(routes, platform)
    _add_members(routes, platform, catalogue, gate)
    return routes


def _add_reading(routes: APIRouter, platform: Platform) -> None:
    signed_in = staff.signed_in(platform, ROLES)

    @routes.get(
        "/organisations",
        summary="Find organisations",
        description=text.ORGANISATIONS,
        responses=text.ORGANISATIONS_RESPONSES,
        dependencies=[Depends(signed_in)],
    )
    def found(q: Annotated[str, Query(max_length=MAX_TEXT, examples=["cars"])] = "") -> dict[str, Any]:
        with platform.database.read() as session:
            return {"items": [_shown(one) for one in organisations.search(session, platform, q, MOST)]}

    @routes.get(
        "/organisations/{id}",
        summary="One organisation",
        description=text.ORGANISATION,
        responses=text.ORGANISATION_RESPONSES,
        dependencies=[Depends(signed_in)],
    )
    def one(id: Id) -> dict[str, Any]:
        return _shown(_known(platform, id))


def _add_writing(routes: APIRouter, platform: Platform) -> None:
    signed_in = staff.signed_in(platform, ROLES)

    @routes.post(
        "/organisations",
        status_code=201,
        summary="A new organisation",
        description=text.ADD_ORGANISATION,
        responses=text.ADD_ORGANISATION_RESPONSES,
    )
    def add(body: Described, caller: Staff = Depends(signed_in)) -> dict[str, Any]:
        at = platform.clock.now()
        try:
            with platform.database.write("keeper") as session:
                return _shown(organisations.create(session, platform, body.content(), by=caller.did, at=at))
        except EvidenceError as error:
            raise _problem(error) from None

    @routes.put(
        "/organisations/{id}",
        summary="Change an organisation",
        description=text.CHANGE_ORGANISATION,
        responses=text.CHANGE_ORGANISATION_RESPONSES,
    )
    def change(id: Id, body: Changed, caller: Staff = Depends(signed_in)) -> dict[str, Any]:
        at, content = platform.clock.now(), body.content.content()
        try:
            with platform.database.write("keeper") as session:
                return _shown(
                    organisations.change(
                        session, platform, id, content, if_revision=body.if_revision, by=caller.did, at=at
                    )
                )
        except EvidenceError as error:
            raise _problem(error) from None


def _add_removing(routes: APIRouter, platform: Platform) -> None:
    signed_in = staff.signed_in(platform, ROLES)

    @routes.post(
        "/organisations/{id}/merge",
        summary="Merge two organisations",
        description=text.MERGE,
        responses=text.MERGE_RESPONSES,
    )
    def merge(id: Id, body: Merged, caller: Staff = Depends(signed_in)) -> dict[str, Any]:
        at = platform.clock.now()
        try:
            with platform.database.write("keeper") as session:
                return _shown(organisations.merge(session, platform, id, body.other, by=caller.did, at=at))
        except EvidenceError as error:
            raise _problem(error) from None

    @routes.delete(
        "/organisations/{id}",
        status_code=204,
        summary="Delete an organisation",
        description=text.DELETE_ORGANISATION,
        responses=text.DELETE_ORGANISATION_RESPONSES,
    )
    def delete(id: Id, caller: Staff = Depends(signed_in)) -> None:
        at = platform.clock.now()
        with platform.database.write("keeper") as session:
            organisations.remove(session, platform, id, by=caller.did, at=at)


def _add_members(routes: APIRouter, platform: Platform, catalogue: Catalogue, gate: Gate) -> None:
    planner = Planner(platform, gate)
    signed_in = staff.signed_in(platform, ROLES)

    @routes.get(
        "/organisations/{id}/customers",
        summary="Who works there, as far as they say so",
        description=text.MEMBERS,
        responses=text.MEMBERS_RESPONSES,
    )
    def members(
        *,
        id: Id,
        purpose: Purpose,
        limit: Limit = "50",
        cursor: Cursor = None,
        caller: Staff = Depends(signed_in),
    ) -> Response:
        visit = gate.visit(reader(caller), purpose)
        with read_app.attempts_on_record(gate, visit):
            found = _known(platform, id)
            asked = Asked(
                select=read_app.fields_of(catalogue, visit.purpose),
                where=Where(filters=(Filter(LINK, Operator.IN, (found.id, *found.aliases)),)),
                limit=read_app.checked_limit(limit),
                cursor=cursor,
                door=f"organisation/{found.id}",
            )
            with planner.page(visit, asked) as (passage, page):
                return GatedResponse(read_app.listed(visit, page), passage)


def _known(platform: Platform, id_: str) -> Organisation:
    with platform.database.read() as session:
        found = organisations.find(session, platform, id_)
    if found is None:
        raise Problem(404, "unknown_organisation", "there is no such organisation", field="id")
    return found


def _problem(error: EvidenceError) -> Problem:
    return Problem(_STATUS.get(error.code, 422), error.code, error.detail, field=error.field)


def _shown(one: Organisation) -> dict[str, Any]:
    return {"id": one.id, "revision": one.revision, **asdict(one.content)}
