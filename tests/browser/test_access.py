"""The wallet for everybody: axe finds nothing, nothing is cut off on a small screen, the keyboard is enough."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from fieldgrant import pages
from tests.browser.conftest import Seen
from tests.browser.house import House, alone
from tests.browser.kept import Kept, ask, brought_back, open_ask, saved
from tests.browser.looks import Looked
from tests.browser.pocket import PASSPHRASE, Pocket
from tests.browser.words import Words

Profile = Callable[..., Seen]


@pytest.fixture(scope="module")
def kept(browser: Browser, house: House, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return saved(browser, house, tmp_path_factory.mktemp("kept"))


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_every_screen_before_a_wallet_is_open_is_accessible(profile: Profile, locale: str) -> None:
    with alone(pages.wallet_app()) as origin:
        seen = profile(locale=locale)
        mine, looked = Pocket(seen.page, Words("wallet", locale)), Looked(seen, locale)
        mine.page.goto(origin.address)
        expect(mine.heading("start.title")).to_be_visible()
        looked.look("start")
        for way in ("start.create", "start.file", "start.words"):
            mine.button(way).click()
            looked.look(way)
            mine.button("back").click()
        mine.create()
        expect(mine.heading("home.nobody")).to_have_count(0)
        looked.look("empty home")
        mine.page.get_by_role("link", name=mine.words("home.open")).click()
        mine.page.get_by_text(mine.words("rejoin.title")).click()
        looked.look("open an invitation")
        mine.button("lock").click()
        mine.unlock("not the passphrase")
        expect(mine.page.get_by_role("alert")).to_be_visible()
        looked.look("locked, after a wrong passphrase")
    assert looked.found == []


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_every_screen_of_an_open_wallet_is_accessible(profile: Profile, house: House, kept: Kept, locale: str) -> None:
    seen = profile(locale=locale)
    if locale == "en-GB":
        processes = [{"purpose": "service", "fields": ["contact.phone", "address.city"]}]
        made = house.call("sina", "POST", "/issuer/asks", {"subject": kept.subject, "processes": processes})
        assert made.is_success, made.text
    mine, looked = brought_back(seen, house.wallet, kept, locale), Looked(seen, locale)
    places = mine.page.get_by_role("navigation").get_by_role("link")
    for place in places.all():
        place.click()
        expect(place).to_have_attribute("aria-current", "page")
        expect(mine.page.get_by_text(mine.words("loading")).first).to_have_count(0)
        for entry in mine.page.locator("main summary").all()[:1]:
            entry.click()
        looked.look(place.inner_text())
    mine.to("home")
    open_ask(mine)
    expect(mine.button("ask.decline")).to_be_visible()
    for more in mine.page.locator("main summary").all():
        more.click()
    looked.look("ask")
    mine.button("ask.decline").click()
    looked.look("say no")
    mine.page.keyboard.press("Escape")
    mine.to("settings")
    mine.section("settings.backup").get_by_role("button", name=mine.words("backup.make")).click()
    looked.look("backup")
    mine.field("passphrase").fill(PASSPHRASE)
    mine.button("backup.words").click()
    expect(mine.page.get_by_role("dialog").get_by_role("listitem")).to_have_count(24)
    looked.look("words")
    mine.page.keyboard.press("Escape")
    mine.button("settings.erase").click()
    looked.look("erase")
    mine.page.keyboard.press("Escape")
    mine.to("data")
    mine.page.get_by_role("switch").first.click()
    looked.look("switch off")
    assert looked.found == []


def test_a_consent_is_given_and_ended_by_keyboard_alone(profile: Profile, house: House, kept: Kept) -> None:
    seen = profile()
    ask(house, kept.subject)
    mine = brought_back(seen, house.wallet, kept)
    page = mine.page
    expect(mine.section("home.waiting").get_by_role("listitem").first).to_be_visible()
    press(page, lambda: at(page, "button", re.compile("our offers")), "Enter")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    press(page, lambda: at(page, "checkbox", re.compile("E-mail")), "Space")
    press(page, lambda: at(page, "button", mine.words("ask.sign", n=1)), "Enter")
    expect(mine.heading("ask.given")).to_be_visible()
    press(page, lambda: at(page, "link", mine.words("place.data")), "Enter")
    expect(page.get_by_role("switch").first).to_be_visible()
    press(page, lambda: at(page, "switch", re.compile("E-mail")), "Space")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("switch", name=re.compile("E-mail")).first).to_be_focused()
    page.keyboard.press("Space")
    press(page, lambda: at(page, "button", re.compile("Switch off|Withdraw")), "Enter")
    expect(page.get_by_role("heading", name=mine.words("end.done"))).to_be_visible()


def press(page: Page, there: Callable[[], bool], key: str) -> None:
    """Tab until the focus is there, each stop visible, and press the key."""
    for _ in range(80):
        if there():
            break
        page.keyboard.press("Tab")
        assert page.evaluate(_VISIBLE), page.evaluate("document.activeElement.outerHTML")
    assert there()
    page.keyboard.press(key)


_VISIBLE = """() => {
  const at = document.activeElement;
  if (at === document.body || at.type === 'date') return true;  // within a date the browser marks day, month, year
  const style = getComputedStyle(at), around = at.closest('label, .row, summary') ?? at;
  const ring = one => one.outlineStyle !== 'none' && parseFloat(one.outlineWidth) > 0 || one.boxShadow !== 'none';
  return at.checkVisibility() && (ring(style) || ring(getComputedStyle(around)));
}"""


def at(page: Page, role: str, name: str | re.Pattern[str]) -> bool:
    """Whether what has the focus is this."""
    focused = page.locator("*:focus")
    wanted = page.get_by_role(role, name=name, exact=isinstance(name, str) or None)  # type: ignore[arg-type]
    return focused.and_(wanted).count() == 1
