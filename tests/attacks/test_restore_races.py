"""A gate that goes on serving while its database is put back beneath it and rolled forward shows nothing that ended.

Nobody should do that; but who does must not thereby revive what was withdrawn, nor read anything off the record.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from audit.log import Log
from tests.attacks.house import CITY, EMAIL, House, Person, Signed, built
from tests.attacks.test_crashes import settle
from tests.engine import hand
from tests.fieldgrant.test_reconcile import backup, run


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with built(tmp_path, customers=3) as made:
        yield made


@dataclass(slots=True)
class Reader:
    """Somebody who reads one customer again and again; what came back, in order."""

    house: House
    person: Person
    seen: list[tuple[int, frozenset[str]]] = field(default_factory=list)

    def run(self, stop: threading.Event) -> None:
        url = f"{self.house.url(0)}/crm/customers/{self.person.subject}?purpose=marketing"
        with httpx.Client(timeout=60, headers=self.house.desk("mei")) as client:
            while not stop.is_set():
                answer = client.get(url)
                fields = answer.json().get("fields", {}) if answer.status_code == 200 else {}
                self.seen.append((answer.status_code, frozenset(one for one, value in fields.items() if value)))
                time.sleep(0.01)


def put_back_beneath(house: House, copy: Path) -> None:
    with closing(hand.connect(copy)) as old, closing(hand.connect(house.file, timeout=60)) as live:
        old.backup(live)


def more(readers: list[Reader], count: int = 5, limit: float = 60) -> None:
    """Wait until each has read some times more."""
    aims = [len(one.seen) + count for one in readers]
    until = time.monotonic() + limit
    while any(len(one.seen) < aim for one, aim in zip(readers, aims, strict=True)):
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.timeout(600)
def test_readers_who_go_on_through_a_restore_see_nothing_that_ended_and_survivors_afterwards(house: House) -> None:
    gone, stays = (house.enrol_by_hand(house.people.pop()) for _ in range(2))
    given = gone.give([EMAIL, CITY])
    stays.give([CITY])
    house.start(0)
    settle(house)
    assert house.tokens  # whoever signs in after the backup is signed out by it
    copy = backup(house, "copy.db")
    with httpx.Client(timeout=60) as client:
        answer = gone.send("/issuer/wallet/withdrawals", {"withdrawal": gone.withdrawal(given)}, client)
    assert answer.is_success, answer.text
    settle(house)
    stop, readers = threading.Event(), [Reader(house, one.person) for one in (gone, stays)]
    threads = [threading.Thread(target=one.run, args=(stop,), daemon=True) for one in readers]
    for thread in threads:
        thread.start()
    more(readers)
    put_back_beneath(house, copy)
    more(readers)
    code, found = run(house)
    more(readers)
    assert (code, found["ended"] >= 1) == (0, True), found
    assert run(house)[0] == 0
    settle(house, 120)
    more(readers)
    stop.set()
    for thread in threads:
        thread.join(60)
    judged(house, gone, readers)


def judged(house: House, gone: Signed, readers: list[Reader]) -> None:
    ended, living = readers
    assert {fields for _, fields in ended.seen} == {frozenset()}
    assert {status for reader in readers for status, _ in reader.seen} <= {200, 503}
    assert living.seen[0] == (200, frozenset({CITY}))
    assert living.seen[-1] == (200, frozenset({CITY}))
    # each value that left is on record: in the outbox, or as a leaf of the log whose event went with the database
    shown = sum(CITY in fields for _, fields in living.seen)
    ((told,),) = house.sql("SELECT count(*) FROM log_entry WHERE CAST(leaf AS TEXT) LIKE '%\"release\"%'")
    assert told >= shown
    assert len(house.told(gone.person, "consent.withdrawn")) == 1
    with house.platform.database.read() as session:
        assert Log(house.platform).check(session).size > 0
