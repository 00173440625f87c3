"""Writers of one SQLite file take turns, and a checkpoint keeps nobody waiting."""

import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from runtime.session import Database
from runtime.turn import Turns


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(f"sqlite:///{tmp_path / 'db' / 'test.db'}")
    with made.write() as session:
        session.execute(text("CREATE TABLE line (n INTEGER)"))
        session.execute(text("INSERT INTO line VALUES (1)"))
    return made


def _waited(path: Path, take: type[Turns] | type["_Barging"]) -> float:
    """How long a newcomer waits while another thread takes turn after turn without a pause; at most 3 s."""
    busy, stop = take(path), threading.Event()

    def hog() -> None:
        while not stop.is_set():
            with busy.taken():
                time.sleep(0.01)

    thread = threading.Thread(target=hog, daemon=True)
    thread.start()
    time.sleep(0.05)
    started = time.monotonic()
    late = threading.Timer(3.0, stop.set)
    late.start()
    with take(path).taken():
        waited = time.monotonic() - started
    stop.set()
    late.cancel()
    thread.join()
    return waited


class _Barging(Turns):
    """The control: SQLite's own way, look and sleep, in which whoever has just had the lock wins."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._lock = _LOCKS.setdefault(path, threading.Lock())

    def taken(self):  # type: ignore[no-untyped-def]
        lock = self._lock

        class Taken:
            def __enter__(self) -> None:
                while not lock.acquire(blocking=False):
                    time.sleep(0.1)

            def __exit__(self, *_: object) -> None:
                lock.release()

        return Taken()


_LOCKS: dict[Path, threading.Lock] = {}


def test_a_newcomer_gets_the_next_turn_however_busy_the_other_is(tmp_path: Path) -> None:
    fair = _waited(tmp_path / "fair", Turns)
    control = _waited(tmp_path / "control", _Barging)
    assert fair < 0.5
    assert control > fair


@pytest.mark.sqlite("its write-ahead log")
@pytest.mark.alone
def test_a_checkpoint_does_not_wait_for_a_reader_and_keeps_no_writer_waiting(database: Database) -> None:
    with database.read() as reader:
        reader.execute(text("SELECT n FROM line")).all()
        with database.write() as session:
            session.execute(text("INSERT INTO line VALUES (2)"))
        started = time.monotonic()
        assert not database.checkpoint()
        with database.write() as session:
            session.execute(text("INSERT INTO line VALUES (3)"))
        assert time.monotonic() - started < 8  # to wait for the reader is 10 s
    assert database.checkpoint()
