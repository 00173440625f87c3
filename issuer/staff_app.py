"""What staff do: invite, ask, declare and approve grounds, revoke.

Nothing here answers with an address, nor with the link or code of an invitation that went out by mail.
"""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from issuer import (
    ask_ending,
    asks,
    attempts,
    credentials,
    enrolment,
    grounds,
    in_person,
    invitation,
    loss,
    recent_asks,
    signed,
)
from issuer.asks import Wish
from issuer.credentials import Credential
from issuer.grounds import Declaration
from issuer.invite import Inviting
from issuer.registry import Registry
from protocol.consent import SubjectId
from runtime.limits import RateLimit
from runtime.problem import Problem
from runtime.staff import ROLES, Staff, signed_in

Json = dict[str, Any]
SUBJECT = "sub_mfrggzdfmztwq2lknnwg23tpoa"
_STRICT = ConfigDict(extra="forbid")
PER_TOKEN = "600/minute"  # noqa: S105 - a rate
PER_SUBJECT = "10/hour"
UUID = "urn:uuid:3f0d8a52-8f0e-4d8c-9a2e-4ac3f9f2b1de"


class InvitationBody(BaseModel):
    """Whom to invite. The addresses are those on file: nobody can give another."""

    model_config = _STRICT
    subject: str = Field(description="The customer's opaque reference.", examples=[SUBJECT])


class InvitationAnswer(BaseModel):
    """That an invitation is on its way; its link and code go to the customer alone."""

    id: str = Field(examples=[UUID])
    expires_at: str = Field(examples=["2026-11-23T08:00:00.000Z"])


class LinkAnswer(BaseModel):
    """The link of an invitation in person, shown once, for the customer's wallet to scan."""

    link: str = Field(examples=["fieldgrant://enrol?issuer=https%3A%2F%2Fcrm.example.com&token=…"])


class CodeAnswer(BaseModel):
    """The code to read out to the customer."""

    code: str = Field(examples=["01234567"])


class ProcessBody(BaseModel):
    """What is to be done with which fields."""

    model_config = _STRICT
    purpose: str = Field(description="A purpose of the catalogue, by key or IRI.", examples=["marketing"])
    fields: frozenset[str] = Field(min_length=1, max_length=128, examples=[["contact.email", "address.city"]])
    recipients: frozenset[str] | None = Field(None, description="DIDs; left out: the controller alone.", max_length=16)
    jurisdictions: frozenset[str] | None = Field(None, description="Left out: home alone.", max_length=16)
    processing: frozenset[str] | None = Field(
        None,
        description="`dpv:Use`, `dpv:Collect`; left out: what the catalogue foresees (ask), `dpv:Use` (ground).",
        min_length=1,
        max_length=2,
    )

    def wish(self) -> Wish:
        """As the domain has it."""
        return Wish(
            purpose=self.purpose, fields=self.fields, recipients=self.recipients, jurisdictions=self.jurisdictions,
            processing=self.processing,
        )  # fmt: skip


class AskBody(BaseModel):
    """A request for consent."""

    model_config = _STRICT
    subject: str = Field(examples=[SUBJECT])
    processes: list[ProcessBody] = Field(min_length=1, max_length=16)
    latest_until: AwareDatetime | None = Field(
        None, description="The latest end of a consent; left out: the catalogue's."
    )
    language: str = Field("en", description="Of the notice.", examples=["en", "zh-CN"])


class GroundBody(BaseModel):
    """A statutory ground."""

    model_config = _STRICT
    key: str = Field(pattern=r"^[a-z][a-z0-9-]{0,63}$", examples=["contract"])
    basis: str = Field("dpv:Contract", examples=["dpv:Contract"])
    citation: str = Field(min_length=3, max_length=500, examples=["PIPL art. 13(2), GDPR art. 6(1)(b)"])
    evidence: str = Field(min_length=3, max_length=4000, examples=["Customer contract, general terms 2026, clause 4"])
    processes: list[ProcessBody] = Field(min_length=1, max_length=16)
    subjects: list[str] | str = Field(
        "*", description="References of customers, 1000 at most, or `*` for all.", examples=["*"], max_length=1000
    )
    until_enrolled: bool = Field(False, description="Ends for a customer when they enrol a wallet.")
    roles: frozenset[str] | None = Field(None, description="Only these readers; left out: all whom the purpose allows.")
    valid_until: AwareDatetime = Field(examples=["2027-11-22T00:00:00Z"])

    def declaration(self) -> Declaration:
        """As the domain has it. Problem 422 `bad_request`."""
        if isinstance(self.subjects, str) and self.subjects != credentials.EVERYONE:
            raise Problem(422, "bad_request", "Must be a list of references, or *.", field="subjects")
        if self.subjects == []:
            raise Problem(422, "bad_request", "Name at least one customer, or *.", field="subjects")
        named = None if isinstance(self.subjects, str) else frozenset(map(SubjectId, self.subjects))
        return Declaration(
            key=self.key, basis=self.basis, citation=self.citation, evidence=self.evidence,
            wishes=tuple(process.wish() for process in self.processes), subjects=named,
            until_enrolled=self.until_enrolled, roles=self.roles, valid_until=self.valid_until,
        )  # fmt: skip


Role = Callable[..., Any]


def router(registry: Registry, inviting: Inviting) -> APIRouter:
    """Routes for staff with a bearer token."""
    routes = APIRouter(prefix="/issuer", tags=["staff"])
    platform, limit = registry.platform, RateLimit(PER_TOKEN)

    def role(*roles: str) -> Any:
        return Depends(signed_in(platform, frozenset(roles or ROLES), limit=limit))

    routes.include_router(_enrolling(registry, inviting, role))
    routes.include_router(_asking(registry, role))
    routes.include_router(_declaring(registry, role))
    return routes


def _enrolling(registry: Registry, inviting: Inviting, role: Role) -> APIRouter:
    routes, platform, per_subject = APIRouter(), registry.platform, RateLimit(PER_SUBJECT)
    Inviter = Annotated[Staff, role(*invitation.ROLES)]  # noqa: N806 - a type
    Anybody = Annotated[Staff, role()]  # noqa: N806
    Officer = Annotated[Staff, role("dpo")]  # noqa: N806

    @routes.post("/invitations", status_code=201, summary="Invite a customer")
    def invite(body: InvitationBody, staff: Inviter) -> InvitationAnswer:
        """Send a single-use link to the e-mail address on file.

        The code follows over the phone when the wallet asks for it. The mailer alone reads the addresses. Refused for
        a customer who has a wallet (`already_enrolled`).
        """
        per_subject.hit(body.subject)
        row = inviting.invite(staff, SubjectId(body.subject))
        return InvitationAnswer(id=row.id, expires_at=row.expires_at)

    @routes.post("/invitations/in-person", status_code=201, summary="Invite a customer at the desk")
    def invite_in_person(body: InvitationBody, staff: Inviter) -> InvitationAnswer:
        """Begin for a customer who is here; it takes a second member of staff, and ends after 15 minutes."""
        per_subject.hit(body.subject)
        row = in_person.begin(platform, staff, SubjectId(body.subject))
        return InvitationAnswer(id=row.id, expires_at=row.expires_at)

    @routes.post("/invitations/{id}/confirmation", summary="Confirm who is at the desk")
    def confirm(id: Annotated[str, Path(examples=[UUID])], staff: Inviter) -> LinkAnswer:
        """As the second member of staff: you have seen who this is. The link is given once; show it as a QR code."""
        return LinkAnswer(link=in_person.confirm(platform, staff, id))

    @routes.post("/invitations/{id}/code", summary="The code for a customer at the desk")
    def read_out(id: Annotated[str, Path(examples=[UUID])], staff: Inviter) -> CodeAnswer:
        """As the one who began, once the wallet has opened the link: a new code to read out, five at most."""
        return CodeAnswer(code=in_person.code(platform, staff, id))

    @routes.get("/enrolments", summary="Whether a customer has a wallet")
    def enrolled(staff: Anybody, subject: Annotated[str, Query(examples=[SUBJECT])]) -> Json:
        """Yes or no, and since when. The wallet's DID is not shown."""
        with platform.database.read() as session:
            rows = credentials.living(session, "enrolment", subject=SubjectId(subject))
        return {"subject": subject, "enrolled": bool(rows), "since": rows[-1].at if rows else None}

    @routes.post("/subjects/{subject}/enrolment/end", summary="End a lost wallet")
    def end_enrolment(subject: str, staff: Officer) -> Json:
        """For a customer who lost the wallet: ends the enrolment and revokes its consents.

        Every channel on file is told. A new invitation may follow.
        """
        with attempts.recorded(platform, "enrolment-end", did=staff.did, subject=SubjectId(subject)):
            ended = enrolment.end(registry, SubjectId(subject), staff)
        return {**ended, "told": loss.tell(inviting, SubjectId(subject), ended["enrolment"])}

    return routes


def _asking(registry: Registry, role: Role) -> APIRouter:
    routes, platform = APIRouter(), registry.platform
    Anybody = Annotated[Staff, role()]  # noqa: N806 - a type
    Officer = Annotated[Staff, role("dpo")]  # noqa: N806
    Overseer = Annotated[Staff, role("dpo", "admin", "auditor")]  # noqa: N806

    @routes.post("/asks", status_code=201, summary="Ask for consent", responses={200: {"description": "Open already"}})
    def ask(body: AskBody, staff: Anybody, response: Response) -> Json:
        """Make a request that the controller signs. An identical open one is given again (200) instead of a second."""
        subject = SubjectId(body.subject)
        with attempts.recorded(platform, "ask", did=staff.did, subject=subject), platform.database.write() as session:
            row, new = asks.make(
                session, platform, registry.catalogue, staff, subject=subject,
                wishes=[process.wish() for process in body.processes],
                latest_until=body.latest_until, language=body.language,
            )  # fmt: skip
        response.status_code = 201 if new else 200
        return _shown(row, registry)

    @routes.get("/asks", summary="Asks to a customer, or to all")
    def listed_asks(
        staff: Anybody,
        subject: Annotated[str | None, Query(examples=[SUBJECT])] = None,
        before: Annotated[str | None, Query(description="The `next` of the page before.", examples=[UUID])] = None,
    ) -> Json:
        """Asks with their standing (living, answered, refused, superseded, expired).

        With `subject`: all to this customer, oldest first. Without: the newest first, page by page, those for purposes
        that your role may act for; overseers see all.
        """
        with platform.database.read() as session:
            if subject is not None:
                rows = credentials.of_kind(session, "ask", subject=SubjectId(subject))
                return {"items": [_shown(row, registry) for row in rows]}
            page = recent_asks.page(session, registry.catalogue, staff, before)
            items = [{"subject": row.subject, **_shown(row, registry)} for row in page.rows]
        return {"items": items, "next": page.next}

    @routes.get("/asks/{id}", summary="One ask")
    def one_ask(id: Annotated[str, Path(examples=[UUID])], staff: Anybody) -> Json:
        """The signed ask and its standing."""
        with platform.database.read() as session:
            row = session.get(Credential, id)
        if row is None or row.kind != "ask":
            raise Problem(404, "unknown_ask", "There is no such ask.")
        return _shown(row, registry)

    @routes.get("/consents", summary="A customer's consents")
    def consents(staff: Overseer, subject: Annotated[str, Query(examples=[SUBJECT])]) -> Json:
        """The signed consents with their standing, ended ones too, oldest first."""
        with platform.database.read() as session:
            rows = credentials.of_kind(session, "consent", subject=SubjectId(subject))
        return {"items": [_shown(row, registry) for row in rows]}

    @routes.post("/consents/{id}/revocation", summary="Revoke a consent")
    def revoke(id: Annotated[str, Path(examples=[UUID])], staff: Officer) -> Json:
        """End a consent without the wallet. Answers when no read under way can return its fields any more."""
        with attempts.recorded(platform, "revocation", did=staff.did):
            return {"receipt": registry.revoke(id, staff)}

    return routes


def _declaring(registry: Registry, role: Role) -> APIRouter:
    routes, platform = APIRouter(), registry.platform
    Officer = Annotated[Staff, role("dpo")]  # noqa: N806 - a type
    Second = Annotated[Staff, role("dpo", "admin")]  # noqa: N806
    Overseer = Annotated[Staff, role("dpo", "admin", "auditor")]  # noqa: N806

    @routes.post("/grounds", status_code=201, summary="Declare a statutory ground")
    def declare(body: GroundBody, staff: Officer) -> Json:
        """A draft signed by you. It grants nothing until somebody else has signed the same document."""
        with attempts.recorded(platform, "ground", did=staff.did):
            return _shown(grounds.declare(registry, staff, body.declaration()), registry)

    @routes.get("/grounds", summary="Statutory grounds")
    def listed_grounds(staff: Overseer) -> Json:
        """All of them, drafts and ended ones too."""
        with platform.database.read() as session:
            return {"items": grounds.listed(session, platform.clock.now())}

    @routes.post("/grounds/{id}/approval", summary="Approve a statutory ground")
    def approve(id: Annotated[str, Path(examples=[UUID])], staff: Second) -> Json:
        """Sign it as the second person; from then on it lives, and every customer whom it covers can see it."""
        with attempts.recorded(platform, "ground-approval", did=staff.did):
            return _shown(grounds.approve(registry, staff, id), registry)

    @routes.post("/grounds/{id}/end", summary="End a statutory ground")
    def end_ground(id: Annotated[str, Path(examples=[UUID])], staff: Officer) -> Json:
        """For good. Answers when no read under way can return its fields any more."""
        with attempts.recorded(platform, "ground-end", did=staff.did):
            return _shown(grounds.end(registry, staff, id), registry)

    return routes


def _shown(row: Credential, registry: Registry) -> Json:
    """A credential as staff see it."""
    standing = "draft" if row.kind == "ground-draft" else ask_ending.standing(registry.platform, row)
    return {
        "id": row.id,
        "standing": standing,
        "at": row.at,
        "valid_until": row.valid_until,
        "ended_at": row.ended_at,
        "credential": signed.document(row),
    }
