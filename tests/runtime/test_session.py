import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import column, select, table, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from runtime import dialect
from runtime.session import Database

WRITER = """
import sys
from sqlalchemy import text
from runtime.session import Database
database = Database(sys.argv[1])
print("up", flush=True)
sys.stdin.readline()
for _ in range(100):
    with database.write() as session:
        count = session.execute(text("SELECT n FROM counter")).scalar_one()
        session.execute(text("UPDATE counter SET n = :n"), {"n": count + 1})
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'db' / 'test.db'}"


@pytest.fixture
def database(url: str) -> Database:
    database = Database(url)
    with database.write() as session:
        session.execute(text("CREATE TABLE counter (n INTEGER UNIQUE)"))
        session.execute(text("INSERT INTO counter VALUES (0)"))
    return database


def count(database: Database) -> int:
    with database.read() as session:
        return int(session.execute(text("SELECT n FROM counter")).scalar_one())


def test_two_processes_that_read_and_write_at_once_lose_no_update(url: str, database: Database) -> None:
    command = [sys.executable, "-c", WRITER, url]
    writers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.readline()
    for writer in writers:
        writer.communicate("go\n", timeout=60)
        assert writer.returncode == 0
    assert count(database) == 200


def test_a_reading_session_keeps_the_snapshot_of_its_first_statement(database: Database) -> None:
    with database.read() as reader:
        assert reader.execute(text("SELECT n FROM counter")).scalar_one() == 0
        with database.write() as writer:
            writer.execute(text("UPDATE counter SET n = 1"))
        assert reader.execute(text("SELECT n FROM counter")).scalar_one() == 0
    assert count(database) == 1


def test_a_reading_session_takes_its_snapshot_no_earlier_than_its_first_statement(database: Database) -> None:
    with database.read() as reader:
        with database.write() as writer:
            writer.execute(text("UPDATE counter SET n = 1"))
        assert reader.execute(text("SELECT n FROM counter")).scalar_one() == 1


def test_a_reading_session_cannot_write(database: Database) -> None:
    with pytest.raises(DBAPIError), database.read() as session:
        session.execute(text("UPDATE counter SET n = 9"))
    assert count(database) == 0


def test_a_writing_session_rolls_back_on_error(database: Database) -> None:
    with pytest.raises(RuntimeError), database.write() as session:  # noqa: PT012
        session.execute(text("UPDATE counter SET n = 9"))
        raise RuntimeError
    assert count(database) == 0


def test_threads_that_write_at_once_lose_no_update(database: Database) -> None:
    def write() -> None:
        for _ in range(20):
            with database.write() as session:
                seen = session.execute(text("SELECT n FROM counter")).scalar_one()
                session.execute(text("UPDATE counter SET n = :n"), {"n": seen + 1})

    threads = [threading.Thread(target=write) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(database) == 100


@pytest.mark.sqlite("PRAGMA")
def test_without_the_write_lock_from_the_start_the_same_threads_do_collide(database: Database) -> None:
    """The control: BEGIN instead of BEGIN IMMEDIATE."""
    barrier, failures = threading.Barrier(2), []

    def write() -> None:
        with database.engine.begin() as connection:
            connection.exec_driver_sql("PRAGMA query_only=OFF")
            seen = connection.exec_driver_sql("SELECT n FROM counter").scalar_one()
            barrier.wait()
            try:
                connection.exec_driver_sql(f"UPDATE counter SET n = {seen + 1}")  # noqa: S608
            except OperationalError as error:
                failures.append(error)

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures


@pytest.mark.sqlite("PRAGMA")
def test_durability_and_residue_settings_hold_on_every_connection(database: Database) -> None:
    with database.read() as one, database.read() as other:
        for session in (one, other):
            assert session.execute(text("PRAGMA journal_mode")).scalar_one() == "wal"
            assert session.execute(text("PRAGMA synchronous")).scalar_one() == 2
            assert session.execute(text("PRAGMA secure_delete")).scalar_one() == 1
            assert session.execute(text("PRAGMA temp_store")).scalar_one() == 2
            assert session.execute(text("PRAGMA busy_timeout")).scalar_one() == 10000


def test_an_error_of_the_database_does_not_carry_parameters(database: Database) -> None:
    with pytest.raises(IntegrityError) as caught, database.write() as session:  # noqa: PT012
        session.execute(text("INSERT INTO counter VALUES (:n)"), {"n": 0})
        session.flush()
    assert "hidden" in str(caught.value)


def test_threads_and_processes_may_migrate_at_once_and_again(url: str) -> None:
    code = "import sys; from runtime.session import Database; Database(sys.argv[1]).migrate()"
    processes = [subprocess.Popen([sys.executable, "-c", code, url]) for _ in range(2)]
    database = Database(url)
    threads = [threading.Thread(target=database.migrate) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait(60) for process in processes] == [0, 0]
    database.migrate()
    with database.read() as session:
        assert session.execute(text("SELECT count(*) FROM alembic_version")).scalar_one() == 1


SPOILED = "INSERT INTO spoiled VALUES (1, 'é'), (2, CAST(x'ff' AS TEXT)), (3, CAST(x'fe' AS TEXT)), (4, ''), (5, x'ff')"
OF = {
    "all at once": lambda found: found.all(),
    "one by one": lambda found: list(iter(found.fetchone, None)),
    "in handfuls": lambda found: [row for some in found.partitions(2) for row in some],
    "some": lambda found: found.fetchmany(2) + found.fetchmany(9),
}


@pytest.fixture
def spoiled(database: Database) -> Database:
    with database.write() as session:
        session.execute(text("CREATE TABLE spoiled (n INTEGER PRIMARY KEY, t TEXT)"))
        session.execute(text(SPOILED))
    return database


@pytest.mark.sqlite("a text that is no UTF-8")
@pytest.mark.parametrize("of", OF)
def test_a_text_that_is_none_fails_no_statement_and_is_like_no_other(spoiled: Database, of: str) -> None:
    with spoiled.read() as session:
        rows = OF[of](session.execute(text("SELECT n, t FROM spoiled ORDER BY n")))
        plain = session.execute(text("SELECT t FROM spoiled WHERE n = 1")).scalar_one()
        raw = session.connection().connection.dbapi_connection
        assert isinstance(raw, sqlite3.Connection)
        assert raw.text_factory is str  # the fast one again
        with pytest.raises(OperationalError):  # control: other errors stay errors
            session.execute(text("SELECT abs(-9223372036854775807 - 1), t FROM spoiled")).all()
    assert [n for n, _ in rows] == [1, 2, 3, 4, 5]
    texts = [t for _, t in rows]
    assert (texts[0], texts[3], texts[4]) == (plain, "", b"\xff") == ("é", "", b"\xff")
    assert len(set(texts)) == 5
    assert [dialect.is_text(one) for one in texts] == [True, False, False, True, False]


@pytest.mark.sqlite("texts that are none")
def test_what_may_be_a_name_of_ours_is_told_by_the_database(spoiled: Database) -> None:
    with spoiled.write() as session:
        more = (
            "INSERT INTO spoiled VALUES (6, 'sub_a'), (7, CAST('sub_' || x'00ff' AS TEXT)), (8, CAST(x'c080' AS TEXT))"
        )
        session.execute(text(more))
        held = session.execute(
            select(column("n")).select_from(table("spoiled")).where(dialect.ours(session, column("t")))
        )
        assert held.scalars().all() == [4, 6]
