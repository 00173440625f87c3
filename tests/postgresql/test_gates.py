"""After the acknowledgement nothing, with three gate processes that share nothing but the database."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from runtime.dialect.postgresql import plain
from runtime.session import Database
from tests.engine import server
from tests.engine.server import Server
from verifier.advisory import AdvisoryTurnstile

PROCESSES, WITHDRAWALS = 3, 40
READERS = Path(__file__).with_name("readers.py")


def gates(url: str, home: Path, *words: str) -> list["subprocess.Popen[str]"]:
    """Gate processes on as many hosts, each of which is reading."""
    with Database(url).write() as session:
        session.execute(text("CREATE TABLE granted (subject INTEGER PRIMARY KEY, released BOOLEAN)"))
        session.execute(text("INSERT INTO granted SELECT n, true FROM generate_series(1, 1000) AS n"))
    started = [
        subprocess.Popen(
            [sys.executable, READERS, url, home / f"host-{n}", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(PROCESSES)
    ]  # fmt: skip
    for gate in started:
        assert gate.stdout is not None
        assert gate.stdout.readline() == "up\n"
    return started


def withdraw(database: Database, turnstile: AdvisoryTurnstile, subject: int) -> tuple[float, float]:
    """When it is acknowledged, and the seconds that its drain took."""
    with database.write() as session:
        session.execute(text("UPDATE granted SET released = false WHERE subject = :one"), {"one": subject})
    begun = time.monotonic()
    turnstile.drain(20.0)
    acknowledged = time.monotonic()
    return acknowledged, acknowledged - begun


def answers(started: list["subprocess.Popen[str]"]) -> list[tuple[float, list[int]]]:
    """Each read of all of them: when it returned, and whom."""
    return [read for gate in started for read in json.loads(gate.communicate("go on\n")[0])]


def test_no_read_of_three_gate_processes_returns_what_was_withdrawn_before(url: str, tmp_path: Path) -> None:
    started = gates(url, tmp_path, "turnstile")
    database, turnstile = Database(url), AdvisoryTurnstile(tmp_path / "withdrawer", url, 0.1)
    done = {subject: withdraw(database, turnstile, subject) for subject in range(1, WITHDRAWALS + 1)}
    reads = answers(started)
    database.dispose()
    never = (float("inf"), 0.0)
    assert [seen for returned, seen in reads if any(returned > done.get(one, never)[0] for one in seen)] == []
    assert len(reads) > 100
    waits = sorted(wait for _, wait in done.values())
    assert waits[len(waits) // 2] < 1.0  # some 5 ms; a loaded machine


@pytest.mark.parametrize(("kind", "seconds", "late"), [("turnstile", 1, 0), ("late", 60, 3), ("none", 60, 3)])
def test_without_the_lock_or_with_a_lock_later_than_the_snapshot_reads_do_return_it(
    url: str, tmp_path: Path, kind: str, seconds: int, late: int
) -> None:
    """The control: each reader has its snapshot, and stands still until the withdrawal is acknowledged.

    Ours stands still for a second at most: the withdrawal waits for it, not it for the withdrawal.
    """
    started = gates(url, tmp_path, kind, str(seconds))
    database, turnstile = Database(url), AdvisoryTurnstile(tmp_path / "withdrawer", url, 0.1)
    acknowledged, _ = withdraw(database, turnstile, 1)
    reads = answers(started)
    database.dispose()
    assert [1 in seen for _, seen in reads] == [True] * PROCESSES  # their snapshots are older than its commit
    assert sum(returned > acknowledged for returned, _ in reads) == late


def test_a_read_whose_lock_was_taken_away_knows_it_before_it_sends(url: str, tmp_path: Path, postgres: Server) -> None:
    turnstile = AdvisoryTurnstile(tmp_path, url, 0.1)
    hold = turnstile.passage()
    assert hold.held()
    server.psql(
        postgres,
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock'",
    )
    time.sleep(0.2)
    assert not hold.held()
    hold.release()
    hold.release()
    turnstile.passage().release()
    turnstile.drain(5.0)
    turnstile.close()


def test_a_withdrawer_waits_for_its_own_host_even_when_the_server_forgot_the_lock(url: str, tmp_path: Path) -> None:
    from verifier.drain import DrainTimeoutError

    turnstile = AdvisoryTurnstile(tmp_path, url, 0.1)
    hold = turnstile.passage()
    with plain(url) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
    with pytest.raises(DrainTimeoutError):
        turnstile.drain(0.3)
    hold.release()
    turnstile.drain(5.0)


def test_a_drain_on_a_server_that_has_just_started_waits_as_long_as_a_read_may_be_sent(tmp_path: Path) -> None:
    with server.running() as fresh:
        turnstile = AdvisoryTurnstile(tmp_path, fresh.url(), 3.0)
        begun = time.monotonic()
        turnstile.drain(20.0)
        first = time.monotonic() - begun
        begun = time.monotonic()
        turnstile.drain(20.0)
        assert first > 10 * (time.monotonic() - begun) or first > 2.0
