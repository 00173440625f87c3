"""Requests of data subjects over HTTP: what wallets send and see, what the data protection officer does about it.

Nothing here answers with a value: sealed answers are given at the records (`/crm/rights`).
"""

import base64
import binascii
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from issuer import attempts, loss, request_desk, requests, sealing, taking
from issuer.invite import Inviting
from issuer.registry import Registry
from issuer.request_desk import Recorded
from issuer.staff_app import PER_TOKEN, SUBJECT, UUID
from issuer.wallet_auth import WalletCaller, wallet_caller
from protocol.consent import SubjectId
from protocol.request import Identified
from runtime.limits import RateLimit
from runtime.problem import Problem, json_body
from runtime.staff import Staff, signed_in

Json = dict[str, Any]
_STRICT = ConfigDict(extra="forbid")
_REQUEST = {
    "@context": ["https://www.w3.org/ns/credentials/v2", "https://ns.fieldgrant.example/consent/v1"],
    "id": UUID,
    "type": ["VerifiableCredential", "DataSubjectRequestCredential"],
    "issuer": "did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2",
    "credentialSubject": {
        "id": "did:key:z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2",
        "makesRequest": {"type": "DataSubjectRequest", "requestKind": "access"},
    },
}
_BODY: Json = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["request"],
                    "properties": {"request": {"type": "object"}, "sealed": {"type": "string"}},
                },
                "example": {"request": _REQUEST},
            }
        },
    }
}
Text = Annotated[str, Field(min_length=3, max_length=2000)]
Method = Annotated[str, Field(description="How the customer was identified.", examples=["id_document"])]
Evidence = Annotated[
    str,
    Field(min_length=3, max_length=500, description="Where the proof lies, never what it says.", examples=["file 7"]),
]
Id = Annotated[str, Path(examples=[UUID])]


class RecordBody(BaseModel):
    """What a customer without a wallet asks for, and how they were identified."""

    model_config = _STRICT
    subject: str = Field(max_length=64, examples=[SUBJECT])
    kind: str = Field(
        pattern="^(access|explanation|rectification|portability|erasure|objection|restriction)$", examples=["access"]
    )
    method: Method
    evidence: Evidence
    purpose: str | None = Field(None, max_length=200, description="Of an objection.", examples=["service"])
    ground: str | None = Field(None, max_length=200, description="Of an objection, if to one ground.")
    event: str | None = Field(None, max_length=64, description="Of an explanation: the read.", examples=[UUID])
    values: dict[str, Any] = Field(default_factory=dict, max_length=64, description="Of a rectification.")


class LossBody(BaseModel):
    """A lost wallet, and how its owner was identified."""

    model_config = _STRICT
    subject: str = Field(max_length=64, examples=[SUBJECT])
    method: Method
    evidence: Evidence


class ReasonBody(BaseModel):
    """Why; the customer reads it."""

    model_config = _STRICT
    reason: Text = Field(examples=["The amount of data takes longer to put together."])


class RefusalBody(ReasonBody):
    """Why, and on which law."""

    citation: Annotated[str, Field(min_length=3, max_length=500, examples=["GDPR art. 21(1)"])]


class AnswerBody(BaseModel):
    """Of an erasure the contract grounds that stay, each with the reason that the customer reads; why a read was."""

    model_config = _STRICT
    keep: dict[str, Text] = Field(default_factory=dict, max_length=64, examples=[{UUID: "The contract runs on."}])
    explanation: Text | None = Field(
        None, description="Why the read took place: words, no values.", examples=["They answered your call of 2 May."]
    )


def router(registry: Registry, inviting: Inviting) -> APIRouter:
    """Routes for wallets and for staff."""
    routes, limit = APIRouter(prefix="/issuer"), RateLimit(PER_TOKEN)

    def role(*roles: str) -> Any:
        return Depends(signed_in(registry.platform, frozenset(roles), limit=limit))

    _wallets(routes, registry)
    _officers(routes, registry, role)
    _decisions(routes, registry, role)
    _losses(routes, registry, inviting, role)
    return routes


def _wallets(routes: APIRouter, registry: Registry) -> None:
    platform = registry.platform
    Wallet = Annotated[WalletCaller, Depends(wallet_caller(platform))]  # noqa: N806 - a type
    Body = Annotated[Json, Depends(json_body())]  # noqa: N806

    @routes.post(
        "/wallet/requests", status_code=201, tags=["wallet"], summary="Ask for your rights", openapi_extra=_BODY
    )
    def ask(body: Body, wallet: Wallet) -> Json:
        """A DataSubjectRequestCredential: access, explanation, rectification, portability, erasure, objection,
        restriction.

        An explanation names one read (`asksAboutEvent`, an event of your history) and is answered in words.
        An erasure ends every consent and every ground that may end before this answers. A rectification brings its
        values in `sealed` (base64), to the key of `/issuer/wallet/requests/key`. The same bytes again: the same state.
        """
        with attempts.recorded(platform, "request", did=wallet.did, subject=wallet.subject):
            document, box = _sent(body)
        return taking.take(registry, document, box, wallet)

    @routes.get("/wallet/requests", tags=["wallet"], summary="Your requests")
    def mine(wallet: Wallet) -> Json:
        """Every request of yours with its state, its deadline and our signed receipts, those due first in front."""
        with platform.database.read() as session:
            rows = requests.listed(session, platform, subject=wallet.subject)
        return {"items": [taking.state_of(registry, row["id"]) for row in rows if not row["disputed"]]}

    @routes.get("/wallet/requests/key", tags=["wallet"], summary="Where to seal corrections to")
    def key(wallet: Wallet) -> Json:
        """A SealingKeyCredential with this month's key, signed by us."""
        return {"credential": sealing.statement(platform)}


def _officers(routes: APIRouter, registry: Registry, role: Callable[..., Any]) -> None:
    platform = registry.platform
    Officer = Annotated[Staff, role("dpo")]  # noqa: N806 - a type
    Second = Annotated[Staff, role(*request_desk.SECONDS)]  # noqa: N806

    @routes.get("/requests", tags=["staff"], summary="Requests of data subjects")
    def listed(
        staff: Officer,
        state: Annotated[
            str, Query(pattern="^(open|all|received|identified|in_work|extended|answered|refused)$", examples=["open"])
        ] = "open",
        subject: Annotated[str | None, Query(max_length=64, examples=[SUBJECT])] = None,
    ) -> Json:
        """The reminders: overdue first, then by deadline. `disputed` is a row that was changed behind our back."""
        with platform.database.read() as session:
            return {
                "items": requests.listed(session, platform, state=None if state == "all" else state, subject=subject)
            }

    @routes.get("/requests/{id}", tags=["staff"], summary="One request")
    def one(id: Id, staff: Officer) -> Json:
        """The signed request, where it stands, and every receipt that the customer got.

        `may_stay`: the contracts that an erasure leaves for you to decide on. `read`: what an explanation asks about.
        `restricts`: whether a restriction holds anything back now.
        """
        return request_desk.shown(registry, id)

    @routes.post("/requests", status_code=201, tags=["staff"], summary="Record a request of a customer without wallet")
    def record(body: RecordBody, staff: Officer) -> Json:
        """A draft signed by you; nothing is done until somebody else has confirmed who is asking."""
        recorded = Recorded(
            subject=SubjectId(body.subject), kind=body.kind, purpose=body.purpose, ground=body.ground,
            event=body.event, values=body.values, identified=Identified(method=body.method, evidence=body.evidence),
        )  # fmt: skip
        return request_desk.record(registry, staff, recorded)

    @routes.post("/requests/{id}/confirmation", tags=["staff"], summary="Confirm who is asking")
    def confirm(id: Id, staff: Second) -> Json:
        """As the second person. From now on the request counts, and what it ends has ended when this answers."""
        return request_desk.confirm(registry, staff, id)


def _decisions(routes: APIRouter, registry: Registry, role: Callable[..., Any]) -> None:
    Officer = Annotated[Staff, role("dpo")]  # noqa: N806 - a type

    @routes.post("/requests/{id}/taking", tags=["staff"], summary="Take a request into work")
    def take(id: Id, staff: Officer) -> Json:
        """Others see who works on it, and the customer that somebody does."""
        return request_desk.take(registry, staff, id)

    @routes.post("/requests/{id}/extension", tags=["staff"], summary="Extend the deadline")
    def extend(id: Id, body: ReasonBody, staff: Officer) -> Json:
        """Once, to the latest that the law allows, with a reason that the customer gets signed."""
        return request_desk.extend(registry, staff, id, reason=body.reason)

    @routes.post("/requests/{id}/answer", tags=["staff"], summary="Grant a request")
    def answer(id: Id, body: AnswerBody, staff: Officer) -> Json:
        """Grant an erasure (naming the contract grounds that stay), an objection or a restriction; explain a read."""
        return request_desk.answer(registry, staff, id, keep=body.keep, explanation=body.explanation)

    @routes.post("/requests/{id}/refusal", tags=["staff"], summary="Refuse a request")
    def refuse(id: Id, body: RefusalBody, staff: Officer) -> Json:
        """With the law that permits it. What was held back meanwhile goes on."""
        return request_desk.refuse(registry, staff, id, reason=body.reason, citation=body.citation)

    @routes.post("/requests/{id}/lifting", tags=["staff"], summary="End a restriction")
    def lift(id: Id, body: ReasonBody, staff: Officer) -> Json:
        """The customer gets the reason signed before processing goes on."""
        return request_desk.lift(registry, staff, id, reason=body.reason)


def _losses(routes: APIRouter, registry: Registry, inviting: Inviting, role: Callable[..., Any]) -> None:
    Desk = Annotated[Staff, role(*loss.ROLES)]  # noqa: N806 - a type

    @routes.post("/losses", status_code=201, tags=["staff"], summary="Report a lost wallet")
    def report(body: LossBody, staff: Desk) -> Json:
        """How the customer was identified. Nothing ends until another member of staff has confirmed it."""
        row = loss.report(registry, staff, SubjectId(body.subject), method=body.method, evidence=body.evidence)
        return {"id": row.id, "reported_at": row.reported_at}

    @routes.post("/losses/{id}/confirmation", tags=["staff"], summary="Confirm a lost wallet")
    def confirm(id: Id, staff: Desk) -> Json:
        """As the second person; one of the two is the data protection officer.

        Ends the enrolment and its consents and tells every channel on file. A new invitation may follow.
        """
        return loss.confirm(registry, inviting, staff, id)


def _sent(body: Json) -> tuple[Json, bytes | None]:
    """The document and the box in a body; Problem 422 `bad_request`."""
    document, sealed = body.get("request"), body.get("sealed")
    if not isinstance(document, dict) or set(body) - {"request", "sealed"}:
        raise Problem(422, "bad_request", "Only request and sealed may stand here.", field="request")
    if sealed is None:
        return document, None
    try:
        return document, base64.b64decode(sealed, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise Problem(422, "bad_request", "Must be base64.", field="sealed") from None
