"""The staff pages in a real browser: what is granted is there, what is not carries a lock, and asking begins there."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.attacks.holder import Held
from tests.attacks.pieces import CITY, EMAIL
from tests.attacks.place import Place
from tests.browser.conftest import Desk, sign_in

Open = Callable[..., Desk]
VIEWS = [
    (locale, {"locale": locale, "viewport": {"width": width, "height": 800}, "color_scheme": scheme})
    for locale in ("en-GB", "zh-CN")
    for width, scheme in ((1280, "light"), (640, "light"), (360, "dark"))  # 640: 1280 at 200 %
]
WORDS = {"en-GB": ("Sign in", "Customers"), "zh-CN": ("登录", "客户")}


@pytest.fixture(scope="module")
def mina(place: Place) -> Held:
    """A customer who lets marketing use address and city."""
    held = place.enrolled()
    held.give(place.asked(held), (EMAIL, CITY))
    return held


def row(page: Page, held: Held):
    return page.locator(f"tr:has(a[href='#/customers/{held.subject}'])")


def test_a_wrong_password_is_told_and_the_right_one_opens(desk: Open, place: Place) -> None:
    nobody = desk()
    sign_in(nobody.page, place.base, "sales", "a wrong password")
    expect(nobody.page.get_by_role("alert")).to_have_text("Account and password do not match.")
    sign_in(nobody.page, place.base, "sales")
    expect(nobody.page.get_by_role("heading", name="Customers")).to_be_visible()
    nobody.page.get_by_role("button", name="Sign out").click()
    expect(nobody.page.get_by_role("heading", name="Sign in")).to_be_visible()
    nobody.go()
    expect(nobody.page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_no_script_can_read_the_session(desk: Open) -> None:
    page = desk("marketing").go()
    page.locator(".list tbody tr").first.wait_for()
    assert page.evaluate("document.cookie") == ""
    stored = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert "csrf" not in stored
    assert "@" not in stored


def test_the_list_has_what_was_granted_and_locks_for_the_rest(desk: Open, mina: Held) -> None:
    staff = desk("marketing")
    staff.go()
    staff.read_for("marketing")
    mine = row(staff.page, mina)
    expect(mine).to_contain_text(mina.customer.email)
    expect(mine).to_contain_text("Xiamen")
    expect(mine.locator("td.withheld").first).to_contain_text("Withheld: No consent")
    staff.page.get_by_label("With granted values").check()
    expect(staff.page.locator(".list:not(.waiting) tbody tr")).to_have_count(1)


def test_a_search_finds_what_is_granted_and_nothing_else(desk: Open, place: Place, mina: Held) -> None:
    staff = desk("marketing")
    staff.go()
    staff.read_for("marketing")
    for words, found in ((mina.customer.email, 1), (place.customer().email, 0)):
        staff.page.get_by_role("searchbox").fill(words)
        staff.page.keyboard.press("Enter")
        expect(staff.page.locator(".list:not(.waiting) tbody tr")).to_have_count(found)
    staff.page.get_by_role("button", name="Clear search and filters").click()
    staff.page.locator(".list tbody tr").nth(5).wait_for()


def test_a_filter_can_be_set_read_and_taken_away(desk: Open, mina: Held) -> None:
    staff = desk("marketing")
    page = staff.go()
    staff.read_for("marketing")
    page.get_by_role("button", name="Filter").click()
    page.get_by_label("Field", exact=True).select_option(CITY)
    page.get_by_label("Value", exact=True).fill("xia")
    page.get_by_role("button", name="Add filter").click()
    expect(page.locator(".list:not(.waiting) tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Remove filter: City contains xia").click()
    page.locator(".list tbody tr").nth(5).wait_for()


def test_what_is_asked_from_a_lock_reaches_the_wallet(desk: Open, place: Place, mina: Held) -> None:
    staff = desk("marketing")
    page = staff.go()
    staff.read_for("marketing")
    row(page, mina).get_by_role("link").click()
    phone = page.locator(".group dl > div", has_text=re.compile("^Phone number"))
    phone.get_by_role("button", name="No consent").click()
    dialog = page.get_by_role("dialog", name="Phone number")
    expect(dialog).to_contain_text("has not consented")
    dialog.get_by_role("link", name="Ask for consent").click()
    preview = page.get_by_role("region", name="As the customer sees it")
    expect(preview.get_by_role("listitem")).to_have_text([re.compile("E-mail address"), "Phone number"])
    expect(preview).to_contain_text("If you say no")
    page.get_by_role("button", name="Send request").click()
    expect(page.get_by_text("The request is in their wallet")).to_be_visible()
    asked = mina.call("GET", "/issuer/wallet/asks").json()["items"]
    wanted = [place.read_ask(one["credential"]).processes[0].fields for one in asked]
    assert {EMAIL, "contact.phone"} in wanted
    page.get_by_role("link", name="Requests", exact=True).click()
    expect(page.locator("tbody tr", has_text="Waiting")).to_have_count(1)


def test_a_customer_without_a_wallet_is_invited_and_cannot_be_asked(desk: Open, place: Place) -> None:
    staff, someone = desk("sales"), place.customer()
    page = staff.go(f"#/customers/{someone.subject}/ask")
    expect(page.get_by_text("has no wallet yet")).to_be_visible()
    expect(page.get_by_role("button", name="Send request")).to_be_disabled()
    staff.go(f"#/customers/{someone.subject}")
    page.get_by_role("button", name="Invite").click()
    page.get_by_role("button", name="Send invitation").click()
    expect(page.get_by_text("The invitation is on its way")).to_be_visible()


@pytest.mark.alone
def test_a_withdrawn_value_leaves_open_pages_within_a_second(desk: Open, place: Place) -> None:
    leaving = place.enrolled()
    given = leaving.give(place.asked(leaving), (EMAIL, CITY))
    pages = [desk("marketing"), desk("marketing")]
    for staff in pages:
        staff.go()
        staff.read_for("marketing")
        expect(row(staff.page, leaving)).to_contain_text(leaving.customer.email)
        expect(staff.page.locator(".live")).to_have_text("Live")
    row(pages[1].page, leaving).get_by_role("link").click()
    expect(pages[1].page.get_by_role("link", name=leaving.customer.email).first).to_be_visible()
    answer = leaving.call("POST", "/issuer/wallet/withdrawals", {"withdrawal": leaving.withdrawal(given)})
    assert answer.is_success, answer.text
    for staff in pages:
        expect(staff.page.get_by_text(leaving.customer.email)).to_have_count(0, timeout=1_000)
    expect(pages[1].page.get_by_role("button", name="Withdrawn").first).to_be_visible()


def test_a_server_that_fails_takes_the_values_away_and_can_be_tried_again(desk: Open, mina: Held) -> None:
    staff = desk("marketing")
    page = staff.go()
    staff.read_for("marketing")
    broken = True

    def answer(route: Route) -> None:
        if broken:
            route.fulfill(status=500, body="oops")
        else:
            route.continue_()

    page.route("**/crm/customers/query", answer)
    page.get_by_label("With granted values").check()
    expect(page.get_by_role("alert")).to_contain_text("The server had a problem")
    expect(page.get_by_text(mina.customer.email)).to_have_count(0)
    broken = False
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text(mina.customer.email)).to_be_visible()
    staff.complaints[:] = [one for one in staff.complaints if "status of 500" not in one]


def test_a_server_that_is_down_is_told(desk: Open) -> None:
    staff = desk("marketing")
    page = staff.go()
    page.route("**/crm/customers/query", lambda route: route.abort())
    staff.page.locator(".purpose select").select_option("marketing")
    expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached")
    staff.complaints[:] = [one for one in staff.complaints if "ERR_FAILED" not in one]


def test_a_session_that_ended_leads_to_the_door_and_says_so(desk: Open, place: Place) -> None:
    staff = desk()
    sign_in(staff.page, place.base, "service")
    staff.page.context.clear_cookies()
    staff.page.get_by_label("With granted values").click()
    expect(staff.page.get_by_text("Your sign-in has ended")).to_be_visible()
    expect(staff.page.locator(".list")).to_have_count(0)


def test_a_script_that_was_tampered_with_does_not_run(desk: Open) -> None:
    staff = desk()

    def tamper(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text() + ";globalThis.tampered = 1")

    staff.page.route("**/assets/*.js", tamper)
    staff.go()
    staff.page.wait_for_timeout(500)
    assert staff.page.evaluate("globalThis.tampered") is None
    assert any("integrity" in one for one in staff.complaints)
    staff.complaints.clear()


@pytest.mark.parametrize(("locale", "profile"), VIEWS, ids=lambda view: str(view)[:80])
def test_every_screen_is_accessible(desk: Open, mina: Held, locale: str, profile: dict[str, Any]) -> None:
    door, customers = WORDS[locale]
    nobody = desk(**profile)
    nobody.go()
    expect(nobody.page.get_by_role("heading", name=door)).to_be_visible()
    assert nobody.faults() == []
    staff = desk("marketing", **profile)
    page = staff.go()
    expect(page.get_by_role("heading", name=customers)).to_be_visible()
    staff.read_for("marketing")
    assert staff.faults() == []
    page.locator(".tools .button").first.click()
    assert staff.faults() == []
    page.keyboard.press("Escape")
    row(page, mina).get_by_role("link").click()
    page.locator(".group").first.wait_for()
    assert staff.faults() == []
    page.locator(".chip.lock").first.click()
    assert staff.faults() == []
    page.locator(".dialog .button.primary").click()
    page.locator(".notice").wait_for()
    assert staff.faults() == []
    staff.go("#/asks")
    page.locator(".asks, .list, .empty").first.wait_for()
    assert staff.faults() == []


def test_the_language_is_the_browsers_until_somebody_chooses(desk: Open) -> None:
    staff = desk("marketing", locale="zh-CN")
    page = staff.go()
    expect(page.get_by_role("heading", name="客户")).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    page.get_by_label("语言").select_option("en")
    expect(page.get_by_role("heading", name="Customers")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Customers")).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "en"


def test_everything_is_reached_by_keyboard(desk: Open, mina: Held) -> None:
    staff = desk("marketing")
    page = staff.go()
    staff.read_for("marketing")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # skip to content
    assert page.evaluate("document.activeElement.id") == "content"
    reached = set()
    for _ in range(16):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.innerText || document.activeElement.name || ''").strip())
    assert {"search", "Filter", "Columns", "Export", "Customer"} <= reached
    row(page, mina).get_by_role("link").focus()
    page.keyboard.press("Enter")
    page.locator(".group").first.wait_for()
    assert page.evaluate("document.activeElement.id") == "content"
