"""Own migrations on PostgreSQL: what they make is what the tables in the code say."""

import threading
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import BIGINT, Integer, text
from sqlmodel import SQLModel

from migrations.tables import import_tables
from runtime.session import Database


def test_the_migrated_schema_is_that_of_the_tables_in_the_code_and_whole_numbers_are_long(url: str) -> None:
    import_tables()
    database = Database(url)
    with database.engine.connect() as connection:  # the control
        assert compare_metadata(MigrationContext.configure(connection), SQLModel.metadata) != []
    database.migrate()
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": _differs})
        assert compare_metadata(context, SQLModel.metadata) == []
        told = text("SELECT DISTINCT data_type FROM information_schema.columns WHERE table_schema = 'public'")
        assert set(connection.execute(told).scalars()) == {"bigint", "boolean", "bytea", "character varying", "text"}
    database.dispose()


def _differs(_context: Any, _column: Any, _declared: Any, found: Any, declared: Any) -> bool | None:
    return False if isinstance(found, BIGINT) and isinstance(declared, Integer) else None


def test_several_may_migrate_at_once_and_again(url: str) -> None:
    databases = [Database(url) for _ in range(3)]
    threads = [threading.Thread(target=database.migrate) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    databases[0].migrate()
    for database in databases:
        database.dispose()


def test_writers_come_one_by_one_and_each_sees_what_the_one_before_wrote(
    url: str,
) -> None:
    database = Database(url)
    with database.write() as session:
        session.execute(text("CREATE TABLE counter (n INTEGER)"))
        session.execute(text("INSERT INTO counter VALUES (0)"))

    def add() -> None:
        for _ in range(20):
            with database.write() as session:
                count = session.execute(text("SELECT n FROM counter")).scalar_one()
                session.execute(text("UPDATE counter SET n = :n"), {"n": count + 1})

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        assert session.execute(text("SELECT n FROM counter")).scalar_one() == 80
        shown = {
            name: session.execute(text(f"SHOW {name}")).scalar_one()
            for name in ("lock_timeout", "statement_timeout", "synchronous_commit", "transaction_read_only")
        }
    assert shown == {
        "lock_timeout": "10s", "statement_timeout": "1min", "synchronous_commit": "on", "transaction_read_only": "on",
    }  # fmt: skip
    database.dispose()
