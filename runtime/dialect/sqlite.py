"""SQLite: one file, write-ahead log, writers in turns."""

import hashlib
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, LargeBinary, create_engine, event
from sqlalchemy import Dialect as SqlDialect
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from runtime.dialect.common import FOREIGN, WRITERS, Role
from runtime.turn import Turns

BUSY_TIMEOUT = 10.0  # seconds that a statement waits for another process's write lock
_WRITES = "fieldgrant_writes"
_UNREADABLE: Final = "Could not decode to UTF-8"  # how the driver begins to say so; it has no code for it


class _Rows(sqlite3.Cursor):
    """Rows in which a text that is no UTF-8 stands for itself alone, and fails no statement.

    Whoever writes the database's file can put any bytes into a text; the driver then gives up the statement, and with
    it every row beside. Its own decoder is the fast one, so ours is asked only for the row at which it stopped.
    """

    def fetchone(self) -> Any:
        try:
            return sqlite3.Cursor.fetchone(self)
        except sqlite3.OperationalError as error:
            return self._again(error)

    def fetchall(self) -> list[Any]:
        return self._some(None)

    def fetchmany(self, size: int | None = None) -> list[Any]:
        return self._some(self.arraysize if size is None else size)

    def _some(self, size: int | None) -> list[Any]:
        found: list[Any] = []
        while True:
            try:
                # what came before a failure stays in the list, and the statement stands at the row that failed
                found.extend(self if size is None else islice(self, size - len(found)))
            except sqlite3.OperationalError as error:
                found.append(self._again(error))
            else:
                return found

    def _again(self, error: sqlite3.OperationalError) -> Any:
        """The row at which the driver stopped."""
        if not str(error).startswith(_UNREADABLE):
            raise error
        self.connection.text_factory = _read
        try:
            return sqlite3.Cursor.fetchone(self)
        finally:
            self.connection.text_factory = str


class _Connection(sqlite3.Connection):
    def cursor(self, factory: Any = _Rows) -> Any:
        return sqlite3.Connection.cursor(self, factory)


def _read(text: bytes) -> str:
    """A text; for what is none its digest, marked: no other bytes are read as the same, and no text of ours is."""
    try:
        return text.decode()
    except UnicodeDecodeError:
        return FOREIGN + hashlib.blake2b(text, digest_size=16).hexdigest()


class Bytes(LargeBinary):
    """SQLite keeps text or a number in a column of bytes if somebody writes it there: read, it is no bytes at all.

    So it proves nothing, as any wrong bytes, and stops nobody who compares or verifies it.
    """

    def result_processor(self, dialect: SqlDialect, coltype: object) -> Callable[[Any], bytes | None]:
        """What SQLAlchemy does with each value that it reads."""
        return lambda value: value if type(value) is bytes or value is None else b""


class SQLite:
    """The file of a URL; its directory is made if it is missing. Several processes may hold the same file."""

    def __init__(self, url: URL) -> None:
        if url.database:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Parameters are hidden from errors: a failed statement must not carry a value into a log.
        self.engine: Engine = create_engine(
            url,
            hide_parameters=True,
            pool_size=16,
            max_overflow=48,
            connect_args={"timeout": BUSY_TIMEOUT, "factory": _Connection},
        )
        self.engine.dialect.colspecs = {**self.engine.dialect.colspecs, LargeBinary: Bytes}
        event.listen(self.engine, "connect", _prepare)
        event.listen(self.engine, "begin", _begin)
        self.reader: Engine = self.engine
        writer: Engine = self.engine.execution_options(**{_WRITES: True})
        self.writers: Mapping[Role, Engine] = dict.fromkeys(WRITERS, writer)
        file = url.database if url.database not in (None, "", ":memory:") else None
        self._turns = Turns(Path(file)) if file else None

    def turn(self) -> AbstractContextManager[None]:
        """The queue in front of the file's write lock."""
        return self._turns.taken() if self._turns else nullcontext()

    def fit(self) -> None:
        """It is part of Python."""

    def granted(self, connection: Connection) -> None:
        """Whoever has the file has it."""

    def able(self) -> None:
        """There is one."""

    def checkpoint(self) -> bool:
        """Empty the write-ahead log if nobody reads just now; whether it was emptied. Waits for its turn only.

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


def _prepare(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    assert isinstance(connection, sqlite3.Connection)  # noqa: S101 - narrows the type for mypy
    connection.set_authorizer(_nothing_hidden)
    connection.isolation_level = None  # the driver must not begin on its own: _begin does
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "temp_store=MEMORY", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _nothing_hidden(_action: int, _first: str | None, _second: str | None, _db: str | None, within: str | None) -> int:
    """Deny what a trigger or a view would do inside our statements: our schema has neither.

    A trigger that somebody writes into the database runs in our own transactions: it could delete the record of each
    read before it is committed.
    """
    return sqlite3.SQLITE_OK if within is None else sqlite3.SQLITE_DENY


def _begin(connection: Connection) -> None:
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
