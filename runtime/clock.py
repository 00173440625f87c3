"""Time that only moves on: never below a persisted high-water mark, and an implausible jump denies (DESIGN, 12)."""

import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

BACKWARDS = timedelta(seconds=5)
FORWARDS = timedelta(days=1)
_PERSIST_EVERY = 1.0  # seconds


class ClockError(Exception):
    """The machine's clock cannot be believed; nothing that depends on time may be granted."""

    code = "clock_implausible"


class Clocks(Protocol):
    """Whatever tells the time."""

    def now(self) -> datetime:
        """The present instant, aware, UTC. Raises ClockError when it cannot be believed."""
        ...


def iso(at: datetime) -> str:
    """`2026-11-22T08:00:00.123Z`: UTC with milliseconds, the form of events and tables. Sorts as text."""
    utc = at.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


def instant(text: str) -> datetime:
    """The inverse of `iso`, for our own stored text. Raises ValueError."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _wall() -> datetime:
    return datetime.now(UTC)


def _elapsed() -> float:
    # BOOTTIME goes on while the machine sleeps; MONOTONIC would make each wake-up look like a jump.
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Clock:
    """The machine's clock, guarded by a high-water mark in a file that processes share.

    The wall clock is compared with the time that passed since this process started: more than a day ahead of it, or
    more than five seconds below the mark, raises ClockError for as long as it lasts. A mark that was never raised by
    a bad clock heals by itself when the clock is put right.
    """

    def __init__(
        self, mark: Path, *, wall: Callable[[], datetime] = _wall, elapsed: Callable[[], float] = _elapsed
    ) -> None:
        """`mark` is the file of the high-water mark; its directory must exist."""
        self._mark, self._wall, self._elapsed = mark, wall, elapsed
        self._lock = threading.Lock()
        self._start, self._start_elapsed = wall(), elapsed()
        self._high = datetime.fromtimestamp(0, UTC)
        self._persisted_at = float("-inf")

    def now(self) -> datetime:
        """The present instant. Raises ClockError."""
        with self._lock:
            passed = self._elapsed()
            if passed - self._persisted_at >= _PERSIST_EVERY:
                self._high = max(self._high, self._read())
            at = self._wall()
            expected = self._start + timedelta(seconds=passed - self._start_elapsed)
            if at - expected > FORWARDS:
                raise ClockError("the clock jumped forward by more than a day")
            if self._high - at > BACKWARDS:
                raise ClockError("the clock is below its high-water mark")
            self._high = max(self._high, at)
            if passed - self._persisted_at >= _PERSIST_EVERY:
                self._write()
                self._persisted_at = passed
            return self._high

    def _read(self) -> datetime:
        try:
            return instant(self._mark.read_text(encoding="ascii"))
        except FileNotFoundError:
            return datetime.fromtimestamp(0, UTC)
        except ValueError as error:
            raise ClockError("the high-water mark is unreadable") from error

    def _write(self) -> None:
        # No fsync: a mark that is a few seconds old after a power cut is still a mark. The rename keeps it whole.
        temporary = self._mark.with_name(f"{self._mark.name}.{os.getpid()}.{threading.get_ident()}")
        temporary.write_text(iso(self._high), encoding="ascii")
        temporary.replace(self._mark)


class FixedClock:
    """A clock that stands until it is told to move. For tests and for replaying."""

    def __init__(self, at: datetime) -> None:
        """`at` must be aware."""
        self._at = at.astimezone(UTC)

    def now(self) -> datetime:
        """The instant last set."""
        return self._at

    def advance(self, by: timedelta) -> None:
        """Move on by `by`."""
        self._at += by

    def set(self, at: datetime) -> None:
        """Move to `at`."""
        self._at = at.astimezone(UTC)
