"""GatedResponse over real HTTP: the passage is held until the last byte is with the socket, and no longer."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from fastapi import FastAPI, Response
from starlette.background import BackgroundTask

from runtime import problem, serve
from tests.verifier.stage import Customer, Stage, look
from verifier.drain import DrainTimeoutError
from verifier.passage import Passage
from verifier.response import GatedResponse

BIG = 64 * 2**20  # far beyond what sockets buffer


@contextmanager
def served(app: FastAPI) -> Iterator[int]:
    ports: list[int] = []
    listening = threading.Event()

    def ready(port: int) -> None:
        ports.append(port)
        listening.set()

    server = serve.server(app, 0, ready=ready)
    thread = threading.Thread(target=server.run)
    thread.start()
    assert listening.wait(30)
    try:
        yield ports[0]
    finally:
        server.should_exit = True
        thread.join()


def read_to_the_end(client: socket.socket) -> int:
    """Bytes that still come before the connection ends, however it ends."""
    got = 0
    with contextlib.suppress(ConnectionResetError):
        while data := client.recv(2**20):
            got += len(data)
    return got


def app_of(stage: Stage, customer: Customer) -> FastAPI:
    app = FastAPI()
    problem.install(app)

    @app.get("/read")
    def read(size: int = 2) -> Response:
        visit = stage.gate.visit(stage.reader(), "marketing")
        with stage.gate.read(visit, lambda passage: look(stage, passage, customer.subject)) as (passage, _):
            return GatedResponse(b"x" * size, passage, headers={"x-test": "1"})

    @app.get("/broken")
    def broken() -> Response:
        visit = stage.gate.visit(stage.reader(), "marketing")
        with stage.gate.read(visit, lambda passage: look(stage, passage, customer.subject)):
            raise RuntimeError

    return app


def test_an_answer_arrives_whole_and_leaves_the_gate_free(stage: Stage, customer: Customer) -> None:
    stage.give(customer)
    with served(app_of(stage, customer)) as port:
        answer = httpx.get(f"http://127.0.0.1:{port}/read", params={"size": 3_000_000})
        assert answer.content == b"x" * 3_000_000
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-test"] == "1"
        stage.gate.turnstile.drain(5.0)


def test_a_slow_client_is_cut_at_the_deadline_and_the_withdrawer_waits_no_longer(
    stage: Stage, customer: Customer
) -> None:
    given = stage.give(customer)
    with served(app_of(stage, customer)) as port, socket.create_connection(("127.0.0.1", port)) as slow:
        slow.settimeout(30)
        slow.sendall(f"GET /read?size={BIG} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        got = len(slow.recv(1000))  # the head has come, so the passage is held
        with pytest.raises(DrainTimeoutError):
            stage.gate.turnstile.drain(0.1)
        start = time.monotonic()
        stage.withdraw(customer, given)
        waited = time.monotonic() - start
        assert waited < stage.platform.settings.send_deadline + 2.0
        assert got + read_to_the_end(slow) < BIG


def test_a_client_that_goes_away_frees_the_gate(stage: Stage, customer: Customer) -> None:
    stage.give(customer)
    with served(app_of(stage, customer)) as port:
        gone = socket.create_connection(("127.0.0.1", port))
        gone.sendall(f"GET /read?size={BIG} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        gone.recv(1000)
        gone.close()
        stage.gate.turnstile.drain(5.0)


def test_an_error_after_the_decision_frees_the_gate(stage: Stage, customer: Customer) -> None:
    with served(app_of(stage, customer)) as port:
        answer = httpx.get(f"http://127.0.0.1:{port}/broken")
        assert (answer.status_code, answer.json()["code"]) == (500, "internal")
        stage.gate.turnstile.drain(5.0)


def passage_of(stage: Stage, customer: Customer) -> Passage:
    visit = stage.gate.visit(stage.reader(), "marketing")
    with stage.gate.passage(visit) as passage:
        look(stage, passage, customer.subject)
        passage.hand_over()
    return passage


def test_a_response_that_is_never_sent_frees_the_gate(stage: Stage, customer: Customer) -> None:
    GatedResponse(b"x", passage_of(stage, customer))
    stage.gate.turnstile.drain(5.0)


async def _receive() -> dict[str, object]:
    return {"type": "http.request"}


def test_where_the_server_cannot_cut_a_late_answer_is_an_error(stage: Stage, customer: Customer) -> None:
    response = GatedResponse(b"x", passage_of(stage, customer))

    async def never(message: object) -> None:
        await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        asyncio.run(response({"type": "http"}, _receive, never))
    stage.gate.turnstile.drain(1.0)


def test_an_error_while_sending_cuts_the_connection_and_frees_the_gate(stage: Stage, customer: Customer) -> None:
    cuts: list[str] = []
    scope = {"type": "http", "extensions": {"fieldgrant.cut": lambda: cuts.append("cut")}}

    async def breaks(message: object) -> None:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        asyncio.run(GatedResponse(b"x", passage_of(stage, customer))(scope, _receive, breaks))
    assert cuts == ["cut"]
    stage.gate.turnstile.drain(1.0)


def test_what_follows_an_answer_runs_outside_the_gate(stage: Stage, customer: Customer) -> None:
    response = GatedResponse(b"x", passage_of(stage, customer))
    response.background = BackgroundTask(stage.gate.turnstile.drain, 1.0)
    sent: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    asyncio.run(response({"type": "http"}, _receive, send))  # type: ignore[arg-type]
    assert [message.get("body") for message in sent] == [None, b"x", b""]
