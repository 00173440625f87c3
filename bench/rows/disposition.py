"""Fields whose consent was withdrawn, brought to their end, against sealed boxes and one durable commit of them."""

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
    from tests.redaction import test_speed  # noqa: PLC0415 - only this row needs the tests' world
    from tests.redaction.world import World, settle  # noqa: PLC0415

    rounds: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory(prefix="fieldgrant-bench-") as place:
        world = World(Path(place) / "world")
        count = test_speed.PEOPLE if size.rounds < 5 else 4 * test_speed.PEOPLE
        fields = count * len(test_speed.FIELDS)
        for _ in range(min(size.rounds, 5) + 1):
            test_speed.withdrawn(world, count)
            alone = test_speed.boxes_alone(Path(place) / "boxes.db", fields)
            begun = CPU()
            settle(world)
            rounds.append((fields / (CPU() - begun), fields / alone))
        world.platform.close()
    ours, boxes = (median(column) for column in zip(*rounds[1:], strict=True))
    control = rounds[-1][0] / rounds[-2][0]
    yield result.of(
        "disposition, against sealed boxes and a share of a commit", ours, boxes, _GOAL, "at least", "fields/s",
        control=round(control, 3), note=f"{count} customers at once",
    )  # fmt: skip
