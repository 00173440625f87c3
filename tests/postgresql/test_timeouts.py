"""Whoever holds things up is given up, and the others go on."""

import time
from functools import partial
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from runtime.dialect.postgresql import AdvisoryError, plain
from runtime.session import Database
from verifier import advisory
from verifier.advisory import AdvisoryTurnstile
from verifier.drain import DrainTimeoutError


def hurried(url: str, **settings: int) -> Database:
    """With shorter times (ms) than ours."""
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    return Database(f"{url}&options={quote(options)}")


def test_a_writer_that_stands_still_loses_the_lock_and_what_it_wrote(url: str) -> None:
    still = hurried(url, idle_in_transaction_session_timeout=700)
    others = hurried(url, lock_timeout=200)
    with still.write() as session:
        session.execute(text("CREATE TABLE told (n INTEGER)"))

    def slowly() -> None:
        with still.write() as slow:
            slow.execute(text("INSERT INTO told VALUES (1)"))
            with pytest.raises(OperationalError) as caught, others.write():
                pass
            assert getattr(caught.value.orig, "sqlstate", None) == "55P03"  # the control: so far it waits in vain
            time.sleep(1.5)
            with others.write() as session:
                session.execute(text("INSERT INTO told VALUES (2)"))
            slow.execute(text("INSERT INTO told VALUES (3)"))

    with pytest.raises(InternalError):
        slowly()
    with still.write() as session:  # and its process goes on
        assert session.execute(text("SELECT n FROM told")).scalars().all() == [2]
    for database in (still, others):
        database.dispose()


def test_a_statement_that_takes_too_long_is_ended(url: str) -> None:
    database = hurried(url, statement_timeout=200)
    with pytest.raises(OperationalError), database.read() as session:
        session.execute(text("SELECT pg_sleep(20)"))
    with database.read() as session:
        assert session.execute(text("SELECT 1")).scalar() == 1
    database.dispose()


def test_a_drain_gives_up_in_its_time_and_the_next_one_comes_through(url: str, tmp_path: Path) -> None:
    here, there = (AdvisoryTurnstile(tmp_path / name, url, 0.1) for name in ("here", "there"))
    hold = there.passage()
    begun = time.monotonic()
    with pytest.raises(DrainTimeoutError):
        here.drain(1.5)
    assert time.monotonic() - begun < 20
    hold.release()
    here.drain(20)
    for one in (here, there):
        one.close()


@pytest.mark.parametrize(
    ("name", "theirs", "ours"),
    [
        ("idle_session_timeout", "'100ms'", "0"),
        ("client_min_messages", "'error'", "warning"),
        ("synchronous_commit", "'off'", "on"),
        ("lock_timeout", "0", "10s"),
        ("idle_in_transaction_session_timeout", "0", "1min"),
        ("client_connection_check_interval", "0", "1s"),
    ],
)
def test_what_somebody_sets_for_everybody_changes_nothing_that_we_rely_on(
    url: str, name: str, theirs: str, ours: str
) -> None:
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as raw:
        row = raw.execute("SELECT current_database()").fetchone()
        assert row is not None
        raw.execute(f"ALTER DATABASE {row[0]} SET {name} = {theirs}".encode())
    database, lock = Database(url), plain(url)
    try:
        with database.read() as session:
            assert session.execute(text(f"SHOW {name}")).scalar() == ours
        row = lock.execute(f"SHOW {name}".encode()).fetchone()
        assert row is not None
        assert row[0] == ours
    finally:
        lock.close()
        database.dispose()


def test_a_reader_whom_nobody_lets_in_waits_for_that_once(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(advisory, "plain", partial(plain, lock_timeout=0.3))
    turnstile = AdvisoryTurnstile(tmp_path, url, 0.1)
    for hold in [turnstile.passage() for _ in range(3)]:
        hold.release()
    asked = list[bytes]()
    ask = advisory._Lock._ask

    def asking(lock: advisory._Lock, query: bytes) -> bool:
        asked.append(query)
        return ask(lock, query)

    monkeypatch.setattr(advisory._Lock, "_ask", asking)
    alone = plain(url)
    alone.execute(advisory._ALONE)
    with pytest.raises(AdvisoryError):
        turnstile.passage()
    assert asked == [advisory._ENTER]
    alone.close()
    turnstile.passage().release()
    turnstile.close()


def test_who_finds_no_connection_free_is_told_so(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(url)
    monkeypatch.setattr(database.engine.pool, "_timeout", 0.2)
    monkeypatch.setattr(database.engine.pool, "_max_overflow", 0)
    held = [database.engine.connect() for _ in range(16)]
    with pytest.raises(PoolTimeout), database.read() as session:
        session.execute(text("SELECT 1"))
    for one in held:
        one.close()
    with database.read() as session:
        assert session.execute(text("SELECT 1")).scalar() == 1
    database.dispose()
