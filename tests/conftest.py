"""Tests run on two workers; what measures time runs while the other worker waits."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def _locks(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """The folder that all workers of this run share; without workers nobody has to wait."""
    return tmp_path_factory.getbasetemp().parent if "PYTEST_XDIST_WORKER" in os.environ else None


@pytest.fixture(autouse=True)
def _beside_or_alone(request: pytest.FixtureRequest, _locks: Path | None) -> Iterator[None]:
    """Hold the machine with the others, or (`@pytest.mark.alone`) for oneself.

    Who waits to be alone stands in the door, so that nobody slips in before.
    """
    if _locks is None:
        yield
        return
    alone = request.node.get_closest_marker("alone") is not None
    with (_locks / "door.lock").open("w") as door, (_locks / "machine.lock").open("w") as machine:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(machine, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield  # closing the files lets go
