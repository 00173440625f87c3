"""One organisation per test, on a clock that stands until told to move."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.issuer.world import Wallet, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.http.close()
    made.platform.close()


@pytest.fixture
def wallet(world: World) -> Wallet:
    return world.enrolled()
