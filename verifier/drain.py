"""Turnstile: readers pass, a withdrawer waits until those who were inside have left; two flocks, across processes.

A reader takes the entry for an instant, takes its shared place in the room, and lets the entry go. A withdrawer takes
the entry and keeps it, so that nobody new comes in, until it has had the room for itself once. With the room alone,
readers that overlap would starve it. Every holder has an open file of its own: the kernel counts, across threads and
processes, and a process that dies has left.
"""

import fcntl
import os
import threading
import time
from collections import deque
from pathlib import Path

from runtime.problem import Problem

_PAUSES = (0.0002, 0.0005, 0.001, 0.002)  # seconds between looks at the room, the last one repeated


class DrainTimeoutError(Problem):
    """Reads in flight did not end in time. Acknowledge nothing: what was committed stays, and may be sent again."""

    def __init__(self, detail: str) -> None:
        super().__init__(503, "drain_timeout", detail, headers={"Retry-After": "2"})


class Hold:
    """A reader's place inside; `.release()` is harmless when repeated."""

    __slots__ = ("_places", "_turnstile")

    def __init__(self, turnstile: "Turnstile", place: "_Place") -> None:
        self._turnstile = turnstile
        self._places = [place]

    def release(self) -> None:
        """Leave."""
        try:
            place = self._places.pop()  # atomic: a place given back twice would be shared by two readers
        except IndexError:
            return
        self._turnstile._leave(place)

    def held(self) -> bool:
        """Does a withdrawer still wait for this reader? What the kernel counts is not lost."""
        return True

    def __del__(self) -> None:
        # The last resort for a response that nobody ever sent: a place must not be kept by garbage.
        self.release()


class _Place:
    """One open file description for the entry and one for the room."""

    __slots__ = ("entry", "room")

    def __init__(self, directory: Path) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        self.entry = os.open(directory / "entry.lock", flags, 0o600)
        try:
            self.room = os.open(directory / "room.lock", flags, 0o600)
        except OSError:
            os.close(self.entry)
            raise

    def close(self) -> None:
        """Closing lets go of whatever is held."""
        os.close(self.entry)
        os.close(self.room)


class Turnstile:
    """`Turnstile(directory)`: its two lock files lie in `directory`, on a local file system."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._free: deque[_Place] = deque()
        self._pid = os.getpid()

    def passage(self) -> Hold:
        """Enter as a reader; waits while somebody drains."""
        place = self._take()
        try:
            fcntl.flock(place.entry, fcntl.LOCK_EX)
            fcntl.flock(place.room, fcntl.LOCK_SH)
            fcntl.flock(place.entry, fcntl.LOCK_UN)
        except BaseException:
            place.close()
            raise
        return Hold(self, place)

    def drain(self, timeout: float = 30.0) -> None:
        """Return once every reader that was inside at the call has left. Raises DrainTimeoutError after `timeout` s.

        Call it without holding a passage or a write transaction of one's own: a reader inside may be waiting for it.
        """
        until = time.monotonic() + timeout
        place = _Place(self._directory)
        waiter = _Entry(place)
        waiter.start()
        if not waiter.entered(timeout):
            raise DrainTimeoutError("another withdrawal is still waiting for its readers")
        try:
            self._alone(place, until)
        finally:
            place.close()

    def close(self) -> None:
        """Close the files of free places."""
        while self._free:
            self._free.popleft().close()

    @staticmethod
    def _alone(place: _Place, until: float) -> None:
        looks = 0
        while True:
            try:
                fcntl.flock(place.room, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise DrainTimeoutError("reads in flight did not end in time") from None
                time.sleep(_PAUSES[min(looks, len(_PAUSES) - 1)])
                looks += 1
            else:
                return

    def _take(self) -> _Place:
        if self._pid != os.getpid():  # a fork shares its parent's open files: its unlock would be the parent's
            self._free, self._pid = deque(), os.getpid()
        try:
            return self._free.pop()
        except IndexError:
            return _Place(self._directory)

    def _leave(self, place: _Place) -> None:
        if self._pid != os.getpid():
            return
        fcntl.flock(place.room, fcntl.LOCK_UN)
        self._free.append(place)


class _Entry(threading.Thread):
    """Waits for the entry in the kernel's queue: a poll could starve among readers, a blocking call has no deadline."""

    def __init__(self, place: _Place) -> None:
        super().__init__(name="drain-entry", daemon=True)
        self._place = place
        self._lock = threading.Lock()
        self._held = threading.Event()
        self._given_up = False

    def run(self) -> None:
        fcntl.flock(self._place.entry, fcntl.LOCK_EX)
        with self._lock:
            if self._given_up:
                self._place.close()
            else:
                self._held.set()

    def entered(self, timeout: float) -> bool:
        """Is the entry ours within the time? If not, the thread closes the files when its turn comes."""
        if self._held.wait(timeout):
            return True
        with self._lock:
            self._given_up = not self._held.is_set()
        return not self._given_up
