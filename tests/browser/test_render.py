"""A hundred customers are in sight within twice the time that the API takes to answer: a ratio, out of one run."""

import statistics
from collections.abc import Callable

import pytest

from tests.attacks.pieces import CITY, EMAIL
from tests.attacks.place import Place
from tests.browser.conftest import Desk

Open = Callable[..., Desk]
COMPANY = "employment.company"
ROUNDS = 9
MOST = 2.0
TRIES = 3  # a browser has many processes: where others work beside them, it waits for its turn more often than a server
# From the click until the rows are painted; and how long the API took to answer the list's own question meanwhile.
_MEASURE = """async (rounds) => {
  const until = (there) => new Promise((done) => {
    const look = () => (there() ? done() : requestAnimationFrame(look));
    look();
  });
  const screen = (name) => document.querySelector("h1")?.textContent === name;
  const rows = () => document.querySelectorAll(".list:not(.waiting) tbody tr").length;
  const found = [];
  for (let round = 0; round < rounds; round += 1) {
    location.hash = "#/asks";
    await until(() => screen("Requests"));
    await new Promise((done) => setTimeout(done, 300));
    performance.clearResourceTimings();
    const began = performance.now();
    location.hash = "#/customers";
    await until(() => screen("Customers") && rows() === 100);
    await new Promise((done) => setTimeout(done)); // behind the frame
    const painted = performance.now() - began;
    const [asked] = performance.getEntriesByType("resource").filter((one) => one.name.endsWith("/customers/query"));
    found.push([painted, asked.responseEnd - asked.startTime]);
  }
  return found;
}"""


@pytest.mark.alone
def test_a_hundred_rows_are_painted_within_twice_the_apis_own_answer(desk: Open, place: Place) -> None:
    lines = ["First Name,Last Name,Email,City,Company"]
    lines += [f"Wei{n},Li,wei{n}@y.example,Leeds,Works {n}" for n in range(120)]
    headers = {**place.desk("admin"), "content-type": "text/csv"}
    made = place.http.post(f"{place.base}/crm/imports", content="\n".join(lines), headers=headers)
    assert made.is_success, made.text
    place.ground("rendering", "service", ("contact.given_name", "contact.family_name", EMAIL, CITY, COMPANY))
    staff = desk("service")
    staff.go("#/customers")
    staff.page.locator(".purpose select").select_option("service")
    staff.page.locator(".list tbody tr").nth(99).wait_for()
    assert staff.page.locator("tbody td", has_text="@y.example").count() > 50  # cells that hold something
    staff.page.evaluate(_MEASURE, 2)  # the parts of the page, and what the server keeps ready
    ratios = list[float]()
    while len(ratios) < TRIES and min(ratios, default=MOST) >= MOST:
        found = staff.page.evaluate(_MEASURE, ROUNDS)
        print(f"\npainted after and API, ms: {[(round(painted), round(api)) for painted, api in found]}")
        ratios.append(statistics.median(painted / api for painted, api in found))
    assert min(ratios) < MOST, ratios
