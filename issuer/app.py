"""The issuer's HTTP edge, put together from what everybody, staff and wallets may do."""

from collections.abc import Callable

from fastapi import APIRouter, FastAPI

from issuer import ask_app, catalogue_app, mail, public_app, request_app, staff_app, wallet_app
from issuer.catalogue_app import BODY_LIMITS, Counts
from issuer.invite import Inviting
from issuer.mail import Channels, Post
from issuer.registry import Registry
from protocol.consent import SubjectId
from runtime import problem

__all__ = ["BODY_LIMITS", "STATUSES", "Counts", "create", "router"]

STATUSES = {
    "unknown_notice": 404,
    "foreign_ask": 403,
    "stale_ask": 409,
    "ask_ended": 409,
    "challenge_used": 409,
    "challenge_expired": 410,
    "digest_mismatch": 409,
    "consent_wider_than_ask": 422,
    "not_narrower": 422,
    "foreign_catalogue": 409,
    "foreign_request": 403,
    "bad_correction": 422,
    "bad_box": 422,
    "key_gone": 410,
}
DESCRIPTION = """\
Where consent is asked for, given and ended. Wallets sign each request (RFC 9421); staff bring a bearer token.
Errors are problem+json (RFC 9457) with a stable `code`.
"""


def create(registry: Registry, channels: Callable[[SubjectId], Channels], *, post: Post | None = None) -> FastAPI:
    """The app on its own, with errors, so that it can run without the other parties."""
    app = FastAPI(title="Fieldgrant issuer", description=DESCRIPTION, version="0.1.0")
    problem.install(app, larger=BODY_LIMITS, statuses=STATUSES)
    app.include_router(router(registry, channels, post=post))
    return app


def router(
    registry: Registry,
    channels: Callable[[SubjectId], Channels],
    *,
    post: Post | None = None,
    counts: Counts | None = None,
) -> APIRouter:
    """The routes under `/issuer` and `/.well-known`, for an app that has `problem.install` with both constants.

    `counts` is what the verifier counts for the officer; `channels` reads a customer's channels on file as the mailer
    does; `post` defaults to what the settings name.
    """
    platform = registry.platform
    inviting = Inviting(platform, channels, post or mail.post_of(platform.settings, platform.clock))
    routes = APIRouter()
    routes.include_router(public_app.router(platform, registry.catalogue))
    routes.include_router(staff_app.router(registry, inviting))
    routes.include_router(ask_app.router(registry))
    routes.include_router(catalogue_app.router(registry, counts))
    routes.include_router(wallet_app.router(registry, inviting))
    routes.include_router(request_app.router(registry, inviting))
    return routes
