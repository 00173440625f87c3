"""One organisation per test, on a clock that stands until told to move."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine import hand
from tests.verifier.stage import Customer, Stage, make, open_stage


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A platform that is made once and copied for each test: to make one costs more than most tests."""
    home = tmp_path_factory.mktemp("empty")
    make(home)
    return home


@pytest.fixture
def stage(tmp_path: Path, empty: Path) -> Iterator[Stage]:
    home = tmp_path / "home"
    hand.copied_home(empty, home)
    made = open_stage(home)
    yield made
    made.platform.close()


@pytest.fixture
def customer(stage: Stage) -> Customer:
    return stage.enrol()
