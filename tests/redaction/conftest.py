"""One platform per test, on a clock that stands until told to move."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.clock import FixedClock
from tests.redaction.world import START, World


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(START)


@pytest.fixture
def world(tmp_path: Path, clock: FixedClock) -> Iterator[World]:
    made = World(tmp_path, clock)
    yield made
    made.platform.close()
