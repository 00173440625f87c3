"""Bodies and headers made to break what reads them. None changes anything; each gets a problem with a code."""

import gzip
import json
import socket
import time
from collections.abc import Iterator

import pytest

from crm_core.imports.app import MAX_BYTES
from tests.attacks.holder import Held
from tests.attacks.place import Place

CONSENTS = "/issuer/wallet/consents"
DEEP = b'{"consent":' + b"[" * 40 + b"]" * 40 + b"}"


@pytest.mark.parametrize(
    ("code", "body"),
    [
        ("duplicate_key", b'{"consent":{},"consent":{}}'),
        ("duplicate_key", b'{"consent":{"id":"a","\\u0069d":"b"}}'),
        ("bad_number", b'{"consent":{"n":NaN}}'),
        ("bad_number", b'{"consent":{"n":1e400}}'),
        ("too_deep", DEEP),
        ("bad_text", b'{"consent":"\xff"}'),
        ("bad_text", b'{"consent":"\\ud800"}'),
        ("bad_text", gzip.compress(b'{"consent":{}}', mtime=0)),
        ("not_an_object", b"[]"),
        ("bad_json", b"{"),
        ("bad_json", b'{"consent":{}}x'),
        ("too_large", b'{"consent":"' + b"x" * 65536 + b'"}'),
        ("bad_request", b'{"consent":[]}'),
        ("bad_request", b'{"consent":{},"subject":"sub_a"}'),
        ("bad_credential", b'{"consent":{}}'),
    ],
)
def test_a_malformed_body_is_a_problem_whatever_it_calls_itself(
    place: Place, mina: Held, code: str, body: bytes
) -> None:
    before = place.state()
    for kind in ("application/json", "text/plain", ""):
        headers = {"content-type": kind, **({"content-encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {})}
        place.problem(mina.call("POST", CONSENTS, body, headers=headers), code)
    assert place.state() == before


def _pieces(size: int) -> Iterator[bytes]:
    for _ in range(size // 65536):
        yield b"x" * 65536


@pytest.mark.parametrize(
    ("path", "kind", "code"),
    [
        ("/crm/imports", "application/json", "not_signed_in"),
        ("/crm/imports", "text/csv", "not_signed_in"),
        ("/crm/customers/query", "application/json", "too_large"),
    ],
)
def test_megabytes_of_strangers_are_neither_kept_nor_parsed(place: Place, path: str, kind: str, code: str) -> None:
    began = time.perf_counter()
    headers = {"content-type": kind}
    for content in (b'{"a":[' + b"0," * 4_000_000 + b"0]}", _pieces(8 * 2**20)):
        place.problem(place.http.post(f"{place.base}{path}", content=content, headers=headers), code)
    assert time.perf_counter() - began < 5


def test_an_import_larger_than_its_limit_is_refused_before_it_is_sent(place: Place) -> None:
    said = {"host": "localhost", **place.desk("admin"), "content-type": "text/csv", "content-length": MAX_BYTES + 1}
    head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    with socket.create_connection(("127.0.0.1", place.port), timeout=10) as wire:
        wire.sendall(f"POST /crm/imports HTTP/1.1\r\n{head}\r\n".encode())
        answer = b"".join(iter(lambda: wire.recv(65536), b""))
    assert answer.split(b" ")[1] == b"413", answer[:80]
    assert b'"too_large"' in answer


@pytest.mark.parametrize(
    "path",
    [
        "/issuer/status/99999999999999999999999",
        "/issuer/status/-1",
        "/issuer/status/1e9",
        "/issuer/notices/" + "+".join(["marketing"] * 900) + "/1",
        "/issuer/notices/marketing/%C2%B2",
        "/audit/tile/0/../../../keys/root",
        "/audit/tile/0/%2e%2e/%2e%2e/keys",
        "/audit/events?before=99999999999999999999999",
        "/audit/events?limit=-1",
        "/audit/events?from=0001-01-01T00:00:00%2B14:00",
        "/audit/bundles?subject=%00",
        "/crm/customers?purpose=administration&limit=99999999999999999999",
        "/crm/customers?purpose=administration&cursor=%0d%0aset-cookie:a=b",
        "/crm/customers/%00?purpose=administration",
        "/redaction/jobs?open=maybe",
    ],
)
def test_odd_addresses_are_problems_and_never_errors_of_ours(place: Place, path: str) -> None:
    answer = place.http.get(place.base + path, headers=place.desk("dpo"))
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /staff/me HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET /staff/me HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 50_000 + b"\r\n",
        b"POST /staff/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /staff/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET http://elsewhere.example/audit/history HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n",
        b"GET /staff/me HTTP/1.1\r\n\r\n",
    ],
    ids=["long header", "many headers", "length", "two lengths", "absolute", "no host"],
)
def test_broken_http_is_refused_and_the_server_goes_on(place: Place, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", place.port), timeout=10) as wire:
        try:
            wire.sendall(raw)
            answer = wire.recv(65536)
        except ConnectionError:
            answer = b""
    assert answer == b"" or answer.split(b" ")[1][:1] == b"4", answer[:80]
    assert place.http.get(f"{place.base}/health").status_code == 200


def test_an_unexpected_member_name_is_not_told_back_into_a_header(place: Place) -> None:
    body = json.dumps({"account": "a", "password": "b", "x\r\nset-cookie: a=b": 1})
    answer = place.http.post(f"{place.base}/staff/sessions", content=body, headers={"content-type": "application/json"})
    place.problem(answer, "bad_request", status=422)
    assert "set-cookie" not in answer.headers


def test_an_unknown_account_takes_as_long_as_a_known_one(place: Place) -> None:
    def took(account: str) -> float:
        began = time.perf_counter()
        place.http.post(f"{place.base}/staff/sessions", json={"account": account, "password": "x" * 12})
        return time.perf_counter() - began

    pairs = [(took("auditor"), took(f"nobody{number}")) for number in range(5)]
    known, unknown = (min(times) for times in zip(*pairs, strict=True))
    assert 0.5 < unknown / known < 2


def test_strangers_cannot_keep_us_verifying(place: Place) -> None:
    acts = [
        place.http.post(f"{place.base}/verifier/credentials/verify", json={"verifiableCredential": {}})
        for _ in range(125)
    ]
    place.problem(acts[-1], "too_many_requests", status=429)
    assert acts[0].json()["verified"] is False
