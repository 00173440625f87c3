"""The pages of staff and auditors for everybody: each screen in every size, light and dark, both languages."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import Seen
from tests.browser.house import House
from tests.browser.kept import Kept, saved
from tests.browser.looks import Looked
from tests.browser.words import Words

Profile = Callable[..., Seen]
LOCALES = ["en-GB", "zh-CN"]
CONTACTS = "Email,Given name,Shoe size,Phone\nyu.fang@example.cn,Fang,43,+86 138 0000 9911\nnot an address,Bo,44,12\n"


@pytest.fixture(scope="module")
def kept(browser: Browser, house: House, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return saved(browser, house, tmp_path_factory.mktemp("kept"))


class Visitor:
    """Somebody signed in, who walks through the screens and looks at each."""

    def __init__(self, seen: Seen, house: House, locale: str, place: str = "desk") -> None:
        self.page, self.house, self.place = seen.page, house, place
        self.words, self.looked = Words("desk" if place == "desk" else "audit", locale), Looked(seen, locale)

    def enter(self, account: str) -> None:
        self.page.context.clear_cookies()
        self.page.goto(f"{self.house.base}/{self.place}/")
        self.page.reload()
        self.page.get_by_label(self.words("account"), exact=True).fill(account)
        self.page.get_by_label(self.words("password"), exact=True).fill(self.house.password(account))
        self.page.keyboard.press("Enter")
        self.page.get_by_role("navigation").wait_for()

    def go(self, where: str, ready: str = "main h1") -> Page:
        self.page.goto(f"{self.house.base}/{self.place}/#/{where}")
        self.page.locator(ready).first.wait_for()
        expect(self.page.get_by_text(self.words("loading"))).to_have_count(0)
        return self.page

    def look(self, screen: str) -> None:
        self.looked.look(screen)

    def dialog(self, opener: Locator, screen: str) -> None:
        """Open it, look, and close it."""
        opener.click()
        self.page.get_by_role("dialog").wait_for()
        expect(self.page.get_by_text(self.words("loading"))).to_have_count(0)
        self.look(screen)
        self.page.keyboard.press("Escape")
        expect(self.page.get_by_role("dialog")).to_have_count(0)

    def button(self, key: str) -> Locator:
        return self.page.get_by_role("button", name=self.words(key), exact=True)


@pytest.mark.parametrize("locale", LOCALES)
def test_every_screen_of_those_who_read_is_accessible(house: House, profile: Profile, kept: Kept, locale: str) -> None:
    by = Visitor(profile(locale=locale), house, locale)
    by.page.goto(f"{house.base}/desk/")
    by.page.locator("form").wait_for()
    by.look("sign in")
    by.enter("mei")
    by.page.get_by_label(by.words("reading_for")).select_option("marketing")
    by.page.locator(".list td.withheld").first.wait_for(state="attached")
    by.look("customers")
    for key in ("filter", "columns", "export"):
        by.dialog(by.button(key), key)
    by.go(f"customers/{kept.subject}", ".group")
    by.look("customer")
    by.dialog(by.page.locator(".group .chip.lock").first, "lock")
    by.go(f"customers/{kept.subject}/ask?purpose=marketing", ".notice")
    by.look("ask builder")
    by.go("asks", "tbody tr")
    by.look("asks")
    assert by.looked.found == []


@pytest.mark.parametrize("locale", LOCALES)
def test_every_screen_of_those_who_oversee_is_accessible(
    house: House, profile: Profile, kept: Kept, locale: str
) -> None:
    by = Visitor(profile(locale=locale), house, locale)
    by.enter("dora")
    by.go("grounds", "main .card")
    by.look("grounds")
    by.dialog(by.button("grounds.declare"), "declare a ground")
    by.go("rights")
    by.look("rights")
    by.go("board", "main .card")
    for more in by.page.locator("main summary").all():
        more.click()
    by.look("board")
    catalogue = Words("desk.catalogue", locale)
    by.go("catalogue", "main .card")
    by.look("catalogue")
    by.page.get_by_role("button", name=catalogue("begin"), exact=True).click()
    by.page.locator("main .card").first.wait_for()
    by.look("catalogue, editing")
    by.enter("ada")
    by.go("import")
    by.look("import")
    file = {"name": "contacts.csv", "mimeType": "text/csv", "buffer": CONTACTS.encode()}
    by.page.locator("input[type=file]").set_input_files(file)  # type: ignore[arg-type]
    by.page.locator(".choice").first.wait_for()
    by.look("import, mapping")
    assert by.looked.found == []


@pytest.mark.parametrize("locale", LOCALES)
def test_every_screen_of_the_auditors_is_accessible(house: House, profile: Profile, kept: Kept, locale: str) -> None:
    by = Visitor(profile(locale=locale), house, locale, "auditor")
    by.page.goto(f"{house.base}/auditor/")
    by.page.locator("form").wait_for()
    by.look("sign in")
    by.enter("aron")
    by.go(f"search?person={kept.subject}", "tbody tr")
    by.look("search")
    by.page.locator("tbody tr a").first.click()
    by.page.get_by_text(by.words("proof.same")).first.wait_for()
    by.look("event")
    by.go(f"provenance/{kept.subject}/contact.email", "main table")
    by.look("provenance")
    for where in ("exports", "verify", "log"):
        by.go(where)
        by.look(where)
    assert by.looked.found == []
