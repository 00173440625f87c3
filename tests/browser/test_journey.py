"""The whole journey by clicking, in what `fieldgrant serve` starts: customer and staff, a browser for each."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Seen
from tests.browser.house import House, Invited
from tests.browser.pocket import Pocket
from tests.browser.words import Words

Profile = Callable[..., Seen]
NAMES = {"en-GB": ("E-mail address", "City"), "zh-CN": ("电子邮箱", "城市")}


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_a_consent_is_asked_for_given_used_seen_ended_and_proved(
    house: House, profile: Profile, tmp_path: Path, locale: str
) -> None:
    customer, staff = profile(locale=locale), profile(locale=locale)
    mine, desk, names = Pocket(customer.page, Words("wallet", locale)), Words("desk", locale), NAMES[locale]
    invited = house.invited() if locale == "en-GB" else house.invite()
    subject = joins(mine, house, invited)
    asks(staff.page, desk, house, subject, names)
    expect(staff.page.get_by_text(invited.email)).to_have_count(0)
    opens_the_ask(mine, names)
    if locale == "en-GB":
        assert len(mine.write_words()) == 24
    else:
        mine.save_file().save_as(tmp_path / "wallet.fieldgrant")
    expect(mine.heading("ask.given")).to_be_visible()
    expect(staff.page.get_by_text(invited.email).first).to_be_visible()  # without a reload
    sees_the_read(mine, names)
    withdraws(mine)
    expect(staff.page.get_by_text(invited.email)).to_have_count(0, timeout=1_000)
    sees_the_end(mine, names)
    holds_the_certificate(mine, names)
    auditor = profile(locale=locale, accept_downloads=True)
    proves(auditor.page, Words("audit", locale), house, subject, tmp_path)


def joins(mine: Pocket, house: House, invited: Invited) -> str:
    """The invitation makes a wallet, and a code that came another way opens it. Who the customer is to staff."""
    mine.page.goto(invited.link)
    expect(mine.page.get_by_text(mine.words("start.invited"))).to_be_visible()
    assert "token" not in mine.page.url
    known = house.letters()
    mine.create()
    expect(mine.heading("enrol.code.title")).to_be_visible()
    mine.join(house.code(known))
    return house.newest()


def sign_in(page: Page, words: Words, address: str, account: str, password: str) -> None:
    page.goto(address)
    page.get_by_label(words("account"), exact=True).fill(account)
    page.get_by_label(words("password"), exact=True).fill(password)
    page.get_by_role("button", name=words("sign_in"), exact=True).click()
    page.get_by_role("navigation").wait_for()


def asks(page: Page, desk: Words, house: House, subject: str, names: tuple[str, ...]) -> None:
    """Marketing begins at a lock, and puts a request together; afterwards the customer's screen is open."""
    sign_in(page, desk, f"{house.base}/desk/", "mei", house.password("mei"))
    page.get_by_label(desk("reading_for")).select_option("marketing")
    page.goto(f"{house.base}/desk/#/customers/{subject}")
    page.get_by_role("button", name=desk("lock.no_ground")).first.click()
    page.get_by_role("dialog").get_by_role("link", name=desk("ask")).click()
    for name in names:
        page.get_by_label(re.compile(f"^{name}")).check()
    page.get_by_role("button", name=desk("ask.send")).click()
    expect(page.get_by_text(desk("ask.sent"), exact=True)).to_be_visible()
    page.get_by_role("link", name=desk("ask.sent.back")).click()
    page.get_by_role("button", name=desk("lock.no_ground")).first.wait_for()


def opens_the_ask(mine: Pocket, names: tuple[str, ...]) -> None:
    """Nothing is ticked for its owner; before the first signature the wallet is brought to safety."""
    mine.button("refresh").click()
    mine.section("home.waiting").get_by_role("listitem").get_by_role("button").click()
    expect(mine.button("ask.tick_first")).to_be_disabled()
    expect(mine.page.get_by_role("checkbox", checked=True)).to_have_count(0)
    for name in names:
        mine.page.get_by_role("checkbox", name=re.compile(f"^{name}")).check()
    mine.button("ask.sign", n=len(names)).click()
    expect(mine.page.get_by_text(mine.words("backup.first"))).to_be_visible()


def sees_the_read(mine: Pocket, names: tuple[str, ...]) -> None:
    """That staff looked stands in the history, and the log proves it."""
    mine.to("history")
    reads = lines(mine, "place.history", names[0]).filter(has_text=mine.words("role.marketing"))
    entry = reads.filter(has_text=mine.words("event.release")).first
    entry.locator("summary").click()
    entry.get_by_role("button", name=mine.words("history.prove")).click()
    expect(entry.get_by_text(mine.words.like("history.proved"))).to_be_visible()


def withdraws(mine: Pocket) -> None:
    """The consequence is named first."""
    mine.to("data")
    expect(mine.page.get_by_role("switch")).to_have_count(2)
    mine.button("data.withdraw").click()
    box = mine.page.get_by_role("dialog")
    expect(box).to_contain_text(mine.words("end.shred"))
    box.get_by_role("button", name=mine.words("end.consent"), exact=True).click()
    mine.page.get_by_role("heading", name=mine.words("end.done")).wait_for()


def sees_the_end(mine: Pocket, names: tuple[str, ...]) -> None:
    """The address is locked away for a time that a law sets, and nobody reads it any more."""
    mine.page.get_by_role("dialog").get_by_role("button", name=mine.words("done"), exact=True).click()
    told = lines(mine, "fates.title", names[0]).get_by_text(mine.words("fate.sealed"), exact=True)
    expect(told).to_be_visible(timeout=30_000)


def holds_the_certificate(mine: Pocket, names: tuple[str, ...]) -> None:
    """Verified in this browser, and proved against the log."""
    mine.to("receipts")
    certificate = lines(mine, "receipts.certificates", names[0]).first
    certificate.locator("summary").click()
    expect(certificate.get_by_text(mine.words("receipts.signed"))).to_be_visible()
    certificate.get_by_role("button", name=mine.words("history.prove")).click()
    expect(certificate.get_by_text(mine.words.like("receipts.proved", r"\d"))).to_be_visible()


def proves(page: Page, words: Words, house: House, subject: str, folder: Path) -> None:
    """An auditor has the evidence packed, takes it along, and verifies it from the file."""
    sign_in(page, words, f"{house.base}/auditor/", "aron", house.password("aron"))
    page.get_by_role("navigation").get_by_role("link", name=words("exports"), exact=True).click()
    page.get_by_label(words("person")).fill(subject)
    page.get_by_role("button", name=words("exports.do"), exact=True).click()
    fetch = page.get_by_role("link", name=words("export.fetch"), exact=True)
    fetch.wait_for()
    with page.expect_download() as taken:
        fetch.click()
    taken.value.save_as(folder / "bundle.zip")
    page.get_by_role("navigation").get_by_role("link", name=words("verify"), exact=True).click()
    page.get_by_label(words("verify.drop")).set_input_files(folder / "bundle.zip")
    expect(page.get_by_role("heading", name=words("verdict.valid"), exact=True)).to_be_visible(timeout=20_000)


def lines(mine: Pocket, section: str, text: str) -> Locator:
    return mine.section(section).get_by_role("listitem").filter(has_text=text)
