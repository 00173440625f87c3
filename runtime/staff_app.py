"""The HTTP edge of staff sign-in: for programs a bearer token, for the pages a cookie and a CSRF token."""

from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from runtime import staff, staff_session
from runtime.clock import iso
from runtime.limits import RateLimit
from runtime.problem import Problem
from runtime.staff import PASSWORD_MAX, Staff, signed_in

if TYPE_CHECKING:
    from runtime.platform import Platform

PER_ADDRESS = "120/minute"  # sign-ins from one network address, over all accounts
_NO_STORE = {"Cache-Control": "no-store"}


class SignInBody(BaseModel):
    """What is asked for at the door; `cookie` is what a page asks for instead of the token."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"account": "mei", "password": "…"}]})

    account: str = Field(max_length=64)
    password: str = Field(max_length=PASSWORD_MAX)
    cookie: bool = False


class SignInAnswer(BaseModel):
    """The bearer token, told once; `expires_at` is UTC."""

    token: str
    expires_at: str
    role: str


class SessionAnswer(BaseModel):
    """Who is signed in until when (UTC); `csrf` goes into the X-CSRF-Token header, null where no cookie was sent."""

    csrf: str | None
    expires_at: str
    role: str = Field(examples=["marketing"])
    name: str
    account: str = Field(examples=["mei"])


class StaffAnswer(BaseModel):
    """Who is signed in."""

    account: str
    name: str
    role: str
    did: str


def router(platform: "Platform") -> APIRouter:
    """Routes under `/staff`. Both account and address limit sign-ins."""
    routes = APIRouter(prefix="/staff", tags=["staff"])
    caller = signed_in(platform)
    staff.nobody()  # now, so that the first unknown account takes no longer than a known one
    _add_door(routes, platform)

    @routes.get("/session", summary="Am I signed in?")
    def session_(request: Request, response: Response, who: Annotated[Staff, Depends(caller)]) -> SessionAnswer:
        """What a page asks when it opens: who is signed in, with a fresh CSRF token for the cookie that came."""
        held = _held(request)
        response.headers.update(_NO_STORE)
        with platform.database.read() as session:
            until = staff.expires_at(session, platform.keyring, held)
        token = staff_session.csrf(platform.keyring, held) if held.kind == "cookie" else None
        return SessionAnswer(csrf=token, expires_at=until, role=who.role, name=who.name, account=who.account)

    @routes.delete("/sessions/current", status_code=204, summary="Sign out")
    def sign_out(request: Request, _staff: Annotated[Staff, Depends(caller)]) -> Response:
        """End the session of the token or cookie that this request carries."""
        held = _held(request)
        with platform.database.write() as session:
            staff.sign_out(session, platform.keyring, held)
        response = Response(status_code=204)
        if held.kind == "cookie":
            staff_session.drop(response)
            response.headers["Clear-Site-Data"] = '"cache"'
        return response

    @routes.get("/me", summary="Who am I")
    def me(who: Annotated[Staff, Depends(caller)]) -> StaffAnswer:
        """The account, role and DID behind the token or cookie."""
        return StaffAnswer(account=who.account, name=who.name, role=who.role, did=who.did)

    return routes


def _add_door(routes: APIRouter, platform: "Platform") -> None:
    per_account, per_address = RateLimit(platform.settings.sign_in_rate), RateLimit(PER_ADDRESS)

    @routes.post("/sessions", status_code=201, summary="Sign in")
    def sign_in(body: SignInBody, request: Request, response: Response) -> SignInAnswer | SessionAnswer:
        """Exchange an account's password for a bearer token.

        With `cookie` the session goes into an HttpOnly cookie instead and the answer carries its CSRF token; an older
        session of that browser ends. Codes: bad_sign_in (401), foreign_origin (403), too_many_requests (429).
        """
        if body.cookie and staff_session.foreign(request, platform.settings):
            raise Problem(403, "foreign_origin", "a page of another origin may not sign anybody in")
        per_address.hit(request.client.host if request.client else "unknown")
        per_account.hit(body.account)
        at, response.headers["Cache-Control"] = platform.clock.now(), "no-store"
        if not body.cookie:
            made = staff.sign_in(platform, body.account, body.password, at)
            return SignInAnswer(token=made.token, expires_at=iso(made.expires_at), role=made.role)
        before = staff_session.Ticket("cookie", request.cookies.get(staff_session.COOKIE, ""))
        made = staff.sign_in(platform, body.account, body.password, at, kind="cookie", instead_of=before)
        staff_session.keep(response, made.token)
        token = staff_session.csrf(platform.keyring, staff_session.Ticket("cookie", made.token))
        until = iso(made.expires_at)
        return SessionAnswer(csrf=token, expires_at=until, role=made.role, name=made.name, account=made.account)


def _held(request: Request) -> staff_session.Ticket:
    held = staff_session.ticket(request)
    assert held is not None  # noqa: S101 - who calls was looked at before
    return held
