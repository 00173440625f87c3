"""Whoever edits redaction's own tables holds nothing up for longer than a round of the sweep."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session, delete, select

from redaction import plan, sweep, worker
from redaction.disposition import DONE, Job
from redaction.due import LapseRow
from redaction.sweep import Sweep
from runtime.clock import FixedClock
from tests.redaction.world import CITY, EMAIL, GIVEN, PHONE, VALUES, Customer, World, settle
from verifier import reconcile

Attack = Callable[[Session, str], None]


def looked_at(session: Session, subject: str) -> None:
    """It was looked at, for ever."""
    row = session.get_one(LapseRow, subject)
    row.done_version, row.next_at = 10**9, None
    session.add(row)


def not_before(session: Session, subject: str) -> None:
    row = session.get_one(LapseRow, subject)
    row.done_version, row.retry_at = 10**9, "2099-01-01T00:00:00.000Z"
    session.add(row)


def never_ends(session: Session, subject: str) -> None:
    """A job that waits until the end of days keeps others from being planned."""
    session.add(job(subject, step="planned", next_try_at="2099-01-01T00:00:00.000Z"))


def no_such_step(session: Session, subject: str) -> None:
    session.add(job(subject, step="later"))


def job(subject: str, **columns: str) -> Job:
    made = Job(
        id="urn:uuid:planted", subject=subject, version=99, round=0, step="", cause="withdrawn", cause_id="x",
        ended_at="2026-11-22T08:00:00.000Z", planned_at="2026-11-22T08:00:00.000Z", bucket=0,
    )  # fmt: skip
    for name, value in columns.items():
        setattr(made, name, value)
    return made


@pytest.fixture
def who(world: World) -> Customer:
    """A customer with a consent that was looked at."""
    made = world.customer()
    world.consent(made, (PHONE, CITY))
    settle(world)
    return made


@pytest.mark.parametrize("attack", [looked_at, not_before, never_ends, no_such_step])
def test_a_lapse_that_somebody_hides_is_found_and_carried_out(world: World, who: Customer, attack: Attack) -> None:
    given = world.consent(who, [EMAIL])
    settle(world)
    world.withdraw(who, given)
    with world.platform.database.write("owner") as session:
        attack(session, who.subject)
    for _ in range(3):  # control: without the sweep it stays
        worker.run_once(world.platform, world.catalogue)
    assert EMAIL in world.readable(who)
    slow = Sweep()
    for _ in range(3):
        slow.some(world.platform, world.catalogue)
        settle(world)
    if attack in (looked_at, not_before):
        assert slow.found == 1
    assert world.readable(who) == {field: VALUES[field] for field in (PHONE, CITY, GIVEN)}
    assert slow.rounds == 1


def test_a_round_without_anything_hidden_finds_nothing_and_rests(world: World, who: Customer) -> None:
    slow = Sweep()
    while not slow.rounds:
        assert slow.some(world.platform, world.catalogue, budget=0) == 0
    assert slow.some(world.platform, world.catalogue) == 0
    assert slow.rounds == 1
    slow._begun = float("-inf")
    slow.some(world.platform, world.catalogue, budget=5)
    assert slow.rounds == 2


def test_a_job_that_was_moved_to_another_bucket_comes_back(world: World, who: Customer) -> None:
    given = world.consent(who, [EMAIL])
    world.withdraw(who, given)
    plan.plan_due(world.platform, world.catalogue)
    with world.platform.database.write("owner") as session:
        row = session.exec(select(Job).where(Job.step != DONE)).one()
        right, row.bucket = row.bucket, (row.bucket + 1) % 256
        session.add(row)
    assert sweep.unstick(world.platform) == 1
    assert [row.bucket for row in world.rows(Job)] == [right]
    settle(world)
    assert EMAIL not in world.readable(who)


def test_what_is_held_back_is_counted(world: World, who: Customer, clock: FixedClock) -> None:
    with world.platform.database.write("owner") as session:
        never_ends(session, who.subject)
        looked_at(session, who.subject)
    clock.advance(sweep.STUCK * 2)
    with world.platform.database.read() as session:
        held = sweep.held_back(session, world.now())
    assert held["jobs open for an hour"] == 1
    with world.platform.database.write("owner") as session:
        session.exec(delete(LapseRow))  # type: ignore[call-overload]
    assert Sweep().some(world.platform, world.catalogue, budget=1) == 0


def test_an_answer_whose_commit_failed_holds_its_customer_back_by_name_until_reconcile(
    world: World, who: Customer, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FullDiskError(Exception):
        pass

    def fails(*known: Any) -> None:
        note(*known)  # it is in the journal by now
        raise FullDiskError

    note, given = world._note, world.consent(who, [EMAIL, GIVEN])
    with monkeypatch.context() as patch:
        patch.setattr(world, "_note", fails)
        with pytest.raises(FullDiskError):
            world.consent(who, [GIVEN])
    world.withdraw(who, given)
    for _ in range(3):
        clock.advance(timedelta(minutes=1))
        worker.run_once(world.platform, world.catalogue)
    assert EMAIL in world.readable(who)
    assert [row.error for row in world.rows(LapseRow)] == ["evidence_lost"]
    assert lost(world) == 1
    assert len(reconcile.reconcile(world.platform, world.catalogue).given) == 1
    clock.advance(timedelta(minutes=1))
    settle(world)
    assert set(world.readable(who)) == {GIVEN, PHONE, CITY}
    assert lost(world) == 0


def lost(world: World) -> int:
    with world.platform.database.read() as session:
        held = sweep.held_back(session, world.now())
    return next(count for what, count in held.items() if "fieldgrant reconcile" in what)


def test_a_planted_job_without_fields_gets_no_certificate(world: World, who: Customer) -> None:
    with world.platform.database.write("owner") as session:
        session.add(job(who.subject, step="planned"))
    settle(world)
    assert world.events("certificate.issued") == []
    assert [(row.step, row.error) for row in world.rows(Job)] == [(DONE, "void")]
