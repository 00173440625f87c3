"""One served organisation with its pages and one browser per module; each test has a profile of its own.

Not one browser for all: as long as Playwright is open it keeps an event loop running in this thread, and whatever test
comes afterwards could not run one of its own.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.attacks.pieces import PASSWORD
from tests.attacks.place import Place, served
from tests.browser import chromium
from tests.browser.house import House
from tests.browser.house import served as house_served
from tools import web

ROOT = Path(__file__).parents[2]
PATIENCE = 20_000.0  # ms; a machine with other work is slow, and what never comes fails all the same
expect.set_options(timeout=PATIENCE)
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_RUN_AXE = """rules => axe.run(document, {runOnly: rules}).then(found => found.violations.map(
    one => `${one.id}: ${one.nodes.map(node => node.html.slice(0, 120)).join(' | ')}`))"""
_CUT = """() => {
  const scrolls = node => /auto|scroll/.test(getComputedStyle(node).overflowX);
  const hides = node => /hidden|clip/.test(getComputedStyle(node).overflowX);
  const found = [];
  const words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    const text = words.currentNode;
    const range = document.createRange();
    range.selectNodeContents(text);
    const box = range.getBoundingClientRect();
    if (!text.data.trim() || box.width < 2 || !text.parentElement.checkVisibility({visibilityProperty: true})) continue;
    let edge = innerWidth, unseen = false, scrolled = false;
    // a cell of a list may end in an ellipsis: its row leads to the whole of it
    if (text.parentElement.closest('td, th') && getComputedStyle(text.parentElement.closest('td, th')).textOverflow
      === 'ellipsis') continue;
    for (let node = text.parentElement; node; node = node.parentElement) {
      const around = node.getBoundingClientRect();
      if (hides(node) && around.width < 3) unseen = true;
      if (scrolls(node) && node.scrollWidth > node.clientWidth) scrolled = true;
      if (hides(node) && !scrolled) edge = Math.min(edge, around.right);
    }
    if (!unseen && !scrolled && (box.right > edge + 1 || box.left < -1)) found.push(text.data.trim().slice(0, 60));
  }
  return found;
}"""
_TELL_CSP = "addEventListener('securitypolicyviolation', e => console.error('CSP', e.effectiveDirective, e.blockedURI))"


@dataclass
class Seen:
    """A page in a browser profile of its own; whatever the browser complained of is in `complaints`."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    @classmethod
    def in_(cls, context: BrowserContext) -> "Seen":
        """A new page, listened to: errors of the console, of scripts and of the Content-Security-Policy."""
        context.add_init_script(_TELL_CSP)
        made = cls(context.new_page())
        made.page.set_default_timeout(PATIENCE)
        made.page.on("console", lambda said: _complain(made, said.type, said.text))
        made.page.on("pageerror", lambda error: made.complaints.append(str(error)))
        return made

    def forgive(self, *words: str) -> None:
        """Complaints with one of these words were called for; whatever else was said stays."""
        self.complaints[:] = [one for one in self.complaints if not any(word in one for word in words)]

    def faults(self) -> list[str]:
        """What axe finds wrong with the screen as it is, and whether it is wider than the window."""
        if not self.page.evaluate("'axe' in globalThis"):
            self.page.evaluate(AXE.read_text(encoding="utf-8"))
        found: list[str] = self.page.evaluate(_RUN_AXE, RULES)
        wide = self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        return [*found, *(["wider than the window"] if wide else [])]

    def cut(self) -> list[str]:
        """Words that reach out of the window, or out of a box that hides what does not fit."""
        return list(self.page.evaluate(_CUT))


@dataclass
class Desk(Seen):
    """A staff page; `base` is the organisation's address."""

    base: str = ""

    def go(self, where: str = "") -> Page:
        """Open a screen: the part of the address behind `#`."""
        self.page.goto(f"{self.base}/desk/{where}")
        return self.page

    def read_for(self, purpose: str) -> None:
        """Choose what is read for, and wait until the list shows it."""
        with self.page.expect_response("**/crm/customers/query"):
            self.page.locator(".purpose select").select_option(purpose)
        self.page.locator(".list:not(.waiting) tbody tr").first.wait_for()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    web.run("build")
    os.environ.setdefault("PLAYWRIGHT_NODEJS_PATH", web.node()[0])  # its own Node needs a library that slim images lack
    with sync_playwright() as play:
        program = chromium.executable(play)
        opened = play.chromium.launch(executable_path=program, headless=True, args=chromium.arguments())
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def place(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with served(tmp_path_factory.mktemp("place")) as made:
        yield made


@pytest.fixture(scope="module")
def cookies(browser: Browser, place: Place) -> Callable[[str], Any]:
    """The cookie of an account that signed in by the page; once per account, for sign-ins are counted."""
    known: dict[str, Any] = {}

    def state(account: str) -> Any:
        if account not in known:
            context = browser.new_context(locale="en-GB")
            sign_in(context.new_page(), place.base, account)
            known[account] = context.storage_state()
            context.close()
        return known[account]

    return state


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """What `fieldgrant serve` starts, once for all: it takes a while to play the demo's first steps."""
    web.run("build")
    with house_served(tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture
def profile(browser: Browser) -> Iterator[Callable[..., Seen]]:
    """`profile(**of the context)`: a page in a fresh profile. Nothing may have been complained of in the end."""
    opened: list[Seen] = []

    def make(**wanted: Any) -> Seen:
        opened.append(Seen.in_(browser.new_context(**{"locale": "en-GB", **wanted})))
        return opened[-1]

    yield make
    for one in opened:
        one.page.context.close()
    for one in opened:
        assert one.complaints == []


@pytest.fixture
def desk(browser: Browser, place: Place, cookies: Callable[[str], Any]) -> Iterator[Callable[..., Desk]]:
    """`desk(account, **of the profile)`: a page of a member of staff; without an account, of nobody."""
    contexts: list[BrowserContext] = []
    opened: list[Desk] = []

    def make(account: str | None = None, **profile: Any) -> Desk:
        state = {} if account is None else {"storage_state": cookies(account)}
        context = browser.new_context(**{"locale": "en-GB", **state, **profile})
        made = Desk.in_(context)
        made.base = place.base
        contexts.append(context)
        opened.append(made)
        return made

    yield make
    for context in contexts:
        context.close()
    for one in opened:
        assert one.complaints == []


def _complain(desk: Seen, kind: str, text: str) -> None:
    if kind == "error" and "status of 401" not in text:  # who is not signed in asks the server whether they are
        desk.complaints.append(text)


def sign_in(page: Page, base: str, account: str, password: str = PASSWORD) -> None:
    """Through the door, as people do."""
    page.goto(f"{base}/desk/")
    page.locator("[name=account]").fill(account)
    page.locator("[name=password]").fill(password)
    page.keyboard.press("Enter")
    if password == PASSWORD:
        page.locator("#content").wait_for()
