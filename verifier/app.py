"""The verifier's HTTP edge: credential verification (VC API) and decisions without values."""

import threading
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from pydantic import BaseModel, ConfigDict
from pydantic import Field as BodyField

from issuer.catalogue import Catalogue
from protocol import canonical, credential
from protocol.consent import Field, SubjectId
from protocol.errors import EvidenceError
from runtime import problem, staff, staff_app
from runtime.limits import RateLimit
from runtime.platform import Platform
from runtime.problem import TYPES, Problem
from runtime.staff import Staff
from verifier import decision
from verifier import openapi as text
from verifier.gate import Gate, Passage, Reader, Verdict, Visit
from verifier.passage import told
from verifier.response import GatedResponse

STATUSES = {"unknown_purpose": 404, "unknown_field": 404}
# Anybody may have a credential verified, and the worst one takes most of a second of a processor.
PER_ADDRESS = "120/minute"
AT_ONCE, PATIENCE = 2, 2.0  # verifications, and seconds that one more waits for its turn


class VerifyOptions(BaseModel):
    """What the proof must be over; nothing: any."""

    challenge: str | None = BodyField(default=None, max_length=512)
    domain: str | None = BodyField(default=None, max_length=512)


class VerifyBody(BaseModel):
    """VC API, verify credential."""

    model_config = ConfigDict(json_schema_extra={"examples": [text.VERIFY_BODY]})

    verifiableCredential: dict[str, Any] = BodyField(description=text.VERIFIABLE_CREDENTIAL)  # noqa: N815 - VC API's word
    options: VerifyOptions = VerifyOptions()


class DecisionBody(BaseModel):
    """Which fields of one customer would be released for a purpose."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [text.DECISION_BODY]})

    subject: Annotated[str, BodyField(max_length=64, description=text.SUBJECT)]
    purpose: Annotated[str, BodyField(max_length=256, description=text.PURPOSE)]
    fields: Annotated[list[str], BodyField(min_length=1, max_length=128, description=text.FIELDS)]


def create(platform: Platform, catalogue: Catalogue, gate: Gate) -> FastAPI:
    """The app on its own, with errors and staff sign-in, so that it can run without the other parties."""
    app = FastAPI(title="Fieldgrant verifier", version="0.1.0", description=text.APP)
    problem.install(app, statuses=STATUSES)
    app.include_router(staff_app.router(platform))
    app.include_router(router(platform, catalogue, gate))
    return app


def router(platform: Platform, catalogue: Catalogue, gate: Gate) -> APIRouter:
    """The routes under `/verifier`, for an app that has `problem.install` with `STATUSES`."""
    routes = APIRouter(prefix="/verifier", tags=["verifier"])
    _add_verify(routes, platform)
    _add_decisions(routes, platform, catalogue, gate)
    return routes


def _add_verify(routes: APIRouter, platform: Platform) -> None:
    limit, turns = RateLimit(PER_ADDRESS), threading.BoundedSemaphore(AT_ONCE)

    @routes.post(
        "/credentials/verify",
        summary="Verify a credential",
        description=text.VERIFY,
        responses=text.VERIFY_RESPONSES,
    )
    def verify(body: VerifyBody, request: Request) -> Response:
        limit.hit(request.client.host if request.client else "unknown")
        if not turns.acquire(timeout=PATIENCE):
            raise Problem(429, "too_many_requests", "Too many at once; again in 1 s.", headers={"retry-after": "1"})
        try:
            verified = credential.verify(
                canonical.jcs(body.verifiableCredential),
                platform.keys,
                at=platform.clock.now(),
                expected_type="VerifiableCredential",
                expected_challenge=body.options.challenge,
                expected_domain=body.options.domain,
            )
        except EvidenceError as error:
            found: dict[str, Any] = {"type": TYPES + error.code, "title": error.code, "detail": error.detail}
            if error.field is not None:
                found["field"] = error.field
            answer: dict[str, Any] = {"verified": False, "problemDetails": [found]}
            return Response(orjson.dumps(answer), 400, media_type="application/json")
        finally:
            turns.release()
        answer = {
            "verified": True,
            "issuer": verified.issuer,
            "digestMultibase": verified.digest,
            "problemDetails": [],
        }
        return Response(orjson.dumps(answer), media_type="application/json")


def _add_decisions(routes: APIRouter, platform: Platform, catalogue: Catalogue, gate: Gate) -> None:
    signed_in = staff.signed_in(platform)

    @routes.post("/decisions", summary="Explain", description=text.DECISIONS, responses=text.DECISION_RESPONSES)
    def decisions(body: DecisionBody, caller: Staff = Depends(signed_in)) -> Response:
        reader = Reader(did=caller.did, role=caller.role, account=caller.account, since=caller.since)
        visit = gate.visit(reader, body.purpose, about=SubjectId(body.subject))
        asked = _known(catalogue, gate, visit, body.fields)

        def work(passage: Passage) -> dict[str, Any]:
            verdict = _verdict(platform, gate, passage, SubjectId(body.subject))
            release = passage.record([(verdict, asked)], query={"decision": sorted(asked)})
            return {"subject": verdict.subject, "purpose": visit.purpose, **told(verdict, asked), "release": release}

        with gate.read(visit, work) as (passage, answer):
            return GatedResponse(orjson.dumps(answer), passage)


def _known(catalogue: Catalogue, gate: Gate, visit: Visit, names: list[str]) -> frozenset[Field]:
    try:
        return frozenset(Field(catalogue.field(name).id) for name in names)
    except EvidenceError as error:
        gate.attempt(visit.reader, error.code, purpose=visit.purpose)
        raise Problem(404, error.code, "The catalogue has no such field.", field="fields") from None


def _verdict(platform: Platform, gate: Gate, passage: Passage, subject: SubjectId) -> Verdict:
    with platform.database.read() as session:
        verdict = decision.of(session, passage, subject)
    if verdict is None:
        gate.attempt(passage.visit.reader, "unknown_subject", purpose=passage.visit.purpose)
        raise Problem(404, "unknown_subject", "There is no such customer.", field="subject")
    return verdict
