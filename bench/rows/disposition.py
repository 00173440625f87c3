"""Fields whose consent was withdrawn, brought to their end, against sealed boxes and one durable commit of them.

Two rows. In the first few customers of five fields wait, and nobody has looked at their evidence before: a process that
was just started. In the second the issue's thousand customers of ten fields (nine are sealed, one is shredded and not
counted) wait in the process that took their withdrawals, and so has verified their evidence.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench import result
from bench.result import Result
from bench.size import Size
from bench.timing import CPU

_GOAL = 0.5


def measure(size: Size) -> Iterator[Result]:
    """Fields per processor second; the measuring code is that of `tests/redaction/test_speed.py`."""
    from tests.redaction import test_speed  # noqa: PLC0415 - only these rows need the tests' world

    full = size.rounds >= 5
    few = 4 * test_speed.PEOPLE if full else test_speed.PEOPLE
    yield _row("disposition, 5 fields, against sealed boxes and a share of a commit", few, size.rounds, ten=False)
    many = size.few if full else 4 * test_speed.PEOPLE
    yield _row("disposition, 10 fields, against sealed boxes and a share of a commit", many, 3, ten=True)


def _row(name: str, count: int, rounds: int, *, ten: bool) -> Result:
    from tests.redaction import test_speed  # noqa: PLC0415
    from tests.redaction.world import World, settle  # noqa: PLC0415

    found: list[tuple[float, float]] = []
    fields = test_speed.TEN if ten else test_speed.FIELDS
    boxes = count * (len(fields) - ten)  # one of ten is shredded: it has none
    with tempfile.TemporaryDirectory(prefix="fieldgrant-bench-") as place:
        world = World(Path(place) / "world")
        for _ in range(min(rounds, 5) + 1):
            people = test_speed.withdrawn(world, count, fields)
            if ten:
                test_speed.verified(world, people)
            alone = test_speed.boxes_alone(Path(place) / "boxes.db", boxes)
            begun = CPU()
            settle(world)
            found.append((boxes / (CPU() - begun), boxes / alone))
        world.platform.close()
    ours, reference = (median(column) for column in zip(*found[1:], strict=True))
    control = round(found[-1][0] / found[-2][0], 3)
    note = f"{count} customers at once"
    return result.of(name, ours, reference, _GOAL, "at least", "fields/s", control=control, note=note)
