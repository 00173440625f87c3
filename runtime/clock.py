"""Time that only moves on: never below a persisted high-water mark, and an implausible jump denies (DESIGN, 12)."""

import hashlib
import hmac
import json
import os
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

BACKWARDS = timedelta(seconds=5)
FORWARDS = timedelta(hours=1)
OFF = timedelta(days=7)  # as long may a machine have been switched off before a person is to look at its clock
_PERSIST_EVERY = 1.0  # seconds
_LENGTH = len("2026-11-22T08:00:00.123")


class ClockError(Exception):
    """The machine's clock cannot be believed; nothing that depends on time may be granted."""

    code = "clock_implausible"


class Clocks(Protocol):
    """Whatever tells the time."""

    def now(self) -> datetime:
        """The present instant, aware, UTC. Raises ClockError when it cannot be believed."""
        ...

    def settled(self) -> None:
        """What cannot be undone may be done now. Raises ClockError while a jump waits for a person's word."""
        ...


def iso(at: datetime) -> str:
    """`2026-11-22T08:00:00.123Z`: UTC with milliseconds, the form of events and tables. Sorts as text."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")[:_LENGTH] + "Z"


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

    The wall clock is compared with the time that passed since this process started: more than an hour ahead of it, or
    more than five seconds below the mark, raises ClockError for as long as it lasts. A mark that was never raised by
    a bad clock heals by itself when the clock is put right.

    A jump, and a start more than a week above the mark, also leave `<mark>.paused`: until a person has confirmed the
    clock (`confirm`), nothing is destroyed (`settled`), even when the clock was put right, and no mark is written.
    """

    def __init__(
        self,
        mark: Path,
        *,
        wall: Callable[[], datetime] = _wall,
        elapsed: Callable[[], float] = _elapsed,
        key: bytes = b"",
    ) -> None:
        """`mark` is the file of the high-water mark; its directory must exist. `key` signs confirmations."""
        self._mark, self._wall, self._elapsed, self._key = mark, wall, elapsed, key
        self._paused, self._confirmed = (mark.with_name(f"{mark.name}.{name}") for name in ("paused", "confirmed"))
        self._lock = threading.Lock()
        self._start, self._start_elapsed = wall(), elapsed()
        self._high = datetime.fromtimestamp(0, UTC)
        self._persisted_at = float("-inf")
        if mark.exists() and self._start - self._last() > OFF:
            self._pause(self._last(), self._start)

    def now(self) -> datetime:
        """The present instant. Raises ClockError."""
        with self._lock:
            passed = self._elapsed()
            if passed - self._persisted_at >= _PERSIST_EVERY:
                self._high = max(self._high, self._read())
            at = self._wall()
            expected = self._start + timedelta(seconds=passed - self._start_elapsed)
            if at - expected > FORWARDS and not self._rebased(at, passed):
                self._pause(expected, at)
                raise ClockError("the clock jumped forward by more than an hour")
            if self._high - at > BACKWARDS:
                raise ClockError("the clock is below its high-water mark")
            self._high = max(self._high, at)
            if passed - self._persisted_at >= _PERSIST_EVERY:
                if not self._paused.exists():
                    self._write()
                self._persisted_at = passed
            return self._high

    def settled(self) -> None:
        """Raises ClockError while a jump waits for a person's word."""
        if self._paused.exists():
            raise ClockError("the clock jumped: nothing is destroyed until `fieldgrant clock confirm`")

    def pause(self) -> dict[str, str] | None:
        """What waits for a person's word: `expected` and `found` instants; None when nothing does."""
        try:
            found: dict[str, str] = json.loads(self._paused.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError:
            return {"expected": "", "found": ""}
        return found

    def confirm(self) -> datetime:
        """A person says that the clock is right now; the instant that was confirmed. Processes that run learn of it.

        Raises ClockError below the high-water mark: time does not go back, put the clock right.
        """
        with self._lock:
            at = self._wall()
            if self._last() - at > BACKWARDS:
                raise ClockError("the clock is below its high-water mark")
            facts: dict[str, Any] = {"wall": iso(at), "elapsed": self._elapsed()}
            self._replace(self._confirmed, json.dumps(facts | {"mac": self._mac(facts)}))
            self._start, self._start_elapsed = at, self._elapsed()
            self._high = max(self._high, at)
            self._write()  # else the next process would find the jump again
            self._paused.unlink(missing_ok=True)
            return at

    def _rebased(self, at: datetime, passed: float) -> bool:
        """Was this jump confirmed? Then time is counted from the confirmation on."""
        try:
            facts = json.loads(self._confirmed.read_bytes())
            mac, wall, elapsed = facts.pop("mac"), instant(facts["wall"]), float(facts["elapsed"])
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return False
        fits = hmac.compare_digest(str(mac), self._mac(facts))
        since = timedelta(seconds=passed - elapsed)
        if not fits or since < timedelta() or at - (wall + since) > FORWARDS or wall < self._start:
            return False
        self._start, self._start_elapsed = wall, elapsed
        return True

    def _mac(self, facts: dict[str, Any]) -> str:
        return hmac.new(self._key, json.dumps(facts, sort_keys=True).encode(), hashlib.sha256).hexdigest()

    def _pause(self, expected: datetime, found: datetime) -> None:
        if not self._paused.exists():
            self._replace(self._paused, json.dumps({"expected": iso(expected), "found": iso(found)}))

    def _last(self) -> datetime:
        try:
            return self._read()
        except ClockError:
            return datetime.fromtimestamp(0, UTC)

    def _read(self) -> datetime:
        try:
            return instant(self._mark.read_text(encoding="ascii"))
        except FileNotFoundError:
            return datetime.fromtimestamp(0, UTC)
        except ValueError as error:
            raise ClockError("the high-water mark is unreadable") from error

    def _write(self) -> None:
        # No fsync: a mark that is a few seconds old after a power cut is still a mark. The rename keeps it whole.
        self._replace(self._mark, iso(self._high))

    def _replace(self, path: Path, text: str) -> None:
        temporary = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
        temporary.write_text(text, encoding="ascii")
        temporary.replace(path)


class FixedClock:
    """A clock that stands until it is told to move. For tests and for replaying."""

    def __init__(self, at: datetime) -> None:
        """`at` must be aware."""
        self._at = at.astimezone(UTC)

    def now(self) -> datetime:
        """The instant last set."""
        return self._at

    def settled(self) -> None:
        """Always."""

    def advance(self, by: timedelta) -> None:
        """Move on by `by`."""
        self._at += by

    def set(self, at: datetime) -> None:
        """Move to `at`."""
        self._at = at.astimezone(UTC)
