"""The wallet by itself: brought back from a file and from words, opened without a network, closed to guesses."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter

import pytest
from playwright.sync_api import Browser, Route, expect

from fieldgrant import pages
from tests.browser.conftest import Seen
from tests.browser.house import House, Origin, alone
from tests.browser.kept import Kept, brought_back, open_ask, saved
from tests.browser.pocket import PASSPHRASE, Pocket
from tests.browser.words import Words

Profile = Callable[..., Seen]
LEAST = 0.05  # seconds that one guess costs at the very least, on a machine faster than any


@pytest.fixture(scope="module")
def kept(browser: Browser, house: House, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return saved(browser, house, tmp_path_factory.mktemp("kept"))


@pytest.fixture
def page_alone(browser: Browser) -> Iterator[Origin]:
    """The wallet's page on an origin of its own, without any organisation; it can be stopped."""
    with alone(pages.wallet_app()) as origin:
        yield origin


def allowed(mine: Pocket) -> None:
    expect(mine.section("home.allowed").get_by_role("listitem")).to_contain_text("1 field")


def test_a_file_brings_everything_back_into_an_empty_profile(profile: Profile, house: House, kept: Kept) -> None:
    mine = brought_back(profile(), house.wallet, kept)
    allowed(mine)
    mine.to("receipts")
    expect(mine.section("receipts.receipts").get_by_role("listitem")).to_have_count(1)
    mine.page.reload()
    mine.unlock()
    mine.opened()


def test_the_words_bring_keys_back_and_the_organisation_gives_back_the_rest(
    profile: Profile, house: House, kept: Kept
) -> None:
    mine = Pocket(profile().page, Words("wallet", "en-GB"))
    mine.page.goto(house.wallet)
    mine.from_words(kept.words, "another passphrase")
    mine.page.get_by_role("link", name=mine.words("home.open")).click()
    mine.page.get_by_text(mine.words("rejoin.title")).click()
    mine.field("rejoin.address").fill(house.base)
    mine.button("rejoin.find").click()
    allowed(mine)


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_what_brings_nothing_back_is_told_in_plain_words(
    profile: Profile, page_alone: Origin, kept: Kept, locale: str, tmp_path: Path
) -> None:
    mine = Pocket(profile(locale=locale).page, Words("wallet", locale))
    mine.page.goto(page_alone.address)
    mine.from_file(kept.file, "not this passphrase")
    expect(mine.page.get_by_role("alert")).to_have_text(mine.words("problem.wrong_passphrase"))
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff not a wallet")
    mine.field("file.file").set_input_files(tmp_path / "photo.jpg")
    mine.button("restore").click()
    expect(mine.page.get_by_role("alert")).to_have_text(mine.words("problem.bad_wallet"))
    mine.button("back").click()
    mine.from_words(kept.words.rsplit(" ", 1)[0])
    expect(mine.page.get_by_role("alert")).to_have_text(mine.words("problem.bad_words"))
    expect(mine.page.get_by_role("navigation")).to_have_count(0)


def test_a_wrong_passphrase_costs_time_opens_nothing_and_is_told_to_the_owner(
    profile: Profile, page_alone: Origin, kept: Kept
) -> None:
    mine = brought_back(profile(), page_alone.address, kept)
    mine.button("lock").click()
    assert "E-mail" not in mine.page.inner_text("body")
    for guess in ("password", "Passw0rd!"):
        mine.field("passphrase").fill(guess)
        started = perf_counter()
        mine.button("unlock").click()
        expect(mine.page.get_by_role("alert")).to_have_text(mine.words("problem.wrong_passphrase"))
        assert perf_counter() - started > LEAST
        expect(mine.page.get_by_role("navigation")).to_have_count(0)
        mine.field("passphrase").fill("")
        mine.page.get_by_role("heading", level=1).click()
    mine.unlock()
    mine.opened()
    expect(mine.page.get_by_text(mine.words.like("home.tries"))).to_contain_text("2")


def test_guessing_cannot_be_made_cheaper_by_the_page(profile: Profile, page_alone: Origin, kept: Kept) -> None:
    """How often a passphrase is hashed is stored beside the key; a file that asks for less is refused."""
    text = kept.file.read_text(encoding="utf-8")
    assert re.search(r'"iterations":\s*600000', text)
    seen = profile()
    mine = Pocket(seen.page, Words("wallet", "en-GB"))
    mine.page.goto(page_alone.address)
    mine.button("start.file").click()
    cheap = {"name": "cheap.fieldgrant", "mimeType": "application/json", "buffer": text.replace("600000", "1").encode()}
    mine.field("file.file").set_input_files(cheap)  # type: ignore[arg-type]
    mine.field("file.passphrase").fill(PASSPHRASE)
    mine.button("restore").click()
    expect(mine.page.get_by_role("alert")).to_be_visible()
    expect(mine.page.get_by_role("navigation")).to_have_count(0)


def test_the_wallet_opens_without_a_network_and_says_what_it_does_not_know(
    profile: Profile, page_alone: Origin, kept: Kept, house: House
) -> None:
    seen = profile()
    mine = brought_back(seen, page_alone.address, kept)
    allowed(mine)
    mine.page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page_alone.stop()
    seen.page.context.route(f"{house.base}/**", lambda route: route.abort())
    mine.page.reload()
    mine.unlock()
    mine.opened()
    allowed(mine)
    expect(mine.section("home.waiting")).to_contain_text("does not answer at the moment")
    expect(mine.section("home.latest")).to_contain_text(mine.words("home.unread"))
    mine.to("data")
    expect(mine.page.get_by_role("switch")).to_have_count(1)
    expect(mine.page.get_by_text(mine.words.like("data.old")).first).to_be_visible()
    mine.to("receipts")
    expect(mine.section("receipts.receipts").get_by_role("listitem")).to_have_count(1)
    mine.to("settings")
    expect(mine.page.get_by_role("heading", level=1)).to_be_visible()
    seen.forgive("ERR_FAILED", "ERR_CONNECTION_REFUSED", "ERR_INTERNET")


def test_a_second_window_leaves_the_wallet_to_the_first(profile: Profile, page_alone: Origin, kept: Kept) -> None:
    mine = brought_back(profile(), page_alone.address, kept)
    other = mine.page.context.new_page()
    other.goto(page_alone.address)
    expect(other.get_by_role("heading", name=mine.words("elsewhere.title"))).to_be_visible()
    mine.page.close()
    other.get_by_role("button", name=mine.words("again")).click()
    expect(other.get_by_role("heading", name=mine.words("unlock.title"))).to_be_visible()


def test_a_consent_that_does_not_get_through_is_kept_and_sent_once_when_it_can(
    profile: Profile, house: House, kept: Kept
) -> None:
    seen = profile()
    mine = brought_back(seen, house.wallet, kept)
    processes = [{"purpose": "support", "fields": ["contact.phone"]}]
    made = house.call("sina", "POST", "/issuer/asks", {"subject": kept.subject, "processes": processes})
    assert made.is_success, made.text
    mine.button("refresh").click()
    open_ask(mine)
    sent: list[str] = []
    down = True

    def answer(route: Route) -> None:
        sent.append(route.request.method)
        if down:
            route.abort()
        else:
            route.continue_()

    mine.page.context.route("**/issuer/wallet/consents", answer)
    mine.page.get_by_role("checkbox").first.check()
    mine.button("ask.sign", n=1).click()
    expect(mine.page.get_by_text(mine.words.like("ask.waits"))).to_be_visible()
    down = False
    mine.page.reload()
    mine.unlock()
    mine.opened()
    mine.to("home")
    expect(mine.section("home.allowed").get_by_role("listitem")).to_have_count(2)
    expect(mine.page.get_by_text(mine.words("sent"), exact=True)).to_have_count(0)
    assert [one for one in sent if one == "POST"] == ["POST", "POST"]
    seen.forgive("ERR_FAILED")
