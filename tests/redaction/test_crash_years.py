"""Killed at random moments over years of a customer base: withdrawals, sealing, shredding, restores, destroy-by dates.

Every value that was sealed is at last in exactly one place: still in the archive, back in the record, or ended with
its key and certified so. Every field that lapsed is told of once. The clock goes on by months from one process to the
next, so that keys come to their day while others are made.
"""

import os
import random
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlmodel import delete

from issuer import catalogue as catalogues
from issuer.credentials import Credential
from redaction import ending, worker
from redaction.archive import Archived
from redaction.disposition import DONE, Job
from redaction.rotation import Rotation
from runtime import crash
from runtime.clock import FixedClock
from runtime.platform import Platform
from tests.redaction.test_crash import ALL, KILLED, PROCESSES, killed_after
from tests.redaction.world import CITY, EMAIL, GIVEN, PHONE, SERVICE, START, VALUES, Customer, World, settings_in
from tests.rounds import rounds

YEARS = timedelta(days=3_300)
LONG = timedelta(days=36_500)
LIFE = "value.sealed", "value.restored", "value.destroyed", "value.shredded", "value.kept"


def work(home: Path, at: datetime, point: str | None = None, limit: float = 30) -> None:
    """The worker at an instant, until there is nothing left to do (or it is killed)."""
    if point is not None:
        os.environ[crash.VARIABLE] = point
    platform = Platform.open(settings_in(home), FixedClock(at))
    chosen = catalogues.load()
    until = time.monotonic() + limit
    while time.monotonic() < until:
        done = worker.run_once(platform, chosen)
        if not (done.left or done.restored or done.destroyed or done.planned):
            break
    platform.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "years", FixedClock(START))
    yield made
    made.platform.close()


@dataclass
class Years:
    """People, what they asked back, and how often the plug was pulled."""

    world: World
    people: list[Customer] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    kills: int = 0

    def lapse(self) -> None:
        """A customer with one field to seal, two to shred and one that another consent holds for good."""
        who = self.world.customer()
        given = self.world.consent(who, (*ALL, GIVEN), life=LONG)
        self.world.consent(who, [GIVEN], purpose=SERVICE, life=LONG)
        self.world.withdraw(who, given)
        self.people.append(who)

    def ask_back(self, dice: random.Random) -> None:
        """Some of those whose e-mail lies in the archive give it anew."""
        resting = {row.subject for row in self.world.rows(Archived)} - self.asked
        for who in self.people[::2]:  # the others' come to their day
            if who.subject in resting and dice.random() < 0.4:
                self.world.consent(who, [EMAIL], life=LONG)
                self.asked.add(who.subject)

    def kill(self, dice: random.Random) -> None:
        process = PROCESSES.Process(target=work, args=(self.world.settings.home, self.world.now()))
        self.kills += killed_after(process, dice.uniform(0.02, 0.3))

    def finish(self) -> None:
        limit = 30 + 4.0 * len(self.people)  # until nothing is left: the kills let little of it come to an end
        clock = self.world.platform.clock
        assert isinstance(clock, FixedClock)
        for _ in range(2):
            clock.advance(timedelta(minutes=5))  # past the pause after a failure: this clock stands still
            process = PROCESSES.Process(target=work, args=(self.world.settings.home, self.world.now(), None, limit))
            process.start()
            process.join()
            assert process.exitcode == 0


def accounted(world: World, people: list[Customer]) -> Counter[str]:
    """Where each sealed value is at last; AssertionError where one is lost or doubled."""
    told = Counter((subject, one.type, data["field"]) for one in world.events(*LIFE) for subject, data in one.records)
    assert set(told.values()) == {1}
    boxes = Counter((row.subject, row.field) for row in world.rows(Archived))
    certificates = Counter(row.subject for row in world.rows(Credential) if row.kind == "certificate")
    places: Counter[str] = Counter()
    for who in people:
        subject = who.subject
        assert told[subject, "value.sealed", EMAIL] == 1
        assert [told[subject, "value.shredded", one] for one in (CITY, PHONE)] == [1, 1]
        restored, destroyed = told[subject, "value.restored", EMAIL], told[subject, "value.destroyed", EMAIL]
        assert boxes[subject, EMAIL] + restored + destroyed == 1
        assert world.readable(who) == {GIVEN: VALUES[GIVEN]} | ({EMAIL: VALUES[EMAIL]} if restored else {})
        assert certificates[subject] == 1 + destroyed
        places["restored" if restored else "destroyed" if destroyed else "archived"] += 1
    return places


@pytest.mark.parametrize(
    "moments",
    [
        pytest.param(12, marks=pytest.mark.timeout(300)),
        pytest.param(300, marks=pytest.mark.torture),
    ],
)
def test_killed_at_random_moments_over_years_no_value_is_lost_and_none_doubled(world: World, moments: int) -> None:
    dice, years = random.Random(20261123), Years(world)  # noqa: S311 - moments, not secrets
    clock = world.platform.clock
    assert isinstance(clock, FixedClock)
    for _ in rounds(moments):
        years.lapse()
        years.ask_back(dice)
        years.kill(dice)
        clock.advance(YEARS / moments)
        if len(years.people) == moments // 2:
            years.finish()  # sealed by now: in the other half their keys come to their day
    years.finish()
    places = accounted(world, years.people)
    assert years.kills >= moments // 3
    assert min(places[one] for one in ("restored", "destroyed", "archived")) >= 1, places
    assert {row.step for row in world.rows(Job)} == {DONE}
    assert all(row.dropped_at for row in world.rows(Rotation))
    ended = [data["archive_key"] for one in world.events("archive.ended") for _, data in one.records]
    assert len(ended) == len(set(ended)) >= 1
    assert (ending.untold(world.platform), ending.due(world.platform, world.now())) == ([], [])
    print({"kills": years.kills, "people": len(years.people), **places, "keys": len(ended)})


@pytest.mark.parametrize("doubled", [False, True])
def test_control_one_box_that_is_lost_or_doubled_is_seen(world: World, doubled: bool) -> None:
    years = Years(world)
    years.lapse()
    years.finish()
    assert accounted(world, years.people) == Counter(archived=1)
    with world.platform.database.write("owner") as session:
        if doubled:
            (row,) = world.rows(Archived)
            session.add(Archived(**{**row.model_dump(), "id": None, "job": "urn:uuid:another"}))
        else:
            session.exec(delete(Archived))
    with pytest.raises(AssertionError):
        accounted(world, years.people)


def test_control_a_killed_process_really_dies(world: World) -> None:
    years = Years(world)
    years.lapse()
    process = PROCESSES.Process(target=work, args=(world.settings.home, world.now(), "seal.within"))
    process.start()
    process.join(30)
    assert process.exitcode == KILLED
