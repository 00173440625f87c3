"""Importing through the pages: looked at, mapped, followed, taken back; a hundred megabytes go through too."""

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.attacks.place import Place
from tests.browser.conftest import Desk

Open = Callable[..., Desk]
HEAD = "First Name,Last Name,Email,Town of birth\n"
VIEWS = [
    (locale, {"locale": locale, "viewport": {"width": width, "height": 800}, "color_scheme": scheme})
    for locale in ("en-GB", "zh-CN")
    for width, scheme in ((1280, "light"), (640, "light"), (360, "dark"))  # 640: 1280 at 200 %
]
_DROP = """async ([text, name]) => {
  const data = new DataTransfer();
  data.items.add(new File([text], name));
  const event = {bubbles: true, cancelable: true, dataTransfer: data};
  for (const type of ["dragover", "drop"]) document.querySelector(".drop").dispatchEvent(new DragEvent(type, event));
}"""
_WATCH = """() => {
  globalThis.seen = new Set();
  const look = () => {
    const bar = document.querySelector("progress");
    if (bar) seen.add(document.querySelector("#doing").textContent + " " + bar.position.toFixed(2));
  };
  new MutationObserver(look).observe(document.body, {subtree: true, childList: true, attributes: true});
}"""


def _rows(start: int, count: int) -> str:
    return "".join(f"N{n},Lin,n{n}@x.example,Leeds\n" for n in range(start, start + count))


def _choose(page: Page, name: str, text: str) -> None:
    file = {"name": name, "mimeType": "", "buffer": text.encode()}
    page.locator("input[type=file]").set_input_files(file)  # type: ignore[arg-type]


def test_a_file_is_looked_at_mapped_imported_and_taken_back(desk: Open, place: Place, tmp_path: Path) -> None:
    staff = desk("dpo")
    page = staff.go("#/import")
    _choose(page, "people.csv", HEAD + _rows(0, 400) + "Ada,L,broken,Leeds\n=Eve,L,also broken,Leeds\n")
    page.get_by_label("Field for the column Town of birth").select_option("address.city")
    expect(page.get_by_text("4 of 4 columns are imported")).to_be_visible()
    with page.expect_request("**/crm/imports?*") as sent:
        page.get_by_role("button", name="Import", exact=True).click()
    assert "Town+of+birth%3Daddress.city" in sent.value.url
    expect(page.get_by_role("heading", name="400 rows were taken")).to_be_focused(timeout=60_000)
    expect(page.locator(".counts")).to_contain_text("Rejected2")
    with page.expect_download() as kept:
        page.get_by_role("button", name="Download the rejected rows").click()
    kept.value.save_as(tmp_path / "rejected.csv")
    text = (tmp_path / "rejected.csv").read_text(encoding="utf-8-sig")
    assert [one[:3] for one in csv.reader(io.StringIO(text))][1:] == [
        ["401", "Email", "bad_email"], ["402", "Email", "bad_email"],
    ]  # fmt: skip
    assert "broken" not in text  # where and why, and no value
    page.get_by_role("button", name="Take back").first.click()
    page.get_by_role("dialog").get_by_role("button", name="Take it back").click()
    expect(page.get_by_role("dialog")).to_contain_text("400 customers removed", timeout=60_000)
    page.keyboard.press("Escape")
    expect(page.locator("tbody tr", has_text="Taken back")).to_have_count(1)


def test_values_are_shown_only_as_far_as_the_role_may_see_them(desk: Open) -> None:
    for account, seen in (("dpo", 1), ("admin", 0)):
        page = desk(account).go("#/import")
        _choose(page, "people.csv", HEAD + _rows(0, 1))
        page.get_by_label("Field for the column First Name").wait_for()
        expect(page.get_by_role("cell", name="N0", exact=True)).to_have_count(seen)
        expect(page.get_by_role("cell", name="Leeds")).to_have_count(0)  # nobody knows yet what it is
        expect(page.get_by_role("cell", name="text")).not_to_have_count(0)


def test_a_file_can_be_dropped_and_a_workbook_is_explained(desk: Open) -> None:
    page = desk("admin").go("#/import")
    page.locator(".drop").wait_for()
    page.evaluate(_DROP, ["PK", "people.xlsx"])
    expect(page.get_by_role("alert")).to_contain_text("Save the sheet as CSV")
    page.evaluate(_DROP, [HEAD + _rows(0, 1), "people.csv"])
    expect(page.get_by_role("heading", name="people.csv")).to_be_visible()


def test_what_breaks_off_is_told_and_nothing_of_it_stays(desk: Open, place: Place) -> None:
    staff = desk("admin")
    page = staff.go("#/import")
    _choose(page, "people.csv", HEAD + _rows(0, 20) + '"never closed,\n')
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was imported", timeout=60_000)
    expect(page.get_by_role("button", name="Import", exact=True)).to_be_enabled()


def test_who_may_not_import_has_no_such_screen(desk: Open) -> None:
    page = desk("sales").go("#/import")
    expect(page.get_by_role("heading", name="Customers")).to_be_visible()
    expect(page.get_by_role("link", name="Import")).to_have_count(0)


def test_a_hundred_megabytes_go_through_with_their_progress(desk: Open, tmp_path: Path) -> None:
    file = tmp_path / "large.csv"
    memo = (
        "x" * 50_000
    )  # a column that nobody knows; few customers, so that the test is one of the way and not of sealing
    with file.open("w", encoding="utf-8") as out:
        out.write("First Name,Email,Memo\n")
        for number in range(2_000):
            out.write(f"N{number},large{number}@x.example,{memo}\n")
    assert file.stat().st_size > 100e6
    staff = desk("admin")
    page = staff.go("#/import")
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_label("Field for the column Memo").wait_for()
    page.evaluate(_WATCH)
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_role("heading", name="2,000 rows were taken").wait_for(timeout=180_000)
    seen = page.evaluate("[...seen]")
    assert len([one for one in seen if one.startswith("Sending the file")]) > 2, seen
    assert [one for one in seen if one.startswith(("Reading rows", "Sealing customers"))], seen


@pytest.mark.parametrize(("locale", "profile"), VIEWS, ids=lambda view: str(view)[:80])
def test_every_step_is_accessible(desk: Open, locale: str, profile: dict[str, Any]) -> None:
    staff = desk("dpo", **profile)
    page = staff.go("#/import")
    page.locator(".drop").wait_for()
    page.locator(".runs").wait_for()
    assert staff.faults() == []
    _choose(page, "people.csv", HEAD + _rows(0, 3) + "Ada,L,broken,Leeds\n")
    page.locator(".choice").first.wait_for()
    assert staff.faults() == []
    page.locator(".actions .button.primary").click()
    page.locator("#result").wait_for()
    assert staff.faults() == []
