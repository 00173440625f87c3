"""What is wrong beyond the page: the server is down, slow, answers 500; a script is not ours; a sign-in ends."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, Route, expect

from fieldgrant import pages
from runtime import problem
from tests.attacks.place import Place
from tests.browser.conftest import Desk, Seen, sign_in
from tests.browser.house import House, alone, until
from tests.browser.kept import Kept, brought_back, saved
from tests.browser.pocket import Pocket
from tests.browser.words import Words

Open = Callable[..., Desk]
Profile = Callable[..., Seen]
LOCALES = ["en-GB", "zh-CN"]
ROOT = Path(__file__).parents[2]
PAGES = [
    name for name, at in {"crm": "crm_core", "wallet": "wallet", "audit": "audit"}.items()
    if (ROOT / at / "web" / "index.html").exists()
]  # fmt: skip


@pytest.fixture(scope="module")
def kept(browser: Browser, house: House, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return saved(browser, house, tmp_path_factory.mktemp("kept"))


class Held:
    """A route that answers nothing until it is let go, and counts who asked."""

    def __init__(self) -> None:
        self.waiting: list[Route] = []

    def __call__(self, route: Route) -> None:
        self.waiting.append(route)

    def asked(self, page: Page) -> None:
        """Wait until somebody has asked."""
        until(lambda: page.evaluate("1") and self.waiting)

    def let_go(self) -> None:
        for one in self.waiting:
            one.continue_()


# ── scripts ──


def served(name: str, folder: Path) -> FastAPI:
    app = FastAPI(openapi_url=None)
    problem.install(app)
    pages.add(app, name, built=folder)
    return app


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("kind", ["js", "css"])
def test_a_file_of_which_one_byte_was_changed_is_refused(
    profile: Profile, tmp_path: Path, name: str, kind: str
) -> None:
    """With its control: the same files, served the same way and untouched, make a page."""
    shutil.copytree(pages.BUILT / name, tmp_path / name)
    with alone(served(name, tmp_path)) as origin:
        whole = profile()
        whole.page.goto(f"{origin.address}{pages.PLACES[name]}")
        expect(whole.page.locator("#app > *").first).to_be_visible()
        whole.page.wait_for_load_state("networkidle")
        whole.forgive("status of 404")  # there is no API behind it
    page = (tmp_path / name / "index.html").read_text(encoding="utf-8")
    path = tmp_path / name / re.findall(rf'(?:src|href)="[^"]*?(assets/[^"]+\.{kind})"', page)[0]
    body = bytearray(path.read_bytes())
    body[-2] ^= 1
    path.write_bytes(body)
    with alone(served(name, tmp_path)) as origin:
        bent = profile()
        bent.page.goto(f"{origin.address}{pages.PLACES[name]}")
        bent.page.wait_for_load_state("networkidle")
        assert any("integrity" in one for one in bent.complaints), bent.complaints
        if kind == "js":
            expect(bent.page.locator("#app > *")).to_have_count(0)
        else:
            assert bent.page.evaluate("document.styleSheets.length") == 0
        bent.forgive("integrity", "status of 404")


# ── the desk ──


def test_a_slow_sign_in_is_sent_once_and_shows_that_it_is_on_its_way(desk: Open, place: Place) -> None:
    slow, staff = Held(), desk()
    page = staff.go()
    page.route("**/staff/sessions", slow)
    page.get_by_label("Account").fill("admin")
    page.get_by_label("Password").fill("not the password")
    button = page.get_by_role("button", name="Sign in")
    button.click()
    expect(button).to_be_disabled()
    expect(button).to_have_attribute("aria-busy", "true")
    page.keyboard.press("Enter")
    slow.asked(page)
    slow.let_go()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(button).to_be_enabled()
    assert len(slow.waiting) == 1


@pytest.mark.parametrize("locale", LOCALES)
def test_a_slow_list_shows_its_shape_and_a_broken_one_can_be_tried_again(desk: Open, locale: str) -> None:
    words, slow, staff = Words("desk", locale), Held(), desk("marketing", locale=locale)
    page = staff.page
    page.route("**/crm/customers/query", slow)
    staff.go()
    slow.asked(page)
    expect(page.get_by_text(words("loading")).first).to_be_attached()
    for route in slow.waiting:
        route.fulfill(status=500, body="<h1>oops</h1>")
    expect(page.get_by_role("alert")).to_contain_text(words("problem.server"))
    page.unroute("**/crm/customers/query")
    page.get_by_role("button", name=words("again")).click()
    expect(page.get_by_role("row").nth(5)).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    staff.forgive("status of 500")


@pytest.mark.parametrize("locale", LOCALES)
def test_a_server_that_was_down_from_the_start_is_told_and_tried_again(desk: Open, locale: str) -> None:
    words, staff = Words("desk", locale), desk("marketing", locale=locale)
    page = staff.page
    page.route("**/staff/session", lambda route: route.abort())
    staff.go()
    expect(page.get_by_role("alert")).to_contain_text(words("problem.unreachable"))
    page.unroute("**/staff/session")
    page.get_by_role("button", name=words("again")).click()
    expect(page.get_by_role("heading", name=words("customers"))).to_be_visible()
    staff.forgive("ERR_FAILED")


def test_a_form_outlives_the_end_of_a_sign_in_for_whoever_typed_it_alone(desk: Open, place: Place) -> None:
    staff = desk()
    page = staff.page
    sign_in(page, place.base, "dpo")
    page.get_by_role("link", name="Grounds").click()
    page.get_by_role("button", name="Declare a ground").click()
    page.get_by_label("Purpose").select_option(index=1)
    page.get_by_role("dialog").get_by_role("checkbox").first.check()
    page.get_by_label("Law", exact=True).fill("GDPR art. 6(1)(b)")
    page.get_by_label("Evidence").fill("Order 4711")
    page.get_by_label("Short name").fill("order")
    chosen = page.get_by_role("dialog").get_by_role("checkbox", checked=True).count()
    for account, typed in (("dpo", "Order 4711"), ("dan", "")):
        page.context.clear_cookies()
        page.get_by_role("button", name="Sign the draft").click()
        expect(page.get_by_text("Your sign-in has ended")).to_be_visible()
        assert "Order 4711" not in page.content()
        page.get_by_label("Account").fill(account)
        page.get_by_label("Password").fill("a password of some length")
        page.get_by_role("button", name="Sign in").click()
        if not typed:
            expect(page.get_by_role("heading", name="Grounds")).to_be_visible()
            expect(page.get_by_role("dialog")).to_have_count(0)
            break
        expect(page.get_by_label("Evidence")).to_have_value(typed)
        expect(page.get_by_label("Law", exact=True)).to_have_value("GDPR art. 6(1)(b)")
        expect(page.get_by_label("Short name")).to_have_value("order")
        expect(page.get_by_role("dialog").get_by_role("checkbox", checked=True)).to_have_count(chosen)
    staff.forgive("status of 401")


# ── the wallet ──


@pytest.mark.parametrize("locale", LOCALES)
def test_an_organisation_that_is_down_slow_or_broken_is_told_when_a_wallet_joins(
    profile: Profile, house: House, locale: str
) -> None:
    seen = profile(locale=locale)
    mine, invited, known = Pocket(seen.page, Words("wallet", locale)), house.invite(), house.letters()
    mine.page.goto(house.wallet)
    mine.create()
    mine.page.context.route(f"{house.base}/**", lambda route: route.abort())
    mine.page.goto(invited.link)
    expect(mine.page.get_by_role("alert")).to_have_text(mine.words("problem.unreachable"))
    mine.page.context.unroute_all()
    mine.field("enrol.link").fill(invited.link.partition("#")[2])
    mine.button("enrol.open").click()
    code, slow = house.code(known), Held()
    where = re.compile("/issuer/enrolments$")
    mine.page.context.route(where, lambda route: route.fulfill(status=500, body="oops"))
    mine.field("enrol.code").fill(code)
    join = mine.button("enrol.join")
    join.click()
    expect(mine.page.get_by_role("alert")).to_be_visible()
    assert "oops" not in mine.page.inner_text("main")
    mine.page.context.unroute_all()
    mine.page.context.route(where, slow)
    join.click()
    expect(join).to_be_disabled()
    mine.page.keyboard.press("Enter")
    slow.asked(mine.page)
    slow.let_go()
    expect(mine.heading("home.waiting")).to_be_visible()
    assert sum(one.request.method == "POST" for one in slow.waiting) == 1
    seen.forgive("ERR_FAILED", "status of 500", "CORS")


@pytest.mark.parametrize("locale", LOCALES)
def test_an_open_wallet_tells_what_is_slow_broken_or_down_and_tries_again(
    profile: Profile, house: House, kept: Kept, locale: str
) -> None:
    seen = profile(locale=locale)
    mine, slow = brought_back(seen, house.wallet, kept, locale), Held()
    page, where = mine.page, re.compile(r"/audit/history|/issuer/wallet/requests")
    page.context.route(where, slow)
    mine.to("history")
    slow.asked(page)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.get_by_text(mine.words("loading")).first).to_be_attached()
    for one in slow.waiting:
        one.fulfill(status=500, body="<h1>oops</h1>")
    expect(page.get_by_role("alert")).to_be_visible()
    assert "oops" not in page.inner_text("main")
    page.context.unroute_all()
    mine.button("again").click()
    expect(mine.section("place.history").get_by_role("listitem").first).to_be_visible()
    page.context.route(where, lambda route: route.abort())
    mine.to("requests")
    expect(page.get_by_role("alert")).to_have_text(re.compile(re.escape(mine.words("problem.unreachable"))))
    page.context.unroute_all()
    mine.button("again").click()
    expect(page.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_text(mine.words("requests.none"))).to_be_visible()
    seen.forgive("ERR_FAILED", "status of 500", "CORS")


# ── the auditors' page ──


@pytest.mark.parametrize("locale", LOCALES)
def test_the_auditors_page_tells_what_is_slow_broken_or_down_and_tries_again(
    profile: Profile, house: House, locale: str
) -> None:
    seen, words, slow = profile(locale=locale), Words("audit", locale), Held()
    page = seen.page
    page.route("**/audit/events*", slow)
    page.goto(f"{house.base}/auditor/")
    page.get_by_label(words("account"), exact=True).fill("aron")
    page.get_by_label(words("password"), exact=True).fill(house.password("aron"))
    page.keyboard.press("Enter")
    slow.asked(page)
    expect(page.get_by_text(words("loading")).first).to_be_attached()
    for one in slow.waiting:
        one.fulfill(status=500, body="<h1>oops</h1>")
    expect(page.get_by_role("alert")).to_contain_text(words("problem.server"))
    page.unroute("**/audit/events*")
    page.route("**/audit/events*", lambda route: route.abort())
    page.get_by_role("button", name=words("again"), exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text(words("problem.unreachable"))
    page.unroute("**/audit/events*")
    page.get_by_role("button", name=words("again"), exact=True).click()
    expect(page.locator("tbody tr").first).to_be_visible()
    expect(page.get_by_role("alert")).to_have_count(0)
    seen.forgive("ERR_FAILED", "status of 500")
