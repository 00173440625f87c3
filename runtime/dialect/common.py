"""What the two engines have in common: who speaks to them, what each has to do, and conditions that both understand."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Final, Literal, Protocol

from sqlalchemy import Connection, Engine, FromClause, Insert, LargeBinary, and_, cast, func, true
from sqlalchemy.dialects import postgresql as _postgresql
from sqlalchemy.dialects import sqlite as _sqlite
from sqlmodel import Session

Role = Literal["writer", "keeper", "owner", "reader"]
"""Who speaks to the database; where they are apart, see `runtime.dialect.roles`."""
WRITERS: Final[tuple[Role, ...]] = ("writer", "keeper", "owner")
FOREIGN: Final = "\ufdd0"
"""How a text begins that is read of bytes that are none (SQLite): a noncharacter, so no text of ours does."""


class DatabaseError(Exception):
    """A database that cannot carry this platform, with a stable `code` and what to do."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


class Dialect(Protocol):
    """What a Database needs of an engine.

    `engine`: the pool of connections that the others share, where their roles are not apart. `reader`: its transactions
    see one snapshot, taken at their first statement, and cannot write. `writers`: their transactions hold the one
    write lock from their beginning to their end, each sees what the one before it committed.
    """

    engine: Engine
    reader: Engine
    writers: Mapping[Role, Engine]

    def turn(self) -> AbstractContextManager[None]:
        """What a writer waits for before it begins, and keeps to its end."""
        ...

    def fit(self) -> None:
        """Look once whether the server is as it must be. Raises DatabaseError."""
        ...

    def granted(self, connection: Connection) -> None:
        """After a migration, in its transaction: say again who may do what with the tables."""
        ...

    def able(self) -> None:
        """Look once whether each role may do its work. Raises DatabaseError."""
        ...

    def checkpoint(self) -> bool:
        """See `Database.checkpoint`."""
        ...


def is_sqlite(session: Session) -> bool:
    """Does this session speak to SQLite?"""
    return session.get_bind().dialect.name == "sqlite"


def ours(session: Session, column: Any) -> Any:
    """A condition: this column of names holds what a name of ours may be, which is printable ASCII.

    SQLite keeps bytes there, or a text that is none, if somebody writes them. Read, neither can be compared with as it
    rests: whoever goes on behind the last name that was read would meet it again for ever.
    """
    return ours_on(session.get_bind().dialect.name, column)


def ours_on(engine: str, column: Any) -> Any:
    """The same for an engine by its name: for statements that are made once."""
    if engine != "sqlite":
        return true()
    octets = func.length(cast(column, LargeBinary))  # a text with a NUL in it is longer than it looks
    return and_(func.typeof(column) == "text", column.op("NOT GLOB")("*[^ -~]*"), octets == func.length(column))


def is_text(value: object) -> bool:
    """Whether this was text where it was read; SQLite may hold anything there."""
    return isinstance(value, str) and not value.startswith(FOREIGN)


def insert(session: Session, table: type[Any] | FromClause) -> Any:
    """An INSERT that knows `on_conflict_do_nothing` and `on_conflict_do_update`; the two engines spell it alike."""
    made: Insert = (_sqlite if is_sqlite(session) else _postgresql).insert(table)
    return made
