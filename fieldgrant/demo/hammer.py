"""Readers that hammer one record over keep-alive connections while its customer withdraws.

A read *returns* when its last byte reaches the reader's socket (DESIGN.md, "What must always hold" 2). Python threads
wake up late, so a reader's own clock would accuse the server wrongly. Instead, at the moment the acknowledgement is in
our hands, `Hammer.mark` asks the kernel how many bytes each connection has been given so far: over loopback those are
exactly the bytes that the server had handed to its socket. Whatever ends beyond that mark was returned afterwards.
"""

import array
import fcntl
import re
import select
import socket
import termios
import threading
from dataclasses import dataclass, field
from urllib.parse import urlsplit

CODE = re.compile(rb'"code": *"([a-z_]+)"')
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


@dataclass(slots=True)
class Tally:
    """What one reader saw. Counts of answers; `after` are those whose last byte came after the acknowledgement."""

    answers: int = 0
    with_value: int = 0
    after: int = 0
    after_with_value: int = 0
    failures: list[str] = field(default_factory=list)


class Reader(threading.Thread):
    """Sends one GET after the other on one connection and looks for a value in each answer."""

    def __init__(self, url: str, token: str, needle: bytes, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        parts = urlsplit(url)
        self.tally = Tally()
        self._needle, self._stop_asked = needle, stop
        self._socket = socket.create_connection((parts.hostname or "localhost", parts.port or 80), timeout=30)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        head = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n\r\n"
        self._request = head.encode()
        self._lock = threading.Lock()
        self._received, self._mark = 0, -1
        self._buffer = b""

    def mark(self) -> None:
        """Remember how many bytes the kernel has given to this connection up to now."""
        with self._lock:
            waiting = array.array("i", [0])
            fcntl.ioctl(self._socket.fileno(), termios.FIONREAD, waiting)
            self._mark = self._received + waiting[0]

    def run(self) -> None:
        """Read until told to stop; a broken connection is a failure that the step reports."""
        end = 0
        while not self._stop_asked.is_set():
            try:
                self._socket.sendall(self._request)
                head, body = self._answer()
            except OSError as problem:
                self.tally.failures.append(type(problem).__name__)
                return
            end += len(head) + len(body)
            if b" 200 " not in head.split(b"\r\n", 1)[0] + b" ":
                code = CODE.search(body)
                self.tally.failures.append(code[1].decode() if code else head[:40].decode(errors="replace"))
            self._count(end, self._needle in body)
        self._socket.close()

    def _count(self, end: int, has_value: bool) -> None:
        self.tally.answers += 1
        self.tally.with_value += has_value
        if 0 <= self._mark < end:
            self.tally.after += 1
            self.tally.after_with_value += has_value

    def _answer(self) -> tuple[bytes, bytes]:
        while b"\r\n\r\n" not in self._buffer:
            self._buffer += self._receive()
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        head += b"\r\n\r\n"
        found = LENGTH.search(head)
        length = int(found[1]) if found else 0
        while len(rest) < length:
            rest += self._receive()
        self._buffer = rest[length:]
        return head, rest[:length]

    def _receive(self) -> bytes:
        select.select([self._socket], [], [], 30)
        with self._lock:  # between recv and the count nobody may take a mark
            part = self._socket.recv(65536)
            self._received += len(part)
        if not part:
            raise ConnectionResetError
        return part


class Hammer:
    """A group of readers. Usage: start, wait for `seen`, do the deed, `mark`, let them run on, `stop`."""

    def __init__(self, url: str, token: str, needle: str, *, readers: int) -> None:
        self._stop = threading.Event()
        self.readers = [Reader(url, token, needle.encode(), self._stop) for _ in range(readers)]

    def start(self) -> None:
        """Let all readers go."""
        for reader in self.readers:
            reader.start()

    def seen(self) -> int:
        """How often the reader that saw the value least has seen it."""
        return min(reader.tally.with_value for reader in self.readers)

    def running(self) -> bool:
        """Is every reader still reading?"""
        return all(reader.is_alive() for reader in self.readers)

    def mark(self) -> None:
        """The acknowledgement is here: what arrives from now on came after it."""
        for reader in self.readers:
            reader.mark()

    def stop(self) -> list[Tally]:
        """End the readers and return what each saw."""
        self._stop.set()
        for reader in self.readers:
            reader.join(timeout=35)
        return [reader.tally for reader in self.readers]
