"""Statutory grounds through the pages: one officer declares, another approves, customers' values appear and go."""

from collections.abc import Callable

from playwright.sync_api import expect

from tests.attacks.place import Place
from tests.browser.conftest import Desk

Open = Callable[..., Desk]
CITATION = "PIPL art. 13(2)"


def test_a_ground_needs_two_people_and_ends_at_once(desk: Open, place: Place) -> None:
    first, second, seller = desk("dpo"), desk("dan"), desk("sales")
    page = first.go("#/grounds")
    page.get_by_role("button", name="Declare a ground").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Purpose").select_option("contract")
    dialog.get_by_label("E-mail address").check()
    assert first.faults() == []
    dialog.get_by_label("Short name").fill("orders")
    dialog.get_by_label("Law").fill(CITATION)
    dialog.get_by_label("Evidence").fill("Order form 2026, clause 2")
    dialog.get_by_role("button", name="Sign the draft").click()
    mine = page.locator(".ground", has_text="Waits for a second person")
    expect(mine).to_contain_text("somebody else has to approve it")
    expect(mine.get_by_role("button")).to_have_count(0)

    seller.go()
    seller.read_for("contract")
    expect(seller.page.get_by_text("@example.org")).to_have_count(0)

    other = second.go("#/grounds")
    draft = other.locator(".ground", has_text="Waits for a second person")
    draft.get_by_role("button", name="Approve").click()
    other.get_by_role("dialog").get_by_role("button", name="Approve").click()
    living = other.locator(".ground", has_text=CITATION)
    expect(living).to_contain_text("In effect")
    assert second.faults() == []
    for _ in range(20):  # customers are compiled in batches, afterwards
        seller.page.reload()
        seller.page.locator(".list tbody tr").first.wait_for()
        if seller.page.get_by_text("@example.org").count():
            break
    expect(seller.page.get_by_text("@example.org").first).to_be_visible()
    expect(seller.page.locator(".live")).to_have_text("Live")

    living.get_by_role("button", name="End").click()
    other.get_by_role("dialog").get_by_role("button", name="End").click()
    expect(living).to_contain_text("Ended")  # the server has answered: nothing is released under it any more
    expect(seller.page.get_by_text("@example.org")).to_have_count(0, timeout=1_000)


def test_who_is_no_overseer_has_no_grounds(desk: Open) -> None:
    page = desk("sales").go("#/grounds")
    expect(page.get_by_role("heading", name="Customers")).to_be_visible()
    expect(page.get_by_role("link", name="Grounds")).to_have_count(0)


def test_who_has_no_purpose_is_told_so_and_may_still_oversee(desk: Open) -> None:
    staff = desk("auditor")
    page = staff.go()
    expect(page.get_by_text("Nothing to read for")).to_be_visible()
    page.get_by_role("link", name="Grounds").click()
    expect(page.locator(".ground").first).to_be_visible()
    expect(page.get_by_role("button", name="Declare a ground")).to_have_count(0)
    assert staff.faults() == []
