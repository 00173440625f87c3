"""The worker's loop: it pauses when the clock cannot be believed, outlives failures, and shares its work."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from crm_core import records
from protocol import event
from protocol.errors import EvidenceError
from redaction import replica, rewrapping, rotation, status, worker
from redaction.archive import Archived
from redaction.disposition import RESEALED, Job
from redaction.rotation import Rotation
from redaction.rotations import Going
from redaction.watch import Watch
from runtime import outbox
from runtime.clock import ClockError, FixedClock
from runtime.journal import Journal, JournalError
from runtime.keyring import bucket_of
from runtime.platform import Platform
from tests.redaction.world import CITY, EMAIL, GIVEN, PHONE, START, VALUES, World, settle

ALL = (PHONE, EMAIL, CITY)


class Doubtful(FixedClock):
    """A clock that can be made unbelievable."""

    broken = False

    def now(self) -> datetime:
        if self.broken:
            raise ClockError("the clock jumped forward by more than a day")
        return super().now()


@pytest.fixture
def doubtful(tmp_path: Path) -> Iterator[tuple[World, Doubtful]]:
    clock = Doubtful(START)
    made = World(tmp_path / "doubtful", clock)
    yield made, clock
    made.platform.close()


def test_destruction_pauses_while_the_clock_cannot_be_believed(doubtful: tuple[World, Doubtful]) -> None:
    world, clock = doubtful
    who = world.customer()
    world.withdraw(who, world.consent(who, ALL))
    clock.broken = True
    with pytest.raises(ClockError):
        worker.run_once(world.platform, world.catalogue)
    assert world.readable(who) == VALUES
    clock.broken = False
    settle(world)
    assert world.readable(who) == {GIVEN: VALUES[GIVEN]}


def test_a_clock_that_fails_at_the_last_moment_saves_the_bucket_key(
    doubtful: tuple[World, Doubtful], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, clock = doubtful
    who = world.customer()
    world.withdraw(who, world.consent(who, ALL))
    rewrap = rewrapping.rewrap

    def then_break(platform: Platform, rows: Sequence[Going]) -> frozenset[int]:
        done = rewrap(platform, rows)
        clock.broken = True
        return done

    monkeypatch.setattr(rewrapping, "rewrap", then_break)
    with pytest.raises(ClockError):
        worker.run_once(world.platform, world.catalogue)
    assert world.platform.keyring.epochs(bucket_of(who.subject)) == (1, 2)


def test_the_loop_pauses_on_a_bad_clock_and_goes_on_with_a_good_one(
    doubtful: tuple[World, Doubtful], caplog: pytest.LogCaptureFixture
) -> None:
    world, clock = doubtful
    who = world.customer()
    world.withdraw(who, world.consent(who, ALL))
    clock.broken = True
    stop = threading.Event()
    thread = threading.Thread(target=worker.run, args=(world.platform, world.catalogue, stop))
    thread.start()
    try:
        _until(lambda: "the clock cannot be believed" in caplog.text)
        clock.broken = False
        _until(lambda: [row.step for row in world.rows(Job)] == ["done"])
    finally:
        stop.set()
        thread.join()
    assert world.readable(who) == {GIVEN: VALUES[GIVEN]}


def test_the_loop_outlives_whatever_a_pass_meets_and_logs_no_text_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    passes = 0

    def fail(platform: Platform, catalogue: object, **_: object) -> None:
        nonlocal passes
        passes += 1
        raise ValueError("li.wei@customers.example")

    monkeypatch.setattr(worker, "run_once", fail)
    stop = threading.Event()
    with caplog.at_level(logging.INFO):
        thread = threading.Thread(target=worker.run, args=(world.platform, world.catalogue, stop))
        thread.start()
        _until(lambda: passes >= 2)
        stop.set()
        thread.join()
    assert "ValueError" in caplog.text
    assert "customers.example" not in caplog.text


def test_what_a_customer_lost_while_a_job_was_under_way_is_left_to_do_when_that_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = world.customer()
    first, second = world.consent(who, (PHONE,)), world.consent(who, (CITY,))
    world.withdraw(who, first)
    with monkeypatch.context() as patch:
        patch.setattr(rotation, "rotate", lambda *_: frozenset())
        worker.run_once(world.platform, world.catalogue)
    assert [row.step for row in world.rows(Job)] == ["journalled"]
    world.withdraw(who, second)
    done = worker.run_once(world.platform, world.catalogue)
    assert [row.step for row in world.rows(Job)] == ["done"]
    assert done.more
    assert done.left
    assert not worker.run_once(world.platform, world.catalogue).left
    assert CITY not in world.readable(who)


def test_an_old_key_that_was_overwritten_half_way_holds_up_no_rotation(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = world.customer()
    world.withdraw(who, world.consent(who, ALL))

    def half(platform: Platform, _: object) -> frozenset[int]:
        path = platform.keyring._path(bucket_of(who.subject), 1)
        whole = path.read_bytes()
        path.write_bytes(bytes(len(whole) // 2) + whole[len(whole) // 2 :])
        platform.keyring._held.clear()  # as in the process that comes next
        raise OSError("the disk failed")

    with monkeypatch.context() as patch:
        patch.setattr(rotation, "_destroy", half)
        worker.run_once(world.platform, world.catalogue)
    with world.platform.database.write("owner") as session:
        session.connection().execute(text("UPDATE redaction_job SET next_try_at = NULL"))
    settle(world)
    assert world.platform.keyring.epochs(bucket_of(who.subject)) == (2,)
    assert world.readable(who) == {GIVEN: VALUES[GIVEN]}


def test_an_idle_worker_looks_only_when_something_other_than_a_read_happened(world: World) -> None:
    watch = Watch()
    assert watch.stirred(world.platform)
    watch.looked(more=False)
    assert not watch.stirred(world.platform)
    with world.platform.database.write("owner") as session:
        outbox.emit(session, event.RELEASE, at=world.now())
    assert not watch.stirred(world.platform)
    with world.platform.database.write("owner") as session:
        outbox.emit(session, event.CONSENT_WITHDRAWN, at=world.now())
    assert watch.stirred(world.platform)
    watch.looked(more=True)
    assert watch.stirred(world.platform)
    watch.looked(more=False)
    watch.failed()
    assert watch.stirred(world.platform)


def test_every_few_seconds_it_looks_without_a_sign(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch()
    watch.stirred(world.platform)
    watch.looked(more=False)
    assert not watch.stirred(world.platform)
    monkeypatch.setattr("redaction.watch.AT_LEAST", 0.0)
    assert watch.stirred(world.platform)


def test_pauses_double_up_to_half_a_minute() -> None:
    assert [worker.pause(errors) for errors in (0, 1, 2)] == [0.2, 0.4, 0.8]
    assert worker.pause(10_000) == worker.SLOWEST


def test_a_step_that_fails_is_noted_and_tried_again_later(
    world: World, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    who, other = world.customer(), world.customer()
    world.withdraw(who, world.consent(who, ALL))
    world.withdraw(other, world.consent(other, ALL))
    # together, then the first by itself; the other goes well; then the first as it was planned, and again by itself
    append_all, failures = Journal.append_all, iter([True, True, False, True, True])

    def once(self: Journal, entries: Sequence[dict[str, object]]) -> int:
        if next(failures, False):
            raise JournalError("journal_failed", "the disk is full")
        return append_all(self, entries)

    monkeypatch.setattr(Journal, "append_all", once)
    worker.run_once(world.platform, world.catalogue)
    broken = [job for job in world.rows(Job) if job.error]
    assert [(job.error, job.step, job.attempts) for job in broken] == [("journal_failed", "planned", 1)]
    assert len([job for job in world.rows(Job) if job.step == "done"]) <= 1
    clock.advance(timedelta(seconds=31))
    settle(world)
    assert {job.step for job in world.rows(Job)} == {"done"}
    with world.platform.database.read() as session:
        assert status.figures(session, world.now()).failing == 0
    # what a try that failed had marked as sealed was sealed by the next one
    assert sorted(one.subject for one in world.rows(Archived)) == sorted([who.subject, other.subject])
    assert len(world.told("value.sealed")) == 2


def test_a_bucket_whose_rotation_fails_keeps_its_keys_and_is_tried_again(
    world: World, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = world.customer()
    world.withdraw(who, world.consent(who, ALL))
    rewrap = records.wrapped_anew

    def refuse(*_: object) -> int:
        raise EvidenceError("bad_data_key", "a data key does not belong to its record")

    monkeypatch.setattr(records, "wrapped_anew", refuse)
    assert worker.run_once(world.platform, world.catalogue).failed == 1
    assert worker.run_once(world.platform, world.catalogue).failed == 0
    assert world.platform.keyring.epochs(bucket_of(who.subject)) == (1, 2)
    (job,) = world.rows(Job)
    assert (job.step, job.error) == ("journalled", "bad_data_key")
    monkeypatch.setattr(records, "wrapped_anew", rewrap)
    clock.advance(timedelta(seconds=31))
    settle(world)
    assert world.platform.keyring.epochs(bucket_of(who.subject)) == (2,)


def put_back(world: World, job: str) -> None:
    """The job as it stands once it was put back from the journal: its survivors are not journalled."""
    with world.platform.database.write("owner") as session:
        row = session.get_one(Job, job)
        row.step = RESEALED
        session.add(row)


def test_the_key_stays_while_a_survivor_of_the_bucket_is_not_journalled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = world.customer()
    world.withdraw(who, world.consent(who, ALL))
    worker.plan.plan_due(world.platform, world.catalogue)
    (job,) = world.rows(Job)
    worker.disposal.dispose(world.platform, world.catalogue, [job.id])
    put_back(world, job.id)
    row = Rotation(bucket=job.bucket, epoch=2, ended="[1]", began_at="2026-11-22T08:00:00.000Z")
    with world.platform.database.write("owner") as session:
        session.add(row)
    world.platform.keyring.begin_rotation(job.bucket)
    assert rotation.rotate(world.platform, [job.bucket]) == frozenset()
    assert rotation._destroy(world.platform, [row]) == frozenset()
    assert world.platform.keyring.epochs(job.bucket) == (1, 2)
    settle(world)
    assert world.platform.keyring.epochs(job.bucket) == (2,)


def test_a_worker_that_was_overtaken_moves_no_key_back(world: World) -> None:
    who = world.customer()
    world.withdraw(who, world.consent(who, [PHONE]))
    settle(world)
    (first,) = world.rows(Rotation)
    world.withdraw(who, world.consent(who, [CITY]))
    settle(world)
    assert rewrapping.rewrap(world.platform, [first]) == frozenset()
    assert rotation._destroy(world.platform, [first]) == frozenset()
    with world.platform.database.read() as session:
        record = records.load(session, who.subject)
    assert record is not None
    assert record.epoch == 3
    assert GIVEN in world.readable(who)


def test_a_bucket_that_never_rotated_has_no_replica(world: World) -> None:
    assert replica.read(world.platform, 0) == {}


def test_a_record_that_was_wrapped_late_with_the_old_epoch_is_moved_before_its_key_goes(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = world.customer()
    bucket = bucket_of(who.subject)
    world.withdraw(who, world.consent(who, [PHONE]))
    rewrap, late = rewrapping.rewrap, world.customer()

    def then_write(platform: Platform, rows: Sequence[Going]) -> frozenset[int]:
        monkeypatch.setattr(rewrapping, "rewrap", rewrap)
        done = rewrap(platform, rows)
        # a writer that looked up the epoch before the rotation and commits after it
        with platform.database.write("owner") as session:
            old = records.load(session, who.subject)
            assert old is not None
            place = records.DataKeyPlace(
                org=platform.controller, subject=who.subject, generation=old.generation, bucket=bucket, epoch=1
            )
            raw = records._raw_key(platform, old)
            wrapped = records.seal.wrap(raw, platform.keyring.opener(bucket, 1), place)
            records.replace(
                session,
                who.subject,
                cells=old.cells,
                generation=old.generation,
                wrapped=wrapped,
                bucket=bucket,
                epoch=1,
            )
        return done

    monkeypatch.setattr(rewrapping, "rewrap", then_write)
    settle(world)
    assert world.readable(who) == {field: value for field, value in VALUES.items() if field != PHONE}
    assert world.readable(late) == VALUES


def test_no_certificate_while_another_opener_still_holds_the_key(world: World) -> None:
    who = world.customer()
    world.withdraw(who, world.consent(who, ALL))
    other = Platform.open(world.settings, world.platform.clock)
    try:
        with other.database.read() as session:
            record = records.load(session, who.subject)
            assert record is not None
            records.data_key(other, record)
        other.keyring._opener._stop.set()  # type: ignore[union-attr]  # a process that hangs: it lives and lets go of nothing
        other.keyring._opener._thread.join()  # type: ignore[union-attr]
        for _ in range(5):
            worker.run_once(world.platform, world.catalogue)
            time.sleep(0.05)
        assert world.told("value.shredded") == []
        assert world.events("certificate.issued") == []
        assert [job.step for job in world.rows(Job)] == ["journalled"]
    finally:
        other.close()
    settle(world)
    assert len(world.events("certificate.issued")) == 1


def test_two_workers_side_by_side_do_nothing_twice(world: World) -> None:
    people = [world.customer() for _ in range(6)]
    for who in people:
        world.withdraw(who, world.consent(who, ALL))
    failures: list[Exception] = []

    def work() -> None:
        try:
            settle(world)
        except Exception as error:  # noqa: BLE001 - shown by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(world.fates()) == 3 * len(people)
    assert len(world.told("value.sealed", "value.shredded")) == 3 * len(people)
    certified = [subject for one in world.events("certificate.issued") for subject, _ in one.records]
    assert sorted(certified) == sorted(who.subject for who in people)
    assert {job.attempts for job in world.rows(Job)} == {0}
    for who in people:
        assert world.readable(who) == {GIVEN: VALUES[GIVEN]}


def test_a_field_that_vanished_before_it_could_be_sealed_is_shredded_not_invented(world: World) -> None:
    who = world.customer()
    world.withdraw(who, world.consent(who, [EMAIL]))
    worker.plan.plan_due(world.platform, world.catalogue)
    with world.platform.database.write("owner") as session:
        records.reseal(session, world.platform, who.subject, frozenset({GIVEN}))
    settle(world)
    assert [(row.field, row.action) for row in world.fates()] == [(EMAIL, "shred")]
    assert world.events("value.sealed") == []


@pytest.mark.parametrize("step", ["planned", "resealed"])
def test_a_record_that_vanished_fails_its_job_and_nothing_else(world: World, step: str) -> None:
    who, other = world.customer(), world.customer()
    while bucket_of(other.subject) == bucket_of(who.subject):  # a bucket keeps its key while a record of it is missing
        other = world.customer()
    world.withdraw(who, world.consent(who, ALL))
    worker.plan.plan_due(world.platform, world.catalogue)
    (job,) = world.rows(Job)
    if step == "resealed":
        worker.disposal.dispose(world.platform, world.catalogue, [job.id])
        put_back(world, job.id)
    with world.platform.database.write("owner") as session:
        session.delete(session.get_one(records.RecordRow, who.subject))
    world.withdraw(other, world.consent(other, ALL))
    worker.run_once(world.platform, world.catalogue)
    steps = {row.subject: (row.step, row.error) for row in world.rows(Job)}
    assert steps[who.subject] == (step, "unknown_subject")
    assert steps[other.subject][1] is None


def test_a_restore_that_fails_is_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    who = world.customer()
    world.withdraw(who, world.consent(who, [EMAIL]))
    settle(world)
    world.consent(who, [EMAIL])
    put_values = records.put_values

    def refuse(*_: object) -> None:
        raise EvidenceError("bad_data_key", "a data key does not belong to its record")

    monkeypatch.setattr(records, "put_values", refuse)
    done = worker.run_once(world.platform, world.catalogue)
    assert (done.restored, done.failed) == (0, 1)
    monkeypatch.setattr(records, "put_values", put_values)
    assert worker.run_once(world.platform, world.catalogue).restored == 1


def test_a_failure_is_named_by_a_stable_code_and_never_by_its_text() -> None:
    assert worker.code_of(EvidenceError("bad_cell", "x")) == "bad_cell"
    assert worker.code_of(OperationalError("insert …", {}, Exception("li.wei@customers.example"))) == "OperationalError"
    assert worker.code_of(KeyError("li.wei@customers.example")) == "KeyError"


def test_the_time_from_withdrawal_to_the_destroyed_key_is_measured(world: World, clock: FixedClock) -> None:
    who = world.customer()
    world.withdraw(who, world.consent(who, ALL))
    worker.plan.plan_due(world.platform, world.catalogue)
    clock.advance(timedelta(seconds=4))
    with world.platform.database.read() as session:
        waiting = status.durations(session, clock.now())
    assert (waiting.count, waiting.longest, waiting.open_longest) == (0, None, 4.0)
    settle(world)
    with world.platform.database.read() as session:
        done = status.durations(session, clock.now())
    assert (done.count, done.longest, done.median, done.open_longest) == (1, 4.0, 4.0, None)


@pytest.mark.sqlite("the write-ahead log is a file beside it")
def test_nothing_waits_in_the_write_ahead_log_afterwards(world: World) -> None:
    who = world.customer()
    world.withdraw(who, world.consent(who, ALL))
    settle(world)
    world.platform.database.checkpoint()
    assert (world.settings.db_dir / "fieldgrant.db-wal").stat().st_size == 0


def _until(true: object, limit: float = 15.0) -> None:
    assert callable(true)
    until = time.monotonic() + limit
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_told_to_stop_it_begins_no_further_step_and_goes_on_at_the_next_start(world: World) -> None:
    people = [world.customer() for _ in range(3)]
    for who in people:
        world.withdraw(who, world.consent(who, ALL))
    stop = threading.Event()
    stop.set()
    worker.run_once(world.platform, world.catalogue, stop=stop)
    assert world.rows(Job) == []
    assert [world.readable(who) for who in people] == [VALUES] * 3
    settle(world)
    assert {job.step for job in world.rows(Job)} == {"done"}
