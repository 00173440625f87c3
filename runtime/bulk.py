"""One statement for many rows, past SQLAlchemy's own handling, which costs more than the database does.

For rows whose values the driver takes as they are: text, numbers, bytes, None. Who holds the write lock meanwhile
bounds their number.

Statements are constants: SQLAlchemy takes longer to put one together anew (0.3 to 0.5 ms), and to execute it (0.1 ms),
than SQLite to answer it (7 µs). There a statement goes to the driver as it is, in the session's own transaction.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

import orjson
from sqlalchemy import BindParameter, Connection, Delete, Dialect, Insert, LargeBinary, Table, Update, bindparam
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

_KEPT: Final = 128  # statements: they are constants of modules

Row = Mapping[str, Any]
_PLACE: Final = "__[POSTCOMPILE_these]"
_LISTED: Final = "SELECT value FROM json_each(?)"  # whatever their number is, the text is the same


def these() -> BindParameter[Any]:
    """In a constant statement: the texts or numbers that `rows` is asked about, `column.in_(bulk.these())`."""
    return bindparam("these", expanding=True)


def beside(column: Any) -> Any:
    """A column of texts as a condition beside `these`, that no index is searched for.

    Without statistics SQLite takes "one kind" for a rarer thing than "one of these customers", and looks at every
    credential of that kind.
    """
    return column.op("||")("")


def rows(session: Session, statement: Any, asked: Collection[Any], **more: Any) -> Sequence[Any]:
    """The rows of a constant statement about `these` (at most 500), as tuples."""
    if not asked:
        return []
    connection = session.connection()
    driver = _driver(connection)
    if driver is None:
        return connection.execute(statement, {"these": list(asked), **more}).all()
    listed = orjson.dumps(list(asked), default=_nothing).decode()
    return _answered(driver, connection.dialect, statement, {**more, "these": listed})


def asked(session: Session, statement: Any, **about: Any) -> Sequence[Any]:
    """The rows of a constant statement, as tuples."""
    connection = session.connection()
    driver = _driver(connection)
    if driver is None:
        return connection.execute(statement, about).all()
    return _answered(driver, connection.dialect, statement, about)


def _nothing(_other: object) -> None:
    """What is neither text nor number we never wrote: nothing is found by it."""


def execute(session: Session, statement: Insert | Update | Delete, rows: Sequence[Row]) -> int:
    """Execute for each of the rows, all of which name the same parameters; how many rows were changed in all."""
    if not rows:
        return 0
    connection = session.connection()
    text, ordered, _ = _compiled(statement, connection.dialect, tuple(sorted(rows[0])))
    driver = _driver(connection)
    if driver is None:
        return connection.exec_driver_sql(text, [ordered(row) for row in rows]).rowcount
    with _told():
        return driver.executemany(text, map(ordered, rows)).rowcount


def each(session: Session, statement: Insert | Update, names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> int:
    """The same, rows as tuples whose members these are the names of: for many thousands of them.

    ValueError when the statement takes them in another order.
    """
    if not rows:
        return 0
    connection = session.connection()
    driver = _driver(connection)
    text, _, order = _compiled(statement, connection.dialect, tuple(sorted(names)))
    if driver is None:
        named = [dict(zip(names, row, strict=True)) for row in rows]
        return connection.exec_driver_sql(text, named).rowcount
    if order != names:
        raise ValueError("the names are not in the order of the statement")
    with _told():
        return driver.executemany(text, rows).rowcount


def alike(
    session: Session,
    table: Table,
    shared: Sequence[tuple[Any, ...]],
    own: Sequence[tuple[str, bytes]],
    size: int,
) -> None:
    """Add rows that are the same for many keys but for the first column, the key, and the last, `size` bytes.

    `shared` are the columns between, a tuple for each row; `own` is each key with its last columns one after the other.
    What is shared goes to SQLite once: to hand it over again for each key takes longer than to store it.
    """
    connection, names = session.connection(), tuple(table.c.keys())
    driver = _driver(connection)
    if driver is None:
        rows = [(key, *one, lasts[at * size :][:size]) for key, lasts in own for at, one in enumerate(shared)]
        each(session, table.insert(), names, rows)
        return
    if not own:
        return
    between, places = ", ".join(names[1:-1]), ", ".join("?" * (len(names) - 1))
    with _told():
        # of this connection alone; names of tables and columns are the program's own
        driver.execute(f"CREATE TEMP TABLE IF NOT EXISTS alike_{table.name} (at INTEGER PRIMARY KEY, {between})")
        driver.executemany(
            f"INSERT INTO temp.alike_{table.name} VALUES ({places})",  # noqa: S608
            [(at, *one) for at, one in enumerate(shared)],
        )
        added = driver.executemany(
            f"INSERT INTO main.{table.name} ({', '.join(names)}) SELECT ?, {between}, "  # noqa: S608
            f"substr(?, 1 + {size} * at, {size}) FROM temp.alike_{table.name} ORDER BY at",
            own,
        )
        driver.execute(f"DELETE FROM temp.alike_{table.name}")  # noqa: S608
    if added.rowcount != len(shared) * len(own):
        raise RuntimeError("the database took not every row")


def remove(session: Session, statement: Delete, which: Collection[Any]) -> None:
    """Execute a constant statement that deletes what is about `these` (at most 500)."""
    if not which:
        return
    connection = session.connection()
    driver = _driver(connection)
    if driver is None:
        connection.execute(statement, {"these": list(which)})
        return
    with _told():
        driver.execute(_deleting(statement, connection.dialect), [orjson.dumps(list(which), default=_nothing).decode()])


def _driver(connection: Connection) -> sqlite3.Connection | None:
    driver = connection.connection.dbapi_connection
    return driver if isinstance(driver, sqlite3.Connection) else None


@contextmanager
def _told() -> Iterator[None]:
    """The driver's errors as SQLAlchemy tells them, without the parameters: these may hold a value."""
    try:
        yield
    except sqlite3.Error as error:
        raise DBAPIError.instance(None, None, error, sqlite3.Error, hide_parameters=True) from error


def _answered(driver: sqlite3.Connection, dialect: Dialect, statement: Any, about: Row) -> list[Any]:
    text, names, fixed, binary = _selecting(statement, dialect)
    values = {**fixed, **about}
    with _told():
        found = driver.execute(text, [values[name] for name in names]).fetchall()
    return [_bytes(row, binary) for row in found] if binary else found


def _bytes(row: tuple[Any, ...], binary: Sequence[int]) -> tuple[Any, ...]:
    """Somebody may have put text or a number in the place of bytes: it proves nothing, as any wrong bytes."""
    for place in binary:
        if type(row[place]) is not bytes and row[place] is not None:
            row = (*row[:place], b"", *row[place + 1 :])
    return row


@lru_cache(maxsize=_KEPT)
def _selecting(statement: Any, dialect: Dialect) -> tuple[str, tuple[str, ...], Row, tuple[int, ...]]:
    """Its text, the names of what it is asked about in their order, what of that is fixed, its columns of bytes."""
    compiled = statement.compile(dialect=dialect)
    text = str(compiled).replace(_PLACE, _LISTED)
    binary = (number for number, one in enumerate(statement.selected_columns) if isinstance(one.type, LargeBinary))
    return text, tuple(compiled.positiontup), compiled.params, tuple(binary)


@lru_cache(maxsize=_KEPT)
def _deleting(statement: Delete, dialect: Dialect) -> str:
    return str(statement.compile(dialect=dialect)).replace(_PLACE, _LISTED)


@lru_cache(maxsize=_KEPT)
def _compiled(
    statement: Insert | Update | Delete, dialect: Dialect, columns: tuple[str, ...]
) -> tuple[str, Callable[[Row], Any], tuple[str, ...]]:
    """Its text, what puts a row into the order of its places, and that order (none: places have names)."""
    if isinstance(statement, Insert):
        compiled = statement.inline().compile(dialect=dialect, column_keys=list(columns))
    else:
        compiled = statement.compile(dialect=dialect)
    fixed = {key: value for key, value in compiled.params.items() if key not in columns}
    if compiled.positiontup is None:  # a driver that takes parameters by name
        return str(compiled), lambda row: {**row, **fixed}, ()
    names = tuple(compiled.positiontup)
    order = itemgetter(*names) if len(names) > 1 else lambda row: tuple(row[name] for name in names)
    return str(compiled), order if not fixed else lambda row: order({**row, **fixed}), names
