"""Tests run on two workers; what measures time runs while the other worker waits.

`--engine postgresql`, or FIELDGRANT_TEST_ENGINE=postgresql: the same tests, their databases on PostgreSQL.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.engine import mapping, server

_STACK = pytest.StashKey[ExitStack]()


def pytest_addoption(parser: pytest.Parser) -> None:
    default = os.environ.get("FIELDGRANT_TEST_ENGINE", "sqlite")
    parser.addoption("--engine", choices=("sqlite", "postgresql"), default=default, help="where databases are made")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "sqlite: what it looks at, SQLite alone has")
    config.addinivalue_line("markers", "postgresql: what it looks at, PostgreSQL alone has")
    if config.getoption("--engine") != "postgresql":
        return
    if not mapping.on():  # a worker of xdist is given its master's server
        config.stash[_STACK] = stack = ExitStack()
        mapping.begin(stack.enter_context(server.running()).conninfo)


def pytest_unconfigure(config: pytest.Config) -> None:
    stack = config.stash.get(_STACK, None)
    if stack is not None:
        os.environ.pop(mapping.SERVER, None)
        stack.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    other = ("sqlite", "SQLite alone") if mapping.on() else ("postgresql", "PostgreSQL alone")
    for item in items:
        if mark := item.get_closest_marker(other[0]):
            item.add_marker(pytest.mark.skip(reason=f"{other[1]}: {', '.join(mark.args)}"))


@pytest.fixture(autouse=True)
def _databases_end_with_their_test(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if mapping.on() and "tmp_path" in request.node.funcargs:
        mapping.dropped(request.node.funcargs["tmp_path"])


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
