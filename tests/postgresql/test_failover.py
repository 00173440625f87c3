"""The primary dies in the middle of reads and writes; the synchronous standby takes over; the process goes on."""

import contextlib
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from runtime.dialect import DatabaseError
from runtime.session import Database
from tests.engine import server
from tests.postgresql.pair import Pair
from verifier.advisory import AdvisoryTurnstile


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


def test_each_fail_over_is_noticed_and_not_the_first_alone(pair: Pair, tmp_path: Path) -> None:
    """A server does not tell when it was promoted: whoever drains there first waits, as reads may still be sent."""
    turnstile = AdvisoryTurnstile(tmp_path, pair.url, 0.5)
    time.sleep(1.6)  # the primary is older now than a read may take
    waits = [waited(turnstile)]
    pair.fail_over()
    waits += [waited(turnstile), waited(turnstile)]
    server.psql(pair.primary, "ALTER SYSTEM SET synchronous_standby_names = ''", "SELECT pg_reload_conf()", port=5433)
    third = pair.renewed()
    try:
        waits += [waited(turnstile), waited(turnstile)]
    finally:
        server.stop(third)
    assert [wait > 1.0 for wait in waits] == [False, True, False, True, False], waits


def waited(turnstile: AdvisoryTurnstile) -> float:
    begun = time.monotonic()
    turnstile.drain(20.0)
    return time.monotonic() - begun


def test_a_standby_is_never_asked(pair: Pair) -> None:
    with contextlib.closing(server.connected(pair.standby, port=5433)) as connection:
        assert connection.execute("SELECT pg_is_in_recovery()").fetchone() == (True,)
    alone = Database(pair.url.replace(f"host={pair.primary.home}:5432&", ""))
    with pytest.raises(OperationalError), alone.read() as session:
        session.execute(text("SELECT 1"))
