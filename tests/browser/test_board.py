"""The board through the page: the last hour in numbers, a chart with its table, alerts above a threshold."""

from collections.abc import Callable

from playwright.sync_api import Route, expect

from tests.browser.conftest import Desk

Open = Callable[..., Desk]


def test_the_board_shows_numbers_and_the_same_chart_as_a_table(desk: Open) -> None:
    staff = desk("dpo")
    page = staff.go("#/board")
    expect(page.get_by_text("Nothing takes longer than it may.")).to_be_visible()
    expect(page.locator(".tile")).to_have_count(7)
    page.locator("summary").click()
    expect(page.locator(".chart tbody tr")).to_have_count(61)
    expect(page.locator(".chart rect")).to_have_count(61)
    assert staff.faults() == []


def test_an_alert_is_said_in_words_and_follows_the_threshold(desk: Open) -> None:
    staff = desk("dpo", viewport={"width": 360, "height": 740}, color_scheme="dark")
    asked: list[str] = []

    def slow(route: Route) -> None:
        asked.append(route.request.url)
        answer = route.fetch()
        body = answer.json()
        late = {"code": "disposition_open", "link": None, "value": 16.2, "threshold": 15.0}
        route.fulfill(response=answer, json={**body, "alerts": [late] if "threshold=15" in asked[-1] else []})

    staff.page.route("**/redaction/board?*", slow)
    page = staff.go("#/board")
    expect(page.get_by_text("A disposition has been waiting for 16 sec")).to_be_visible()
    assert staff.faults() == []
    page.get_by_label("Alert above").fill("20")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Nothing takes longer than it may.")).to_be_visible()


def test_sales_has_no_board(desk: Open) -> None:
    page = desk("sales").go("#/board")
    expect(page.get_by_role("heading", name="Customers")).to_be_visible()
    expect(page.get_by_role("link", name="Board")).to_have_count(0)
