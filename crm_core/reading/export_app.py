"""The HTTP edge of exports: the file, and the list for the data protection officer."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any

import anyio
from fastapi import APIRouter, Depends, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.types import Message, Receive, Scope, Send

from crm_core.reading import asking, export, exporting, exports
from crm_core.reading import openapi as text
from crm_core.reading.app import attempts_on_record, fields_of, purpose_of, reader
from crm_core.reading.exporting import Chunk, Order, Run
from crm_core.reading.planner import Planner
from crm_core.reading.scan import NOBODY
from issuer.catalogue import Catalogue
from protocol import did
from protocol.consent import Jurisdiction
from protocol.did import Did
from protocol.errors import EvidenceError
from runtime import problem, serve, staff
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff
from verifier.gate import Gate, Passage, Visit

OVERSEERS = frozenset({"dpo"})
_MEMBERS = frozenset({"purpose", "select", "filters", "search", "format", "recipient", "jurisdiction"})
_PLACE = re.compile(r"[A-Z]{2}(?:-[A-Z0-9]{1,3})?")


def router(platform: Platform, catalogue: Catalogue, gate: Gate) -> APIRouter:
    """The routes under `/exports`."""
    routes = APIRouter()
    _add_export(routes, platform, catalogue, gate)
    _add_list(routes, platform, gate)
    return routes


class ExportResponse(Response):
    """`ExportResponse(run, passage, first)`: sends chunk after chunk and lets go of each passage after its last byte.

    A chunk that is not taken within the deadline, an error under way or a client that went away cuts the connection:
    what came of the file is then not whole, and its chunked encoding shows that.
    """

    def __init__(self, run: Run, passage: Passage, first: Chunk) -> None:
        form = export.FORMS[run.order.format]
        name = f"export-{run.id.removeprefix('urn:uuid:')}.{form.suffix}"
        headers = {
            "cache-control": "no-store",
            "content-disposition": f'attachment; filename="{name}"',
            "fieldgrant-export": run.id,
        }
        super().__init__(None, 200, headers, form.media_type)
        del self.headers["content-length"]
        self._run, self._passage, self._chunk = run, passage, first

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        gone = asyncio.create_task(_gone(receive))
        whole = False
        try:
            # whoever does not take what came before on the connection keeps even the head waiting
            head = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            await self._send(send, head)
            while True:
                after = self._chunk.after
                if after is None or gone.done():
                    break
                self._passage, self._chunk = await run_in_threadpool(self._run.chunk, after)
                await self._send(send)
            whole = after is None
            if whole:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (Problem, EvidenceError, TimeoutError):
            if not serve.cut(scope):
                raise
        finally:
            self._passage.release()
            if not whole:
                serve.cut(scope)
            gone.cancel()
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(self._run.end, "complete" if whole else "broken")

    async def _send(self, send: Send, *before: Message) -> None:
        """What goes before, the chunk's bytes, an empty part: that is taken only when those are with the socket."""
        try:
            self._passage.unlost()  # between the record and here the server may have forgotten us
            async with asyncio.timeout(self._passage.send_deadline):
                for message in before:
                    await send(message)
                await send({"type": "http.response.body", "body": self._chunk.content, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": True})
            self._run.rows += self._chunk.rows
        finally:
            self._passage.release()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _add_export(routes: APIRouter, platform: Platform, catalogue: Catalogue, gate: Gate) -> None:
    planner = Planner(platform, gate)
    signed_in = staff.signed_in(platform)

    @routes.post(
        "/exports",
        summary="Export customers",
        description=text.EXPORT,
        responses=text.EXPORT_RESPONSES,
        openapi_extra=text.EXPORT_BODY,
        response_class=Response,
    )
    def export_customers(
        request: Request, caller: Staff = Depends(signed_in), body: dict[str, Any] = Depends(problem.json_body())
    ) -> Response:
        purpose = purpose_of(gate, caller, body)
        token = request.headers["authorization"].split(None, 1)[1].strip()

        def visit() -> Visit:
            # for each chunk: a file that is taken slowly must not outlive its reader's account
            with platform.database.read() as session:
                here = staff.staff_of(session, platform, token, platform.clock.now())
            recipient, jurisdiction = whereto(body)
            return gate.visit(reader(here), purpose, recipient=recipient, jurisdiction=jurisdiction)

        first = gate.visit(reader(caller), purpose)
        with attempts_on_record(gate, first):
            run = Run(planner, order_of(catalogue, body, first.purpose), visit)
            run.begin(visit())
            try:
                return ExportResponse(run, *run.chunk(NOBODY))
            except BaseException:
                run.end("broken")
                raise


def _add_list(routes: APIRouter, platform: Platform, gate: Gate) -> None:
    signed_in = staff.signed_in(platform)

    def overseeing(caller: Staff = Depends(signed_in)) -> Staff:
        if caller.role not in OVERSEERS:
            gate.attempt(reader(caller), "role")
            raise Problem(403, "role", "Your role may not see the list of exports.")
        return caller

    @routes.get("/exports", summary="List exports", description=text.EXPORTS, responses=text.EXPORTS_RESPONSES)
    def listed(_caller: Staff = Depends(overseeing)) -> dict[str, Any]:
        with platform.database.read() as session:
            return {"items": [one.told() for one in exports.listed(session)]}


def order_of(catalogue: Catalogue, body: Mapping[str, Any], purpose: str) -> Order:
    """What is to be exported. Problem 400 `bad_export` and what `asking` raises."""
    asking.members(body, _MEMBERS)
    whereto(body)
    format_ = body.get("format")
    known = next((each for each in export.FORMS if each == format_), None)
    if known is None:
        raise Problem(400, "bad_export", f"format is one of {', '.join(export.FORMS)}", field="format")
    fields = fields_of(catalogue, purpose)
    where = asking.where_of(catalogue, body, fields)
    return exporting.order(catalogue, asking.selected(catalogue, body, fields), where, known)


def whereto(body: Mapping[str, Any]) -> tuple[Did | None, Jurisdiction | None]:
    """To whom and where the file goes; None: to the controller, at home. Problem 400 `bad_export`."""
    recipient, place = asking.text_of(body, "recipient"), asking.text_of(body, "jurisdiction")
    if place is not None and not _PLACE.fullmatch(place):
        raise Problem(400, "bad_export", "jurisdiction is a code such as CN", field="jurisdiction")
    try:
        who = None if recipient is None else did.check(recipient)
    except EvidenceError:
        raise Problem(400, "bad_export", "recipient is a DID: did:web or did:key", field="recipient") from None
    return who, None if place is None else Jurisdiction(place)
