"""The pace: how much is done in one transaction, so that nobody waits long for the write lock.

SQLite has a single writer, and every read writes down what it released: whoever holds the lock holds up the reads. So
each kind of transaction grows while it is quick and shrinks when it was slow. What counts is the processor's time: to
wait for the disk costs the same for few pieces as for many, so smaller transactions would only wait more often.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

T = TypeVar("T")

HOLD: Final = 0.03  # seconds of the processor that a transaction should take under the write lock
_GROWTH: Final = 1.5  # at most, from one transaction to the next


@dataclass(slots=True)
class Pace:
    """How many pieces one transaction takes; between `least` and `most`."""

    size: int
    least: int
    most: int

    @classmethod
    def free(cls) -> "Pace":
        """For whoever takes all that he has in one transaction."""
        return cls(size=1, least=1, most=1)

    def some(self, whole: Sequence[T]) -> Iterator[Sequence[T]]:
        """The whole in parts, each as large as the ones before it allow."""
        start = 0
        while start < len(whole):
            part = whole[start : start + self.size]
            yield part
            start += len(part)

    @contextmanager
    def held(self, pieces: int) -> Iterator[None]:
        """To be entered with the write lock, for so many pieces."""
        began = time.thread_time()
        yield
        took = time.thread_time() - began
        if took < HOLD and pieces < self.size:
            return  # a few pieces say little about many
        fitting = int(pieces * min(HOLD / max(took, 1e-6), _GROWTH))
        self.size = max(self.least, min(self.most, fitting))
