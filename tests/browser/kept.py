"""A wallet that was saved: what its owner has outside the browser, so that tests need not begin at the beginning."""

import re
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser

from tests.browser.conftest import Seen
from tests.browser.house import House
from tests.browser.pocket import Pocket
from tests.browser.words import Words


@dataclass(frozen=True)
class Kept:
    """What a customer has of their wallet outside the browser: the file and the words."""

    file: Path
    words: str
    subject: str


def saved(browser: Browser, house: House, folder: Path) -> Kept:
    """A wallet that joined, with a consent to marketing, saved both ways; its browser is gone."""
    context = browser.new_context(locale="en-GB")
    mine = Pocket(Seen.in_(context).page, Words("wallet", "en-GB"))
    invited, file = house.invite(), folder / "wallet.fieldgrant"
    mine.page.goto(invited.link)
    known = house.letters()
    mine.create()
    mine.join(house.code(known))
    subject = house.newest()
    ask(house, subject)
    mine.button("backup.make").click()
    words = mine.write_words()
    mine.button("refresh").click()
    open_ask(mine)
    mine.page.get_by_role("checkbox", name=re.compile("^E-mail address")).check()
    mine.button("ask.sign", n=1).click()
    mine.heading("ask.given").wait_for()
    mine.to("settings")
    mine.section("settings.backup").get_by_role("button", name=mine.words("backup.make")).click()
    mine.save_file().save_as(file)
    context.close()
    return Kept(file, " ".join(words), subject)


def ask(house: House, subject: str) -> None:
    processes = [{"purpose": "marketing", "fields": ["contact.email", "address.city"]}]
    made = house.call("mei", "POST", "/issuer/asks", {"subject": subject, "processes": processes})
    assert made.is_success, made.text


def open_ask(mine: Pocket) -> None:
    mine.section("home.waiting").get_by_role("listitem").get_by_role("button").first.click()


def brought_back(seen: Seen, address: str, kept: Kept, locale: str = "en-GB") -> Pocket:
    mine = Pocket(seen.page, Words("wallet", locale))
    mine.page.goto(address)
    mine.from_file(kept.file)
    mine.opened()
    return mine
