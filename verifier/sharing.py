"""One place inside the gate for several reads that came at the same time: it is left when the last of them is done."""

import threading

from verifier.drain import Hold


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
