"""One small organisation per test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.audit.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.platform.close()


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One whose journey is over and exported (`exported`), for tests that change the bundle alone."""
    made = World(tmp_path_factory.mktemp("finished"))
    made.journey()
    made.exported = made.export()
    yield made
    made.platform.close()
