"""The page at `/`: what this process offers, from its own OpenAPI description. No script, nothing from elsewhere."""

from collections.abc import Iterator
from html import escape

from fastapi import FastAPI
from starlette.responses import HTMLResponse

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_STYLE = """\
:root { color-scheme: light dark; font: 1rem/1.6 system-ui, "Noto Sans", "Noto Sans SC", sans-serif }
body { max-width: 62rem; margin: 0 auto; padding: 2rem 1.25rem 4rem }
h1 { font-size: 1.75rem; margin: 0 } h2 { font-size: 1.1rem; margin: 2.5rem 0 .5rem; text-transform: capitalize }
table { border-collapse: collapse; width: 100% }
td { border-top: 1px solid color-mix(in srgb, currentColor 18%, transparent) }
td { padding: .45rem .75rem .45rem 0; vertical-align: top }
td:first-child { width: 4.5rem; font-variant: all-small-caps; letter-spacing: .05em } td:nth-child(2) { width: 45% }
code { font: .92em ui-monospace, monospace; overflow-wrap: anywhere } .said { opacity: .75 }
"""
_PAGE = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Fieldgrant</title><link rel="stylesheet" href="/glance.css"></head>
<body><main><h1>Fieldgrant</h1>
<p class="said">A customer's own signature in front of every field that a CRM holds about them.<br>
<span lang="zh-CN">CRM 中每一个字段之前，先有客户自己的签名。</span></p>
<p>Staff sign in at <code>POST /staff/sessions</code>; wallets sign each request.
The full description is at <a href="/openapi.json"><code>/openapi.json</code></a> (OpenAPI 3.1).<br>
<span lang="zh-CN">员工通过 <code>POST /staff/sessions</code> 登录；
钱包对每个请求签名。完整接口说明见上面的链接。</span></p>
{rooms}</main></body></html>
"""


def add(app: FastAPI) -> None:
    """Add `/` and its style sheet to a finished app."""
    page = _PAGE.format(rooms="".join(_rooms(app)))

    @app.get("/", include_in_schema=False)
    def glance() -> HTMLResponse:
        return HTMLResponse(page, headers=_HEADERS)

    @app.get("/glance.css", include_in_schema=False)
    def style() -> HTMLResponse:
        return HTMLResponse(_STYLE, headers=_HEADERS, media_type="text/css")


def _rooms(app: FastAPI) -> Iterator[str]:
    rooms: dict[str, list[str]] = {}
    for path, verbs in app.openapi()["paths"].items():
        for verb, said in verbs.items():
            cells = (escape(verb), f"<code>{escape(path)}</code>", escape(said.get("summary", "")))
            row = f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
            rooms.setdefault(next(iter(said.get("tags", [])), "other"), []).append(row)
    for room, rows in rooms.items():
        yield f"<h2>{escape(room)}</h2><table>{''.join(rows)}</table>\n"
