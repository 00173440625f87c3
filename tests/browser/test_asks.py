"""Requests through the pages: handed over as link and code, ended for good, asked again."""

import json
import subprocess
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.attacks.holder import Held
from tests.attacks.pieces import CITY, EMAIL
from tests.attacks.place import Place
from tests.browser.conftest import ROOT, Desk
from tools import web

Open = Callable[..., Desk]
WALLET = "https://wallet.example.com"
WAITING = {"en-GB": "Link and code", "zh-CN": "链接与二维码"}
VIEWS = [
    (locale, {"locale": locale, "viewport": {"width": width, "height": 800}, "color_scheme": scheme})
    for locale in ("en-GB", "zh-CN")
    for width, scheme in ((1280, "light"), (640, "light"), (360, "dark"))  # 640: 1280 at 200 %
]
# what a camera would see of the code: four points for each module
_DECODE = """
import decodeQR from "qr/decode.js";
const {size, dark} = JSON.parse(process.argv[1]);
const scale = 4, width = size * scale, data = new Uint8Array(width * width * 4).fill(255);
for (const [x, y] of dark) for (let i = 0; i < scale; i++) for (let j = 0; j < scale; j++)
  data.fill(0, ((y * scale + i) * width + x * scale + j) * 4, ((y * scale + i) * width + x * scale + j) * 4 + 3);
console.log(decodeQR({width, height: width, data}));
"""


@pytest.fixture(scope="module")
def mina(place: Place) -> Held:
    settings = place.platform.settings.model_copy(update={"wallet_url": WALLET})
    object.__setattr__(place.platform, "settings", settings)
    return place.enrolled()


def _row(page: Page, held: Held, state: str = "Waiting") -> Locator:
    """A customer's request in this state: all tests' clock stands still, so the order says nothing."""
    return page.locator(f"tbody tr:has(a[href='#/customers/{held.subject}'])", has_text=state).first


def _read(page: Page) -> str:
    """What the code says, decoded."""
    code = page.locator("svg.code")
    size = int((code.get_attribute("viewBox") or "").split()[2])
    path = code.locator("path").get_attribute("d") or ""
    dark = [[int(number) for number in one.split("h")[0].split()] for one in path.split("M")[1:]]
    command = [web.node()[0], "--input-type=module", "-e", _DECODE, json.dumps({"size": size, "dark": dark})]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=60)
    return found.stdout.strip()


def test_a_request_is_handed_over_as_a_link_and_as_a_code_that_say_the_same(
    desk: Open, place: Place, mina: Held
) -> None:
    ask = place.asked(mina, (EMAIL,))
    staff = desk("marketing")
    page = staff.go("#/asks")
    _row(page, mina).get_by_role("button", name="Link and code").click()
    dialog = page.get_by_role("dialog", name="Hand the request over")
    link = dialog.get_by_role("link").get_attribute("href") or ""
    assert _read(page) == link
    assert [unquote(one) for one in link.removeprefix(f"{WALLET}/#/").split("/")] == [
        "ask", place.platform.controller, ask.id,
    ]  # fmt: skip
    assert mina.subject not in link
    page.keyboard.press("Escape")
    _end(page, mina)


def _end(page: Page, held: Held) -> None:
    _row(page, held).get_by_role("button", name="End").click()
    page.get_by_role("dialog", name="End this request").get_by_role("button", name="End the request").click()
    expect(_row(page, held)).to_have_count(0)
    expect(_row(page, held, "Ended")).to_be_visible()


def test_an_ended_request_can_no_longer_be_answered_and_may_be_made_again(desk: Open, place: Place, mina: Held) -> None:
    ask = place.asked(mina, (CITY,))
    given = mina.consent(ask)
    page = desk("marketing").go("#/asks")
    _end(page, mina)
    refused = mina.call("POST", "/issuer/wallet/consents", {"consent": given})
    assert (refused.status_code, refused.json()["code"]) == (409, "ask_ended")
    assert mina.call("GET", f"/issuer/wallet/asks/{ask.id}").json()["standing"] == "revoked"
    page.get_by_label("State").select_option("revoked")
    _row(page, mina, "Ended").get_by_role("link", name="Ask again").click()
    page.get_by_role("button", name="Send request").click()
    page.get_by_role("button", name="Link and code").click()  # at once, where it was made
    page.locator("svg.code").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Requests", exact=True).click()
    _end(page, mina)


def test_who_may_not_act_for_a_request_neither_hands_it_over_nor_ends_it(desk: Open, place: Place, mina: Held) -> None:
    place.asked(mina, (EMAIL, CITY))
    page = desk("auditor").go("#/asks")
    expect(_row(page, mina)).to_contain_text("Waiting")
    expect(_row(page, mina).get_by_role("button")).to_have_count(0)
    officer = desk("dpo").go("#/asks")
    expect(_row(officer, mina).get_by_role("button")).to_have_text(["End"])
    _end(officer, mina)


@pytest.mark.parametrize(("locale", "profile"), VIEWS, ids=lambda view: str(view)[:80])
def test_the_screen_and_its_dialogs_are_accessible(
    desk: Open, place: Place, mina: Held, locale: str, profile: dict[str, Any]
) -> None:
    place.asked(mina, (EMAIL, CITY))
    staff = desk("marketing", **profile)
    page = staff.go("#/asks")
    first = page.get_by_role("button", name=WAITING[locale]).first
    first.wait_for()
    assert staff.faults() == []
    first.click()
    page.locator("svg.code").wait_for()
    assert staff.faults() == []
