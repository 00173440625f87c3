"""The issuer's HTTP edge, put together from what everybody, staff and wallets may do."""

from collections.abc import Callable

from fastapi import FastAPI

from issuer import mail, public_app, staff_app, wallet_app
from issuer.invite import Inviting
from issuer.mail import Channels, Post
from issuer.registry import Registry
from protocol.consent import SubjectId
from runtime import problem

STATUSES = {
    "unknown_notice": 404,
    "foreign_ask": 403,
    "stale_ask": 409,
    "challenge_used": 409,
    "challenge_expired": 410,
    "digest_mismatch": 409,
    "consent_wider_than_ask": 422,
    "not_narrower": 422,
}
DESCRIPTION = """\
Where consent is asked for, given and ended. Wallets sign each request (RFC 9421); staff bring a bearer token.
Errors are problem+json (RFC 9457) with a stable `code`.
"""


def create(registry: Registry, channels: Callable[[SubjectId], Channels], *, post: Post | None = None) -> FastAPI:
    """The app; its paths begin with `/issuer` and `/.well-known`.

    `channels` reads a customer's channels on file as the mailer does; `post` defaults to what the settings name.
    """
    platform = registry.platform
    app = FastAPI(title="Fieldgrant issuer", description=DESCRIPTION, version="0.1.0")
    problem.install(app, statuses=STATUSES)
    inviting = Inviting(platform, channels, post or mail.post_of(platform.settings, platform.clock))
    app.include_router(public_app.router(platform, registry.catalogue))
    app.include_router(staff_app.router(registry, inviting))
    app.include_router(wallet_app.router(registry, inviting))
    return app
