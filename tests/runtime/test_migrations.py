from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlmodel import SQLModel

from migrations.tables import import_tables
from runtime.session import Database


def shape(url: str) -> dict[str, Any]:
    """Columns, keys, indexes and AUTOINCREMENT of every table, as SQLite itself tells them."""
    with create_engine(url).connect() as connection:
        ask = connection.exec_driver_sql
        tables = ask("SELECT name, sql FROM sqlite_master WHERE type = 'table'").all()
        return {
            name: (
                [tuple(row) for row in ask(f"PRAGMA table_info({name})")],
                sorted(
                    (row.unique, row.partial, [column.name for column in ask(f"PRAGMA index_info({row.name})")])
                    for row in ask(f"PRAGMA index_list({name})")
                ),
                "AUTOINCREMENT" in sql,
            )
            for name, sql in tables
            if name != "alembic_version"
        }


@pytest.mark.sqlite("its own words for a schema; tests/postgresql looks at the other")
def test_the_migrated_schema_is_that_of_the_tables_in_the_code(tmp_path: Path) -> None:
    """When this fails: `python tools/make_migration.py "what changed"`."""
    import_tables()
    database = Database(f"sqlite:///{tmp_path / 'migrated.db'}")
    database.migrate()
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, SQLModel.metadata) == []
    made = create_engine(f"sqlite:///{tmp_path / 'made.db'}")
    SQLModel.metadata.create_all(made)
    assert shape(f"sqlite:///{tmp_path / 'migrated.db'}") == shape(f"sqlite:///{tmp_path / 'made.db'}")


@pytest.mark.sqlite("an empty file")
def test_a_table_that_no_revision_makes_is_seen(tmp_path: Path) -> None:
    """The control."""
    import_tables()
    database = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    with database.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), SQLModel.metadata) != []
