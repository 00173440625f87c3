"""The built pages, served: staff and auditors beside the API, the wallet on an origin of its own.

All files of a page are read when it is first composed and served from memory, so no address leads to a file that is not
the page's. What may run, load or be called is in the headers; the digests of scripts and styles are in index.html.
"""

import gzip
import hashlib
import mimetypes
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse

from runtime import problem
from runtime.problem import Problem

BUILT: Final = Path(__file__).parent / "_pages"
PLACES: Final[Mapping[str, str]] = {"crm": "/desk/", "audit": "/auditor/", "wallet": "/"}
# Trusted Types policies of the pages: the one admits the scripts that the page was built with, the other /sw.js alone
PARTS_POLICY: Final = "fieldgrant-parts"
WORKER_POLICY: Final = "fieldgrant-worker"
_HASHED: Final = re.compile(r"assets/[\w.-]+-[\w-]{8,}\.\w+")
_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
_SQUEEZED: Final = frozenset({".js", ".css", ".html", ".json", ".svg", ".webmanifest"})
_FIXED: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Integrity-Policy": "blocked-destinations=(script)",  # no script without its digest, where the browser knows this
    "Vary": "Accept-Encoding",
}
_MISSING: Final = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Fieldgrant</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head><body><main>
<h1>This page was not built</h1>
<p>The API runs, but its pages are not there. Build them with <code>python3 tools/web.py build</code>, or install a
released wheel, and start again.</p>
<h1 lang="zh-CN">页面尚未构建</h1>
<p lang="zh-CN">接口已在运行，但页面还没有生成。请运行 <code>python3 tools/web.py build</code>，
或安装已发布的安装包，然后重新启动。</p>
</main></body></html>
"""


def place(name: str) -> str:
    """Where on its origin a page lies; `/` when it was not built."""
    return PLACES[name] if (BUILT / name / "index.html").exists() else "/"


@dataclass(frozen=True, slots=True)
class File:
    """One file in memory; `squeezed` is gzip where that is worth it. `lasting`: its name changes with its content."""

    body: bytes
    squeezed: bytes | None
    type: str
    etag: str
    lasting: bool


@dataclass(frozen=True, slots=True)
class Page:
    """A page by the path of each of its files below its place; without files when it was not built."""

    name: str
    files: Mapping[str, File] = field(default_factory=dict)

    @classmethod
    def load(cls, name: str, built: Path = BUILT) -> "Page":
        """Read what was built. A link out of the folder is left out."""
        folder = (built / name).resolve()
        found = sorted(path for path in folder.rglob("*") if path.is_file() and path.resolve().is_relative_to(folder))
        if folder / "index.html" not in found:
            return cls(name)
        return cls(name, {path.relative_to(folder).as_posix(): _file(folder, path) for path in found})

    @property
    def headers(self) -> dict[str, str]:
        """What each answer says of what this page may do."""
        wallet = self.name == "wallet"
        camera = "(self)" if wallet else "()"
        rest = ", ".join(f"{feature}=()" for feature in ("geolocation", "microphone", "payment", "usb"))
        permissions = f"camera={camera}, {rest}"
        return {**_FIXED, "Content-Security-Policy": policy(self.name), "Permissions-Policy": permissions}

    def answer(self, path: str, request: Request) -> Response:
        """One file as HTTP has it. Problem 404 not_found."""
        path = path or "index.html"
        if not self.files:
            if path == "index.html":
                return Response(_MISSING, 503, {**self.headers, "Retry-After": "60"}, "text/html; charset=utf-8")
            raise Problem(503, "pages_not_built", "the pages were not built: see tools/web.py")
        found = self.files.get(path)
        if found is None:
            raise Problem(404, "not_found", "this page has no such file")
        kept = "public, max-age=31536000, immutable" if found.lasting else "no-cache"
        headers = {**self.headers, "Cache-Control": kept, "ETag": found.etag}
        if request.headers.get("if-none-match") == found.etag:
            return Response(None, 304, headers)
        if found.squeezed is not None and _takes_gzip(request.headers.get("accept-encoding", "")):
            return Response(found.squeezed, 200, {**headers, "Content-Encoding": "gzip"}, found.type)
        return Response(found.body, 200, headers, found.type)


def policy(name: str) -> str:
    """The Content-Security-Policy of a page. The wallet calls whatever organisation invited its owner."""
    wallet = name == "wallet"
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data: blob:",
            "font-src 'self'",
            "connect-src 'self' https: http://localhost:*" if wallet else "connect-src 'self'",
            "manifest-src 'self'",
            "worker-src 'self'",
            "base-uri 'none'",
            "form-action 'self'" if name == "crm" else "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            f"trusted-types {PARTS_POLICY} {WORKER_POLICY}" if wallet else f"trusted-types {PARTS_POLICY}",
        )
    )


def add(app: FastAPI, name: str, *, built: Path = BUILT) -> Page:
    """Serve a page at its place (`PLACES`) in an app that has `problem.install`."""
    page, place = Page.load(name, built), PLACES[name]

    @app.get(f"{place}{{path:path}}", include_in_schema=False)
    @app.head(f"{place}{{path:path}}", include_in_schema=False)
    async def file(path: str, request: Request) -> Response:
        return page.answer(path, request)

    if place != "/":

        @app.get(place.rstrip("/"), include_in_schema=False)
        async def slash() -> Response:
            return RedirectResponse(place, 308)

    return page


def wallet_app(*, built: Path = BUILT) -> FastAPI:
    """The wallet alone, for an origin of its own: no API, no cookie, nothing of the organisation's."""
    app = FastAPI(title="Fieldgrant wallet", openapi_url=None, docs_url=None, redoc_url=None)
    problem.install(app)
    add(app, "wallet", built=built)
    return app


def _file(folder: Path, path: Path) -> File:
    body, name = path.read_bytes(), path.relative_to(folder).as_posix()
    squeezed = gzip.compress(body, 9, mtime=0) if path.suffix in _SQUEEZED else None
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    smaller = squeezed if squeezed is not None and len(squeezed) < len(body) else None
    return File(body, smaller, kind, etag, _HASHED.fullmatch(name) is not None)


def _takes_gzip(said: str) -> bool:
    for part in said.lower().split(","):
        coding, _, weight = part.partition(";")
        if coding.strip() == "gzip":
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False
