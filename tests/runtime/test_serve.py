"""The server over real sockets: what the return of a `send` means."""

import asyncio
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from runtime import serve

BIG = 32 * 2**20  # more than the socket buffers of both ends hold


@contextmanager
def served(app: ASGIApp) -> Iterator[int]:
    ports: list[int] = []
    listening = threading.Event()

    def ready(port: int) -> None:
        ports.append(port)
        listening.set()

    server = serve.server(app, 0, ready=ready)
    thread = threading.Thread(target=server.run)
    thread.start()
    assert listening.wait(10)
    yield ports[0]
    server.should_exit = True
    thread.join(15)
    assert not thread.is_alive()


async def head(send: Send, length: int) -> None:
    headers = [(b"content-length", str(length).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


def ask(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
    return connection


def drain(connection: socket.socket) -> int:
    total = 0
    while data := connection.recv(1 << 20):
        total += len(data)
        if total > BIG:
            break
    return total


def test_sending_returns_only_once_the_bytes_before_are_with_the_socket() -> None:
    returned = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        await head(send, BIG)
        await send({"type": "http.response.body", "body": b"x" * BIG, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        returned.set()

    with served(app) as port, ask(port) as connection:
        # Nobody reads: the bytes cannot all be with the socket.
        assert not returned.wait(0.5)
        assert drain(connection) >= BIG
        assert returned.wait(5)


def test_with_uvicorns_own_protocol_the_first_send_says_nothing_of_the_sort() -> None:
    """The control: a write buffer that may hold it all lets `send` return at once."""
    returned = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        # As if the limit had never been set; `cut` is the transport's own method.
        transport = scope["extensions"]["fieldgrant.cut"].__self__
        transport.set_write_buffer_limits(high=2 * BIG)
        await head(send, BIG)
        await send({"type": "http.response.body", "body": b"x" * BIG, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        returned.set()

    with served(app) as port, ask(port) as connection:
        assert returned.wait(5)
        drain(connection)


def test_a_request_can_cut_its_connection_while_bytes_are_waiting() -> None:
    ended = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        await head(send, BIG)
        await send({"type": "http.response.body", "body": b"x" * BIG, "more_body": True})
        try:
            async with asyncio.timeout(0.2):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            assert serve.cut(scope)
            ended.set()

    with served(app) as port, ask(port) as connection:
        assert ended.wait(5)
        received = 0
        with suppress(ConnectionResetError):
            received = drain(connection)
        assert received < BIG


def test_elsewhere_a_connection_cannot_be_cut() -> None:
    assert not serve.cut({"type": "http"})


def test_the_server_does_not_say_what_it_is() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await head(send, 2)
            await send({"type": "http.response.body", "body": b"ok"})

    with served(app) as port:
        answer = httpx.get(f"http://127.0.0.1:{port}/")
    assert answer.text == "ok"
    assert "server" not in answer.headers


SERVING = """
import asyncio
from runtime import serve
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    print("asked", flush=True)
    await asyncio.sleep(0.5)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
    await send({"type": "http.response.body", "body": b"done"})
serve.run(app, 0, ready=lambda port: print(port, flush=True))
print("after", flush=True)
"""


def test_sigterm_lets_the_request_under_way_finish_and_the_caller_tidy_up() -> None:
    process = subprocess.Popen([sys.executable, "-c", SERVING], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    port = int(process.stdout.readline())
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(httpx.get(f"http://127.0.0.1:{port}/").text))
    asking.start()
    assert process.stdout.readline() == "asked\n"
    process.send_signal(signal.SIGTERM)
    asking.join(10)
    assert answers == ["done"]
    assert process.stdout.readline() == "after\n"
    assert process.wait(10) == 0
    process.stdout.close()
