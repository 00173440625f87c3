"""A hand in the database, past the product: what backups do, and attackers who may write anything and hold no key.

`connect(file)` is `sqlite3.connect(file)`; under `--engine postgresql` it opens the database that stands for the file,
as its superuser, and takes the same few words: `execute` with `?`, REPLACE INTO, x'…', `backup`.
"""

import re
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlmodel import Session, SQLModel

from tests.engine import mapping

_REPLACE = re.compile(r"\s*(?:INSERT OR REPLACE|REPLACE) INTO (\w+)", re.IGNORECASE)
_BLOB = re.compile(r"\bx'([0-9a-fA-F{}]*)'", re.IGNORECASE)
_JSON = re.compile(r"UPDATE (\w+) SET (\w+) = (json_\w+\(.*\))( WHERE [^()]*)?", re.DOTALL)
_CAST = re.compile(r"CAST\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*?) AS (TEXT|BLOB)\)")


class Postgres:
    """A connection that understands what the tests say to sqlite3."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._connection = psycopg.connect(mapping.conninfo(name))

    def __enter__(self) -> "Postgres":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.__exit__(kind, error, trace)

    def execute(self, statement: str, values: Sequence[Any] = ()) -> "Rows":
        """The statement with its `?`."""
        if found := _JSON.fullmatch(statement):
            return self._json(found[1], found[2], found[3], found[4] or "", values)
        try:
            done = self._connection.execute(_told(statement).encode(), list(values))
        except (psycopg.errors.InvalidTextRepresentation, psycopg.errors.DatatypeMismatch):
            pytest.skip("PostgreSQL's columns take no values of another type")
        return Rows(done.fetchall() if done.description else [], done.rowcount)

    def _json(self, table: str, column: str, term: str, where: str, values: Sequence[Any]) -> "Rows":
        """A column set to a term of SQLite's JSON functions: SQLite says what that is."""
        keys = [key.name for key in SQLModel.metadata.tables[table].primary_key]
        named = " AND ".join(f"{key} = ?" for key in keys)
        rows = self.execute(f"SELECT {column}, {', '.join(keys)} FROM {table}{where}", values)  # noqa: S608 - the tests' own
        with closing(sqlite3.connect(":memory:")) as teller:
            for before, *key in rows:
                after = teller.execute(f"SELECT {term} FROM (SELECT ? AS {column})", (before,)).fetchone()[0]  # noqa: S608
                self.execute(f"UPDATE {table} SET {column} = ? WHERE {named}", [after, *key])  # noqa: S608
        return Rows([], len(rows))

    def executemany(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """The statement once for each."""
        for row in rows:
            self.execute(statement, row)

    def executescript(self, script: str) -> None:
        """Several statements without values."""
        self._connection.execute(script.encode())

    def commit(self) -> None:
        """Commit."""
        self._connection.commit()

    def backup(self, target: "Postgres") -> None:
        """Every row and every number over there become those of here."""
        self.commit()
        self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        here, there = self._connection, target._connection
        tables = [name for (name,) in here.execute(_TABLES).fetchall()]
        there.execute(sql.SQL("TRUNCATE {}").format(sql.SQL(", ").join(map(sql.Identifier, tables))))
        for table in tables:
            named = sql.Identifier(table)
            source = here.cursor().copy(sql.SQL("COPY {} TO STDOUT (FORMAT binary)").format(named))
            into = there.cursor().copy(sql.SQL("COPY {} FROM STDIN (FORMAT binary)").format(named))
            with source as rows, into as taken:
                for chunk in rows:
                    taken.write(chunk)
        for sequence, last, called in here.execute(_SEQUENCES).fetchall():
            there.execute("SELECT setval(%s::regclass, %s, %s)", [sequence, last or 1, called])
        here.commit()
        there.commit()

    def close(self) -> None:
        """Close."""
        self._connection.close()


_TABLES = b"SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1"
_SEQUENCES = b"SELECT sequencename, last_value, last_value IS NOT NULL FROM pg_sequences"


class Rows(list[tuple[Any, ...]]):
    """What a statement answered."""

    def __init__(self, rows: Sequence[tuple[Any, ...]], rowcount: int) -> None:
        super().__init__(rows)
        self.rowcount = rowcount

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All of them."""
        return list(self)

    def fetchone(self) -> tuple[Any, ...] | None:
        """The first, if there is one."""
        return self[0] if self else None


def connect(file: Path | str, **options: Any) -> Any:
    """A connection to the database of this file."""
    if not mapping.on():
        return sqlite3.connect(file, **options)
    return Postgres(mapping.ensured(Path(file)))


@contextmanager
def closing(connection: Any) -> Iterator[Any]:
    """As contextlib's."""
    try:
        yield connection
    finally:
        connection.close()


def execute(session: Session, statement: str, *values: Any) -> Any:
    """The statement with its `?`, in a session of the product's."""
    connection = session.connection()
    return connection.exec_driver_sql(_told(statement) if mapping.on() else statement, values)


def copied(source: Path, target: Path) -> None:
    """A copy of a whole database, as a backup makes it; over what there is at the target."""
    with closing(connect(source)) as live, closing(connect(target)) as copy:
        live.backup(copy)


def resting(file: Path) -> list[Path]:
    """Where a server keeps the bytes of this database, all of them written: none for a file, which lies where it is."""
    if not mapping.on():
        return []
    with psycopg.connect(mapping.conninfo(mapping.ensured(file)), autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        found = connection.execute(
            "SELECT current_setting('data_directory') || '/base/' || oid FROM pg_database "
            "WHERE datname = current_database()"
        ).fetchone()
    assert found is not None
    return [Path(found[0])]


def removed(file: Path) -> None:
    """The database is gone, and what lies beside it."""
    if mapping.on():
        mapping.dropped_one(file)
    for path in file.parent.glob(f"{file.name}*"):
        path.unlink()


def _told(statement: str) -> str:
    told = _BLOB.sub(r"'\\x\1'::bytea", statement.replace("%", "%%").replace("?", "%s"))
    while found := _CAST.search(told):  # bytes as text and back
        how = "convert_from" if found[2] == "TEXT" else "convert_to"
        told = f"{told[: found.start()]}{how}({found[1]}, 'UTF8'){told[found.end() :]}"
    if found := _REPLACE.match(told):
        told = _upsert(found[1], told[found.end() :])
    return told


def _upsert(table: str, rest: str) -> str:
    keys = [column.name for column in SQLModel.metadata.tables[table].primary_key]
    every = [column.name for column in SQLModel.metadata.tables[table].columns]
    change = ", ".join(f"{name} = excluded.{name}" for name in every)
    return f"INSERT INTO {table}{rest} ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {change}"


def copied_home(source: Path, target: Path, **options: Any) -> None:
    """A copy of a whole organisation that nobody has open, its database with it."""
    shutil.copytree(source, target, **options)
    if mapping.on():
        mapping.ensured(target / _FILE, mapping.ensured(source / _FILE))


_FILE = Path("data/db/fieldgrant.db")
