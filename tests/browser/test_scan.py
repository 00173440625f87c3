"""Links and codes in a real browser: a picture of a code, a camera that is not to be had, an ask of nobody we know."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from fieldgrant import pages
from tests.browser.pocket import Pocket
from tests.browser.test_parts import serving
from tests.browser.words import Words
from tools import web

ROOT = Path(__file__).parents[2]
ASK = "#/ask/did:web:crm.example.com/urn:uuid:3f0d8a52-8f0e-4d8c-9a2e-4ac3f9f2b1de"
DRAW = "import qr from 'qr'; process.stdout.write(qr(process.argv[1], 'gif', {scale: 5}))"


@pytest.fixture(scope="module")
def base(browser: Browser) -> Iterator[str]:
    with serving(pages.wallet_app()) as address:
        yield address


@pytest.fixture
def mine(browser: Browser, base: str) -> Iterator[Pocket]:
    """An open wallet that knows no organisation, in a browser whose camera nobody may use."""
    context = browser.new_context(locale="en-GB", permissions=[])
    page = context.new_page()
    page.goto(base)
    opened = Pocket(page, Words("wallet", "en-GB"))
    opened.create()
    yield opened
    context.close()


def picture(text: str, path: Path) -> Path:
    command = [web.node()[0], "--input-type=module", "-e", DRAW, text]
    path.write_bytes(subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60).stdout)
    return path


def scan(mine: Pocket, file: Path) -> None:
    mine.page.evaluate("location.hash = '#/enrol'")
    mine.button("scan").click()
    mine.field("scan.picture").set_input_files(file)


def test_a_picture_of_a_code_leads_to_its_ask_and_nobody_unknown_is_answered(
    mine: Pocket, base: str, tmp_path: Path
) -> None:
    scan(mine, picture(base + ASK, tmp_path / "code.gif"))
    expect(mine.heading("ask.link.not_enrolled")).to_be_visible()
    expect(mine.page.get_by_text("crm.example.com").first).to_be_visible()
    assert "3f0d8a52" not in mine.page.url  # what it named does not stay in the history


def test_a_picture_without_a_code_and_a_camera_that_is_not_to_be_had_are_told(mine: Pocket, tmp_path: Path) -> None:
    scan(mine, picture("neither invitation nor ask", tmp_path / "code.gif"))
    expect(mine.page.get_by_text(mine.words("problem.bad_link"))).to_be_visible()
    scan(mine, ROOT / "wallet" / "web" / "public" / "icon-192.png")
    expect(mine.page.get_by_text(mine.words("problem.no_code"))).to_be_visible()
    expect(mine.page.get_by_text(mine.words("problem.no_camera"))).to_be_visible()


def test_a_link_that_came_while_the_wallet_was_locked_waits_for_its_owner(mine: Pocket, base: str) -> None:
    mine.page.evaluate(f"location.hash = {ASK!r}")
    expect(mine.heading("ask.link.not_enrolled")).to_be_visible()
    mine.page.get_by_role("button", name=mine.words("lock"), exact=True).click()
    expect(mine.heading("unlock.title")).to_be_visible()
    arrives(mine.page)
    mine.unlock()
    expect(mine.heading("ask.link.not_enrolled")).to_be_visible()


def arrives(page: Page) -> None:
    page.evaluate(f"location.hash = {ASK!r}")
    page.wait_for_function("!location.hash.includes('uuid')")


def test_only_the_wallet_may_ask_for_the_camera(mine: Pocket, base: str) -> None:
    answer = mine.page.request.get(base)
    assert "camera=(self)" in answer.headers["permissions-policy"]
