"""Clients that ask for the same thing again and again over open connections: one thread, so that the server is busy."""

import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class _Client:
    socket: socket.socket
    buffer: bytearray = field(default_factory=bytearray)
    wanted: int = -1  # bytes of the answer under way; -1 until its head is there


def ask(port: int, requests: Sequence[bytes], count: int) -> float:
    """`count` answers over as many connections as there are requests; the seconds it took. RuntimeError: not a 200."""
    with selectors.DefaultSelector() as selector:
        clients = [_connected(selector, port) for _ in requests]
        left, out = count, 0
        begun = time.perf_counter()
        for client, request in zip(clients, requests, strict=True):
            client.socket.sendall(request)
            left, out = left - 1, out + 1
        whose = {id(client): request for client, request in zip(clients, requests, strict=True)}
        while out:
            for key, _ in selector.select(30):
                client = key.data
                if _answered(client):
                    out -= 1
                    if left > 0:
                        client.socket.sendall(whose[id(client)])
                        left, out = left - 1, out + 1
        took = time.perf_counter() - begun
        for client in clients:
            client.socket.close()
    return took


def _connected(selector: selectors.BaseSelector, port: int) -> _Client:
    made = socket.create_connection(("127.0.0.1", port))
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client = _Client(made)
    selector.register(made, selectors.EVENT_READ, client)
    return client


def _answered(client: _Client) -> bool:
    part = client.socket.recv(1 << 18)
    if not part:
        raise RuntimeError("the server hung up")
    client.buffer += part
    if client.wanted < 0:
        end = client.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(client.buffer[:end]).lower()
        if not head.startswith(b"http/1.1 200"):
            raise RuntimeError(bytes(client.buffer[:500]).decode())
        client.wanted = end + 4 + int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
    if len(client.buffer) < client.wanted:
        return False
    client.buffer.clear()
    client.wanted = -1
    return True


def request(path: str, token: str = "") -> bytes:
    """A GET as a client with an open connection sends it."""
    lines = [f"GET {path} HTTP/1.1", "Host: localhost"] + ([f"Authorization: Bearer {token}"] if token else [])
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@dataclass(frozen=True, slots=True)
class Server:
    """A process that serves one side of a row."""

    process: subprocess.Popen[bytes]
    port: int

    def cpu(self) -> float:
        """Processor seconds that it has used, all threads and the kernel's work for it."""
        return time.clock_gettime((~self.process.pid << 3) | 2)  # clock_getcpuclockid(3)

    def peak(self) -> int:
        """The most memory that it held, in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) // 1024


@contextmanager
def served(kind: str, home: Path) -> Iterator[Server]:
    """`python -m bench.serve kind home` until the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "bench.serve", kind, str(home), str(port)]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONUNBUFFERED": "1"})  # noqa: S603
    try:
        until = time.monotonic() + 120
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"the server {kind} did not start") from None
                time.sleep(0.05)
        yield Server(process, port)
    finally:
        process.terminate()
        process.wait(60)
