"""One organisation per test, on a clock that stands until told to move."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.verifier.stage import Customer, Stage, open_stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = open_stage(tmp_path)
    yield made
    made.platform.close()


@pytest.fixture
def customer(stage: Stage) -> Customer:
    return stage.enrol()
