"""What PostgreSQL alone has: these bring up servers of their own, whatever the engine of the other tests is."""

from collections.abc import Iterator
from itertools import count

import pytest
from typer.testing import CliRunner

from fieldgrant.cli import build
from tests.engine import server
from tests.engine.server import Server
from tests.postgresql import pair as pairs
from tests.postgresql.pair import Pair
from tests.postgresql.roles import of

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


@pytest.fixture
def apart(url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The database as `fieldgrant database roles` and `… migrate` leave it; its superuser's address."""
    name = url.split("@/")[1].partition("?")[0]
    words = ["database", "roles", "--name", "shop", "--database", name, "--apply", url]
    done = CliRunner().invoke(build("database"), words)
    assert done.exit_code == 0, done.output
    monkeypatch.setenv("FIELDGRANT_DATABASE_OWNER", of(url, "shop_owner"))
    done = CliRunner().invoke(build("database"), ["database", "migrate"])
    assert done.exit_code == 0, done.output
    return url


@pytest.fixture
def pair() -> Iterator[Pair]:
    """A primary that commits with its standby."""
    with pairs.running() as made:
        yield made
