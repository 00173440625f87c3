"""An open page that does not hear of withdrawals any more hides what it shows, and says why."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.attacks.holder import Held
from tests.attacks.pieces import CITY, EMAIL
from tests.attacks.place import Place
from tests.browser.conftest import Desk

Open = Callable[..., Desk]
# a line that stays open and says nothing any more, as behind a network that went away: `mute` is the switch
_MUTABLE = """
globalThis.mute = false;
const Real = EventSource;
globalThis.EventSource = class extends Real {
  addEventListener(type, act) { super.addEventListener(type, (event) => globalThis.mute || act(event)); }
  set onopen(act) { super.onopen = (event) => globalThis.mute || act(event); }
};
"""
SILENCE = 10_000  # ms, after which a page hides values


def _shown(page: Page, held: Held) -> None:
    expect(page.get_by_text(held.customer.email)).to_have_count(1)


def test_a_page_whose_stream_falls_silent_hides_its_values_and_reads_them_again_later(desk: Open, place: Place) -> None:
    leaving, staying = place.enrolled(), place.enrolled()
    given = leaving.give(place.asked(leaving), (EMAIL, CITY))
    staying.give(place.asked(staying), (EMAIL, CITY))
    deaf, hearing = desk("marketing"), desk("marketing")
    deaf.page.add_init_script(_MUTABLE)
    for staff in (deaf, hearing):
        staff.go()
        staff.read_for("marketing")
        _shown(staff.page, leaving)
        expect(staff.page.locator(".live")).to_have_text("Live")
    deaf.page.evaluate("globalThis.mute = true")
    answer = leaving.call("POST", "/issuer/wallet/withdrawals", {"withdrawal": leaving.withdrawal(given)})
    assert answer.is_success, answer.text
    expect(hearing.page.get_by_text(leaving.customer.email)).to_have_count(0, timeout=1_000)
    deaf.page.wait_for_timeout(1_000)
    _shown(deaf.page, leaving)  # the control: it is the stream that takes a value away
    expect(deaf.page.get_by_text(leaving.customer.email)).to_have_count(0, timeout=SILENCE + 2_000)
    expect(deaf.page.get_by_text(staying.customer.email)).to_have_count(0)
    expect(deaf.page.get_by_role("alert")).to_contain_text("Values are hidden")
    expect(deaf.page.locator(".live")).to_have_text("Not live")
    assert deaf.faults() == []
    _shown(hearing.page, staying)
    deaf.page.evaluate("globalThis.mute = false")
    _shown(deaf.page, staying)
    expect(deaf.page.get_by_text(leaving.customer.email)).to_have_count(0)


def test_a_page_that_never_hears_anything_shows_values_for_a_moment_only(desk: Open, place: Place) -> None:
    held = place.enrolled()
    held.give(place.asked(held), (EMAIL,))
    staff = desk("marketing")
    staff.page.route("**/crm/live", lambda route: route.abort())
    staff.go(f"#/customers/{held.subject}")
    staff.page.locator(".purpose select").select_option("marketing")
    staff.page.get_by_role("alert").get_by_text("Values are hidden").wait_for(timeout=SILENCE + 10_000)
    expect(staff.page.get_by_text(held.customer.email)).to_have_count(0)
    staff.page.unroute("**/crm/live")
    staff.page.get_by_role("button", name="Try again").first.click()
    expect(staff.page.get_by_role("link", name=held.customer.email).first).to_be_visible()
    staff.forgive("ERR_FAILED")
