"""Each SQLite file that a test names is a database of the tests' PostgreSQL server, in this process and its children.

Set by `pytest --engine postgresql` (see tests/conftest.py). The address of the server is in FIELDGRANT_TEST_POSTGRES.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy.engine import make_url

from runtime import dialect
from runtime.dialect import roles

SERVER = "FIELDGRANT_TEST_POSTGRES"  # libpq's words for the server's database `postgres`
TEMPLATE = "fieldgrant_template"
NAME = "fieldgrant"  # of the writer; the other roles are called after it
_PLATFORM = "fieldgrant.db"
_REAL = dialect.opened


def on() -> bool:
    """Do the tests run on PostgreSQL?"""
    return SERVER in os.environ


def conninfo(name: str) -> str:
    """libpq's words for one of the server's databases."""
    return psycopg.conninfo.make_conninfo(os.environ[SERVER], dbname=name)


def name_of(file: Path) -> str:
    """The database that stands for a file."""
    return f"fg_{hashlib.blake2b(str(file.absolute()).encode(), digest_size=10).hexdigest()}"


def url_of(file: Path, role: str | None = None) -> str:
    """SQLAlchemy's URL of the database that stands for a file, as superuser or a role; it is made if it is missing."""
    told = psycopg.conninfo.conninfo_to_dict(os.environ[SERVER])
    return f"postgresql+psycopg://{role or told['user']}@/{ensured(file)}?host={told['host']}"


def ensured(file: Path, template: str = TEMPLATE) -> str:
    """Make the database that stands for a file if it is missing; its name."""
    name = name_of(file)
    with psycopg.connect(os.environ[SERVER], autocommit=True) as server:
        if server.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is None:
            made = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY")
            try:
                server.execute(made.format(sql.Identifier(name), sql.Identifier(template)))
                server.execute(
                    sql.SQL("COMMENT ON DATABASE {} IS {}").format(
                        sql.Identifier(name), sql.Literal(str(file.absolute()))
                    )
                )
            except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                pass  # another process was first
    return name


def dropped(below: Path) -> None:
    """Drop the databases of files below a directory, whoever is connected."""
    with psycopg.connect(os.environ[SERVER], autocommit=True) as server:
        found = server.execute(
            "SELECT datname FROM pg_database WHERE starts_with(shobj_description(oid, 'pg_database'), %s)",
            [f"{below.absolute()}/"],
        ).fetchall()
        for (name,) in found:
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def dropped_one(file: Path) -> None:
    """Drop the database that stands for a file."""
    with psycopg.connect(os.environ[SERVER], autocommit=True) as server:
        server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name_of(file))))


def opened(url: str, others: Mapping[dialect.Role, str]) -> dialect.Dialect:
    """As `runtime.dialect.opened`, with files mapped: a platform's own with its roles apart, any other as superuser."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return _REAL(url, others)
    file = Path(str(parsed.database))
    if file.name != _PLATFORM:
        return _REAL(url_of(file), {})
    apart: dict[dialect.Role, str] = {
        "owner": url_of(file, f"{NAME}_{roles.OWNER}"),
        "keeper": url_of(file, f"{NAME}_{roles.KEEPER}"),
        "reader": url_of(file, f"{NAME}_{roles.READER}"),
    }
    return _REAL(url_of(file, NAME), apart)


def begin(server: str) -> None:
    """From here on, in this process and its children; `server`: libpq's words for the database `postgres` of one."""
    os.environ[SERVER] = server
    install()
    _make_template()
    here = Path(__file__).parent
    paths = (str(here / "site"), str(here.parent.parent), os.environ.get("PYTHONPATH", ""))
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))


def _make_template() -> None:
    """Every database begins as a copy of this one, whose schema is the newest."""
    from runtime.session import Database

    with psycopg.connect(os.environ[SERVER], autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {TEMPLATE}")
    with psycopg.connect(conninfo(TEMPLATE)) as connection:
        for statement in roles.statements(NAME, TEMPLATE):
            connection.execute(statement.encode())
    told = psycopg.conninfo.conninfo_to_dict(os.environ[SERVER])
    made = Database(f"postgresql+psycopg://{NAME}_{roles.OWNER}@/{TEMPLATE}?host={told['host']}")
    made.migrate()
    made.dispose()


def install() -> None:
    """From here on, in this process."""
    if on():
        dialect.opened = opened


install()  # in a child that imports this before anything of the product (see site/sitecustomize.py)
