"""A customer asks, an officer answers: between the wallet and the desk, a browser for each."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import Seen
from tests.browser.house import House
from tests.browser.kept import Kept, brought_back, saved
from tests.browser.looks import Looked
from tests.browser.pocket import Pocket
from tests.browser.words import Words

Profile = Callable[..., Seen]
BECAUSE = {
    "en-GB": "The campaign of November was put together.\nYour city decided whether it is for you.",
    "zh-CN": "编制十一月的活动名单，按城市确定是否适合您。",
}


@pytest.fixture(scope="module")
def kept(browser: Browser, house: House, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return saved(browser, house, tmp_path_factory.mktemp("kept"))


def officer(seen: Seen, house: House, locale: str, account: str = "dora") -> tuple[Page, Words]:
    """Who answers, signed in."""
    words, page = Words("desk.rights", locale), seen.page
    page.goto(f"{house.base}/desk/")
    page.get_by_label(words("account"), exact=True).fill(account)
    page.get_by_label(words("password"), exact=True).fill(house.password(account))
    page.get_by_role("button", name=words("sign_in"), exact=True).click()
    page.get_by_role("navigation").wait_for()
    return page, words


def newest(house: House, page: Page, kind: str) -> Locator:
    """The link to the request that came last."""
    items = house.call("dora", "GET", "/issuer/requests").json()["items"]
    found = max((one for one in items if one["kind"] == kind), key=lambda one: str(one["received_at"]))
    return page.locator(f'a[href$="{found["id"].rpartition(":")[2]}"]')


def entry(mine: Pocket, what: str) -> Locator:
    """The newest line of the history that says this, opened."""
    mine.to("home")
    mine.to("history")
    found = mine.section("place.history").get_by_role("listitem").filter(has_text=what).first
    found.locator("summary").first.click()
    return found


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_why_a_read_took_place_is_asked_in_the_history_and_answered_at_the_desk(
    house: House, profile: Profile, kept: Kept, locale: str
) -> None:
    read = house.call("mei", "GET", f"/crm/customers/{kept.subject}?purpose=marketing")
    assert read.is_success, read.text
    customer, staff = profile(locale=locale), profile(locale=locale)
    mine = brought_back(customer, house.wallet, kept, locale)
    wrong = Looked(customer, locale)
    line = entry(mine, mine.words("role.marketing"))
    line.get_by_role("button", name=mine.words("why"), exact=True).click()
    expect(line.get_by_text(mine.words("why.ask"))).to_be_visible()
    line.get_by_role("button", name=mine.words("why.formal"), exact=True).click()
    box = customer.page.get_by_role("dialog")
    expect(box).to_contain_text(mine.words("role.marketing"))  # which read it is
    wrong.look("ask why")
    box.get_by_role("button", name=mine.words("right.send"), exact=True).click()
    expect(box).to_contain_text(mine.words("state.identified"))
    box.get_by_role("button", name=mine.words("done"), exact=True).click()
    expect(mine.section("requests.asked")).to_contain_text(mine.words("right.explanation"))

    page, words = officer(staff, house, locale)
    desk = Looked(staff, locale)
    page.get_by_role("navigation").get_by_role("link", name=words("rights"), exact=True).click()
    asked = newest(house, page, "explanation")
    expect(asked).to_have_text(words("kind.explanation"))
    desk.look("list")
    asked.click()
    told = page.get_by_role("region", name=words("read"), exact=True)
    expect(told).to_contain_text(words("role.marketing"))
    desk.look("request")
    page.get_by_role("button", name=words("answer.explanation"), exact=True).click()
    page.get_by_label(words("explanation"), exact=True).fill(BECAUSE[locale])
    desk.look("explain")
    page.get_by_role("dialog").get_by_role("button", name=words("sign"), exact=True).click()
    expect(page.get_by_role("region", name=words("steps"), exact=True)).to_contain_text(BECAUSE[locale][:20])
    desk.look("answered")

    mine.to("home")
    mine.to("requests")
    row = mine.section("requests.asked").get_by_role("listitem").filter(has_text=mine.words("right.explanation")).first
    expect(row).to_contain_text(mine.words("state.answered"))
    row.locator("summary").first.click()
    expect(row.locator("blockquote")).to_have_text(BECAUSE[locale])
    wrong.look("answer")
    assert [*wrong.found, *desk.found] == []


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_what_an_officer_can_do_shows_on_every_screen_of_a_request(
    house: House, profile: Profile, kept: Kept, locale: str
) -> None:
    customer, staff = profile(locale=locale), profile(locale=locale)
    mine = brought_back(customer, house.wallet, kept, locale)
    mine.to("requests")
    mine.section("requests.rights").get_by_role("button", name=mine.words("right.restriction")).click()
    customer.page.get_by_role("dialog").get_by_role("button", name=mine.words("right.send"), exact=True).click()
    customer.page.get_by_role("dialog").get_by_role("button", name=mine.words("done"), exact=True).click()

    page, words = officer(staff, house, locale)
    desk = Looked(staff, locale)
    page.goto(f"{house.base}/desk/#/rights")
    page.get_by_role("button", name=words("record"), exact=True).click()
    desk.look("record")
    page.keyboard.press("Escape")
    newest(house, page, "restriction").click()
    page.get_by_role("button", name=words("take"), exact=True).click()
    expect(page.locator("main .chip")).to_have_text(words("state.in_work"))
    page.get_by_role("button", name=words("extend"), exact=True).click()
    page.get_by_label(words("reason"), exact=True).fill("Much is to be looked into.")
    page.get_by_role("dialog").get_by_role("button", name=words("sign"), exact=True).click()
    expect(page.locator("main .chip")).to_have_text(words("state.extended"))
    page.get_by_role("button", name=words("refuse"), exact=True).click()
    page.get_by_label(words("reason"), exact=True).fill("Nothing is in dispute any more.")
    page.get_by_label(words("citation"), exact=True).fill("GDPR art. 18(1)")
    desk.look("refuse")
    page.get_by_role("dialog").get_by_role("button", name=words("sign"), exact=True).click()
    expect(page.locator("main .chip")).to_have_text(words("state.refused"))
    expect(page.locator("main .actions button")).to_have_count(0)

    mine.to("home")
    mine.to("requests")
    row = mine.section("requests.asked").get_by_role("listitem").filter(has_text=mine.words("right.restriction")).first
    expect(row).to_contain_text(mine.words("state.refused"))
    row.locator("summary").first.click()
    expect(row).to_contain_text("Nothing is in dispute any more.")
    assert desk.found == []


def test_a_ground_for_one_customer_is_named_seen_in_the_wallet_and_ended(
    house: House, profile: Profile, kept: Kept
) -> None:
    citation = f"PIPL art. 13(2), order {kept.subject[-6:]}"
    first, second, customer = profile(), profile(), profile()
    page, words = officer(first, house, "en-GB")
    page.get_by_label(words("reading_for")).wait_for()
    page.goto(f"{house.base}/desk/#/customers/{kept.subject}")
    page.get_by_role("link", name=words("grounds.declare"), exact=True).click()
    box = page.get_by_role("dialog")
    expect(box.get_by_label(words("grounds.whom"))).to_have_value(kept.subject)
    box.get_by_label(words("grounds.whom")).fill("Lin Wei")
    box.get_by_label(words("ask.purpose")).select_option("service")
    box.get_by_label("City").check()
    box.get_by_label(words("grounds.key")).fill("order-4711")
    box.get_by_label(words("grounds.citation")).fill(citation)
    box.get_by_label(words("grounds.evidence")).fill("Order form 4711, clause 2")
    box.get_by_role("button", name=words("grounds.sign"), exact=True).click()
    expect(box).to_contain_text("Lin is no reference of a customer")
    box.get_by_label(words("grounds.whom")).fill(kept.subject)
    box.get_by_role("button", name=words("grounds.sign"), exact=True).click()
    draft = page.locator(".ground", has_text=citation)
    expect(draft).to_contain_text(words("grounds.draft"))

    mine = brought_back(customer, house.wallet, kept)
    mine.to("data")
    expect(customer.page.get_by_role("heading", level=1)).to_be_visible()
    expect(customer.page.get_by_text(citation)).to_have_count(0)  # a draft grants nothing and covers nobody

    other, _ = officer(second, house, "en-GB", "ada")
    other.goto(f"{house.base}/desk/#/grounds")
    waiting = other.locator(".ground", has_text=citation)
    waiting.get_by_role("button", name=words("grounds.approve"), exact=True).click()
    other.get_by_role("dialog").get_by_role("button", name=words("grounds.approve"), exact=True).click()
    expect(waiting).to_contain_text(words("grounds.living"))
    shown = house.call("sina", "GET", f"/crm/customers/{kept.subject}?purpose=service").json()
    assert "address.city" in shown["fields"]

    mine.to("home")
    mine.to("data")
    expect(customer.page.get_by_text(citation).first).to_be_visible()
    line = entry(mine, mine.words("role.service"))
    line.get_by_role("button", name=mine.words("why"), exact=True).click()
    expect(line).to_contain_text(citation)
    expect(line.get_by_role("button", name=mine.words("object"), exact=True)).to_be_visible()
    expect(mine.section("place.history")).to_contain_text(mine.words("event.ground.approved"))

    page.reload()
    living = page.locator(".ground", has_text=citation)
    living.get_by_role("button", name=words("grounds.end"), exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name=words("grounds.end"), exact=True).click()
    expect(living).to_contain_text(words("grounds.ended"))
    shown = house.call("sina", "GET", f"/crm/customers/{kept.subject}?purpose=service").json()
    assert "address.city" in shown["withheld"]
    mine.to("home")
    mine.to("history")
    expect(mine.section("place.history")).to_contain_text(mine.words("event.ground.ended"))


def test_a_correction_is_accepted_and_then_the_record_says_what_the_customer_wrote(
    house: House, profile: Profile, kept: Kept
) -> None:
    customer, staff = profile(), profile()
    mine = brought_back(customer, house.wallet, kept)
    mine.to("requests")
    mine.section("requests.rights").get_by_role("button", name=mine.words("right.rectification")).click()
    box = customer.page.get_by_role("dialog")
    box.get_by_label(mine.words("right.field"), exact=True).select_option("contact.given_name")
    box.get_by_label(mine.words("right.value"), exact=True).fill("Xiaoyan")
    box.get_by_role("button", name=mine.words("right.send"), exact=True).click()
    box.get_by_role("button", name=mine.words("done"), exact=True).click()
    assert name_of(house, kept.subject) != "Xiaoyan"

    page, words = officer(staff, house, "en-GB")
    page.goto(f"{house.base}/desk/#/rights")
    newest(house, page, "rectification").click()
    page.get_by_role("button", name=words("answer.rectification"), exact=True).click()
    expect(page.get_by_role("dialog")).not_to_contain_text("Xiaoyan")  # sealed to the record; an officer need not know
    page.get_by_role("dialog").get_by_role("button", name=words("sign"), exact=True).click()
    expect(page.locator("main .chip")).to_have_text(words("state.answered"))
    assert name_of(house, kept.subject) == "Xiaoyan"

    mine.to("home")
    mine.to("requests")
    row = mine.section("requests.asked").get_by_role("listitem")
    expect(row.filter(has_text=mine.words("right.rectification")).first).to_contain_text(mine.words("state.answered"))


def test_what_somebody_without_a_wallet_asks_is_recorded_confirmed_by_another_and_granted(
    house: House, profile: Profile
) -> None:
    subject = house.without_wallet()
    first, second = profile(), profile()
    page, words = officer(first, house, "en-GB")
    page.goto(f"{house.base}/desk/#/rights")
    page.get_by_role("button", name=words("record"), exact=True).click()
    box = page.get_by_role("dialog")
    box.get_by_label(words("record.subject"), exact=True).fill(subject)
    box.get_by_label(words("what"), exact=True).select_option("restriction")
    box.get_by_label(words("method"), exact=True).select_option("id_document")
    box.get_by_label(words("evidence"), exact=True).fill("file 2026-117")
    box.get_by_role("button", name=words("sign"), exact=True).click()
    expect(page.locator("main .chip")).to_have_text(words("state.received"))
    expect(page.get_by_role("button", name=words("confirm"), exact=True)).to_be_visible()
    assert withheld(house, subject) == set()

    page.get_by_role("button", name=words("confirm"), exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name=words("sign"), exact=True).click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_be_visible()  # nobody confirms what they recorded
    first.forgive("403")

    other, _ = officer(second, house, "en-GB", "dan")
    other.goto(f"{house.base}/desk/#/rights")
    newest(house, other, "restriction").click()
    other.get_by_role("button", name=words("confirm"), exact=True).click()
    other.get_by_role("dialog").get_by_role("button", name=words("sign"), exact=True).click()
    expect(other.locator("main .chip")).to_have_text(words("state.identified"))
    assert "contact.given_name" in withheld(house, subject)
    other.get_by_role("button", name=words("answer.restriction"), exact=True).click()
    other.get_by_role("dialog").get_by_role("button", name=words("sign"), exact=True).click()
    expect(other.locator("main .chip")).to_have_text(words("state.answered"))
    other.get_by_role("button", name=words("lift"), exact=True).click()
    other.get_by_label(words("reason"), exact=True).fill("What was in dispute has been settled.")
    other.get_by_role("dialog").get_by_role("button", name=words("sign"), exact=True).click()
    expect(other.get_by_role("button", name=words("lift"), exact=True)).to_have_count(0)
    assert withheld(house, subject) == set()


def test_an_erasure_ends_what_may_end_and_what_an_officer_keeps_shows_with_its_reason(
    browser: Browser, house: House, profile: Profile, tmp_path: Path
) -> None:
    leaving = saved(browser, house, tmp_path)
    customer, staff = profile(), profile()
    mine = brought_back(customer, house.wallet, leaving)
    mine.to("requests")
    mine.section("requests.rights").get_by_role("button", name=mine.words("right.erasure")).click()
    box = customer.page.get_by_role("dialog")
    expect(box.get_by_role("button", name=mine.words("right.send"), exact=True)).to_be_disabled()
    box.get_by_role("checkbox").check()
    box.get_by_role("button", name=mine.words("right.send"), exact=True).click()
    expect(box).to_contain_text(mine.words("state.in_work"))
    box.get_by_role("button", name=mine.words("done"), exact=True).click()
    shown = house.call("mei", "GET", f"/crm/customers/{leaving.subject}?purpose=marketing").json()
    assert "contact.email" in shown["withheld"]

    page, words = officer(staff, house, "en-GB")
    page.goto(f"{house.base}/desk/#/rights")
    newest(house, page, "erasure").click()
    page.get_by_role("button", name=words("answer.erasure"), exact=True).click()
    page.get_by_role("dialog").get_by_role("textbox").first.fill("The order of 3 May is not paid yet.")
    page.get_by_role("dialog").get_by_role("button", name=words("sign"), exact=True).click()
    expect(page.locator("main .chip")).to_have_text(words("state.answered"))

    mine.to("home")
    mine.to("requests")
    row = mine.section("requests.asked").get_by_role("listitem").filter(has_text=mine.words("right.erasure")).first
    expect(row).to_contain_text(mine.words("state.answered"))
    row.locator("summary").first.click()
    expect(row).to_contain_text("The order of 3 May is not paid yet.")


def name_of(house: House, subject: str) -> object:
    shown = house.call("sina", "GET", f"/crm/customers/{subject}?purpose=administration").json()
    return shown["fields"]["contact.given_name"]


def withheld(house: House, subject: str) -> set[str]:
    """What the contract grants to look after the customer, and is held back now."""
    shown = house.call("sina", "GET", f"/crm/customers/{subject}?purpose=administration").json()
    return {name for name, why in shown["withheld"].items() if why == "restricted"}
