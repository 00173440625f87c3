"""The one primary database: reading sessions with a snapshot, writing sessions with the write lock from the start."""

import importlib.util
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine
from sqlmodel import Session

from runtime import dialect
from runtime.outbox_chain import AFTER_COMMIT, INFO, Chain

_MIGRATING = threading.Lock()  # Alembic's environment is global to the process


class Database:
    """One database by URL. Threads never share a connection; several processes may hold the same database."""

    def __init__(
        self, url: str, chain: Chain | None = None, *, owner: str | None = None, reader: str | None = None
    ) -> None:
        """`url` is SQLAlchemy's, e.g. `sqlite:///data/db/fieldgrant.db`; the directory is made if it is missing.

        `chain`: what ties the events of the outbox together, handed to every session. `owner`: the URL by which the
        schema is changed, where the role of `url` owns nothing; `reader`: that by which it is read. Raises
        DatabaseError.
        """
        self._info = {} if chain is None else {INFO: chain}
        self._owner = owner
        self._dialect = dialect.opened(url, reader)
        self.engine: Engine = self._dialect.engine

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session whose snapshot is taken at its first statement. It cannot write."""
        with Session(self._dialect.reader, expire_on_commit=False, info=self._info) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that holds the write lock from its first statement; commits at exit, rolls back on any error."""
        made = Session(self._dialect.writer, expire_on_commit=False, info=self._info)
        with self._dialect.turn(), made as session:
            with session.begin():
                session.connection()  # the lock now: what is read here must not change until the commit
                yield session
            # no listener of SQLAlchemy's: it keeps each of them for good, and looks longer at each commit
            session.info.pop(AFTER_COMMIT, _nothing)()

    def migrate(self) -> None:
        """Bring the schema to the newest version (`migrations/`), in one transaction. Two processes may run it.

        Raises DatabaseError.
        """
        spec = importlib.util.find_spec("migrations")
        if spec is None or not spec.submodule_search_locations:
            raise RuntimeError("the migrations package is not installed")
        config = Config()
        config.set_main_option("script_location", str(next(iter(spec.submodule_search_locations))).replace("%", "%%"))
        self._dialect.fit()
        by = self._dialect if self._owner is None else dialect.opened(self._owner)
        try:
            with _MIGRATING, by.writer.begin() as connection:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        finally:
            if by is not self._dialect:
                by.engine.dispose()

    def checkpoint(self) -> bool:
        """Empty SQLite's write-ahead log if nobody reads just now; whether it was emptied. Waits for its turn only."""
        return self._dialect.checkpoint()

    def dispose(self) -> None:
        """Close every pooled connection."""
        self.engine.dispose()
        self._dialect.reader.dispose()


def _nothing() -> None:
    pass
