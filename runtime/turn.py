"""Turns: writers of one SQLite file come in the order in which they asked, across threads and processes.

SQLite lets whoever looks first have the write lock; the others sleep and look again. A process that commits without a
pause, as the recorder of releases does under load, would starve a withdrawal in another process until it times out.
So writers queue here first. Two flocks make the queue: whoever waits for the `turn` holds the `gate`, so that the one
who has just had a turn must go to the end.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Turns:
    """`Turns(path)`: lock files `path.gate` and `path.turn`, which hold nothing and stay empty."""

    def __init__(self, path: Path) -> None:
        self._gate, self._turn = (path.with_name(f"{path.name}.{name}") for name in ("gate", "turn"))

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Wait for a turn and keep it for the block. A process that dies gives its turn up."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        turn = os.open(self._turn, flags, 0o600)
        try:
            gate = os.open(self._gate, flags, 0o600)
            try:
                fcntl.flock(gate, fcntl.LOCK_EX)
                fcntl.flock(turn, fcntl.LOCK_EX)
            finally:
                os.close(gate)
            yield
        finally:
            os.close(turn)
