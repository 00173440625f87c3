"""Readers over HTTP that never pause, in a process of their own, and how many bytes each had been given when.

What counts as returned is what the kernel had received for a reader's connection at the moment that is in question
(`tcpi_bytes_received`; over loopback these are the bytes that the server had handed to its socket). So a reader that
wakes up late accuses nobody, and whoever marks needs no word with it.
"""

import json
import multiprocessing
import re
import socket
import sys
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.queues import SimpleQueue
from typing import Any

PROCESSES = multiprocessing.get_context("forkserver")
VALUE = re.compile(rb'"Given(\d+)"')  # the value of customer 17 is "Given17"
_INFO, _RECEIVED = 192, 128  # bytes of the kernel's struct tcp_info; where tcpi_bytes_received begins


def given(connection: socket.socket) -> int:
    """Bytes that the kernel has received for a connection, taken by its reader or not."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO)
    return int.from_bytes(info[_RECEIVED : _RECEIVED + 8], sys.byteorder)


@dataclass(frozen=True, slots=True)
class Part:
    """An answer, or a chunk of one: where it ended in the stream, when it was asked for and read, whom it showed."""

    end: int
    asked: float
    read: float
    shows: frozenset[int]


@dataclass(frozen=True, slots=True)
class Spell:
    """From an acknowledged withdrawal until the next consent is given: what each connection had been given by then."""

    begin: tuple[int, ...]
    at: float
    end: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Late:
    """Values that came after their withdrawal was acknowledged: in how many answers, and how many began after it."""

    returned: int
    started: int


class Stream:
    """One connection in the readers' process: asks again and again, and takes answers apart."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket, self._buffer = connection, b""
        self.end = 0  # bytes of the stream that were taken apart so far

    def ask(self, request: bytes) -> Iterator[bytes]:
        """The parts of the answer: its body, or chunk after chunk. Raises OSError, ValueError for no 200."""
        self._socket.sendall(request)
        head = self._until(b"\r\n\r\n").lower()
        if not head.startswith(b"http/1.1 200"):
            raise ValueError(head[:60].decode("latin-1"))
        if b"\r\ntransfer-encoding: chunked" not in head:
            yield self._exactly(int(head.partition(b"\r\ncontent-length: ")[2].split(b"\r\n")[0]))
            return
        while size := int(self._until(b"\r\n"), 16):
            yield self._exactly(size + 2)
        self._until(b"\r\n")
        yield b""  # of a file without a customer, too, it is known when it was over

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._more()
        return self._exactly(self._buffer.index(mark) + len(mark))

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        part, self._buffer = self._buffer[:size], self._buffer[size:]
        self.end += size
        return part

    def _more(self) -> None:
        part = self._socket.recv(1 << 18)
        if not part:
            raise ConnectionResetError
        self._buffer += part


def _read(connections: Sequence[socket.socket], requests: Sequence[Sequence[bytes]], out: "SimpleQueue[Any]") -> None:
    """The readers' process."""
    threads = [
        threading.Thread(target=_loop, args=(number, connection, requests[number], out))
        for number, connection in enumerate(connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    out.put(None)


def _loop(number: int, connection: socket.socket, requests: Sequence[bytes], out: "SimpleQueue[Any]") -> None:
    stream, turn = Stream(connection), number
    try:
        while True:
            turn += 1
            asked = time.monotonic()
            for part in stream.ask(requests[turn % len(requests)]):
                shows = frozenset(map(int, VALUE.findall(part)))
                out.put((number, Part(stream.end, asked, time.monotonic(), shows)))
    except (OSError, ValueError) as error:
        out.put((number, repr(error)))


@dataclass
class Readers:
    """`requests`: for each reader what it asks in turn; `addresses`: where. Started by `with`."""

    addresses: Sequence[tuple[str, int]]
    requests: Sequence[Sequence[bytes]]
    parts: list[list[Part]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    _had: dict[int, list[int]] = field(default_factory=dict)
    _spells: dict[int, list[Spell]] = field(default_factory=lambda: defaultdict(list))

    def __enter__(self) -> "Readers":
        count = len(self.requests)
        self.parts = [[] for _ in range(count)]
        self._had = defaultdict(lambda: [0] * count)
        self._sockets = [socket.create_connection(address, timeout=None) for address in self.addresses]
        for connection in self._sockets:
            connection.settimeout(None)
        self._queue: SimpleQueue[Any] = PROCESSES.SimpleQueue()
        self._stopping = False
        self._process = PROCESSES.Process(target=_read, args=(self._sockets, self.requests, self._queue))
        self._process.start()
        self._thread = threading.Thread(target=self._take, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        for connection in self._sockets:
            connection.shutdown(socket.SHUT_RDWR)  # for the readers' process, too: they share it
        self._process.join(60)
        self._process.kill()
        self._thread.join(60)
        for connection in self._sockets:
            connection.close()

    def _take(self) -> None:
        while (told := self._queue.get()) is not None:
            number, part = told
            if isinstance(part, Part):
                self.parts[number].append(part)
                for one in part.shows:
                    self._had[one][number] += 1
            elif not self._stopping:
                self.failures.append(f"reader {number}: {part}")

    def had(self, one: int) -> tuple[int, ...]:
        """How often each reader has had the value of a customer."""
        return tuple(self._had[one])

    def mark(self, one: int) -> None:
        """The withdrawal of a customer has just been acknowledged."""
        begin = tuple(map(given, self._sockets))
        self._spells[one].append(Spell(begin, time.monotonic()))

    def over(self, one: int) -> None:
        """The customer is about to consent again."""
        if spells := self._spells[one]:
            spells[-1] = Spell(spells[-1].begin, spells[-1].at, tuple(map(given, self._sockets)))

    def late(self) -> Late:
        """Look back, once all has been read."""
        returned = started = 0
        for number, parts in enumerate(self.parts):
            begins = {one: [spell.begin[number] for spell in spells] for one, spells in self._spells.items()}
            for part in parts:
                for one in part.shows:
                    place = bisect_left(begins.get(one, []), part.end) - 1
                    if place < 0:
                        continue
                    spell = self._spells[one][place]
                    if spell.end is None or part.end <= spell.end[number]:
                        returned += 1
                        started += part.asked > spell.at
        return Late(returned, started)

    def longest_wait(self) -> float:
        """Seconds that a reader waited for an answer at most."""
        return max((part.read - part.asked for parts in self.parts for part in parts), default=0.0)


def request(method: str, target: str, port: int, token: str, body: dict[str, Any] | None = None) -> bytes:
    """A request as it goes over the wire."""
    data = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {target} HTTP/1.1", f"Host: localhost:{port}", f"Authorization: {token}"]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
    return "\r\n".join([*lines, "", ""]).encode() + data
