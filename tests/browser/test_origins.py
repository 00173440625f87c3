"""The wallet's origin is out of reach of everybody else's code, on another port of the same machine too."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from playwright.sync_api import Browser, Page, expect

from fieldgrant import pages
from tests.browser.conftest import Seen
from tests.browser.house import Origin, alone
from tests.browser.pocket import Pocket
from tests.browser.words import Words

Profile = Callable[..., Seen]
_TRIED = """async ({wallet, script}) => {
  const told = async (name, act) => {
    try { return [name, await act()]; } catch (error) { return [name, error.name]; }
  };
  const loads = (tag, attribute, address) => new Promise(done => {
    const node = document.createElement(tag);
    node.onload = () => done('loaded');
    node.onerror = () => done('refused');
    node[attribute] = address;
    document.body.append(node);
  });
  const frame = document.createElement('iframe');
  const framed = new Promise(done => { frame.onload = () => done(true); setTimeout(() => done(false), 5000); });
  frame.src = wallet;
  document.body.append(frame);
  await framed;
  return Object.fromEntries(await Promise.all([
    told('document of a frame', () => frame.contentDocument ? 'read' : 'null'),
    told('storage of a frame', () => frame.contentWindow.localStorage ? 'read' : 'null'),
    told('read', async () => (await (await fetch(wallet, {credentials: 'include'})).text()).length),
    told('read without credentials', async () => (await (await fetch(wallet)).text()).length),
    told('load as opaque', async () => (await fetch(wallet, {mode: 'no-cors'})).type),
    told('run its script here', () => loads('script', 'src', script)),
    told('register its worker', async () => String(await navigator.serviceWorker.register(wallet + 'sw.js'))),
    told('workers here', async () => (await navigator.serviceWorker.getRegistrations()).length),
    told('databases here', async () => (await indexedDB.databases()).length),
    told('caches here', async () => (await caches.keys()).length),
    told('storage here', () => localStorage.length),
  ]));
}"""
_REFUSED: dict[str, Any] = {
    "document of a frame": "null",
    "storage of a frame": "SecurityError",
    "read": "TypeError",
    "read without credentials": "TypeError",
    "load as opaque": "TypeError",
    "run its script here": "refused",
    "register its worker": "SecurityError",
    "workers here": 0,
    "databases here": 0,
    "caches here": 0,
    "storage here": 0,
}
_LISTEN = """() => {
  globalThis.heard = [];
  addEventListener('message', event => heard.push(event.data));
  new BroadcastChannel('fieldgrant').onmessage = event => heard.push(event.data);
  addEventListener('storage', event => heard.push(event.key));
}"""
_SHOUT = """() => {
  new BroadcastChannel('fieldgrant').postMessage('broadcast');
  localStorage.setItem('stored', '1');
}"""


@pytest.fixture(scope="module")
def wallet(browser: Browser) -> Iterator[Origin]:
    with alone(pages.wallet_app()) as origin:
        yield origin


@pytest.fixture(scope="module")
def stranger(browser: Browser) -> Iterator[Origin]:
    """Somebody's page on another port: the same site to a browser, and no policy that holds its own script back."""
    app = FastAPI()

    @app.get("/")
    def page() -> HTMLResponse:
        return HTMLResponse("<!doctype html><title>somebody</title><body>")

    with alone(app) as origin:
        yield origin


def open_wallet(seen: Seen, wallet: Origin) -> Page:
    mine = Pocket(seen.page, Words("wallet", "en-GB"))
    mine.page.goto(wallet.address)
    mine.create()
    mine.page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    return mine.page


def test_another_origin_reads_frames_and_runs_nothing_of_the_wallet(
    profile: Profile, wallet: Origin, stranger: Origin
) -> None:
    seen = profile()
    page = open_wallet(seen, wallet)
    script = page.evaluate("document.querySelector('script[src]').src")
    other = page.context.new_page()
    other.goto(stranger.address)
    assert other.evaluate(_TRIED, {"wallet": f"{wallet.address}/", "script": script}) == _REFUSED


def test_the_wallets_own_origin_could_do_all_that(profile: Profile, wallet: Origin) -> None:
    """The control: what is refused to others is there to be had."""
    page = open_wallet(profile(), wallet)
    assert page.evaluate("async () => (await (await fetch('/')).text()).length") > 100
    assert page.evaluate("async () => (await indexedDB.databases()).length") == 1
    assert page.evaluate("async () => (await caches.keys()).length") == 1
    assert page.evaluate("async () => (await navigator.serviceWorker.getRegistrations()).length") == 1
    other = page.context.new_page()
    other.goto(f"{wallet.address}/icon.svg")
    page.evaluate(_LISTEN)
    other.evaluate(_SHOUT)
    page.wait_for_function("heard.length === 2")


def test_a_window_that_somebody_opened_is_cut_off_from_them(profile: Profile, wallet: Origin, stranger: Origin) -> None:
    seen = profile()
    page = open_wallet(seen, wallet)
    other = page.context.new_page()
    other.goto(stranger.address)
    page.evaluate(_LISTEN)
    with page.context.expect_page() as opened:
        other.evaluate("address => { globalThis.held = open(address, 'wallet'); }", wallet.address)
    popup = opened.value
    expect(popup.get_by_role("heading", level=1)).to_be_visible()
    assert popup.evaluate("opener") is None
    popup.evaluate(_LISTEN)
    other.wait_for_function("held.closed")  # to them it is gone: no name, no message, no address reaches it
    other.evaluate("held.postMessage('message', '*')")
    other.evaluate(_SHOUT)
    other.evaluate("new Promise(done => setTimeout(done, 200))")
    assert page.evaluate("heard") == []
    assert popup.evaluate("heard") == []


def test_the_wallets_worker_serves_no_other_path_than_the_pages_own(profile: Profile, wallet: Origin) -> None:
    page = open_wallet(profile(), wallet)
    scope = page.evaluate("navigator.serviceWorker.ready.then(found => found.scope)")
    assert scope == f"{wallet.address}/"
    kept = page.evaluate(
        "async () => { const [name] = await caches.keys();"
        " return (await (await caches.open(name)).keys()).map(one => one.url); }"
    )
    assert kept
    assert all(one.startswith(wallet.address) for one in kept)


def test_the_wallets_page_gives_no_answer_to_a_preflight(wallet: Origin, stranger: Origin) -> None:
    headers = {"Origin": stranger.address, "Access-Control-Request-Method": "GET"}
    for path in ("/", "/sw.js", "/build.json"):
        for method in ("OPTIONS", "GET"):
            answer = httpx.request(method, f"{wallet.address}{path}", headers=headers)
            assert not [name for name in answer.headers if name.startswith("access-control-")]
            if method == "GET":
                assert answer.headers["cross-origin-resource-policy"] == "same-origin"
