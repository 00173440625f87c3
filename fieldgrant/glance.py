"""The page at `/`: the doors of this organisation, and what its API offers. No script, nothing from elsewhere.

A browser gets a page, any other client the same doors as JSON.
"""

from collections.abc import Iterator, Mapping
from html import escape

from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, JSONResponse, Response

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Vary": "Accept",
}
# door → its name and what is behind it, in both languages
_DOORS = {
    "desk": ("Desk", "工作台", "For staff: customers, requests, grounds.", "员工：客户、请求与依据。"),
    "auditor": ("Audit", "审计", "For auditors: history, log, evidence.", "审计员：历史、日志与证据。"),
    "wallet": ("Wallet", "钱包", "For customers: what they allow, and to whom.", "客户：允许什么、允许谁。"),
}
# tag → heading and what happens there, in both languages; in the order of the page
_ROOMS = {
    "staff": ("Staff", "员工", "Sign in, invite, ask, declare grounds.", "登录、邀请、请求同意、声明依据。"),
    "crm": ("Customer records", "客户档案", "Every read passes the gate.", "每次读取都要经过闸门。"),
    "wallet": ("Wallets", "钱包", "What customers see and sign.", "客户在这里查看并签署。"),
    "verifier": ("Verifier", "核验", "Who may see what, and why not.", "谁可以看到什么，以及为什么不可以。"),
    "redaction": ("Redaction", "处置", "What became of withdrawn fields.", "撤回的字段去了哪里。"),
    "audit": ("Audit", "审计", "History, log and evidence.", "历史、日志与证据。"),
    "public": ("For everybody", "公开", "Keys, notices, status lists.", "公钥、告知书与状态列表。"),
    "health": ("Health", "运行状况", "Is this process up?", "本进程是否在运行。"),
}  # fmt: skip
_STYLE = """\
:root { color-scheme: light dark; --line: #d9dde3; --soft: #5a6472; --tint: #f4f6f8; --mark: #1f5fa8;
  font: 1rem/1.55 system-ui, "Noto Sans", "Noto Sans CJK SC", "Noto Sans SC", "PingFang SC", sans-serif }
@media (prefers-color-scheme: dark) {
  :root { --line: #343b45; --soft: #a3adba; --tint: #1b2027; --mark: #8cbcf2 } body { background: #12161b } }
* { box-sizing: border-box }
body { max-width: 60rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .75rem } p { margin: .35rem 0 }
h2 { font-size: 1.15rem; margin: 2.5rem 0 0 } h2 span { font-weight: 400; margin-left: .4rem }
a { color: var(--mark) } .soft, h2 span { color: var(--soft) } .lead { font-size: 1.1rem }
.begin { background: var(--tint); border-radius: .5rem; padding: .9rem 1.1rem; margin: 1.5rem 0 }
.doors { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .75rem; padding: 0;
  margin: 1.75rem 0; list-style: none }
.doors a { display: block; height: 100%; padding: 1rem 1.1rem; border: 1px solid var(--line); border-radius: .5rem;
  color: inherit; text-decoration: none } .doors a:hover, .doors a:focus-visible { border-color: var(--mark) }
.doors b { display: block; font-size: 1.15rem; color: var(--mark) } .doors b span { font-weight: 400 }
.doors span + span { display: block }
.rooms { display: flex; flex-wrap: wrap; gap: .25rem 1.1rem; padding: 0; margin: 1.5rem 0 0; list-style: none }
dl { margin: .75rem 0 0; border-bottom: 1px solid var(--line) }
dl div { border-top: 1px solid var(--line); padding: .5rem 0; display: grid; gap: 0 1.25rem;
  grid-template-columns: minmax(0, 11fr) minmax(0, 9fr) }
dt, dd { margin: 0; overflow-wrap: break-word } code { font: .9em/1.5 ui-monospace, "DejaVu Sans Mono", monospace }
dt b { display: inline-block; min-width: 4rem; font: 600 .75rem/1 ui-monospace, monospace; color: var(--mark) }
@media (max-width: 40rem) { body { padding-top: 1.5rem } dl div { grid-template-columns: 1fr }
  dd { color: var(--soft) } }
"""
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#1f5fa8"/>'
    '<path d="M4 8.5l3 3 5-7" fill="none" stroke="#fff" stroke-width="2"/></svg>'
)
_PAGE = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Fieldgrant</title><link rel="stylesheet" href="/glance.css"><link rel="icon" href="/glance.svg"></head>
<body><main><h1>Fieldgrant</h1>
<p class="lead">A customer's own signature in front of every field that a CRM holds about them.</p>
<p class="lead soft" lang="zh-CN">CRM 中每一个字段之前，先有客户自己的签名。</p>
{doors}<div class="begin">
<p>Staff sign in at <code>POST /staff/sessions</code> and send the token as <code>Authorization: Bearer …</code>.
Customers use <code>fieldgrant wallet</code>, which signs each request. Everything below, with examples and error codes,
is in <a href="/openapi.json"><code>/openapi.json</code></a> (OpenAPI 3.1).</p>
<p class="soft" lang="zh-CN">员工通过 <code>POST /staff/sessions</code> 登录，并以 <code>Authorization: Bearer …</code>
发送令牌。客户使用 <code>fieldgrant wallet</code>，由钱包为每个请求签名。以下所有接口及其示例和错误代码，见
<a href="/openapi.json"><code>/openapi.json</code></a>（OpenAPI 3.1）。</p>
</div>
<nav aria-label="Contents"><ul class="rooms">{contents}</ul></nav>
{rooms}</main></body></html>
"""


def add(app: FastAPI, doors: Mapping[str, str]) -> None:
    """Add `/`, its style sheet and its icon to a finished app; `doors`: where desk, auditor and wallet are."""
    rooms = _rooms(app)
    contents = "".join(f'<li><a href="#{escape(room)}">{_names(room)[0]}</a></li>' for room in rooms)
    page = _PAGE.format(
        contents=contents, doors=_list(doors), rooms="".join(_shown(room, rows) for room, rows in rooms.items())
    )

    @app.get("/", include_in_schema=False)
    def glance(request: Request) -> Response:
        accept = request.headers.get("accept", "")
        if "json" in accept and "html" not in accept:
            return JSONResponse({**doors, "openapi": "/openapi.json"}, headers=_HEADERS)
        return HTMLResponse(page, headers=_HEADERS)

    @app.get("/glance.css", include_in_schema=False)
    def style() -> Response:
        return Response(_STYLE, headers=_HEADERS, media_type="text/css")

    @app.get("/glance.svg", include_in_schema=False)
    def icon() -> Response:
        return Response(_ICON, headers=_HEADERS, media_type="image/svg+xml")


def _list(doors: Mapping[str, str]) -> str:
    items = []
    for door, (english, chinese, does, does_zh) in _DOORS.items():
        if door in doors:
            name = f'<b>{english} <span lang="zh-CN">{chinese}</span></b>'
            said = f'<span class="soft">{does}</span><span class="soft" lang="zh-CN">{does_zh}</span>'
            items.append(f'<li><a href="{escape(doors[door])}">{name}{said}</a></li>')
    return f'<nav aria-label="Pages"><ul class="doors">{"".join(items)}</ul></nav>\n' if items else ""


def _rooms(app: FastAPI) -> dict[str, list[str]]:
    """The rows of each tag, in the order of `_ROOMS`; other tags behind."""
    rooms: dict[str, list[str]] = {room: [] for room in _ROOMS}
    for path, verbs in app.openapi()["paths"].items():
        for verb, said in verbs.items():
            row = f"<div><dt><b>{escape(verb.upper())}</b> <code>{_breakable(path)}</code></dt>"
            row += f"<dd>{escape(said.get('summary', ''))}</dd></div>"
            rooms.setdefault(next(iter(said.get("tags", [])), "other"), []).append(row)
    return {room: rows for room, rows in rooms.items() if rows}


def _shown(room: str, rows: list[str]) -> str:
    english, chinese, does, does_zh = _names(room)
    return (
        f'<section><h2 id="{escape(room)}">{english}<span lang="zh-CN">{chinese}</span></h2>'
        f'<p class="soft">{does} <span lang="zh-CN">{does_zh}</span></p><dl>{"".join(rows)}</dl></section>\n'
    )


def _names(room: str) -> tuple[str, ...]:
    return _ROOMS.get(room, (escape(room), "", "", ""))


def _breakable(path: str) -> str:
    """A path that breaks before its slashes rather than inside a word."""
    return "".join(f"<wbr>{escape(piece)}" for piece in _pieces(path))


def _pieces(path: str) -> Iterator[str]:
    head, *rest = path.split("/")
    yield head
    for piece in rest:
        yield f"/{piece}"
