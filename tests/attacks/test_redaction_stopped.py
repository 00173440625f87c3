"""One row that somebody plants or spoils must not stop the destruction of everybody else's values, nor the sweep."""

# ruff: noqa: S608 - the attacker's own statements

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from crm_core import writer
from redaction import sweep, worker
from redaction.disposition import DONE, Job
from redaction.sweep import Sweep
from runtime import keyring
from runtime.clock import ClockError, FixedClock
from tests.attacks.hand import HELD, TRUE, advance, said, sql, swept
from tests.redaction.world import EMAIL, GIVEN, START, VALUES, Customer, World, settle

ROTATION = "INSERT INTO rotation (bucket, epoch, ended, rewrapped, began_at) VALUES ({}, 1, '[]', 0, 'x')"
JOB = (
    "INSERT INTO redaction_job (id, subject, version, round, step, cause, cause_id, ended_at, planned_at, bucket, "
    "fates, attempts, kept, sealed, shredded, planned) "
    "SELECT 'planted', subject, version + 1, {}, 'done', 'x', 'x', 'x', 'x', 0, '{{}}', 0, 0, 0, 0, 0 FROM standing"
)
LATE = {
    "a rotation of no bucket": ROTATION.format(-1),
    "one far beyond": ROTATION.format(2_000_000),
    "a job in the next round": JOB.format(1),
    "one in the very last round": JOB.format(2_147_483_647),
}
TYPED = {  # what SQLite alone takes
    "a rotation of a word": ROTATION.format("'x'"),
    "a generation of a word": "UPDATE record SET generation = 'x'",
    "an end that is no instant": "UPDATE credential SET ended_at = 'x', ended_kind = 'x' WHERE kind = 'consent'",
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, FixedClock(START))
    yield made
    made.platform.close()


def two(world: World, monkeypatch: pytest.MonkeyPatch) -> tuple[Customer, Customer]:
    """Two customers of two buckets."""
    one = world.customer()
    real = writer.new_subject
    with monkeypatch.context() as patch:
        others = (made for made in iter(real, "") if keyring.bucket_of(made) != keyring.bucket_of(one.subject))
        patch.setattr(writer, "new_subject", lambda: next(others))
        other = world.customer()
    settle(world)
    return one, other


def hours(world: World, count: int = 8) -> None:
    """As the loop does it: passes, and what puts right what may have stopped them."""
    slow = Sweep()
    for _ in range(count):
        advance(world, timedelta(hours=3))
        worker.run_once(world.platform, world.catalogue)
        slow._begun = None
        slow.some(world.platform, world.catalogue, budget=5)


def withdrawn_beside(world: World, monkeypatch: pytest.MonkeyPatch, act: str) -> None:
    beside, other = two(world, monkeypatch)
    theirs, given = world.consent(beside, HELD), world.consent(other, HELD)
    settle(world)
    if "VALUES" not in act:
        act += f" {'AND' if 'WHERE' in act else 'WHERE'} subject = '{beside.subject}'"
    sql(world, act)
    world.withdraw(beside, theirs)
    world.withdraw(other, given)
    hours(world)
    assert said(world, other) == TRUE
    assert world.readable(other) == {GIVEN: VALUES[GIVEN]}


@pytest.mark.parametrize("what", LATE)
def test_a_planted_row_holds_up_nobody_else(world: World, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    withdrawn_beside(world, monkeypatch, LATE[what])
    assert len([row for row in world.rows(Job) if row.step == DONE and row.done_at]) == 2


@pytest.mark.sqlite("a text in a column of numbers")
@pytest.mark.parametrize("what", TYPED)
def test_nor_does_one_of_the_wrong_type(world: World, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    withdrawn_beside(world, monkeypatch, TYPED[what])


@pytest.mark.sqlite("bytes in a column of text")
@pytest.mark.parametrize("digest", ["'x'", "x'00'"])
def test_bytes_in_the_place_of_an_archive_key_stop_neither_an_end_nor_the_sweep(world: World, digest: str) -> None:
    who = world.customer()
    settle(world)
    world.withdraw(who, world.consent(who, [EMAIL]))
    settle(world)
    key = sql(world, "SELECT archive_key FROM archive")[0][0]
    for number, name in enumerate(("x'00'", f"'{key}'")):
        sql(
            world,
            "INSERT INTO archive (job, subject, field, period, ground, generation, archive_key, box, digest, "
            f"destroy_by, at, mac) VALUES ('x', '{who.subject}', 'f{number}', 'x', 'x', 1, {name}, 'x', {digest}, "
            "'x', 'x', 'x')",
        )
    advance(world, timedelta(days=4000))
    done = worker.run_once(world.platform, world.catalogue)
    assert (done.failed, done.destroyed) == (0, 2)
    assert sql(world, "SELECT field FROM archive") == [("f0",)]
    swept(world)


def test_what_stands_in_a_row_of_no_bucket_is_counted(world: World) -> None:
    sql(world, ROTATION.format(-1))
    sql(world, ROTATION.format(256))
    with world.platform.database.read() as session:
        held = sweep.held_back(session, world.now())
    assert held["rotations of a bucket that there is not"] == 2


@pytest.mark.parametrize("failing", [True, False])
def test_the_sweep_comes_whatever_became_of_the_pass(
    world: World, monkeypatch: pytest.MonkeyPatch, failing: bool
) -> None:
    stop, swept_ = threading.Event(), []

    def fails(*_: object, **__: object) -> None:
        raise TypeError("'<' not supported") if failing else ClockError("the clock jumped")

    monkeypatch.setattr(worker, "run_once", fails)
    monkeypatch.setattr(Sweep, "some", lambda *_: swept_.append(stop.set()) or 0)
    thread = threading.Thread(target=worker.run, args=(world.platform, world.catalogue, stop))
    thread.start()
    time.sleep(0 if failing else 0.5)
    if not failing:
        stop.set()  # control: where the clock cannot be believed, nothing goes on
    thread.join(10)
    assert not thread.is_alive()
    assert len(swept_) == failing
