"""Steps 3 and 4: staff read; every value needs a ground, and every read is in the customer's history."""

import time
from typing import Any

from fieldgrant.demo.cast import MAIL, Person
from fieldgrant.demo.journey import Play, StepFailed, expect, problem


def _page(play: Play, account: str, **query: str | int) -> list[dict[str, Any]]:
    """All items of a list, page by page."""
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        more = {"cursor": cursor} if cursor else {}
        answer = play.get(account, "crm", "/crm/customers", **{"limit": 200, **query, **more})
        expect(answer.status_code == 200, f"{account} could not list: {problem(answer)}")
        body = answer.json()
        items += body["items"]
        cursor = body["next"]
        if not cursor:
            return items


def with_value(items: list[dict[str, Any]], name: str) -> set[str]:
    """The customers of a list for whom the field came with a value."""
    return {item["subject"] for item in items if item["fields"].get(name) is not None}


def list_for_marketing(play: Play) -> str:
    """Step 3: list, filter, sort, page. Only the granted values appear; each withheld field says why."""
    first, second, third, _ = play.cast.people
    granted = {first.subject, second.subject}
    items = _page(play, "mei", purpose="marketing", select=f"{MAIL},{play.cast.second}")
    expect(len(items) == play.figures["import"]["created"], f"{len(items)} customers are listed, not all of them")
    for name in (MAIL, play.cast.second):
        seen = with_value(items, name)
        expect(seen == granted, f"{name} came for {len(seen)} customers; 2 have granted it")
    silent = [item for item in items if set(item["withheld"]) | set(item["fields"]) != {MAIL, play.cast.second}]
    expect(not silent, f"{len(silent)} rows neither show a field nor say why")
    reasons = {item["withheld"].get(MAIL) for item in items if item["subject"] not in granted}
    expect(reasons <= {"no_ground", "purpose_not_granted"}, f"reasons seen: {sorted(map(str, reasons))}")
    _filter(play, first, third)
    _sort(play)
    return (
        f"{len(items)} listed; e-mail of 2 granted, {len(items) - 2} withheld with a reason; "
        "a filter on a refused value finds nobody"
    )


def _filter(play: Play, granted: Person, refused: Person) -> None:
    """A filter finds who granted the field, and cannot be used to guess at who did not."""
    for person, expected in ((granted, {granted.subject}), (refused, set())):
        found = _page(play, "mei", purpose="marketing", filter=f"{MAIL}:eq:{person.values[MAIL]}")
        expect({item["subject"] for item in found} == expected, "a filter told of a value that was not granted")


def _sort(play: Play) -> None:
    """What was granted comes first, in order; the others follow by reference, whatever values they have."""
    rows = _page(play, "mei", purpose="marketing", select=MAIL, sort=MAIL)
    shown, others = rows[:2], [row["subject"] for row in rows[2:]]
    ordered = [row["fields"].get(MAIL) or "" for row in shown]
    expect(all(ordered) and ordered == sorted(ordered, key=str.casefold), "the list is not sorted by what was granted")
    expect(others == sorted(others), "the order of the list tells of values that were not granted")


def read_for_own_purpose(play: Play) -> str:
    """Step 4: each role for its purposes alone; all of it in the customers' histories."""
    first = play.cast.people[0]
    service = play.one("sina", first.subject, "service")
    expect(service["withheld"].get(MAIL) == "purpose_not_granted", f"service saw e-mail: {service['withheld']}")
    own = play.one("sina", first.subject, "administration")
    expect(own["fields"].get("contact.given_name") == first.values["contact.given_name"], "service cannot see the name")
    refused = play.get("sam", "crm", f"/crm/customers/{first.subject}", purpose="marketing")
    expect(problem(refused) == "403 role", f"sales for marketing: {problem(refused)}")
    mine = play.one("mei", first.subject, "marketing")
    expect(mine["fields"].get(MAIL) == first.values[MAIL], "marketing does not see what was granted")
    entries = history_with(play, first, {service["release"], own["release"], mine["release"]})
    expect(any(entry["kind"] == "refusal" for entry in entries), "the refused attempt is not in the customer's history")
    expect(first.values[MAIL] not in str(entries), "the history holds a value")
    return (
        "service sees the name, not the e-mail (purpose_not_granted); sales for marketing is refused (role); "
        f"{len(entries)} entries in the history"
    )


def history_with(play: Play, person: Person, releases: set[str]) -> list[dict[str, Any]]:
    """The customer's history once it holds these releases; the log drains within moments."""
    until = time.monotonic() + play.pace.patience
    missing = releases
    while time.monotonic() < until:
        entries = [dict(entry) for entry in play.wallet(person).history(limit=200).items]
        missing = releases - {entry["event"] for entry in entries}
        if not missing:
            return entries
        time.sleep(0.1)
    raise StepFailed(f"{len(missing)} reads are not in the customer's history")
