"""The HTTP edge for staff: touchpoints are listed, registered, approved and ended."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from crm_core.gateway import openapi as text
from crm_core.gateway import touchpoints
from crm_core.gateway.touchpoints import Application
from issuer import attempts
from issuer.asks import Wish
from issuer.catalogue import Catalogue
from protocol.touchpoint import MAX_RATE
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff, signed_in

OVERSEERS = frozenset({"admin", "dpo", "auditor"})
_STRICT = ConfigDict(extra="forbid")
Id = Annotated[str, Path(description="The registration's id.", examples=[text.TOUCHPOINT["id"]])]


class ScopeBody(BaseModel):
    """What a touchpoint may bring for one purpose."""

    model_config = _STRICT
    purpose: str = Field(description="A purpose of the catalogue, by key or IRI.", examples=["support"])
    fields: frozenset[str] = Field(min_length=1, max_length=128, examples=[["ticket.subject"]])


class TouchpointBody(BaseModel):
    """A touchpoint to be registered."""

    model_config = _STRICT
    did: str = Field(
        description="The did:key of the touchpoint's own key.", max_length=200, examples=[text.TOUCHPOINT["did"]]
    )
    name: str = Field(min_length=1, max_length=80, examples=["Web form"])
    processes: list[ScopeBody] = Field(min_length=1, max_length=16)
    jurisdiction: str | None = Field(None, description="Where it collects; left out: home.", examples=["CN"])
    ungrounded: Literal["refuse", "hold"] = Field("refuse", description="What becomes of fields without a ground.")
    rate: int = Field(600, ge=1, le=MAX_RATE, description="Uploads a minute.")
    origins: frozenset[str] = Field(
        frozenset(),
        max_length=16,
        description="Origins of pages that it may delegate to.",
        examples=[["https://shop.example.com"]],
    )
    valid_until: AwareDatetime = Field(description="Its end, within two years.")

    def application(self) -> Application:
        """As the domain has it."""
        return Application(
            did=self.did,
            name=self.name,
            wishes=tuple(Wish(purpose=one.purpose, fields=one.fields) for one in self.processes),
            jurisdiction=self.jurisdiction,
            ungrounded=self.ungrounded,
            rate=self.rate,
            origins=self.origins,
            valid_until=self.valid_until,
        )


def router(platform: Platform, catalogue: Catalogue) -> APIRouter:
    """The routes under `/crm/touchpoints`."""
    routes = APIRouter(prefix="/touchpoints")
    _add_reading(routes, platform)
    _add_changing(routes, platform, catalogue)
    return routes


def _add_reading(routes: APIRouter, platform: Platform) -> None:
    overseer = _in_role(platform, OVERSEERS)

    @routes.get("", summary="List touchpoints", description=text.LIST, responses=text.LIST_RESPONSES)
    def listed(_caller: Staff = Depends(overseer)) -> dict[str, Any]:
        with platform.database.read() as session:
            return {"items": touchpoints.listed(session, platform, platform.clock.now())}

    @routes.get("/{id}", summary="Show a touchpoint", description=text.ONE, responses=text.ONE_RESPONSES)
    def one(id: Id, _caller: Staff = Depends(overseer)) -> dict[str, Any]:
        return _shown(platform, id)


def _add_changing(routes: APIRouter, platform: Platform, catalogue: Catalogue) -> None:
    admin, officer = _in_role(platform, frozenset({"admin"})), _in_role(platform, frozenset({"dpo"}))

    @routes.post(
        "",
        status_code=201,
        summary="Register a touchpoint",
        description=text.REGISTER,
        responses=text.MADE_RESPONSES,
    )
    def register(body: TouchpointBody, caller: Staff = Depends(admin)) -> dict[str, Any]:
        with attempts.recorded(platform, "touchpoint", did=caller.did):
            return _shown(platform, touchpoints.register(platform, catalogue, caller, body.application()).id)

    @routes.post(
        "/{id}/approval",
        summary="Approve a touchpoint",
        description=text.APPROVE,
        responses=text.CHANGED_RESPONSES,
    )
    def approve(id: Id, caller: Staff = Depends(officer)) -> dict[str, Any]:
        with attempts.recorded(platform, "touchpoint", did=caller.did):
            return _shown(platform, touchpoints.approve(platform, caller, id).id)

    @routes.post("/{id}/end", summary="End a touchpoint", description=text.END, responses=text.CHANGED_RESPONSES)
    def end(id: Id, caller: Staff = Depends(_in_role(platform, frozenset({"admin", "dpo"})))) -> dict[str, Any]:
        with attempts.recorded(platform, "touchpoint", did=caller.did):
            return _shown(platform, touchpoints.end(platform, caller, id).id)


def _in_role(platform: Platform, roles: frozenset[str]) -> Callable[..., Staff]:
    """A dependency: a member of staff in one of these roles, asked before the body is looked at."""
    staff = signed_in(platform)

    def caller(found: Staff = Depends(staff)) -> Staff:
        if found.role not in roles:
            with attempts.recorded(platform, "touchpoint", did=found.did):
                raise Problem(403, "role", "Your role may not do this.")
        return found

    return caller


def _shown(platform: Platform, id_: str) -> dict[str, Any]:
    with platform.database.read() as session:
        found = touchpoints.listed(session, platform, platform.clock.now(), id_)
    if not found:
        raise Problem(404, "unknown_touchpoint", "There is no such touchpoint.")
    return found[0]
