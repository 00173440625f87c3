"""One statement for many rows, past SQLAlchemy's own handling of parameters, which costs more than the database does.

For rows whose values the driver takes as they are: text, numbers, bytes, None. Who holds the write lock meanwhile
bounds their number.

Statements are constants: SQLAlchemy takes longer to put one together anew (0.3 to 0.5 ms) than SQLite to answer it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import BindParameter, Dialect, Insert, Update, bindparam
from sqlalchemy.dialects import registry
from sqlmodel import Session

_KEPT: Final = 128  # statements: they are constants of modules

Row = Mapping[str, Any]
_PLACE: Final = "__[POSTCOMPILE_these]"


def these() -> BindParameter[Any]:
    """In a constant statement: what `rows` and `found` are asked about, `column.in_(bulk.these())`."""
    return bindparam("these", expanding=True)


def found(session: Session, statement: Any, asked: Collection[Any], **more: Any) -> Sequence[Any]:
    """The rows of a constant statement about `these` (at most 500)."""
    return session.connection().execute(statement, {"these": list(asked), **more}).all()


def rows(session: Session, statement: Any, asked: Collection[Any], **more: Any) -> Sequence[Any]:
    """The same, for statements that ask for no bytes: values come as the driver has them."""
    if not asked:
        return []
    connection = session.connection()
    if connection.dialect.name != "sqlite":
        return found(session, statement, asked, **more)
    text, names, fixed = _selecting(statement)
    values = {**fixed, **more}
    parameters: list[Any] = []
    for name in names:
        parameters += asked if name == "these" else (values[name],)
    marks = ",".join("?" * len(asked))
    return connection.exec_driver_sql(text.replace(_PLACE, marks), tuple(parameters)).all()


def asked(session: Session, statement: Any, **about: Any) -> Sequence[Any]:
    """The rows of a constant statement that asks for no bytes."""
    connection = session.connection()
    if connection.dialect.name != "sqlite":
        return connection.execute(statement, about).all()
    text, names, fixed = _selecting(statement)
    values = {**fixed, **about}
    return connection.exec_driver_sql(text, tuple(values[name] for name in names)).all()


@lru_cache(maxsize=_KEPT)
def _selecting(statement: Any) -> tuple[str, tuple[str, ...], Row]:
    """Its text, the names of what it is asked about in their order, and what of that is fixed."""
    compiled = statement.compile(dialect=registry.load("sqlite.pysqlite")())
    return str(compiled), tuple(compiled.positiontup), compiled.params


def execute(session: Session, statement: Insert | Update, rows: Sequence[Row]) -> int:
    """Execute for each of the rows, all of which name the same parameters; how many rows were changed in all."""
    if not rows:
        return 0
    connection = session.connection()
    text, ordered = _compiled(statement, connection.dialect, tuple(sorted(rows[0])))
    return connection.exec_driver_sql(text, [ordered(row) for row in rows]).rowcount


@lru_cache(maxsize=_KEPT)
def _compiled(
    statement: Insert | Update, dialect: Dialect, columns: tuple[str, ...]
) -> tuple[str, Callable[[Row], Any]]:
    if isinstance(statement, Insert):
        compiled = statement.inline().compile(dialect=dialect, column_keys=list(columns))
    else:
        compiled = statement.compile(dialect=dialect)
    fixed = {key: value for key, value in compiled.params.items() if key not in columns}
    if compiled.positiontup is None:  # a driver that takes parameters by name
        return str(compiled), lambda row: {**row, **fixed}
    order = itemgetter(*compiled.positiontup)
    return str(compiled), order if not fixed else lambda row: order({**row, **fixed})
