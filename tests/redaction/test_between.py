"""What happens between two steps of a worker: a statutory ground is approved, another worker goes on."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from issuer import credentials
from redaction import disposal, looking, worker
from runtime import keyfiles
from runtime.clock import FixedClock
from runtime.journal import Journal
from runtime.platform import Platform
from tests.attacks.hand import HELD, TRUE, ended, passes, refuse, said
from tests.redaction.test_dispositions import roll_forward
from tests.redaction.world import VALUES, Customer, World, settle

Act = Callable[[], object]


def before(patch: pytest.MonkeyPatch, module: Any, name: str, act: Act) -> None:
    """Once, right before the next call."""
    right, left = getattr(module, name), [act]

    def late(*more: Any, **others: Any) -> Any:
        while left:
            left.pop()()
        return right(*more, **others)

    patch.setattr(module, name, late)


def snapshot(patch: pytest.MonkeyPatch, act: Act) -> None:
    """After the snapshot of the look, before its evidence is examined."""
    before(patch, looking, "proved", act)


def look(patch: pytest.MonkeyPatch, act: Act) -> None:
    """After the look, before the write lock."""
    before(patch, disposal, "at_once", act)


def stored(patch: pytest.MonkeyPatch, act: Act) -> None:
    """After the decision was stored, before it is carried out."""
    patch.setattr(disposal, "at_once", refuse)
    before(patch, disposal, "dispose", act)


MOMENTS = [snapshot, look, stored]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_ground_that_is_approved_meanwhile_spares_the_value(
    world: World, monkeypatch: pytest.MonkeyPatch, moment: Callable[..., None]
) -> None:
    """It is committed, and covers, before the standings of those whom it covers are raised, batch after batch."""
    who = world.customer()
    ended(world, who)
    with monkeypatch.context() as patch:
        moment(patch, lambda: world.statutory(HELD, raised=False))
        worker.run_once(world.platform, world.catalogue)
    with world.platform.database.write("owner") as session:
        credentials.raise_versions(session, [who.subject])
    passes(world)
    assert said(world, who) == dict.fromkeys(HELD, "keep")
    assert world.readable(who) == VALUES


@pytest.mark.parametrize("moment", MOMENTS)
def test_control_by_its_standing_alone_the_customer_loses_it(
    world: World, monkeypatch: pytest.MonkeyPatch, moment: Callable[..., None]
) -> None:
    who = world.customer()
    ended(world, who)
    monkeypatch.setattr(Journal, "approved", 0)
    with monkeypatch.context() as patch:
        moment(patch, lambda: world.statutory(HELD, raised=False))
        worker.run_once(world.platform, world.catalogue)
    passes(world)
    assert said(world, who) == TRUE


@contextmanager
def beside(world: World, people: list[Customer]) -> Iterator[threading.Thread]:
    """A second worker: the first one's withdrawal comes to its end, then the second customer withdraws, to the end."""
    first, second = people
    given = world.consent(second, HELD)
    ended(world, first)
    platform = Platform.open(world.settings, world.platform.clock)

    def through(who: Customer) -> None:
        clock, until = world.platform.clock, time.monotonic() + 20
        assert isinstance(clock, FixedClock)
        while said(world, who) != TRUE and time.monotonic() < until:
            clock.advance(timedelta(seconds=60))
            worker.run_once(platform, world.catalogue)
            time.sleep(0.05)

    def work() -> None:
        through(first)
        world.withdraw(second, given)
        through(second)

    thread = threading.Thread(target=work, daemon=True)
    yield thread
    thread.join(60)
    platform.close()


@pytest.mark.parametrize("alone", [True, pytest.param(False, id="control: nobody waits for the other")])
def test_a_worker_that_stands_still_over_a_replica_overwrites_no_newer_one(
    world: World, monkeypatch: pytest.MonkeyPatch, alone: bool
) -> None:
    who = world.customer()
    others = [world.neighbour(who), world.neighbour(who)]
    stands, asks, on = threading.Event(), threading.Event(), threading.Event()
    write_all, locked = keyfiles.write_all, keyfiles.locked

    def stalling(files: Mapping[Path, bytes]) -> None:
        replicas = any(path.parent.name == "wrapped" for path in files)
        if replicas and threading.current_thread().name == "slow" and not stands.is_set():
            stands.set()
            assert on.wait(60)
        write_all(files)

    def asking(path: Path) -> Any:
        if path.parent.name != "wrapped":
            return locked(path)
        if alone and threading.current_thread().name != "slow":
            asks.set()
        return locked(path) if alone else nullcontext()

    monkeypatch.setattr(keyfiles, "write_all", stalling)
    monkeypatch.setattr(keyfiles, "locked", asking)
    with beside(world, others) as other:
        old = world.copy("before.db")
        slow = threading.Thread(target=worker.run_once, args=(world.platform, world.catalogue), name="slow")
        slow.start()
        assert stands.wait(20)
        other.start()
        while other.is_alive() and not asks.wait(0.05):
            pass
        other.join(0.5)
        waited = other.is_alive()
        on.set()
        slow.join(60)
    assert waited is alone
    settle(world)
    assert [said(world, one) for one in others] == [TRUE, TRUE]
    roll_forward(world, old)
    assert (world.opens(old, who.subject) == VALUES) is alone
