"""The catalogue through the pages: a draft is put together, refused at its field, looked at, approved, gone back on."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.attacks.pieces import CITY, EMAIL, PHONE
from tests.attacks.place import Place
from tests.browser.conftest import Desk

Open = Callable[..., Desk]
VIEWS = [
    (locale, {"locale": locale, "viewport": {"width": width, "height": 800}, "color_scheme": scheme})
    for locale in ("en-GB", "zh-CN")
    for width, scheme in ((1280, "light"), (640, "light"), (360, "dark"))  # 640: 1280 at 200 %
]
BEGIN = {"en-GB": "New version", "zh-CN": "新建版本"}
LOOK = {"en-GB": "Look and decide", "zh-CN": "查看并决定"}


def _begin(page: Page, name: str) -> None:
    page.get_by_role("button", name="New version").click()
    page.get_by_label("Name of the new version").fill(name)


def _field(page: Page, id_: str) -> None:
    page.locator(".entries").get_by_role("button", name=id_).first.click()


def test_a_version_is_put_together_refused_at_its_field_approved_by_another_and_gone_back_on(
    desk: Open, place: Place
) -> None:
    leaving = place.enrolled()
    leaving.give(place.asked(leaving, (EMAIL, CITY)))
    first, second = desk("dpo"), desk("dan")
    page = first.go("#/catalogue")
    _begin(page, "2026-12")
    page.get_by_label("New field").fill("membership.level")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_label("Label (English)").fill("Level")
    page.get_by_role("button", name="Sign the draft").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Fields › membership.level › Category")  # what is wrong, and where
    expect(page.get_by_label("Category (DPV-PD)")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Category (DPV-PD)").fill("pd:Preference")
    page.get_by_label("Label (简体中文)").fill("等级")
    page.get_by_label("Part of the catalogue").select_option("purposes")
    _field(page, "marketing")
    page.get_by_label("City", exact=True).select_option("")
    page.get_by_role("button", name="2 changes").click()
    expect(page.get_by_role("dialog")).to_contain_text("purposes.marketing.necessity.address.city")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Sign the draft").click()
    page.get_by_role("button", name="Look and decide").click()
    mine = page.get_by_role("dialog")
    expect(mine).to_contain_text("somebody else has to approve it")
    expect(mine.get_by_role("button", name="Approve")).to_have_count(0)

    other = second.go("#/catalogue")
    other.get_by_role("button", name="Look and decide").click()
    dialog = other.get_by_role("dialog")
    expect(dialog).to_contain_text("This ends for good")
    expect(dialog).to_contain_text(re.compile(r"1 of \d+ customers, 1 consents and 0 statutory grounds"))
    dialog.get_by_role("button", name="Approve").click()
    expect(other.get_by_text("Version 2026-12 is in effect (number 1).")).to_be_visible()
    assert CITY not in place.shown(leaving.subject)["fields"]

    page.reload()
    row = page.locator("tbody tr", has_text="2026-11-22")
    row.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("dialog")).to_contain_text("membership.level")
    page.keyboard.press("Escape")
    row.get_by_role("button", name="Go back").click()
    page.get_by_label("Name of the new version").fill("2026-12")
    page.get_by_role("button", name="Sign the draft").click()
    expect(page.get_by_role("dialog").locator(".hint.bad")).to_contain_text("give the new one a name of its own")
    first.forgive("status of 422")
    page.get_by_label("Name of the new version").fill("as before")
    page.get_by_role("button", name="Sign the draft").click()
    page.get_by_role("button", name="Look and decide").click()
    page.get_by_role("dialog").get_by_role("button", name="Withdraw the draft").click()
    expect(page.get_by_text("No draft waits")).to_be_visible()
    first.forgive("status of 422")


def test_who_is_no_overseer_has_no_catalogue_and_who_is_no_officer_only_looks(desk: Open) -> None:
    page = desk("sales").go("#/catalogue")
    expect(page.get_by_role("heading", name="Customers")).to_be_visible()
    expect(page.get_by_role("link", name="Catalogue")).to_have_count(0)
    auditor = desk("auditor").go("#/catalogue")
    auditor.get_by_role("cell", name="trusted as the program is").wait_for()
    expect(auditor.get_by_role("button", name="New version")).to_have_count(0)


def test_what_is_worked_on_stays_while_one_looks_elsewhere(desk: Open) -> None:
    staff = desk("dpo")
    page = staff.go("#/catalogue")
    _begin(page, "later")
    _field(page, PHONE)
    page.get_by_label("Label (English)").fill("Telephone")
    page.get_by_role("link", name="Grounds").click()
    page.get_by_role("heading", name="Grounds").wait_for()
    page.get_by_role("link", name="Catalogue").click()
    expect(page.get_by_label("Name of the new version")).to_have_value("later")
    expect(page.get_by_role("button", name="1 change")).to_be_visible()
    page.get_by_role("button", name="Discard").click()
    expect(page.get_by_role("button", name="New version")).to_be_visible()


@pytest.mark.parametrize(("locale", "profile"), VIEWS, ids=lambda view: str(view)[:80])
def test_every_view_of_it_is_accessible(desk: Open, place: Place, locale: str, profile: dict[str, Any]) -> None:
    if not place.get("dpo", "/issuer/catalogue/drafts").json()["items"]:
        made = place.post("dpo", "/issuer/catalogue/rollbacks", {"number": 0, "version": "again"})
        assert made.status_code == 201, made.text
    staff = desk("dpo", **profile)
    page = staff.go("#/catalogue")
    page.get_by_role("button", name=LOOK[locale]).first.wait_for()
    assert staff.faults() == []
    page.get_by_role("button", name=LOOK[locale]).first.click()
    page.locator(".changes").wait_for()
    assert staff.faults() == []
    page.keyboard.press("Escape")
    page.get_by_role("button", name=BEGIN[locale]).click()
    for section, entry in (
        ("fields", EMAIL),
        ("purposes", "marketing"),
        ("recipients", "partner"),
        ("notices", "sales"),
    ):
        page.locator(".entries select").select_option(section)
        _field(page, entry)
        page.locator("#entry").wait_for()
        assert staff.faults() == [], section
