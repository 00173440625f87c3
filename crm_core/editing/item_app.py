"""The HTTP edge of writes by staff, of a customer's items and of the history of a value."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict
from pydantic import Field as Member

from crm_core.editing import entering
from crm_core.editing import openapi as text
from crm_core.editing.editor import Editor, Typed
from crm_core.reading import feed, history
from crm_core.reading.app import Cursor, Limit, Purpose, Subject, attempts_on_record, checked_limit, reader
from crm_core.reading.feed import Entry
from crm_core.reading.history import Told
from crm_core.reading.planner import Planner
from crm_core.reading.query import DEFAULT_LIMIT
from issuer.catalogue import Catalogue
from protocol.consent import Field, SubjectId
from runtime import staff
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff
from verifier.gate import Gate, Visit
from verifier.response import GatedResponse

ItemRef = Annotated[str, Path(description=text.ITEM, max_length=64, examples=["itm_mfrggzdfmztwq2lknnwg23tpoa"])]
Kind = Annotated[str | None, Query(description=text.KIND, max_length=64, examples=["ticket"])]
FieldName = Annotated[str, Path(description=text.FIELD, max_length=64, examples=["contact.email"])]
IfVersion = Annotated[str | None, Query(description=text.IF_VERSION, max_length=64)]


class Written(BaseModel):
    """Values to store, and what for."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    purpose: str = Member(max_length=256, examples=["support"], description="A purpose that your role may act for.")
    values: dict[str, Any] = Member(
        examples=[{"contact.email": "li.wei@example.com"}], description="Field → value, in the field's own form."
    )
    if_version: str | None = Member(default=None, max_length=64, description=text.IF_VERSION)


def router(platform: Platform, catalogue: Catalogue, gate: Gate, told: Told) -> APIRouter:
    """The routes under `/customers`; `told` is what the log has of a field (see `history`)."""
    routes = APIRouter()
    _add_records(routes, platform, catalogue, gate)
    _add_items(routes, platform, catalogue, gate)
    _add_feed(routes, platform, catalogue, gate)
    _add_history(routes, platform, catalogue, gate, told)
    return routes


def _add_records(routes: APIRouter, platform: Platform, catalogue: Catalogue, gate: Gate) -> None:
    signed_in = staff.signed_in(platform)
    editor = Editor(platform, catalogue, gate)

    @routes.post(
        "/customers",
        status_code=201,
        summary="A new customer",
        description=text.CREATE,
        responses=text.CREATE_RESPONSES,
    )
    def create(body: Written, caller: Staff = Depends(signed_in)) -> dict[str, str]:
        visit = gate.visit(reader(caller), body.purpose)
        with _on_record(gate, visit):
            values = entering.values(catalogue, body.values, item=False)
        return {"subject": editor.create(visit, values)}

    @routes.patch(
        "/customers/{subject}",
        status_code=204,
        summary="Correct a record",
        description=text.CORRECT,
        responses=text.CORRECT_RESPONSES,
    )
    def correct(subject: Subject, body: Written, caller: Staff = Depends(signed_in)) -> None:
        visit = gate.visit(reader(caller), body.purpose, about=SubjectId(subject))
        with _on_record(gate, visit):
            values = entering.values(catalogue, body.values, item=False)
        editor.correct(visit, SubjectId(subject), values, body.if_version)


def _add_items(routes: APIRouter, platform: Platform, catalogue: Catalogue, gate: Gate) -> None:
    signed_in = staff.signed_in(platform)
    editor = Editor(platform, catalogue, gate)

    def opened(caller: Staff, subject: str, body: Written) -> tuple[Visit, Typed]:
        visit = gate.visit(reader(caller), body.purpose, about=SubjectId(subject))
        with _on_record(gate, visit):
            return visit, entering.values(catalogue, body.values, item=True)

    @routes.post(
        "/customers/{subject}/items",
        status_code=201,
        summary="A new item",
        description=text.ADD_ITEM,
        responses=text.ADD_ITEM_RESPONSES,
    )
    def add(subject: Subject, body: Written, caller: Staff = Depends(signed_in)) -> dict[str, str]:
        visit, values = opened(caller, subject, body)
        return {"item": editor.add_item(visit, SubjectId(subject), values)}

    @routes.patch(
        "/customers/{subject}/items/{item}",
        status_code=204,
        summary="Change an item",
        description=text.CHANGE_ITEM,
        responses=text.CHANGE_ITEM_RESPONSES,
    )
    def change(subject: Subject, item: ItemRef, body: Written, caller: Staff = Depends(signed_in)) -> None:
        visit, values = opened(caller, subject, body)
        editor.change_item(visit, SubjectId(subject), item, values, body.if_version)

    @routes.delete(
        "/customers/{subject}/items/{item}",
        status_code=204,
        summary="Delete an item",
        description=text.DELETE_ITEM,
        responses=text.DELETE_ITEM_RESPONSES,
    )
    def delete(
        subject: Subject,
        item: ItemRef,
        purpose: Purpose,
        if_version: IfVersion = None,
        caller: Staff = Depends(signed_in),
    ) -> None:
        visit = gate.visit(reader(caller), purpose, about=SubjectId(subject))
        editor.delete_item(visit, SubjectId(subject), item, if_version)


def _add_feed(routes: APIRouter, platform: Platform, catalogue: Catalogue, gate: Gate) -> None:
    planner = Planner(platform, gate)
    signed_in = staff.signed_in(platform)

    @routes.get(
        "/customers/{subject}/items",
        summary="A customer's items",
        description=text.FEED,
        responses=text.FEED_RESPONSES,
    )
    def items(
        *,
        subject: Subject,
        purpose: Purpose,
        kind: Kind = None,
        limit: Limit = str(DEFAULT_LIMIT),
        cursor: Cursor = None,
        caller: Staff = Depends(signed_in),
    ) -> Response:
        visit = gate.visit(reader(caller), purpose, about=SubjectId(subject))
        with attempts_on_record(gate, visit):
            if kind is not None and not feed.item_fields(catalogue, kind):
                raise Problem(400, "bad_kind", "the catalogue has no such kind of item", field="kind")
            most = checked_limit(limit)
            with feed.page(planner, catalogue, visit, SubjectId(subject), kind=kind, limit=most, after=cursor) as (
                passage,
                page,
            ):
                answer = {
                    "items": [_shown(entry) for entry in page.items],
                    "withheld": page.withheld,
                    "next": page.next,
                    "purpose": visit.purpose,
                    "release": page.release,
                }
                return GatedResponse(orjson.dumps(answer), passage)


def _add_history(routes: APIRouter, platform: Platform, catalogue: Catalogue, gate: Gate, told: Told) -> None:
    planner = Planner(platform, gate)
    signed_in = staff.signed_in(platform)

    @routes.get(
        "/customers/{subject}/fields/{field}/history",
        summary="The history of a value",
        description=text.HISTORY,
        responses=text.HISTORY_RESPONSES,
    )
    def of_value(
        subject: Subject,
        field: FieldName,
        purpose: Annotated[str | None, Query(max_length=256, examples=["marketing"])] = None,
        caller: Staff = Depends(signed_in),
    ) -> Response:
        if purpose is None and caller.role not in history.OVERSEERS:
            gate.attempt(reader(caller), "role")
            raise Problem(403, "role", "Your role needs a purpose to look at this.", field="purpose")
        visit = None if purpose is None else gate.visit(reader(caller), purpose, about=SubjectId(subject))
        if field not in catalogue.fields:
            gate.attempt(reader(caller), "unknown_field")
            raise Problem(404, "unknown_field", "the catalogue has no such field", field="field")
        if visit is None:
            with platform.database.read() as session:
                found = history.of_any(session, SubjectId(subject), Field(field), told)
            return Response(_told(field, found), media_type="application/json", headers={"cache-control": "no-store"})
        with (
            attempts_on_record(gate, visit),
            history.of_granted(planner, catalogue, visit, SubjectId(subject), field=Field(field), told=told) as (
                passage,
                found,
            ),
        ):
            return GatedResponse(_told(field, found), passage)


@contextmanager
def _on_record(gate: Gate, visit: Visit) -> Iterator[None]:
    """What is refused before a write begins is on record, too."""
    try:
        yield
    except Problem as problem:
        gate.attempt(visit.reader, problem.code, purpose=visit.purpose)
        raise


def _told(field: str, found: history.History) -> bytes:
    said = {"field": field, "steps": found.steps, "grounds": found.grounds}
    return orjson.dumps(said | ({} if found.release is None else {"release": found.release}))


def _shown(entry: Entry) -> dict[str, Any]:
    shown = {"item": entry.item, "kind": entry.kind, "fields": entry.fields, "version": entry.version}
    return shown | ({"unreadable": list(entry.unreadable)} if entry.unreadable else {})
