"""The parts of a page that come later, in a real browser: each runs only as it was built, and offline too."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect

from fieldgrant import pages
from fieldgrant.demo.stage import free_ports

FOREIGN = "document.documentElement.dataset.foreign = 'ran';\n"


@contextmanager
def serving(app: FastAPI) -> Iterator[str]:
    port = free_ports(1)[0]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.02)
    try:
        yield f"http://localhost:{port}/"
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def built(browser: Browser, tmp_path: Path) -> Path:
    """The wallet's page as it was built, in a folder of the test's own."""
    shutil.copytree(pages.BUILT / "wallet", tmp_path / "wallet")
    return tmp_path


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(locale="en-GB")
    yield context.new_page()
    context.close()


def part(built: Path, name: str) -> Path:
    (found,) = (built / "wallet" / "assets").glob(f"{name}-*.js")
    return found


def test_a_part_that_was_tampered_with_never_runs(built: Path, page: Page) -> None:
    start = part(built, "Start")
    start.write_text(FOREIGN + start.read_text())
    with serving(pages.wallet_app(built=built)) as base:
        page.goto(base)
        expect(page.get_by_role("alert")).to_contain_text("is not what it should be")
        assert page.evaluate("document.documentElement.dataset.foreign") is None


def test_the_same_part_untouched_does_and_is_fetched_once(built: Path, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with serving(pages.wallet_app(built=built)) as base:
        page.goto(base)
        expect(page.get_by_role("button", name="Make a wallet")).to_be_visible()
        assert len([one for one in asked if "/assets/Start-" in one]) == 1


def test_the_texts_of_a_language_come_only_as_they_were_built(built: Path, page: Page) -> None:
    texts = part(built, "Start").parent.glob("en-*.json")
    for file in texts:
        file.write_text(file.read_text().replace("Make a wallet", "Give us your keys"))
    with serving(pages.wallet_app(built=built)) as base:
        page.goto(base)
        page.wait_for_timeout(500)
        assert "Give us your keys" not in page.inner_text("body")


def test_no_script_comes_in_without_a_digest_or_past_the_list(built: Path, page: Page) -> None:
    """Injected script: an address of the page's own origin is no way in, neither as element nor as import()."""
    (built / "wallet" / "assets" / "foreign-aaaaaaaa.js").write_text(FOREIGN)
    with serving(pages.wallet_app(built=built)) as base:
        page.goto(base)
        page.get_by_role("button", name="Make a wallet").wait_for()
        tried = page.evaluate("""async () => {
            const said = []
            try {
                const script = document.createElement('script')
                script.src = '/assets/foreign-aaaaaaaa.js'
                document.head.append(script)
            } catch (error) { said.push(error.name) }
            try { await import('/assets/foreign-aaaaaaaa.js') } catch (error) { said.push(error.name) }
            return said
        }""")
        assert tried == ["TypeError", "TypeError"]
        assert page.evaluate("document.documentElement.dataset.foreign") is None


def test_every_part_is_there_offline(built: Path, page: Page) -> None:
    with serving(pages.wallet_app(built=built)) as base:
        page.goto(base)
        page.get_by_role("button", name="Make a wallet").wait_for()
        page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        names = sorted(file.name for file in (built / "wallet" / "assets").iterdir())
        kept = page.evaluate("""async () => {
            const [name] = await caches.keys()
            const requests = await (await caches.open(name)).keys()
            return requests.map(one => new URL(one.url).pathname)
        }""")
        assert {f"/assets/{name}" for name in names} <= set(kept)
        page.context.set_offline(True)
        page.reload()
        expect(page.get_by_role("button", name="Make a wallet")).to_be_visible()
    page.context.set_offline(False)


def test_a_worker_keeps_no_page_with_a_file_that_was_tampered_with(built: Path, page: Page) -> None:
    """Not even a part that nobody has asked for yet: the worker is not installed at all."""
    history = part(built, "History")
    history.write_text(FOREIGN + history.read_text())
    with serving(pages.wallet_app(built=built)) as base:
        page.goto(base)
        page.get_by_role("button", name="Make a wallet").wait_for()
        page.wait_for_timeout(1000)
        assert page.evaluate("navigator.serviceWorker.getRegistration().then(one => one?.active ?? null)") is None
