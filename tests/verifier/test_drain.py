"""The turnstile: who is inside is waited for, and nobody can keep the withdrawer waiting by coming again and again."""

import fcntl
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from verifier.drain import DrainTimeoutError, Turnstile

READERS, PROCESSES = 16, 2
HELD = 0.004  # seconds that a reader stays inside


class PlainLock:
    """The control: one flock, shared by readers and taken exclusively by the withdrawer."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "plain.lock"

    def passage(self) -> "PlainLock":
        held = PlainLock(self._path.parent)
        held.descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT)
        fcntl.flock(held.descriptor, fcntl.LOCK_SH)
        return held

    def release(self) -> None:
        os.close(self.descriptor)

    def drain(self, timeout: float) -> None:
        descriptor, until = os.open(self._path, os.O_RDWR | os.O_CREAT), time.monotonic() + timeout
        try:
            while time.monotonic() < until:
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    time.sleep(0.0005)
                else:
                    return
            raise DrainTimeoutError("starved")
        finally:
            os.close(descriptor)

    descriptor: int


def _loop(make: Callable[[Path], Turnstile | PlainLock], directory: Path, ready: object, stop: object) -> None:
    lock = make(directory)

    def read() -> None:
        while not stop.is_set():  # type: ignore[attr-defined]
            held = lock.passage()
            time.sleep(HELD)
            held.release()

    threads = [threading.Thread(target=read) for _ in range(READERS // PROCESSES)]
    for thread in threads:
        thread.start()
    ready.release()  # type: ignore[attr-defined]
    for thread in threads:
        thread.join()


@contextmanager
def looping(make: Callable[[Path], Turnstile | PlainLock], directory: Path) -> Iterator[None]:
    """16 readers, in two processes, that come again as soon as they left."""
    context = multiprocessing.get_context("spawn")
    ready, stop = context.Semaphore(0), context.Event()
    processes = [context.Process(target=_loop, args=(make, directory, ready, stop)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    try:
        for _ in processes:
            assert ready.acquire(timeout=60)
        time.sleep(0.1)
        yield
    finally:
        stop.set()
        for process in processes:
            process.join()


def seconds(drain: Callable[[float], None], patience: float) -> float:
    start = time.monotonic()
    try:
        drain(patience)
    except DrainTimeoutError:
        return float("inf")
    return time.monotonic() - start


def test_sixteen_looping_readers_do_not_starve_the_withdrawer_as_a_plain_lock_does(tmp_path: Path) -> None:
    with looping(Turnstile, tmp_path):
        turnstile = Turnstile(tmp_path)
        waits = sorted(seconds(turnstile.drain, 20.0) for _ in range(20))
    with looping(PlainLock, tmp_path):
        plain = [seconds(PlainLock(tmp_path).drain, 1.0) for _ in range(3)]
    assert waits[-1] < 2.0  # a loaded machine; some 5 ms are usual
    assert max(plain) > 10 * waits[len(waits) // 2], (plain, waits)


def test_the_drain_returns_when_the_last_one_inside_has_left(tmp_path: Path) -> None:
    turnstile = Turnstile(tmp_path)
    first, second = turnstile.passage(), turnstile.passage()
    left: list[str] = []
    drained = threading.Event()

    def withdraw() -> None:
        turnstile.drain(10.0)
        left.append("drained")
        drained.set()

    thread = threading.Thread(target=withdraw)
    thread.start()
    time.sleep(0.1)
    left.append("first")
    first.release()
    time.sleep(0.1)
    assert not drained.is_set()
    left.append("second")
    second.release()
    thread.join()
    assert left == ["first", "second", "drained"]


def test_who_comes_during_a_drain_waits_outside(tmp_path: Path) -> None:
    turnstile = Turnstile(tmp_path)
    inside = turnstile.passage()
    drains = threading.Thread(target=turnstile.drain, args=(10.0,))
    drains.start()
    time.sleep(0.1)
    entered = threading.Event()

    def read() -> None:
        held = turnstile.passage()
        entered.set()
        held.release()

    reader = threading.Thread(target=read)
    reader.start()
    assert not entered.wait(0.2)
    inside.release()
    assert entered.wait(5.0)
    drains.join()
    reader.join()


def test_a_drain_that_waits_too_long_says_so_and_lets_readers_in_again(tmp_path: Path) -> None:
    turnstile = Turnstile(tmp_path)
    inside = turnstile.passage()
    with pytest.raises(DrainTimeoutError) as late:
        turnstile.drain(0.05)
    assert (late.value.status, late.value.code) == (503, "drain_timeout")
    turnstile.passage().release()
    inside.release()
    turnstile.drain(1.0)


def test_a_drain_behind_a_drain_gives_up_in_time_and_leaves_nothing_locked(tmp_path: Path) -> None:
    turnstile = Turnstile(tmp_path)
    inside = turnstile.passage()
    first = threading.Thread(target=turnstile.drain, args=(10.0,))
    first.start()
    time.sleep(0.1)
    with pytest.raises(DrainTimeoutError):
        turnstile.drain(0.05)
    inside.release()
    first.join()
    turnstile.drain(5.0)
    turnstile.passage().release()


def test_a_place_is_given_back_once_however_often_it_is_released(tmp_path: Path) -> None:
    turnstile = Turnstile(tmp_path)
    first = turnstile.passage()
    first.release()
    first.release()
    second, third = turnstile.passage(), turnstile.passage()
    second.release()
    with pytest.raises(DrainTimeoutError):
        turnstile.drain(0.05)
    third.release()
    turnstile.drain(1.0)
    turnstile.close()


def test_a_forgotten_passage_does_not_hold_the_gate(tmp_path: Path) -> None:
    turnstile = Turnstile(tmp_path)
    turnstile.passage()
    turnstile.drain(1.0)


def _hold(directory: Path, ready: object) -> None:
    held = Turnstile(directory).passage()
    ready.set()  # type: ignore[attr-defined]
    time.sleep(60)
    held.release()


def test_a_reader_of_another_process_is_waited_for_until_it_dies(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_hold, args=(tmp_path, ready))
    process.start()
    assert ready.wait(30)
    turnstile = Turnstile(tmp_path)
    with pytest.raises(DrainTimeoutError):
        turnstile.drain(0.1)
    process.kill()
    process.join()
    turnstile.drain(5.0)


def test_a_fork_takes_no_place_of_its_parent(tmp_path: Path) -> None:
    turnstile = Turnstile(tmp_path)
    held = turnstile.passage()
    turnstile.passage().release()
    child = os.fork()
    if child == 0:
        held.release()
        turnstile.passage().release()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    with pytest.raises(DrainTimeoutError):
        turnstile.drain(0.05)
    held.release()
    turnstile.drain(1.0)


def test_a_lock_file_that_cannot_be_opened_leaves_no_file_open(tmp_path: Path) -> None:
    turnstile = Turnstile(tmp_path)
    (tmp_path / "room.lock").mkdir()
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="room"):
        turnstile.passage()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_lock_that_fails_leaves_no_file_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    turnstile = Turnstile(tmp_path)

    def fails(descriptor: int, operation: int) -> None:
        raise OSError("no locks available")

    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "flock", fails)
        with pytest.raises(OSError, match="no locks"):
            turnstile.passage()
    assert len(os.listdir("/proc/self/fd")) == before
    turnstile.drain(1.0)
