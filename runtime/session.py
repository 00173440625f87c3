"""The one primary database: reading sessions with a snapshot, writing sessions with the write lock from the start."""

import importlib.util
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Dialect, Engine, LargeBinary, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry
from sqlmodel import Session

from runtime.outbox_chain import AFTER_COMMIT, INFO, Chain
from runtime.turn import Turns

BUSY_TIMEOUT = 10.0  # seconds that a statement waits for another process's write lock
_WRITES = "fieldgrant_writes"
_MIGRATING = threading.Lock()  # Alembic's environment is global to the process


class Bytes(LargeBinary):
    """SQLite keeps text or a number in a column of bytes if somebody writes it there: read, it is no bytes at all.

    So it proves nothing, as any wrong bytes, and stops nobody who compares or verifies it.
    """

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], bytes | None]:
        """What SQLAlchemy does with each value that it reads."""
        return lambda value: value if type(value) is bytes or value is None else b""


class Database:
    """One database by URL. Threads never share a connection; several processes may hold the same SQLite file."""

    def __init__(self, url: str, chain: Chain | None = None) -> None:
        """`url` is SQLAlchemy's, e.g. `sqlite:///data/db/fieldgrant.db`; the directory is made if it is missing.

        `chain`: what ties the events of the outbox together, handed to every session.
        """
        self._info = {} if chain is None else {INFO: chain}
        parsed = make_url(url)
        sqlite = parsed.get_backend_name() == "sqlite"
        if sqlite and parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Parameters are hidden from errors: a failed statement must not carry a value into a log.
        self.engine: Engine = create_engine(
            parsed,
            hide_parameters=True,
            pool_size=16,
            max_overflow=48,
            connect_args={"timeout": BUSY_TIMEOUT} if sqlite else {},
        )
        if sqlite:
            self.engine.dialect.colspecs = {**self.engine.dialect.colspecs, LargeBinary: Bytes}
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        file = parsed.database if sqlite and parsed.database not in (None, "", ":memory:") else None
        self._turns = Turns(Path(file)) if file else None
        self._writer: Engine = self.engine.execution_options(**{_WRITES: True})

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session whose snapshot is taken at its first statement. It cannot write."""
        with Session(self.engine, expire_on_commit=False, info=self._info) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that holds the write lock from its first statement; commits at exit, rolls back on any error."""
        turn = self._turns.taken() if self._turns else nullcontext()
        made = Session(self._writer, expire_on_commit=False, info=self._info)
        with turn, made as session:
            with session.begin():
                session.connection()  # BEGIN IMMEDIATE now: what is read here must not change until the commit
                yield session
            # no listener of SQLAlchemy's: it keeps each of them for good, and looks longer at each commit
            session.info.pop(AFTER_COMMIT, _nothing)()

    def migrate(self) -> None:
        """Bring the schema to the newest version (`migrations/`), in one transaction. Two processes may run it."""
        spec = importlib.util.find_spec("migrations")
        if spec is None or not spec.submodule_search_locations:
            raise RuntimeError("the migrations package is not installed")
        config = Config()
        config.set_main_option("script_location", str(next(iter(spec.submodule_search_locations))).replace("%", "%%"))
        with _MIGRATING, self._writer.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def checkpoint(self) -> bool:
        """Empty SQLite's write-ahead log if nobody reads just now; whether it was emptied. Waits for its turn only.

        A checkpoint that waits for readers keeps every writer out meanwhile, and busy readers never end.
        """
        if self._turns is None:
            return False
        with self._turns.taken():
            connection = self.engine.raw_connection()
            try:
                cursor = connection.cursor()
                cursor.execute("PRAGMA busy_timeout=0")
                busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
                cursor.execute(f"PRAGMA busy_timeout={int(BUSY_TIMEOUT * 1000)}")
            finally:
                connection.close()
        return not busy

    def dispose(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()


def _nothing() -> None:
    pass


def _prepare_sqlite(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    assert isinstance(connection, sqlite3.Connection)  # noqa: S101 - narrows the type for mypy
    connection.set_authorizer(_nothing_hidden)
    connection.isolation_level = None  # the driver must not begin on its own: _begin_sqlite does
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "temp_store=MEMORY", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _nothing_hidden(_action: int, _first: str | None, _second: str | None, _db: str | None, within: str | None) -> int:
    """Deny what a trigger or a view would do inside our statements: our schema has neither.

    A trigger that somebody writes into the database runs in our own transactions: it could delete the record of each
    read before it is committed.
    """
    return sqlite3.SQLITE_OK if within is None else sqlite3.SQLITE_DENY


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    raw = connection.connection.dbapi_connection
    assert isinstance(raw, sqlite3.Connection)  # noqa: S101 - narrows the type for mypy
    info = connection.connection.info  # of the pooled connection: the pragma outlives the transaction
    if info.get(_WRITES) is not writes:
        raw.execute(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
        info[_WRITES] = writes
    # A look at the schema first: a connection that was denied something would else keep what it knew of it for ever.
    raw.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchall()
    raw.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
