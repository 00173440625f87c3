"""What PostgreSQL alone has: these bring up servers of their own, whatever the engine of the other tests is."""

from collections.abc import Iterator
from itertools import count

import pytest

from tests.engine import server
from tests.engine.server import Server

_NUMBERS = count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    with server.running() as running:
        yield running


@pytest.fixture
def url(postgres: Server) -> Iterator[str]:
    """A new, empty database, made as `fieldgrant database roles` says."""
    name = f"t{next(_NUMBERS)}"
    server.psql(postgres, f"CREATE DATABASE {name} ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0")
    yield postgres.url(name)
    server.psql(postgres, f"DROP DATABASE {name} WITH (FORCE)")
