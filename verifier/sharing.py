"""Places inside the gate: one for several reads that came at the same time, and how many reads are at work at once."""

import threading
from collections import deque
from contextlib import suppress

from verifier.drain import Hold, Turnstile


class Common:
    """The place, and how many have a share in it. Make the first `share` before anybody can release one."""

    def __init__(self, hold: Hold) -> None:
        self._hold = hold
        self._shares = 0
        self._lock = threading.Lock()

    def share(self) -> "Share":
        """One more read, which a withdrawer waits for as for any other."""
        with self._lock:
            self._shares += 1
        return Share(self)

    def held(self) -> bool:
        """As the place's own."""
        return self._hold.held()

    def leave(self) -> None:
        """One of them is done."""
        with self._lock:
            self._shares -= 1
            last = not self._shares
        if last:
            self._hold.release()


class Share(Hold):
    """One read's part in a common place."""

    __slots__ = ("_common",)

    def __init__(self, common: Common) -> None:
        self._places = []  # that of the common hold is its own
        self._common = [common]

    def held(self) -> bool:
        """Does a withdrawer still wait for this reader?"""
        return bool(self._common) and self._common[0].held()

    def release(self) -> None:
        """Leave; the place itself is left by the last."""
        try:
            common = self._common.pop()  # atomic: nobody leaves twice
        except IndexError:
            return
        common.leave()


class Turns:
    """How many reads of this process are at work inside at a time; the others wait outside, and nobody for them.

    They all share one interpreter: many at once end no sooner, but all of them late, and a withdrawal waits for the
    last. Whoever is only waiting for the record's commit, or sending, is not at work; nor, to keep it simple, is one
    that goes on after its record. Turns are given in the order in which they were asked for. They are a courtesy and no
    lock: after `patience` seconds a read goes in without one, so that reads that take long hold up nobody for longer.
    """

    def __init__(self, at_once: int, patience: float) -> None:
        self.free, self._patience = at_once, patience
        self._waiting: deque[threading.Lock] = deque()
        self._lock = threading.Lock()

    def enter(self, turnstile: Turnstile) -> Hold:
        """A place inside, with a turn to work in it. Raises what `Turnstile.passage` raises."""
        turn = [self] if self._taken() else []
        try:
            return _AtWork(turnstile.passage(), turn)
        except BaseException:
            _end(turn)
            raise

    def end(self) -> None:
        """Whoever has waited longest is next."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self.free += 1

    def _taken(self) -> bool:
        with self._lock:
            if self.free:  # then nobody waits
                self.free -= 1
                return True
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        if mine.acquire(timeout=self._patience):
            return True
        with self._lock:
            try:
                self._waiting.remove(mine)
            except ValueError:  # given at the last moment
                return True
        return False


class _AtWork(Hold):
    """A place and a turn: the turn ends with the work, the place when the read has been sent."""

    __slots__ = ("_hold", "_turn")

    def __init__(self, hold: Hold, turn: list[Turns]) -> None:
        self._places = []  # that of `hold` is its own
        self._hold, self._turn = hold, turn

    def held(self) -> bool:
        return self._hold.held()

    def rest(self) -> None:
        _end(self._turn)

    def release(self) -> None:
        try:
            self._hold.release()
        finally:
            self.rest()


def _end(turn: list[Turns]) -> None:
    with suppress(IndexError):
        turn.pop().end()  # atomic: nobody ends it twice
