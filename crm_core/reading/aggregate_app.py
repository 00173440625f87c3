"""The HTTP edge of counts and aggregates."""

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import APIRouter, Depends, Response

from crm_core.reading import aggregate, asking
from crm_core.reading import openapi as text
from crm_core.reading.aggregate import Function, Grouping, Measure, Question
from crm_core.reading.app import attempts_on_record, fields_of, purpose_of, reader
from crm_core.reading.planner import Planner
from issuer.catalogue import Catalogue
from runtime import problem, staff
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff
from verifier.gate import Gate
from verifier.response import GatedResponse

MAX_GROUPINGS = 2
MAX_MEASURES = 10
_MEMBERS = frozenset({"purpose", "filters", "search", "group_by", "aggregates"})
_SPANS = ("day", "month", "year")
_DATES = frozenset({"date", "datetime"})


def router(platform: Platform, catalogue: Catalogue, gate: Gate) -> APIRouter:
    """The route `/customers/aggregate`."""
    routes = APIRouter()
    planner = Planner(platform, gate)
    signed_in = staff.signed_in(platform)

    @routes.post(
        "/customers/aggregate",
        summary="Count and aggregate",
        description=text.AGGREGATE,
        responses=text.AGGREGATE_RESPONSES,
        openapi_extra=text.AGGREGATE_BODY,
    )
    def customers_aggregate(
        caller: Staff = Depends(signed_in), body: dict[str, Any] = Depends(problem.json_body())
    ) -> Response:
        visit = gate.visit(reader(caller), purpose_of(gate, caller, body))
        with attempts_on_record(gate, visit):
            question = of_body(catalogue, body, visit.purpose)
            k = platform.settings.small_group
            with planner.reading(visit, lambda read: aggregate.answer(read, question, k)) as (passage, answer):
                return GatedResponse(orjson.dumps({**answer, "purpose": visit.purpose}), passage)

    return routes


def of_body(catalogue: Catalogue, body: Mapping[str, Any], purpose: str) -> Question:
    """A question out of a JSON body. Problem 400 `bad_aggregate` and what `asking` raises."""
    asking.members(body, _MEMBERS)
    groups, measures = body.get("group_by", []), body.get("aggregates", [])
    if not isinstance(groups, list) or len(groups) > MAX_GROUPINGS:
        raise _bad(f"group_by is a list of at most {MAX_GROUPINGS} fields", "group_by")
    if not isinstance(measures, list) or len(measures) > MAX_MEASURES:
        raise _bad(f"aggregates is a list of at most {MAX_MEASURES}", "aggregates")
    grouped = tuple(_grouping(catalogue, one, f"group_by[{place}]") for place, one in enumerate(groups))
    if len({each.field for each in grouped}) < len(grouped):
        raise _bad("group_by names a field once", "group_by")
    return Question(
        where=asking.where_of(catalogue, body, fields_of(catalogue, purpose)),
        groups=grouped,
        measures=tuple(_measure(catalogue, one, f"aggregates[{place}]") for place, one in enumerate(measures)),
    )


def _grouping(catalogue: Catalogue, said: Any, place: str) -> Grouping:
    if not isinstance(said, dict):
        return Grouping(asking.known(catalogue, said, place, name_it=False))
    if not said.keys() <= {"field", "by"}:
        raise _bad("a group is a field, or {field, by} for a date", place)
    field = asking.known(catalogue, said.get("field"), f"{place}.field", name_it=False)
    by = said.get("by")
    if by is not None and (by not in _SPANS or catalogue.fields[field].type not in _DATES):
        raise _bad(f"by is one of {', '.join(_SPANS)}, for a field that holds dates", f"{place}.by")
    return Grouping(field, by)


def _measure(catalogue: Catalogue, said: Any, place: str) -> Measure:
    if not isinstance(said, dict) or said.keys() != {"function", "field"}:
        raise _bad("an aggregate has function and field", place)
    try:
        function = Function(said["function"])
    except ValueError:
        raise _bad(f"the functions are {', '.join(Function)}", f"{place}.function") from None
    field = asking.known(catalogue, said["field"], f"{place}.field", name_it=False)
    type_ = catalogue.fields[field].type
    dated = type_ in _DATES and function in (Function.MIN, Function.MAX)
    if not (function is Function.COUNT or type_ == "number" or dated):
        raise _bad(f"{function} cannot be made of {field}, which is a {type_}: count it", f"{place}.function")
    return Measure(function, field, numeric=type_ == "number")


def _bad(detail: str, place: str) -> Problem:
    return Problem(400, "bad_aggregate", detail, field=place)
