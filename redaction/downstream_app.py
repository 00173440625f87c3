"""Recipients over HTTP: who was told and who has answered, the answers themselves, and the copies that we made."""

from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from protocol import canonical
from redaction import copies, delivery, downstream, status
from redaction import downstream_texts as texts
from redaction.delivery import DeliveryError
from redaction.texts import answers
from runtime import problem, staff
from runtime.limits import RateLimit
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff

ANSWERS_PER_ADDRESS = "60/minute"


class ConfirmationBody(BaseModel):
    """What became of a copy in the house."""

    model_config = ConfigDict(extra="forbid")
    action: Literal["deleted", "not_found", "kept"] = Field(examples=["deleted"])
    citation: str | None = Field(None, min_length=3, max_length=500, description="Of `kept`: the law.")


def router(platform: Platform) -> APIRouter:
    """Routes under `/redaction` for the data protection officer, and the one where recipients answer."""
    routes = APIRouter(prefix="/redaction", tags=["redaction"])
    _add_staff(routes, platform)
    _add_recipients(routes, platform)
    return routes


def _add_staff(routes: APIRouter, platform: Platform) -> None:
    officer_only = staff.signed_in(platform, roles=("dpo",))

    @routes.get(
        "/downstream",
        summary="Recipients who were told",
        description=texts.DOWNSTREAM,
        responses=answers(texts.DOWNSTREAM_EXAMPLE, texts.PROBLEMS),
    )
    def told(
        officer: Annotated[Staff, Depends(officer_only)],
        open_only: Annotated[bool, Query(alias="open", description=texts.OPEN, examples=[True])] = False,
    ) -> Response:
        with platform.database.read() as session:
            found = downstream.every(session, platform, platform.clock.now(), open_only=open_only)
        return _json({"notices": [_listed(one) for one in found]})

    @routes.post(
        "/downstream/{id}/confirmation",
        summary="Confirm that a copy in the house is gone",
        description=texts.CONFIRM,
        responses=answers(texts.ANSWER_EXAMPLE, texts.PROBLEMS),
    )
    def confirm(
        id: Annotated[str, Path(description="Of the notice.", examples=[texts.NOTICE])],
        body: ConfirmationBody,
        officer: Annotated[Staff, Depends(officer_only)],
    ) -> Response:
        row = delivery.confirm(platform, officer, id, body.action, body.citation)
        return _state(platform, row)

    @routes.get(
        "/copies",
        summary="Copies that we made",
        description=texts.COPIES,
        responses=answers(texts.COPIES_EXAMPLE, texts.PROBLEMS),
    )
    def made(officer: Annotated[Staff, Depends(officer_only)]) -> Response:
        with platform.database.read() as session:
            return _json({"copies": copies.listed(session, platform, platform.clock.now())})


def _add_recipients(routes: APIRouter, platform: Platform) -> None:
    per_address = RateLimit(ANSWERS_PER_ADDRESS)
    parsed = problem.json_body(delivery.MAX_ANSWER)

    @routes.post(
        "/downstream/acknowledgements",
        summary="A recipient's answer",
        description=texts.ANSWER,
        responses=answers(texts.ANSWER_EXAMPLE, texts.ANSWER_PROBLEMS),
    )
    def answer(document: Annotated[dict[str, Any], Depends(parsed)], request: Request) -> Response:
        per_address.hit(request.client.host if request.client else "unknown")
        try:
            row = delivery.accept(platform, canonical.jcs(document))
        except DeliveryError:
            raise Problem(503, "keys_unreachable", "Your did:web document could not be fetched; try again.") from None
        return _state(platform, row)


def _state(platform: Platform, row: downstream.NoticeRow) -> Response:
    found = downstream.standing(platform, row, platform.clock.now())
    return _json({"notice": row.id, "state": "disputed" if found is None else found.state})


def _listed(found: downstream.Standing) -> dict[str, Any]:
    more = {"subject": found.notice.subject, "attempts": found.attempts, "error": found.error}
    node = status.elsewhere(found) | more
    return {name: value for name, value in node.items() if value is not None}


def _json(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), 200, {"Cache-Control": "no-store"}, "application/json")
