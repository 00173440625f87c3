"""One row that somebody plants or spoils must not stop the destruction of everybody else's values, nor the sweep."""

# ruff: noqa: S608 - the attacker's own statements

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from crm_core import writer
from protocol.consent import SubjectId
from redaction import sweep, unclaimed, worker
from redaction.disposition import DONE, Job
from redaction.sweep import Sweep
from runtime import keyring
from runtime.clock import ClockError, FixedClock
from tests.attacks.hand import HELD, TRUE, advance, passes, said, sql, swept
from tests.redaction.test_causes import imported
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
NO_TEXT = "CAST(x'ff' AS TEXT)"
PLANTED = (
    "INSERT INTO redaction_job (id, subject, version, round, step, cause, cause_id, ended_at, planned_at, bucket, "
    "fates, attempts, kept, sealed, shredded, planned) SELECT {}, {}, 9, 9, '{}', 'x', 'x', 'x', 'x', 0, '{{}}', 0, 0, "
    "0, 0, 0 FROM standing LIMIT 1"
)
RECORD = "INSERT INTO record (subject, created_at, bucket, epoch, generation, wrapped, cells) VALUES "
UNREADABLE = {  # a text that is no UTF-8: the driver gives up the whole statement
    "a job of no subject": PLANTED.format("'planted'", NO_TEXT, "journalled") + " /* VALUES */",
    "one that is almost done": PLANTED.format("'planted'", NO_TEXT, "dropped") + " /* VALUES */",
    "a job of no name": PLANTED.format(NO_TEXT, "'sub_x'", "planned") + " /* VALUES */",
    "one of a customer's": PLANTED.format(NO_TEXT, "(SELECT max(subject) FROM standing)", "planned") + " /* VALUES */",
    "a standing": f"INSERT INTO standing VALUES ({NO_TEXT}, 1)",
    "a standing before all others": "INSERT INTO standing VALUES (CAST(x'01ff' AS TEXT), 1)",
    "one of bytes": "INSERT INTO standing VALUES (x'ff', 1)",
    "a wallet": f"UPDATE credential SET did = {NO_TEXT} WHERE kind = 'enrolment'",
    "a record": RECORD + f"({NO_TEXT}, 'x', 0, 1, 1, x'00', x'00')",
    "a record of bytes": RECORD + "(x'61', 'x', 0, 1, 1, x'00', x'00')",
}
UNTAKEN = "INSERT INTO credential (id, kind, subject, did, body, digest, at) SELECT 'urn:uuid:00000000-0000-4000-8000-"


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


@pytest.mark.sqlite("a text that is no UTF-8")
@pytest.mark.parametrize("what", UNREADABLE)
def test_nor_does_a_text_that_is_none(world: World, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    withdrawn_beside(world, monkeypatch, UNREADABLE[what])


@pytest.mark.sqlite("a text that is no UTF-8")
def test_nor_does_one_keep_the_sweep_from_mending_what_others_wait_for(world: World) -> None:
    who = world.customer()
    settle(world)
    given = world.consent(who, HELD)
    settle(world)
    sql(world, f"INSERT INTO lapse VALUES ({NO_TEXT}, 1, NULL, '9999', NULL)")
    world.withdraw(who, given)
    sql(world, "UPDATE lapse SET retry_at = '9999'")
    hours(world)
    assert said(world, who) == TRUE


@pytest.mark.sqlite("names that no text can be compared with")
@pytest.mark.parametrize("name", ["x'61{:02x}'", "CAST(x'01ff{:02x}' AS TEXT)", "CAST('sub_' || x'ff{:02x}' AS TEXT)"])
def test_a_round_of_the_sweep_ends_whatever_the_records_are_called(world: World, name: str) -> None:
    who = world.customer()
    settle(world)
    for number in range(sweep.BATCH + 1):
        sql(world, f"{RECORD} ({name.format(number)}, 'x', 0, 1, 1, x'00', x'00')")
    world.withdraw(who, world.consent(who, HELD))
    sql(world, "UPDATE lapse SET done_version = 99")
    slow = Sweep()
    assert (slow.some(world.platform, world.catalogue, budget=5), slow.rounds) == (1, 1)


def test_a_batch_that_fails_keeps_those_behind_it_from_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    people = sorted((world.customer() for _ in range(3)), key=lambda one: one.subject)
    settle(world)
    for who in people:
        world.withdraw(who, world.consent(who, HELD))
    sql(world, "UPDATE lapse SET done_version = 99")
    real = sweep._hidden

    def fails(platform: object, catalogue: object, subjects: list[str]) -> object:
        if people[0].subject in subjects:
            raise AttributeError("'bytes' object has no attribute 'encode'")
        return real(platform, catalogue, subjects)  # type: ignore[arg-type]

    monkeypatch.setattr(sweep, "_hidden", fails)
    monkeypatch.setattr(sweep, "BATCH", 1)
    slow = Sweep()
    assert (slow.some(world.platform, world.catalogue, budget=5), slow.rounds) == (2, 1)


@pytest.mark.parametrize(("standing", "fields"), [(True, "{}"), (False, "{}"), (False, "none")])
def test_rows_that_nobody_can_settle_keep_no_unclaimed_value_from_its_end(
    world: World, monkeypatch: pytest.MonkeyPatch, standing: bool, fields: str
) -> None:
    who = imported(world, days=10)
    world.enrol(who)
    settle(world)
    monkeypatch.setattr(unclaimed, "_BATCH", 20)
    own = keyring.bucket_of(who.subject)  # whose rotation a standing without a record would hold up
    for number in [one for one in range(100) if keyring.bucket_of(SubjectId(f"a{one:02}")) != own][:25]:
        origin = f"'a{number:02}', 'x', 'x', 'x', 'x', 'x', '{fields}', '2000-01-01T00:00:00Z'"
        columns = "subject, event_id, source, source_digest, importer, at, fields, destroy_by"
        sql(world, f"INSERT INTO origin ({columns}) VALUES ({origin})")
        if standing:
            sql(world, f"INSERT INTO standing VALUES ('a{number:02}', 1)")
            disputed = f"{number:012}', 'enrolment', 'a{number:02}', 'x', ?, 'x{number}', at FROM credential LIMIT 1"
            sql(world, UNTAKEN + disputed, b"{}")
    advance(world, timedelta(days=10))
    for _ in range(10 if standing else 1):  # drawn by lot: in each pass six of twenty-six are left out
        advance(world, timedelta(minutes=1))
        worker.run_once(world.platform, world.catalogue)
    settle(world)
    assert world.readable(who) == {}


def test_nor_do_customers_who_are_left_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    people = sorted((imported(world, days=10) for _ in range(4)), key=lambda one: one.subject)
    settle(world)
    monkeypatch.setattr(unclaimed, "_BATCH", 1)
    for who in people[:3]:
        sql(world, f"INSERT INTO quarantine SELECT '{who.subject}', at, 'x' FROM outbox LIMIT 1")
    advance(world, timedelta(days=10))
    worker.run_once(world.platform, world.catalogue)
    settle(world)
    assert [world.readable(who) for who in people] == [VALUES, VALUES, VALUES, {}]


@pytest.mark.parametrize("kind", ["withdrawal", "lift", "consent", "enrolment", "exclusion"])
def test_a_row_that_could_have_kept_nothing_holds_no_destruction_back(world: World, kind: str) -> None:
    who = world.customer()
    settle(world)
    given = world.consent(who, HELD)
    settle(world)
    sql(world, f"{UNTAKEN}000000000001', '{kind}', subject, did, ?, 'x', at FROM credential LIMIT 1", b"{}")
    world.withdraw(who, given)
    passes(world)
    # control: what could have is asked for first
    assert said(world, who) == (TRUE if kind in ("withdrawal", "lift") else {})
    with world.platform.database.read() as session:
        held = sweep.held_back(session, world.now())
    assert held["customers with a statement that does not prove what it claims"] == (said(world, who) == {})


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
