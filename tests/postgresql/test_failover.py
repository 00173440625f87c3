"""The primary dies in the middle of reads and writes; the synchronous standby takes over; the process goes on."""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from runtime.dialect import DatabaseError
from runtime.session import Database
from tests.engine import server
from tests.engine.server import Server
from verifier.advisory import AdvisoryTurnstile


class Pair:
    """A primary that commits with its standby; two ports of one socket directory."""

    def __init__(self, primary: Server, standby: Server) -> None:
        self.primary, self.standby = primary, standby
        self.url = f"postgresql+psycopg://postgres@/postgres?host={primary.home}:5432&host={primary.home}:5433"

    def fail_over(self) -> None:
        self.primary.kill()
        with server.connected(self.standby, port=5433) as connection:
            connection.execute("SELECT pg_promote(true)")


@pytest.fixture
def pair() -> Iterator[Pair]:
    with server.running(wal_level="replica", max_wal_senders="4") as primary:
        second = primary.home / "second"
        server.run("pg_basebackup", "-D", str(second), "-h", str(primary.home), "-U", "postgres", "-R", "-X", "stream")
        (second / "postgresql.auto.conf").open("a").write(
            f"primary_conninfo = 'host={primary.home} user=postgres application_name=second'\n"
        )
        standby = server.start(primary.home, second, port="5433")
        try:
            server.psql(primary, "ALTER SYSTEM SET synchronous_standby_names = 'second'", "SELECT pg_reload_conf()")
            until = time.monotonic() + 20
            while server.psql(primary, "SELECT sync_state FROM pg_stat_replication") != [("sync",)]:
                assert time.monotonic() < until
                time.sleep(0.05)
            yield Pair(primary, standby)
        finally:
            server.stop(standby)


def test_nothing_that_was_acknowledged_is_lost_and_the_same_process_goes_on(pair: Pair, tmp_path: Path) -> None:
    database = Database(pair.url)
    with database.write() as session:
        session.execute(text("CREATE TABLE told (n INTEGER PRIMARY KEY)"))
    acknowledged: list[int] = []
    failed: list[float] = []
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            try:
                with database.write() as session:
                    session.execute(text("INSERT INTO told VALUES (:n) ON CONFLICT DO NOTHING"), {"n": number})
                acknowledged.append(number)
            except (OperationalError, DatabaseError):
                failed.append(time.monotonic())
                time.sleep(0.05)

    writer = threading.Thread(target=write)
    writer.start()
    turnstile = AdvisoryTurnstile(tmp_path / "gate", pair.url, 0.5)
    hold = turnstile.passage()
    while len(acknowledged) < 20:
        time.sleep(0.01)
    before = len(acknowledged)
    pair.fail_over()
    assert not hold.held()  # what was being read then is not sent
    hold.release()
    until = time.monotonic() + 30
    while len(acknowledged) < before + 20:
        assert time.monotonic() < until, "it never came back"
        time.sleep(0.01)
    stop.set()
    writer.join()
    assert failed, "the control: the primary was gone for a while"
    with database.read() as session:
        kept = set(session.execute(text("SELECT n FROM told")).scalars())
    assert set(acknowledged) <= kept
    turnstile.passage().release()
    begun = time.monotonic()
    turnstile.drain(20.0)
    assert time.monotonic() - begun > 1.0  # readers of other hosts may still be sending what they read of the old one
    turnstile.drain(1.0)
    database.dispose()


def test_a_standby_is_never_asked(pair: Pair) -> None:
    with contextlib.closing(server.connected(pair.standby, port=5433)) as connection:
        assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
    alone = Database(pair.url.replace(f"host={pair.primary.home}:5432&", ""))
    with pytest.raises(OperationalError), alone.read() as session:
        session.execute(text("SELECT 1"))
