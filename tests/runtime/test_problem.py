import errno
import logging
import sqlite3
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient
from pydantic import BaseModel

from protocol.errors import EvidenceError
from runtime.clock import ClockError
from runtime.journal import JournalError
from runtime.problem import Problem, install, json_body


class Body(BaseModel):
    count: int


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    install(app, larger={"/import": 1 << 20}, statuses={"unknown_key": 401})

    @app.get("/raise/{kind}")
    def raising(kind: str) -> None:
        raise {
            "problem": Problem(409, "taken", "It is taken.", field="name", headers={"x-why": "taken"}),
            "evidence": EvidenceError("bad_proof", "no", field="proof"),
            "mapped": EvidenceError("unknown_key", "no"),
            "clock": ClockError("jumped"),
            "journal": JournalError("journal_failed", "disk"),
            "full": OSError(errno.ENOSPC, "alice@example.com"),
            "locked": sqlite3.OperationalError("database is locked"),
            "missing": FileNotFoundError(errno.ENOENT, "alice@example.com"),
            "http": HTTPException(404),
            "teapot": HTTPException(418),
            "bug": RuntimeError("alice@example.com"),
        }[kind]

    @app.post("/body")
    def take(body: Body) -> Body:
        return body

    @app.post("/json")
    def json(body: Annotated[dict[str, Any], Depends(json_body(limit=1000))]) -> dict[str, Any]:
        return body

    @app.post("/import")
    async def import_(body: Annotated[dict[str, Any], Depends(json_body(limit=1 << 20))]) -> int:
        return len(body)

    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("problem", 409, "taken"),
        ("evidence", 400, "bad_proof"),
        ("mapped", 401, "unknown_key"),
        ("clock", 503, "clock_implausible"),
        ("journal", 503, "journal_failed"),
        ("full", 503, "storage_failed"),
        ("locked", 503, "database_unavailable"),
        ("missing", 500, "internal"),
        ("http", 404, "not_found"),
        ("teapot", 418, "http_418"),
        ("bug", 500, "internal"),
    ],
)
def test_every_failure_is_a_problem_with_its_code(client: TestClient, kind: str, status: int, code: str) -> None:
    answer = client.get(f"/raise/{kind}")
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["code"], body["status"]) == (code, status)
    assert body["type"] == f"https://ns.fieldgrant.example/problems/{code}"
    assert set(body) >= {"type", "title", "status", "detail", "code"}


def test_a_problem_names_its_field_and_keeps_its_headers(client: TestClient) -> None:
    answer = client.get("/raise/problem")
    assert answer.json()["field"] == "name"
    assert answer.headers["x-why"] == "taken"
    assert client.get("/raise/evidence").json()["field"] == "proof"


def test_an_unexpected_error_tells_nobody_what_it_said(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = client.get("/raise/bug")
    assert "alice" not in answer.text
    assert "alice" not in caplog.text
    assert "RuntimeError at" in caplog.text


def test_the_frameworks_own_errors_are_problems_too(client: TestClient) -> None:
    assert client.get("/nowhere").json()["code"] == "not_found"
    wrong = client.get("/body")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    bad = client.post("/body", json={"count": "alice@example.com"})
    assert (bad.status_code, bad.json()["code"], bad.json()["field"]) == (422, "bad_request", "count")
    assert "alice" not in bad.text


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "bad_json"),
        (b'{"count": 1, "count": 2}', "duplicate_key"),
        (b'{"count": NaN}', "bad_number"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "too_deep"),
        (b"[1]", "not_an_object"),
        (b'{"count": "\xff"}', "bad_text"),
    ],
)
@pytest.mark.parametrize("path", ["/body", "/json"])
def test_json_is_parsed_strictly_on_every_route(client: TestClient, path: str, body: bytes, code: str) -> None:
    answer = client.post(path, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_json_under_another_content_type_is_strict_where_the_route_asks_for_it(client: TestClient) -> None:
    answer = client.post("/json", content=b'{"a": 1, "a": 2}', headers={"content-type": "application/octet-stream"})
    assert answer.json()["code"] == "duplicate_key"


def test_a_body_comes_through_whole(client: TestClient) -> None:
    assert client.post("/body", json={"count": 3}).json() == {"count": 3}
    assert client.post("/json", json={"a": [1, 2]}).json() == {"a": [1, 2]}


def chunks(size: int) -> Any:
    yield b'{"a": "'
    for _ in range(size // 1000):
        yield b"x" * 1000
    yield b'"}'


@pytest.mark.parametrize("content_type", ["application/json", "application/octet-stream"])
def test_a_body_too_large_is_refused_declared_or_not(client: TestClient, content_type: str) -> None:
    headers = {"content-type": content_type}
    for content in (b"x" * 70_000, chunks(70_000)):
        answer = client.post("/json", content=content, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_a_route_may_take_more(client: TestClient) -> None:
    assert client.post("/import", content=chunks(70_000)).json() == 1
    assert client.post("/import", content=b"x" * (1 << 20) + b"x").status_code == 413


def test_an_app_mounted_inside_parses_no_body_twice(monkeypatch: pytest.MonkeyPatch, client: TestClient) -> None:
    outer = FastAPI()
    install(outer)
    outer.mount("/in", client.app)
    parsed: list[int] = []
    from runtime import problem

    real = problem.canonical.parse
    monkeypatch.setattr(problem.canonical, "parse", lambda data, **limits: (parsed.append(1), real(data, **limits))[1])
    assert TestClient(outer).post("/in/body", json={"count": 3}).json() == {"count": 3}
    assert parsed == [1]
