from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runtime.clock import Clock, ClockError, FixedClock, instant, iso

START = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


class Machine:
    """A machine whose wall clock and elapsed time are moved by hand."""

    def __init__(self) -> None:
        self.wall, self.elapsed = START, 100.0

    def pass_(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.elapsed += seconds

    def clock(self, mark: Path) -> Clock:
        return Clock(mark, wall=lambda: self.wall, elapsed=lambda: self.elapsed)


def test_time_goes_on_with_the_machine(tmp_path: Path) -> None:
    machine = Machine()
    clock = machine.clock(tmp_path / "clock")
    assert clock.now() == START
    machine.pass_(3)
    assert clock.now() == START + timedelta(seconds=3)


def test_a_small_step_back_stands_still(tmp_path: Path) -> None:
    machine = Machine()
    clock = machine.clock(tmp_path / "clock")
    clock.now()
    machine.wall -= timedelta(seconds=4)
    assert clock.now() == START


def test_a_step_back_of_more_than_five_seconds_denies_until_it_is_put_right(tmp_path: Path) -> None:
    machine = Machine()
    clock = machine.clock(tmp_path / "clock")
    clock.now()
    machine.wall -= timedelta(seconds=6)
    with pytest.raises(ClockError):
        clock.now()
    machine.wall += timedelta(seconds=6)
    assert clock.now() == START


def test_the_high_water_mark_survives_the_process(tmp_path: Path) -> None:
    machine = Machine()
    machine.clock(tmp_path / "clock").now()
    machine.wall -= timedelta(hours=1)
    with pytest.raises(ClockError):
        machine.clock(tmp_path / "clock").now()


def test_a_jump_forward_of_more_than_a_day_denies_and_leaves_no_mark(tmp_path: Path) -> None:
    machine = Machine()
    clock = machine.clock(tmp_path / "clock")
    clock.now()
    machine.wall += timedelta(days=2)
    machine.elapsed += 5
    with pytest.raises(ClockError):
        clock.now()
    assert instant((tmp_path / "clock").read_text()) == START
    machine.wall -= timedelta(days=2)
    assert clock.now() == START


def test_a_day_that_really_passed_is_no_jump(tmp_path: Path) -> None:
    machine = Machine()
    clock = machine.clock(tmp_path / "clock")
    machine.pass_(3 * 86400)
    assert clock.now() == START + timedelta(days=3)


def test_the_mark_of_another_process_is_taken_in(tmp_path: Path) -> None:
    machine = Machine()
    clock = machine.clock(tmp_path / "clock")
    clock.now()
    (tmp_path / "clock").write_text(iso(START + timedelta(seconds=3)))
    machine.pass_(1.5)
    assert clock.now() == START + timedelta(seconds=3)


def test_the_mark_is_written_at_most_once_a_second(tmp_path: Path) -> None:
    machine = Machine()
    clock = machine.clock(tmp_path / "clock")
    clock.now()
    written = (tmp_path / "clock").read_text()
    machine.pass_(0.5)
    clock.now()
    assert (tmp_path / "clock").read_text() == written
    machine.pass_(0.6)
    clock.now()
    assert (tmp_path / "clock").read_text() != written


def test_an_unreadable_mark_denies(tmp_path: Path) -> None:
    (tmp_path / "clock").write_text("yesterday")
    with pytest.raises(ClockError):
        Machine().clock(tmp_path / "clock").now()


def test_a_fixed_clock_moves_when_told() -> None:
    clock = FixedClock(START)
    clock.advance(timedelta(hours=1))
    assert clock.now() == START + timedelta(hours=1)
    clock.set(START)
    assert clock.now() == START


def test_the_text_form_has_milliseconds_and_comes_back() -> None:
    at = datetime(2026, 11, 22, 8, 0, 0, 123456, tzinfo=UTC)
    assert iso(at) == "2026-11-22T08:00:00.123Z"
    assert instant(iso(at)) == at.replace(microsecond=123000)


def paused(clock: Clock) -> bool:
    try:
        clock.settled()
    except ClockError:
        return True
    return False


def test_after_a_jump_nothing_is_destroyed_until_a_person_confirms_even_when_it_was_put_right(tmp_path: Path) -> None:
    machine = Machine()
    clock = machine.clock(tmp_path / "clock")
    clock.now()
    assert not paused(clock)
    machine.wall += timedelta(days=2)
    with pytest.raises(ClockError):
        clock.now()
    machine.wall -= timedelta(days=2)
    assert clock.now() == START
    assert paused(clock)
    assert paused(machine.clock(tmp_path / "clock"))
    clock.confirm()
    assert not paused(clock)


def test_a_jump_that_was_confirmed_is_the_time_of_every_process(tmp_path: Path) -> None:
    machine = Machine()
    clock = machine.clock(tmp_path / "clock")
    clock.now()
    machine.wall += timedelta(days=40)
    with pytest.raises(ClockError):
        clock.now()
    assert machine.clock(tmp_path / "clock").pause() == {
        "expected": iso(START), "found": iso(START + timedelta(days=40)),
    }  # fmt: skip
    machine.clock(tmp_path / "clock").confirm()
    assert not paused(machine.clock(tmp_path / "clock"))
    machine.pass_(5)
    assert clock.now() == START + timedelta(days=40, seconds=5)
    assert not paused(clock)
    machine.wall += timedelta(days=2)
    with pytest.raises(ClockError):
        clock.now()


def test_a_start_long_after_the_mark_pauses_destruction_and_leaves_the_mark(tmp_path: Path) -> None:
    machine = Machine()
    machine.clock(tmp_path / "clock").now()
    machine.wall += timedelta(days=6)
    assert not paused(machine.clock(tmp_path / "clock"))
    machine.clock(tmp_path / "clock").now()
    machine.wall += timedelta(days=700)
    clock = machine.clock(tmp_path / "clock")
    clock.now()
    assert paused(clock)
    machine.wall -= timedelta(days=700)
    assert machine.clock(tmp_path / "clock").now() == START + timedelta(days=6)  # the wrong time left no mark


def test_a_confirmation_that_somebody_writes_without_the_key_counts_for_nothing(tmp_path: Path) -> None:
    machine = Machine()
    clock = Clock(tmp_path / "clock", wall=lambda: machine.wall, elapsed=lambda: machine.elapsed, key=b"ring")
    clock.now()
    machine.wall += timedelta(days=40)
    with pytest.raises(ClockError):
        clock.now()
    machine.clock(tmp_path / "clock").confirm()
    with pytest.raises(ClockError):
        clock.now()
    (tmp_path / "clock.confirmed").write_text("{}")
    with pytest.raises(ClockError):
        clock.now()


def test_time_that_goes_back_cannot_be_confirmed(tmp_path: Path) -> None:
    machine = Machine()
    clock = machine.clock(tmp_path / "clock")
    clock.now()
    machine.wall -= timedelta(hours=1)
    with pytest.raises(ClockError):
        clock.confirm()


def test_an_unreadable_pause_is_a_pause(tmp_path: Path) -> None:
    clock = Machine().clock(tmp_path / "clock")
    assert clock.pause() is None
    (tmp_path / "clock.paused").write_text("?")
    assert clock.pause() == {"expected": "", "found": ""}
    assert paused(clock)
