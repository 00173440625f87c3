"""A clock that jumps, under a whole organisation: nobody is served by it, nothing is destroyed until a person confirms.

The machine's wall clock is moved by hand; mark, pause and confirmation lie where every process of the platform sees
them, so that a restart changes nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from crm_core import records
from fieldgrant import compose
from fieldgrant.cli import build
from protocol import canonical
from redaction import worker
from runtime.clock import Clock, ClockError, instant
from runtime.platform import Platform
from tests.attacks.house import CITY, PASSWORD, House, Person, Signed, built


@dataclass(slots=True)
class Machine:
    """A machine on which a house runs, and its clocks."""

    house: House
    wall: datetime = field(default_factory=lambda: datetime.now(UTC))
    elapsed: float = 1000.0

    def passes(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.elapsed += seconds

    def restart(self) -> None:
        """A new process of the platform, on this clock."""
        key = self.house.platform.keyring.secret("clock")
        self.house.platform.close()
        for name in ("platform", "own"):
            self.house.__dict__.pop(name, None)
        clock = Clock(self.house.settings.clock_file, wall=lambda: self.wall, elapsed=lambda: self.elapsed, key=key)
        self.house.__dict__["platform"] = Platform.open(self.house.settings, clock)

    def read(self, person: Person) -> httpx.Response:
        """What marketing gets of a customer."""
        self.passes(2)
        client = TestClient(compose.app(self.house.own, ["crm"]), raise_server_exceptions=False)
        path = f"/crm/customers/{person.subject}"
        return client.get(path, params={"purpose": "marketing"}, headers=self.house.desk("mei"))

    def refusal(self) -> str:
        """What keeps the worker from carrying out what is due; empty when it did."""
        self.passes(2)
        try:
            while worker.run_once(self.house.platform, self.house.own.catalogue).left:
                self.passes(0.1)
        except ClockError as error:
            return str(error)
        return ""

    def stored(self, person: Person) -> set[str]:
        with self.house.platform.database.read() as session:
            record = records.load(session, person.subject)
            assert record is not None
            return set(records.open_fields(self.house.platform, record, records.stored(record)))


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with built(tmp_path, customers=2) as house:
        yield Machine(house)


def clock(house: House, *words: str) -> tuple[int, str]:
    """The terminal's `fieldgrant clock`, another process's view."""
    where = ["--data", str(house.settings.data_dir), "--keys", str(house.settings.keys_dir)]
    done = CliRunner().invoke(build("clock"), ["clock", *words, *where], input=f"{PASSWORD}\n")
    return done.exit_code, done.output


def lapsing(house: House) -> tuple[Signed, Signed]:
    """One who withdrew and whose value is due to be destroyed, and one who reads on."""
    gone, stays = (house.enrol_by_hand(house.people.pop()) for _ in range(2))
    given = gone.give([CITY])
    stays.give([CITY])
    house.own.registry.withdraw(canonical.jcs(gone.withdrawal(given)), gone.signer.did)
    return gone, stays


def test_a_jump_denies_and_stops_destruction_until_a_person_confirms_across_restarts(machine: Machine) -> None:
    house = machine.house
    gone, stays = lapsing(house)
    machine.restart()
    assert house.desk("mei")
    assert machine.read(stays.person).json()["fields"] == {CITY: "City 0"}
    mark = house.settings.clock_file.read_text()

    machine.wall += timedelta(days=3)  # and three seconds passed
    answer = machine.read(stays.person)
    assert (answer.status_code, answer.json()["code"]) == (503, "clock_implausible")
    assert "jumped" in machine.refusal()
    assert instant(house.settings.clock_file.read_text()) - instant(mark) < timedelta(minutes=1)  # it left no mark

    machine.wall -= timedelta(days=3)  # somebody put it right, and says nothing
    assert machine.read(stays.person).status_code == 200
    assert "clock confirm" in machine.refusal()
    machine.restart()
    assert machine.read(stays.person).status_code == 200
    assert "clock confirm" in machine.refusal()
    assert CITY in machine.stored(gone.person)
    status, told = clock(house, "status")
    assert (status, '"paused": true' in told) == (1, True)

    status, told = clock(house, "confirm", "--account", "mei", "--why", "looks right to me")
    assert (status, "role" in told) == (1, True)
    assert "clock confirm" in machine.refusal()
    assert clock(house, "confirm", "--account", "dora", "--why", "checked against my watch")[0] == 0
    assert machine.refusal() == ""
    assert CITY not in machine.stored(gone.person)
    assert machine.stored(stays.person) >= {CITY}
    (told_,) = house.sql("SELECT records FROM outbox WHERE type = 'clock.confirmed'")
    assert "checked against my watch" in told_[0]


@pytest.mark.parametrize("hours", [23, 24, 25, -24])
def test_a_clock_a_day_off_denies_destroys_nothing_and_goes_on_once_it_is_right(machine: Machine, hours: int) -> None:
    house = machine.house
    gone, stays = lapsing(house)
    machine.restart()
    assert machine.read(stays.person).json()["fields"] == {CITY: "City 0"}
    machine.wall += timedelta(hours=hours)
    answer = machine.read(stays.person)
    assert (answer.status_code, answer.json()["code"]) == (503, "clock_implausible")
    assert machine.refusal()
    machine.wall -= timedelta(hours=hours)
    assert machine.read(stays.person).json()["fields"] == {CITY: "City 0"}
    assert CITY in machine.stored(gone.person)
    if hours > 0:
        assert "clock confirm" in machine.refusal()
        assert clock(house, "confirm", "--account", "dora", "--why", "checked against my watch")[0] == 0
    assert machine.refusal() == ""
    assert CITY not in machine.stored(gone.person)
    assert machine.stored(stays.person) >= {CITY}


def test_a_clock_that_was_turned_back_while_nobody_ran_denies_until_it_is_right(machine: Machine) -> None:
    house = machine.house
    gone, stays = lapsing(house)
    machine.restart()
    assert machine.read(stays.person).status_code == 200
    machine.passes(5)
    assert machine.read(stays.person).status_code == 200  # the mark is written
    machine.wall -= timedelta(hours=1)
    machine.restart()
    answer = machine.read(stays.person)
    assert (answer.status_code, answer.json()["code"]) == (503, "clock_implausible")
    assert "high-water" in machine.refusal()
    assert CITY in machine.stored(gone.person)
    machine.wall += timedelta(hours=1)
    machine.restart()
    assert machine.read(stays.person).status_code == 200
    assert machine.refusal() == ""  # it was never ahead: nothing is paused
    assert CITY not in machine.stored(gone.person)


def test_control_on_a_clock_that_did_not_jump_the_same_withdrawal_destroys(machine: Machine) -> None:
    house = machine.house
    gone, _ = lapsing(house)
    machine.restart()
    assert machine.refusal() == ""
    assert CITY not in machine.stored(gone.person)
