"""A site with a form: it is a registered touchpoint, and delegates to the visitor's browser for 15 minutes.

    FG_BASE=https://crm.example.com FG_CONTROLLER=did:web:crm.example.com FG_KEY=form.key \
    FG_GROUND=urn:uuid:… SITE_ORIGIN=https://shop.example.com python examples/web-form/site.py

What the visitor types goes from the browser straight to the organisation's gateway: this server never sees it.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from fieldgrant.touchpoint import Ed25519Signer, delegate
from protocol.errors import EvidenceError

PURPOSE = "https://w3id.org/dpv#RequestedServiceProvision"
FIELDS = ("contact.given_name", "contact.email", "ticket.subject", "ticket.body")
PAGE = Path(__file__).parent / "page"
FILES: Mapping[str, str] = {"fieldgrant.js": "text/javascript", "form.js": "text/javascript", "form.css": "text/css"}
TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "Ask us something",
        "contact.given_name": "Your first name",
        "contact.email": "Your e-mail address",
        "ticket.subject": "What is it about?",
        "ticket.body": "What happened?",
        "send": "Send",
        "why": "We collect this to answer you, as our terms say, and for nothing else. It is sealed on arrival.",
    },
    "zh-CN": {
        "title": "向我们提问",
        "contact.given_name": "您的名字",
        "contact.email": "您的电子邮箱",
        "ticket.subject": "关于什么？",
        "ticket.body": "发生了什么？",
        "send": "发送",
        "why": "我们仅为答复您而依条款收集这些信息，不作他用。信息到达后即被加密封存。",
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What the site knows: its own key, whom it uploads to, and under which statutory ground."""

    signer: Ed25519Signer
    base: str
    controller: str
    ground: str
    origin: str


def create(site: Site) -> FastAPI:
    """The site as an app."""
    app = FastAPI(openapi_url=None)
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' {_origin(site.base)}; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept-Language",
    }

    @app.get("/")
    def form(request: Request) -> Response:
        wanted = request.query_params.get("lang") or request.headers.get("accept-language", "")
        language = "zh-CN" if wanted.lower().startswith("zh") else "en"
        return Response(page(language), headers=headers, media_type="text/html; charset=utf-8")

    @app.get("/{name}")
    def file(name: str) -> Response:
        if name not in FILES:
            return Response(status_code=404)
        return Response((PAGE / name).read_bytes(), headers=headers, media_type=FILES[name])

    @app.post("/delegation")
    async def delegation(request: Request) -> Response:
        # only this site's own page may ask; a shop would also ask for its session here
        if request.headers.get("origin") != site.origin:
            return JSONResponse({"code": "origin_not_allowed"}, 403)
        try:
            browser = str(json.loads(await request.body())["did"])
            told = delegate(
                site.signer,
                browser,
                controller=site.controller,
                scope={PURPOSE: FIELDS},
                origins=[site.origin],
                at=datetime.now(UTC),
            )
        except (ValueError, KeyError, TypeError, EvidenceError):
            return JSONResponse({"code": "bad_request"}, 400)
        return JSONResponse({"base": site.base, "delegation": told, "purpose": PURPOSE, "ground": site.ground})

    return app


def page(language: str) -> str:
    """The form in one language."""
    text = TEXTS[language]
    fields = "".join(
        f'<label for="{name}">{text[name]}</label>'
        + (
            f'<textarea id="{name}" name="{name}" rows="5" required></textarea>'
            if name == "ticket.body"
            else f'<input id="{name}" name="{name}" required{_kind(name)}>'
        )
        for name in FIELDS
    )
    return (
        f'<!doctype html><html lang="{language}"><meta charset="utf-8"><title>{text["title"]}</title>'
        '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="form.css">'
        f'<h1>{text["title"]}</h1><form>{fields}<p class="why">{text["why"]}</p><button>{text["send"]}</button></form>'
        '<output aria-live="polite"></output><script type="module" src="form.js"></script></html>'
    )


def _kind(name: str) -> str:
    return ' type="email" autocomplete="email"' if name == "contact.email" else ""


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def from_environment() -> Site:
    """The site that the environment describes; SystemExit names what is missing."""
    if missing := [name for name in ("FG_BASE", "FG_CONTROLLER", "FG_KEY", "FG_GROUND") if name not in os.environ]:
        raise SystemExit(f"set {', '.join(missing)}: the first lines of this file show how")
    seed = bytes.fromhex(json.loads(Path(os.environ["FG_KEY"]).read_text(encoding="ascii"))["seed"])
    return Site(
        signer=Ed25519Signer(seed),
        base=os.environ["FG_BASE"].rstrip("/"),
        controller=os.environ["FG_CONTROLLER"],
        ground=os.environ["FG_GROUND"],
        origin=os.environ.get("SITE_ORIGIN", "http://localhost:8710"),
    )


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(create(from_environment()), host="127.0.0.1", port=8710, access_log=False)
