"""Own migrations on PostgreSQL: what they make is what the tables in the code say."""

import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import BIGINT, Integer, text
from sqlmodel import SQLModel

import migrations
from migrations.tables import import_tables
from runtime.dialect import DatabaseError
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


def test_a_sum_of_whole_numbers_is_one(url: str) -> None:
    database = Database(url)
    with database.read() as session:
        numbers = "(VALUES (9223372036854775807::bigint), (1), (NULL)) AS t(n)"
        ((whole, none, part),) = session.execute(
            text(f"SELECT sum(n), sum(n) FILTER (WHERE n < 0), avg(n) FILTER (WHERE n < 2) / 2 FROM {numbers}")  # noqa: S608
        ).all()
    assert (type(whole), whole, none, str(part)[:3]) == (int, 2**63, None, "0.5")
    database.dispose()


def _differs(_context: Any, _column: Any, _declared: Any, found: Any, declared: Any) -> bool | None:
    return False if isinstance(found, BIGINT) and isinstance(declared, Integer) else None


NEXT = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "0002", "0001", None, None


def upgrade() -> None:
    with op.batch_alter_table("standing") as table:
        table.add_column(sa.Column("seen", sa.Integer(), nullable=False, server_default="7"))
    op.create_table("later", sa.Column("n", sa.Integer(), primary_key=True), sa.Column("box", sa.LargeBinary()))
    op.execute("INSERT INTO later (n) SELECT version FROM standing")
"""


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_later_revision_takes_the_rows_along(
    engine: str, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(url if engine == "postgresql" else f"sqlite:///{tmp_path / 'rows.db'}")
    database.migrate()
    with database.write() as session:
        session.execute(text("INSERT INTO standing (subject, version) VALUES ('s', 3)"))
    shutil.copytree(Path(migrations.__file__).parent, tmp_path / "migrations")
    (tmp_path / "migrations" / "versions" / "0002_later.py").write_text(NEXT)
    monkeypatch.setattr("runtime.session._migrations", lambda: tmp_path / "migrations")
    database.migrate()
    database.migrate()
    with database.read() as session:
        assert session.execute(text("SELECT subject, version, seen FROM standing")).all() == [("s", 3, 7)]
        assert session.execute(text("SELECT n FROM later")).scalars().all() == [3]
    monkeypatch.undo()
    with pytest.raises(DatabaseError) as caught:  # a program that is older than the schema
        database.migrate()
    assert caught.value.code == "unknown_schema"
    database.dispose()


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
