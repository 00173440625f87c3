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
