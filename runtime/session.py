"""The one primary database: reading sessions with a snapshot, writing sessions with the write lock from the start."""

import importlib.util
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError
from sqlalchemy import Engine
from sqlalchemy.exc import ProgrammingError
from sqlmodel import Session

from runtime import dialect
from runtime.dialect import DatabaseError, Role
from runtime.outbox_chain import AFTER_COMMIT, INFO, Chain

_DENIED = "42501"  # SQL's word for a right that somebody has not
_MIGRATING = threading.Lock()  # Alembic's environment is global to the process


class Database:
    """One database by URL. Threads never share a connection; several processes may hold the same database."""

    def __init__(self, url: str, chain: Chain | None = None, others: Mapping[Role, str | None] | None = None) -> None:
        """`url` is SQLAlchemy's, e.g. `sqlite:///data/db/fieldgrant.db`; the directory is made if it is missing.

        `chain`: what ties the events of the outbox together, handed to every session. `others`: the URLs of roles that
        are not that of `url`. Raises DatabaseError.
        """
        self._info = {} if chain is None else {INFO: chain}
        apart: dict[Role, str] = {role: other for role, other in (others or {}).items() if other is not None}
        self._dialect = dialect.opened(url, apart)
        self.engine: Engine = self._dialect.engine

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session whose snapshot is taken at its first statement. It cannot write."""
        with Session(self._dialect.reader, expire_on_commit=False, info=self._info) as session:
            yield session

    @contextmanager
    def write(self, by: Role = "writer") -> Iterator[Session]:
        """A session that holds the write lock from its first statement; commits at exit, rolls back on any error.

        `by` the keeper: it looks at sealed values or writes some, and writes no consent; by the owner: it changes the
        log. See `runtime.dialect.roles`.
        """
        made = Session(self._dialect.writers[by], expire_on_commit=False, info=self._info)
        with self._dialect.turn(), made as session:
            with session.begin():
                session.connection()  # the lock now: what is read here must not change until the commit
                yield session
            # no listener of SQLAlchemy's: it keeps each of them for good, and looks longer at each commit
            session.info.pop(AFTER_COMMIT, _nothing)()

    def migrate(self) -> None:
        """Bring the schema to the newest version (`migrations/`), in one transaction. Two processes may run it.

        Raises DatabaseError (`not_owner`, `unknown_schema`, `unfit_database`, `wrong_role`).
        """
        config = Config()
        config.set_main_option("script_location", str(_migrations()).replace("%", "%%"))
        self._dialect.fit()
        try:
            with _MIGRATING, self._dialect.writers["owner"].begin() as connection:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                self._dialect.granted(connection)
        except CommandError as error:
            raise DatabaseError("unknown_schema", f"another version of this program made this: {error}") from None
        except ProgrammingError as error:
            if getattr(error.orig, "sqlstate", None) != _DENIED:
                raise
            detail = "the tables are not this role's and not of this version: run `fieldgrant database migrate`"
            raise DatabaseError("not_owner", detail) from None
        self._dialect.able()

    def checkpoint(self) -> bool:
        """Empty SQLite's write-ahead log if nobody reads just now; whether it was emptied. Waits for its turn only."""
        return self._dialect.checkpoint()

    def dispose(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()
        for engine in (self._dialect.reader, *self._dialect.writers.values()):
            engine.dispose()


def _migrations() -> Path:
    spec = importlib.util.find_spec("migrations")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the migrations package is not installed")
    return Path(next(iter(spec.submodule_search_locations)))


def _nothing() -> None:
    pass
