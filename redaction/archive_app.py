"""The archive over HTTP: what lies there, restores that wait, and what two officers do with it together."""

import asyncio
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlmodel import col, select
from starlette.types import Receive, Scope, Send

from protocol.consent import Field as FieldName
from protocol.consent import SubjectId
from redaction import archive_texts as texts
from redaction import ending, officers, terms
from redaction.archive import Archived
from redaction.officers import Reason, Wish
from redaction.texts import answers
from runtime import serve, staff
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff

SUBJECT = "sub_mfrggzdfmztwq2lknnwg23tpoa"
_STRICT = ConfigDict(extra="forbid")
_ID = Path(description="Of the request.", examples=[texts.REQUEST])


class ArchiveRequestBody(BaseModel):
    """What is to be done with the archive, and why. Name files and papers, never a person."""

    model_config = _STRICT
    kind: Literal["open", "destroy"] = Field(description="Open one box, or end a period's keys.", examples=["open"])
    subject: str | None = Field(None, max_length=64, description="To open: the customer.", examples=[SUBJECT])
    field: str | None = Field(None, max_length=128, description="To open: the field.", examples=["contact.email"])
    period: str | None = Field(
        None, max_length=80, description="To destroy: a period, or one key of it.", examples=["P3Y-claims"]
    )
    reason: Reason = Field(examples=["legal_claim"])
    legal_ground: str = Field(min_length=3, max_length=500, examples=["GDPR art. 17(3)(e)"])
    evidence: str = Field(
        min_length=3, max_length=500, description="The paper that shows it.", examples=["Court file 7 O 12/26"]
    )

    def wish(self) -> Wish:
        """As the domain has it. Problem 422 `bad_request`."""
        if self.kind == "open" and (self.subject is None or self.field is None or self.period is not None):
            raise Problem(422, "bad_request", "To open, name the customer and the field.", field="subject")
        if self.kind == "destroy" and (self.period is None or self.subject or self.field):
            raise Problem(422, "bad_request", "To destroy, name the period.", field="period")
        return Wish(
            kind=self.kind,
            subject=None if self.subject is None else SubjectId(self.subject),
            field=None if self.field is None else FieldName(self.field),
            period=self.period,
            reason=self.reason,
            legal_ground=self.legal_ground,
            evidence=self.evidence,
        )


class OnceResponse(Response):
    """A value that leaves once: not stored anywhere on the way, and cut off when it is not taken in time."""

    def __init__(self, content: bytes, deadline: float) -> None:
        """`deadline` in seconds, for the whole of the sending."""
        super().__init__(content, 200, {"cache-control": "no-store"}, "application/json")
        self._deadline = deadline

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send; the last, empty part is taken only when the body has left the server's buffer."""
        try:
            async with asyncio.timeout(self._deadline):
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                await send({"type": "http.response.body", "body": self.body, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except BaseException:
            serve.cut(scope)
            raise


def router(platform: Platform) -> APIRouter:
    """Routes under `/redaction` for the data protection officer; approvals are an administrator's too."""
    routes = APIRouter(prefix="/redaction", tags=["redaction"])
    _add_lists(routes, platform)
    _add_requests(routes, platform)
    return routes


def _add_lists(routes: APIRouter, platform: Platform) -> None:
    officer_only = staff.signed_in(platform, roles=("dpo",))

    @routes.get(
        "/archive",
        summary="The archive's keys",
        description=texts.ARCHIVE,
        responses=answers(texts.ARCHIVE_EXAMPLE, texts.PROBLEMS),
    )
    def archived(officer: Annotated[Staff, Depends(officer_only)]) -> Response:
        return _json({"keys": keys(platform)})

    @routes.get(
        "/restores",
        summary="Restores that wait",
        description=texts.RESTORES,
        responses=answers(texts.RESTORES_EXAMPLE, texts.PROBLEMS),
    )
    def restores(officer: Annotated[Staff, Depends(officer_only)]) -> Response:
        statement = select(Archived).where(col(Archived.waiting).is_not(None)).order_by(col(Archived.wanted_at))
        with platform.database.read() as session:
            rows = session.exec(statement.limit(officers.LISTED)).all()
        return _json({"restores": [
            {"subject": row.subject, "field": row.field, "period": row.period, "archive_key": row.archive_key,
             "since": row.wanted_at, "waiting": row.waiting, "consent": row.wanted_by}
            for row in rows
        ]})  # fmt: skip

    both = staff.signed_in(platform, roles=("dpo", "admin"))

    @routes.get(
        "/archive/requests",
        summary="Requests about the archive",
        description=texts.REQUESTS,
        responses=answers(texts.REQUESTS_EXAMPLE, texts.PROBLEMS),
    )
    def requests(officer: Annotated[Staff, Depends(both)]) -> Response:
        with platform.database.read() as session:
            return _json({"requests": officers.listed(session, platform, platform.clock.now())})


def _add_requests(routes: APIRouter, platform: Platform) -> None:
    officer_only = staff.signed_in(platform, roles=("dpo",))
    both = staff.signed_in(platform, roles=("dpo", "admin"))

    @routes.post(
        "/archive/requests",
        status_code=201,
        summary="Ask to open a box or to end a period",
        description=texts.ASK,
        responses=answers(texts.REQUEST_EXAMPLE, texts.ASK_PROBLEMS, 201),
    )
    def ask(body: ArchiveRequestBody, officer: Annotated[Staff, Depends(officer_only)]) -> Response:
        row = officers.ask(platform, officer, body.wish())
        return _json({"id": row.id, "state": "asked"}, 201)

    @routes.post(
        "/archive/requests/{id}/approval",
        summary="Approve, as the second person",
        description=texts.APPROVE,
        responses=answers(texts.APPROVED_EXAMPLE, texts.ACT_PROBLEMS),
    )
    def approve(id: Annotated[str, _ID], officer: Annotated[Staff, Depends(both)]) -> Response:
        row = officers.approve(platform, officer, id)
        return _json({"id": row.id, "state": "approved"})

    @routes.post(
        "/archive/requests/{id}/opening",
        summary="Open the box, once",
        description=texts.OPENING,
        responses=answers(texts.OPENING_EXAMPLE, texts.ACT_PROBLEMS),
    )
    def opening(id: Annotated[str, _ID], officer: Annotated[Staff, Depends(officer_only)]) -> Response:
        found = officers.open_box(platform, officer, id)
        body = orjson.dumps(
            {"request": found.request, "field": found.field, "value": found.value, "event": found.event}
        )
        return OnceResponse(body, platform.settings.send_deadline)

    @routes.post(
        "/archive/requests/{id}/destruction",
        summary="End the period's keys",
        description=texts.DESTRUCTION,
        responses=answers(texts.DESTRUCTION_EXAMPLE, texts.ACT_PROBLEMS),
    )
    def destruction(id: Annotated[str, _ID], officer: Annotated[Staff, Depends(officer_only)]) -> Response:
        names, gone = officers.destroy(platform, officer, id)
        return _json({"id": id, "keys": names, "boxes": gone})


def keys(platform: Platform) -> list[dict[str, Any]]:
    """Each living archive key: period, day of its end, where the private half lies, how many boxes are under it."""
    with platform.database.read() as session:
        counts = ending.boxes(session)
    ring = platform.keyring.archive
    return [
        {
            "key": name,
            "period": terms.period_of(name),
            "ends_at": None if (day := terms.due_at(name)) is None else f"{day:%Y-%m-%d}",
            "private": "here" if ring.at_hand(name) else "officer" if ring.away(name) else "missing",
            "boxes": counts.get(name, 0),
        }
        for name in ring.names()
    ]


def _json(body: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, {"Cache-Control": "no-store"}, "application/json")
