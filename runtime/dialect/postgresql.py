"""PostgreSQL: one primary, writers in turns by an advisory lock, readers with a snapshot of their own.

A writing transaction is READ COMMITTED and its first statement waits for the lock, so that each later statement sees
what the writer before it committed. Under REPEATABLE READ the snapshot would be older than the wait. The server queues
those who wait in the order in which they came, and gives up the turn of a process that dies.
"""

import select as polling
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal
from functools import cache
from typing import Any, Final

import psycopg
import psycopg.sql
from psycopg.abc import Buffer
from psycopg.adapt import Loader
from sqlalchemy import URL, Connection, Engine, Integer, create_engine, event, inspect
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql.base import PGTypeCompiler
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection
from sqlalchemy.types import BigInteger
from sqlmodel import SQLModel

from runtime.dialect import roles
from runtime.dialect.common import WRITERS, DatabaseError, Role
from runtime.problem import Problem

# Advisory locks of this database, as (class, number): `FGRT` in hexadecimal, then which.
LOCKS: Final = 0x46475254
WRITING: Final = 1
GATE: Final = 2

LOCK_TIMEOUT = 10.0  # seconds that a statement waits for a lock, as on SQLite
_SETTINGS: Final = {
    "synchronous_commit": "on",  # what is acknowledged is on disk, and with the synchronous standby where there is one
    "lock_timeout": f"{int(LOCK_TIMEOUT * 1000)}",
    "statement_timeout": "60000",
    "idle_in_transaction_session_timeout": "60000",  # whoever stands still with the write lock loses it
    "idle_session_timeout": "0",  # a reader's lock stands still while its reader works: it must not end
    "client_min_messages": "warning",  # that a commit did not wait for its standby is a warning: it must be heard
    "client_connection_check_interval": "1000",  # a dead client's statement must not go on waiting for the lock
    "search_path": "public,pg_temp",
}
_CONNECT: Final[dict[str, Any]] = {
    "application_name": "fieldgrant",
    "client_encoding": "utf8",
    "connect_timeout": 5,
    "target_session_attrs": "primary",  # of several hosts the primary: no replica ever decides
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}
# A trigger or a rule that somebody puts on our tables runs in our own transactions: it could delete the record of each
# read before it is committed; a policy could hide a row from us. So each writer looks for any that is not ours: one
# that shows every row, and one that only refuses rows (`roles.grants`).
_TAKE: Final = """
SELECT pg_catalog.pg_advisory_xact_lock({lock}, {number}), (
  SELECT count(*) FROM pg_catalog.pg_class AS c
  WHERE c.relnamespace = 'public'::pg_catalog.regnamespace AND c.relname = ANY ({tables}) AND (
    c.relkind <> 'r'
    OR (c.relrowsecurity AND (c.relforcerowsecurity OR (
      SELECT bool_or(p.whole) AND bool_and(p.whole OR p.refusing) FROM (
        SELECT polpermissive AND polcmd = '*' AND polroles = '{{0}}'
            AND coalesce(pg_catalog.pg_get_expr(polqual, polrelid), '') = 'true'
            AND coalesce(pg_catalog.pg_get_expr(polwithcheck, polrelid), '') = 'true' AS whole,
          NOT polpermissive AND polcmd = 'a' AND polwithcheck::text !~ 'FUNCEXPR|SUBLINK' AS refusing
        FROM pg_catalog.pg_policy WHERE polrelid = c.oid) AS p) IS NOT TRUE))
    OR (c.relhasrules AND EXISTS (SELECT FROM pg_catalog.pg_rewrite AS r WHERE r.ev_class = c.oid))
    OR (c.relhastriggers AND EXISTS (
      SELECT FROM pg_catalog.pg_trigger AS t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal))))
"""


class AdvisoryError(Problem):
    """The lock of the gate cannot be had: without it nothing may be read, and nothing be acknowledged."""

    def __init__(self) -> None:
        super().__init__(
            503, "database_unavailable", "The database cannot be reached. Try again.", headers={"Retry-After": "2"}
        )


class _Long(BigInteger):
    """Integers are 64 bits wide on both engines. Without a cast: the driver sends each as wide as it is."""


class _Types(PGTypeCompiler):
    def visit_INTEGER(self, type_: Any, **_: Any) -> str:  # noqa: N802 - SQLAlchemy's name
        return "BIGINT"


class _Sum(Loader):
    """A sum of integers is one, as on SQLite; the server widens it to NUMERIC, of which there is no column."""

    def load(self, data: Buffer) -> int | Decimal:
        """What psycopg does with each value that it reads."""
        number = Decimal(bytes(data).decode())
        return int(number) if number == number.to_integral_value() else number


class PostgreSQL:
    """The database of a URL; `host` may name several servers of which one is the primary."""

    def __init__(self, url: URL, others: Mapping[Role, URL]) -> None:
        """`others`: the URLs of the roles that are not that of `url`."""
        self.engine = _engine(url)
        reading = _engine(others["reader"]) if "reader" in others else self.engine
        self.reader: Engine = reading.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        own = _writing(self.engine)
        self.writers: Mapping[Role, Engine] = {
            role: _writing(_engine(others[role])) if role in others else own for role in WRITERS
        }

    def turn(self) -> AbstractContextManager[None]:
        """Nothing: the server keeps the queue."""
        return nullcontext()

    def fit(self) -> None:
        """Text must sort by its code points, as in Python and on SQLite: pages are read on from a key."""
        with self.reader.connect() as connection:
            encoding, above = connection.execute(sql("SELECT current_setting('server_encoding'), 'a' > 'B'")).one()
        if encoding != "UTF8" or not above:
            raise DatabaseError(
                "unfit_database",
                "make it with CREATE DATABASE … ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0",
            )

    def able(self) -> None:
        """Each role must be the one that it is taken for: who forgets one learns it at the start."""
        wanted = {
            "reader": (self.reader, "has_column_privilege('record', 'cells', 'SELECT')"),
            "keeper": (self.writers["keeper"], "has_table_privilege('record', 'INSERT')"),
            "writer": (self.writers["writer"], "has_table_privilege('credential', 'UPDATE')"),
        }
        for role, (engine, may) in wanted.items():
            with engine.connect() as connection:
                if not connection.exec_driver_sql(f"SELECT {may}").scalar():
                    name = "" if role == "writer" else f"_{role.upper()}"
                    raise DatabaseError(
                        "wrong_role",
                        f"{connection.engine.url.username} is not the {role}: set FIELDGRANT_DATABASE{name} as "
                        "`fieldgrant database roles --help` says",
                    )

    def granted(self, connection: Connection) -> None:
        """What each of the roles may do with the tables as they are now, where this is the owner's and has others."""
        name, owner, _ = (connection.engine.url.username or "").rpartition(f"_{roles.OWNER}")
        if not owner:
            return
        found = inspect(connection)  # whatever is there: not every process knows every table of ours
        tables = {table: tuple(one["name"] for one in found.get_columns(table)) for table in found.get_table_names()}
        for statement in roles.grants(name, tables):
            connection.exec_driver_sql(statement.replace("%", "%%"))

    def checkpoint(self) -> bool:
        """The server's own write-ahead log is recycled by the server. Values in it are sealed."""
        return False


def connect_args(url: URL) -> dict[str, Any]:
    """What libpq is told beside the URL; what the URL says itself comes first."""
    options = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
    told = {name: value for name, value in _CONNECT.items() if name not in url.query}
    return {**told, "options": f"{options} {url.query.get('options', '')}".strip()}


def _engine(url: URL) -> Engine:
    engine = create_engine(
        url.difference_update_query(["options"]),
        hide_parameters=True,  # a failed statement must not carry a value into a log
        pool_size=16,
        max_overflow=48,
        pool_timeout=LOCK_TIMEOUT,
        pool_use_lifo=True,
        pool_recycle=1800,
        isolation_level="READ COMMITTED",
        connect_args=connect_args(url),
    )
    engine.dialect.colspecs = {**engine.dialect.colspecs, Integer: _Long}
    engine.dialect.type_compiler_instance = _Types(engine.dialect)
    engine.dialect.do_rollback = _leave  # type: ignore[method-assign, assignment]
    engine.dialect.do_commit = _commit  # type: ignore[method-assign, assignment]
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "checkout", _alive)
    return engine


def _writing(engine: Engine) -> Engine:
    made: Engine = engine.execution_options(fieldgrant_writes=True)
    event.listen(made, "begin", _take_turn)
    return made


def _take_turn(connection: Connection) -> None:
    if connection.exec_driver_sql(_taking()).one()[1] != 0:
        raise DatabaseError("foreign_code", "a table of this database has a trigger, a rule or a policy: not ours")


@cache
def _taking() -> str:
    tables = psycopg.sql.Literal(sorted(SQLModel.metadata.tables))
    return psycopg.sql.SQL(_TAKE).format(lock=LOCKS, number=WRITING, tables=tables).as_string()


def _commit(raw: Any) -> None:
    """A server that is told to wait for its standby no longer commits without it, and only warns: to us a failure.

    What is done is done, as after a connection that broke off while it was committing; whoever asked asks again.
    """
    warned: list[str | None] = []
    raw.add_notice_handler(hear := lambda told: warned.append(told.severity_nonlocalized))
    try:
        raw.commit()
    finally:
        raw.remove_notice_handler(hear)
    if "WARNING" in warned:
        raise psycopg.OperationalError("committed, but perhaps not with the standby")


def _leave(raw: Any) -> None:
    """A reading transaction has nothing to undo, and psycopg forgets its prepared statements at each rollback."""
    status = raw.pgconn.transaction_status
    if raw.read_only and status == psycopg.pq.TransactionStatus.INTRANS:
        raw.commit()
    elif status != psycopg.pq.TransactionStatus.IDLE:
        raw.rollback()


def _prepare(raw: Any, _record: ConnectionPoolEntry) -> None:
    raw.adapters.register_loader("numeric", _Sum)


def _alive(raw: Any, _record: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
    """A connection whose server has gone is replaced before it is used; a look at its socket is all it costs."""
    if broken(raw):
        raise DisconnectionError("the server has closed this connection")


def broken(raw: "psycopg.Connection[Any]") -> bool:
    """Has the server closed this idle connection, as far as this machine knows?"""
    if raw.closed or raw.broken:
        return True
    poll = polling.poll()
    poll.register(raw.fileno(), polling.POLLIN | polling.POLLRDHUP)
    ready = poll.poll(0)
    return bool(ready) and bool(ready[0][1] & (polling.POLLRDHUP | polling.POLLHUP | polling.POLLERR))


def plain(url: str, *, lock_timeout: float = LOCK_TIMEOUT) -> "psycopg.Connection[tuple[Any, ...]]":
    """A connection of its own, for the locks of the gate; each statement is a transaction. Raises AdvisoryError."""
    parsed = make_url(url)
    told: dict[str, Any] = {**parsed.translate_connect_args(username="user", database="dbname"), **parsed.query}
    told |= connect_args(parsed)
    hosts = told.get("host")
    if isinstance(hosts, tuple):  # several servers, as SQLAlchemy writes them
        pairs = [one.partition(":")[::2] for one in hosts]
        told |= {"host": ",".join(host for host, _ in pairs), "port": ",".join(port for _, port in pairs)}
    told["options"] = f"{told['options']} -c lock_timeout={int(lock_timeout * 1000)}"
    told["options"] += f" -c statement_timeout={int(lock_timeout * 1000) + 1000}"
    try:
        return psycopg.connect(**told, autocommit=True)
    except psycopg.OperationalError as error:
        raise AdvisoryError from error
