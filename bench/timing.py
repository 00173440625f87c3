"""Two sides of a row, measured in turns in one run, so that a busy machine is equally busy for both."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench import engine

Clock = Callable[[], float]


def CPU() -> float:  # noqa: N802 - a clock among the others
    """Processor seconds of this process, and of the database's own where it has one."""
    return time.process_time() + engine.cpu()


WALL: Clock = time.perf_counter


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Medians in seconds per call; `control`: ours against ours (A/A), which is 1 on a machine without noise."""

    ours: float
    reference: float
    control: float

    @property
    def ratio(self) -> float:
        """How many times the reference ours takes."""
        return self.ours / self.reference


def compare(
    ours: Callable[[], Any],
    reference: Callable[[], Any],
    *,
    calls: int = 1,
    reference_calls: int | None = None,
    rounds: int = 7,
    clock: Clock = CPU,
) -> Compared:
    """Each round: ours, the reference, ours again. The first round warms up and does not count."""
    others = calls if reference_calls is None else reference_calls
    return compare_told(ours, lambda _: _took(reference, others, clock), calls=calls, rounds=rounds, clock=clock)


def compare_told(
    ours: Callable[[], Any], reference: Callable[[int], float], *, calls: int, rounds: int, clock: Clock = CPU
) -> Compared:
    """The same with a reference that tells by itself how many seconds one of so many calls took."""
    found = [(_took(ours, calls, clock), reference(calls), _took(ours, calls, clock)) for _ in range(rounds + 1)]
    return of_rounds(found[1:])


def of_rounds(found: list[tuple[float, float, float]]) -> Compared:
    """What rounds of (ours, reference, ours again) come to."""
    first, other, again = (median(column) for column in zip(*found, strict=True))
    both = median([side for one in found for side in (one[0], one[2])])
    return Compared(ours=both, reference=other, control=again / first)


def _took(work: Callable[[], Any], calls: int, clock: Clock) -> float:
    begun = clock()
    for _ in range(calls):
        work()
    return (clock() - begun) / calls
