"""One statement for many rows, past SQLAlchemy's own handling of parameters, which costs more than the database does.

For rows whose values the driver takes as they are: text, numbers, bytes, None. Who holds the write lock meanwhile
bounds their number.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import Dialect, Insert, Update
from sqlmodel import Session

_KEPT: Final = 128  # statements: they are constants of modules

Row = Mapping[str, Any]


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
