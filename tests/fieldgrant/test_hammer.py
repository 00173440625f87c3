"""The hammer's mark: what the kernel had been given before it came before, whatever the reader's thread knew of it."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from fieldgrant.demo.hammer import Hammer, Tally

NEEDLE = "mei@example.com"
GRANTED = f'{{"fields": {{"contact.email": "{NEEDLE}"}}}}'.encode()
WITHHELD = b'{"withheld": {"contact.email": "withdrawn"}}'
Answers = Callable[[int], tuple[int, bytes]]


class Desk:
    """A small server: answers each request with what `answers` says of its number (status, body), bytes as told."""

    def __init__(self, answers: Answers, *, piece: int = 65536) -> None:
        self.answers, self.piece = answers, piece
        self.requests = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        waiting = b""
        with connection:
            while True:
                while b"\r\n\r\n" not in waiting:
                    part = connection.recv(4096)
                    if not part:
                        return
                    waiting += part
                head, _, waiting = waiting.partition(b"\r\n\r\n")
                assert b"Authorization: Bearer token" in head
                with self.lock:
                    self.requests += 1
                    number = self.requests
                status, body = self.answers(number)
                if status == 0:
                    return
                whole = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
                for start in range(0, len(whole), self.piece):
                    connection.sendall(whole[start : start + self.piece])


@contextmanager
def desk(answers: Answers, *, piece: int = 65536) -> Iterator[Desk]:
    """The server while the block runs."""
    made = Desk(answers, piece=piece)
    try:
        yield made
    finally:
        made.listener.close()


def hammer(at: Desk, readers: int = 1) -> Hammer:
    """Readers of one record."""
    return Hammer(f"http://127.0.0.1:{at.port}/crm/customers/sub_a?purpose=marketing", "token", NEEDLE, readers=readers)


def until(condition: Callable[[], bool]) -> None:
    """Wait, but not for ever."""
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def total(tallies: list[Tally]) -> Tally:
    """All readers together."""
    return Tally(
        sum(one.answers for one in tallies),
        sum(one.with_value for one in tallies),
        sum(one.after for one in tallies),
        sum(one.after_with_value for one in tallies),
        [failure for one in tallies for failure in one.failures],
    )


@pytest.mark.parametrize("piece", [7, 65536])
def test_answers_are_counted_with_and_without_the_value(piece: int) -> None:
    with desk(lambda number: (200, GRANTED if number % 2 else WITHHELD), piece=piece) as at:
        group = hammer(at)
        group.start()
        until(lambda: group.readers[0].tally.answers >= 10)
        [tally] = group.stop()
    assert tally.with_value == (tally.answers + 1) // 2
    assert tally.after == tally.after_with_value == 0
    assert tally.failures == []


def test_what_is_returned_after_the_mark_is_counted_as_after() -> None:
    withdrawn = threading.Event()
    with desk(lambda _: (200, WITHHELD if withdrawn.is_set() else GRANTED)) as at:
        group = hammer(at, readers=4)
        group.start()
        until(lambda: group.seen() >= 20)
        withdrawn.set()
        until(lambda: all(reader.tally.answers > reader.tally.with_value + 1 for reader in group.readers))
        group.mark()
        before = [reader.tally.answers for reader in group.readers]
        until(lambda: all(now.tally.answers > then + 5 for now, then in zip(group.readers, before, strict=True)))
        tallies = group.stop()
    assert total(tallies).after >= 4 * 5
    assert total(tallies).after_with_value == 0
    assert min(tally.with_value for tally in tallies) >= 20


def test_a_server_that_goes_on_after_the_mark_is_found_out() -> None:
    with desk(lambda _: (200, GRANTED)) as at:
        group = hammer(at, readers=2)
        group.start()
        until(lambda: group.seen() >= 5)
        group.mark()
        until(lambda: all(reader.tally.after_with_value >= 1 for reader in group.readers))
        tallies = group.stop()
    assert all(tally.after_with_value == tally.after >= 1 for tally in tallies)


def test_bytes_that_the_kernel_had_before_the_mark_came_before_however_late_the_reader_wakes() -> None:
    handed_over = threading.Event()

    def once(number: int) -> tuple[int, bytes]:
        handed_over.set()
        return (200, GRANTED) if number == 1 else (0, b"")

    with desk(once) as at:
        group = hammer(at)
        reader = group.readers[0]
        with reader._lock:  # as if the thread were not scheduled: it cannot take what has arrived
            group.start()
            until(handed_over.is_set)
            time.sleep(0.2)
            threading.Thread(target=group.mark).start()
        until(lambda: bool(reader.tally.failures))
        [tally] = group.stop()
    # whoever of the two had the lock first, the mark counts what was in the kernel: nothing came after it
    assert (tally.answers, tally.with_value) == (1, 1)
    assert (tally.after, tally.after_with_value) == (0, 0)


def test_an_answer_that_was_only_begun_before_the_mark_was_returned_after_it() -> None:
    begun, go_on = threading.Event(), threading.Event()
    group: Hammer

    with desk(lambda _: (200, GRANTED)) as at:
        serve = at._serve

        def halting(connection: socket.socket) -> None:
            connection.recv(4096)
            whole = f"HTTP/1.1 200 X\r\nContent-Length: {len(GRANTED)}\r\n\r\n".encode() + GRANTED
            connection.sendall(whole[:-1])
            begun.set()
            go_on.wait(20)
            connection.sendall(whole[-1:])
            serve(connection)

        at._serve = halting  # type: ignore[method-assign]
        group = hammer(at)
        group.start()
        until(begun.is_set)
        time.sleep(0.1)
        group.mark()
        go_on.set()
        until(lambda: group.readers[0].tally.answers >= 1)
        [tally] = group.stop()
    assert tally.after_with_value >= 1
    assert tally.after == tally.answers


@pytest.mark.parametrize(
    ("answer", "failure"),
    [((429, b'{"code": "too_many_requests"}'), "too_many_requests"), ((0, b""), "ConnectionResetError")],
    ids=["refused", "cut"],
)
def test_a_refusal_and_a_broken_connection_are_failures(answer: tuple[int, bytes], failure: str) -> None:
    with desk(lambda number: (200, GRANTED) if number == 1 else answer) as at:
        group = hammer(at)
        group.start()
        until(lambda: bool(group.readers[0].tally.failures))
        [tally] = group.stop()
    assert tally.failures[0] == failure
    assert tally.with_value == 1
