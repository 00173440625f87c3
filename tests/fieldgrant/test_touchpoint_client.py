"""A touchpoint's client against the real gateway, and against networks that fail."""

import json
import logging
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from fieldgrant.touchpoint import Ed25519Signer, QueueError, SealedQueue, Touchpoint, TouchpointError, cli, delegate
from fieldgrant.touchpoint import client as clients
from protocol.errors import EvidenceError
from tests.crm_core.gateway import ORIGIN, SUPPORT, TITLE, Gateway, Sender

MARKER = "Zyxwv-Client-Marker"
RUNNER = CliRunner()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    place = Gateway(tmp_path / "organisation")
    yield place
    place.platform.close()


class Line(httpx.BaseTransport):
    """A line to the gateway; `fails` says what happens to the next requests: an exception, an answer, or nothing."""

    def __init__(self, gateway: Gateway, *fails: Any) -> None:
        self.gateway, self.fails, self.sent = gateway, list(fails), []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request)
        fault = self.fails.pop(0) if self.fails else None
        if isinstance(fault, Exception):
            raise fault
        if isinstance(fault, httpx.Response):
            return fault
        answer = self.gateway.crm.post("/crm/ingest", content=request.read(), headers=dict(request.headers))
        if fault == "lost":
            raise httpx.ReadError("the answer was lost")
        headers = {**answer.headers, "date": format_datetime(self.gateway.now, usegmt=True)}
        return httpx.Response(answer.status_code, headers=headers, content=answer.content)


def client(gateway: Gateway, sender: Sender, line: Line, **more: Any) -> tuple[Touchpoint, list[float]]:
    waits: list[float] = []
    clock: Callable[[], Any] = more.pop("clock", lambda: gateway.now)
    base = gateway.settings.base_url
    return Touchpoint(base, sender.signer, transport=line, clock=clock, sleep=waits.append, **more), waits


def test_an_upload_is_stored_once_though_its_answer_was_lost(gateway: Gateway) -> None:
    form, ground = gateway.registered(), gateway.contract()
    line = Line(gateway, "lost", httpx.ConnectError("down"))
    touchpoint, waits = client(gateway, form, line)
    told = touchpoint.send({"purpose": SUPPORT, "ground": ground, "values": {TITLE: "Wei"}})
    assert (told.status, told.stored, len(line.sent)) == (200, (TITLE,), 3)
    assert gateway.count("record") == 1
    assert 0.25 <= waits[0] <= 0.5 <= waits[1] <= 1
    assert len({one.headers["idempotency-key"] for one in line.sent}) == 1
    assert len({one.headers["signature-input"] for one in line.sent}) == 3  # a nonce each


def test_it_waits_as_long_as_it_is_told(gateway: Gateway) -> None:
    form, ground = gateway.registered(), gateway.contract()
    busy = httpx.Response(429, headers={"retry-after": "7"}, json={"code": "too_many_requests"})
    touchpoint, waits = client(gateway, form, Line(gateway, busy))
    assert touchpoint.send({"purpose": SUPPORT, "ground": ground, "values": {TITLE: "Wei"}}).status == 200
    assert waits == [7.0]
    for told, wait in (("99999", 300), ("-1", 0), ("soon", 0), ("", 0)):
        assert clients.told_wait(httpx.Response(429, headers={"retry-after": told})) == wait


def test_a_clock_that_is_wrong_is_put_right_by_the_answer(gateway: Gateway) -> None:
    form, ground = gateway.registered(), gateway.contract()
    touchpoint, waits = client(gateway, form, Line(gateway), clock=lambda: gateway.now - timedelta(hours=5))
    upload = {"purpose": SUPPORT, "ground": ground, "values": {TITLE: "Wei"}}
    assert touchpoint.send(upload).status == 200
    assert waits == [0.0]
    assert abs(touchpoint.now() - gateway.now) < timedelta(seconds=1)


def test_what_cannot_be_sent_waits_sealed_and_in_order(gateway: Gateway, tmp_path: Path) -> None:
    form, ground = gateway.registered(), gateway.contract()
    wallet, given = gateway.consenting()
    place = tmp_path / "queue"
    line = Line(gateway, *[httpx.ConnectError("down")] * 10)
    touchpoint, _ = client(gateway, form, line, queue_dir=place)
    for name in (MARKER, "second"):
        about = {"subject": wallet.subject, "ground": given["id"]}
        assert touchpoint.send({"purpose": SUPPORT, "values": {TITLE: name}, **about}).queued
    touchpoint.enqueue({"purpose": SUPPORT, "values": {TITLE: "third"}})
    assert MARKER.encode() not in b"".join(path.read_bytes() for path in place.iterdir())
    assert {path.stat().st_mode & 0o777 for path in place.iterdir()} == {0o600}
    again, _ = client(gateway, form, Line(gateway), queue_dir=place)  # after a restart
    done = again.flush()
    assert [(one.status, one.code) for one in done.outcomes] == [(200, None), (200, None), (403, "no_ground")]
    assert (done.left, gateway.stored(wallet.subject)) == (0, {TITLE: "second"})
    assert ground


def test_a_flush_that_breaks_off_keeps_what_was_not_answered(gateway: Gateway, tmp_path: Path) -> None:
    form, ground = gateway.registered(), gateway.contract()
    touchpoint, _ = client(gateway, form, Line(gateway, *["lost"] * 5), queue_dir=tmp_path / "queue")
    for _ in range(3):
        touchpoint.enqueue({"purpose": SUPPORT, "ground": ground, "values": {TITLE: "Wei"}})
    assert (touchpoint.flush().left, gateway.count("record")) == (3, 3)
    done = touchpoint.flush()
    assert ([one.status for one in done.outcomes], done.left, gateway.count("record")) == ([200] * 3, 0, 3)


def test_a_batch_beyond_the_rate_goes_in_smaller_ones_until_all_of_it_went(gateway: Gateway, tmp_path: Path) -> None:
    small, ground = gateway.registered(rate=2), gateway.contract()
    touchpoint, waits = client(gateway, small, Line(gateway), queue_dir=tmp_path / "queue")
    for _ in range(4):
        touchpoint.enqueue({"purpose": SUPPORT, "ground": ground, "values": {TITLE: "Wei"}})
    done = touchpoint.flush()
    assert ([one.status for one in done.outcomes], done.left, gateway.count("record")) == ([200, 200], 2, 2)
    assert max(waits) >= 1  # it was told to wait


def test_an_upload_that_no_request_can_hold_does_not_block_the_others(gateway: Gateway, tmp_path: Path) -> None:
    form, ground = gateway.registered(), gateway.contract()
    touchpoint, _ = client(gateway, form, Line(gateway), queue_dir=tmp_path / "queue")
    for text in ("x" * 1_100_000, "Wei"):
        touchpoint.enqueue({"purpose": SUPPORT, "ground": ground, "values": {TITLE: text}})
    done = touchpoint.flush()
    assert ([one.status for one in done.outcomes], done.left) == ([413, 200], 0)


def test_a_refusal_of_the_whole_request_is_raised_and_nothing_is_queued(gateway: Gateway, tmp_path: Path) -> None:
    stranger = Sender(gateway)
    touchpoint, waits = client(gateway, stranger, Line(gateway), queue_dir=tmp_path / "queue")
    with pytest.raises(TouchpointError) as caught:
        touchpoint.send({"purpose": SUPPORT, "values": {TITLE: "Wei"}})
    assert (caught.value.code, waits, len(touchpoint.queue or ())) == ("unknown_touchpoint", [], 0)


def test_a_gateway_that_answers_nonsense_is_not_believed(gateway: Gateway) -> None:
    form = gateway.registered()
    for nonsense in ({"results": []}, {"results": [{"id": "x", "status": 200, "stored": [], "refused": {}}]}, []):
        touchpoint, _ = client(gateway, form, Line(gateway, *[httpx.Response(200, json=nonsense)] * 9))
        with pytest.raises(TouchpointError):
            touchpoint.send({"purpose": SUPPORT, "values": {TITLE: "Wei"}})


def test_values_are_never_sent_in_clear_nor_logged(gateway: Gateway, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match="https"):
        Touchpoint("http://crm.example.com", Ed25519Signer.generate())
    caplog.set_level(logging.DEBUG)
    touchpoint, _ = client(gateway, gateway.registered(), Line(gateway, *[httpx.ConnectError("down")] * 9))
    with pytest.raises(TouchpointError) as caught:
        touchpoint.send({"purpose": SUPPORT, "values": {TITLE: MARKER}})
    assert MARKER not in caplog.text + str(caught.value)


def queue(place: Path, **more: Any) -> SealedQueue:
    return SealedQueue(place, b"k" * 32, **more)


def test_a_queue_has_an_end_and_another_key_does_not_open_it(tmp_path: Path) -> None:
    held = queue(tmp_path, max_entries=2)
    held.put({"n": 1})
    held.put({"n": 2})
    with pytest.raises(QueueError) as caught:
        held.put({"n": 3})
    assert caught.value.code == "queue_full"
    with pytest.raises(QueueError) as caught:
        SealedQueue(tmp_path, b"x" * 32)
    assert caught.value.code == "wrong_key"
    small = queue(tmp_path / "small", max_bytes=500)
    small.put({"n": 1})
    with pytest.raises(QueueError):
        small.put({"n": 2})


def test_a_corrupt_file_is_set_aside_and_told_and_the_others_go_on(tmp_path: Path) -> None:
    held = queue(tmp_path)
    first, second = held.put({"n": 1}), held.put({"n": 2})
    path = tmp_path / first
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    assert [one.upload for one in held.peek(9)] == [{"n": 2}]
    assert held.set_aside() == [first.replace(".box", ".bad")]
    held.remove(second)
    assert len(held) == 0


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_crash_while_an_upload_is_written_leaves_it_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    held = queue(tmp_path)
    held.put({"n": 1})

    def crash(*_: Any, **__: Any) -> Any:
        raise OSError(5, "the disk is gone")

    with monkeypatch.context() as patch:
        if step == "replace":
            patch.setattr(Path, "replace", crash)
        elif step == "fsync":
            patch.setattr(os, "fsync", crash)
        else:
            patch.setattr(os, "fdopen", crash)
        with pytest.raises(OSError, match="disk"):
            held.put({"n": 2})
    again = queue(tmp_path)
    assert [one.upload for one in again.peek(9)] == [{"n": 1}]
    assert not list(tmp_path.glob(".*.tmp"))


@given(st.lists(st.dictionaries(st.text(), st.text() | st.integers(-9, 9) | st.booleans(), max_size=3), max_size=6))
@settings(max_examples=15, deadline=None)
def test_what_comes_out_is_what_went_in_in_order(tmp_path_factory: pytest.TempPathFactory, uploads: list[Any]) -> None:
    held = queue(tmp_path_factory.mktemp("queue"))
    for one in uploads:
        held.put(one)
    assert [one.upload for one in held.peek(99)] == uploads


def test_two_processes_do_not_send_at_once(tmp_path: Path) -> None:
    one, other = queue(tmp_path), queue(tmp_path)
    with one.sending() as first, other.sending() as second:
        assert (first, second) == (True, False)


def test_a_delegation_names_a_key_and_nothing_else(gateway: Gateway) -> None:
    site, page = gateway.registered(origins=[ORIGIN]), Sender(gateway)
    at, scope = gateway.now, {gateway.iri(SUPPORT): [TITLE]}
    told = delegate(
        site.signer, page.signer.did, controller=gateway.platform.controller, scope=scope, origins=[ORIGIN], at=at
    )
    upload = gateway.upload(ground=gateway.contract())
    assert page.send(upload, delegation=told, headers={"origin": ORIGIN}).status_code == 200
    for strange in ("did:web:evil.example", page.signer.verification_method, "did:key:zzz"):
        with pytest.raises(EvidenceError):
            delegate(site.signer, strange, controller="did:web:x", scope=scope, origins=[ORIGIN], at=at)


def test_the_terminal_makes_a_key_sends_and_flushes(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, uploads, place = tmp_path / "form.key", tmp_path / "uploads.json", tmp_path / "queue"
    made = RUNNER.invoke(cli.app, ["new-key", str(file)])
    assert made.stdout.startswith("did:key:z6Mk")
    assert file.stat().st_mode & 0o777 == 0o600
    assert RUNNER.invoke(cli.app, ["new-key", str(file)]).exit_code == 1
    signer = cli._signer(file)
    assert signer.did == made.stdout.strip()
    line = Line(gateway, *[httpx.ConnectError("down")] * 5)

    class Here(Touchpoint):
        def __init__(self, *given: Any, **more: Any) -> None:
            super().__init__(*given, **more, transport=line, clock=lambda: gateway.now, sleep=lambda _: None)

    monkeypatch.setattr(cli, "Touchpoint", Here)
    gateway.registered(sender=Sender(gateway, signer))
    uploads.write_text(json.dumps([{"purpose": SUPPORT, "ground": gateway.contract(), "values": {TITLE: MARKER}}]))
    common = ["--key", str(file), "--to", gateway.settings.base_url, "--queue", str(place), "--json"]
    waiting = RUNNER.invoke(cli.app, ["send", str(uploads), *common])
    assert (waiting.exit_code, json.loads(waiting.stdout)["waiting"]) == (3, 1)
    told = RUNNER.invoke(cli.app, ["status", "--key", str(file), "--queue", str(place)])
    assert json.loads(told.stdout) == {"waiting": 1, "set_aside": []}
    flushed = RUNNER.invoke(cli.app, ["flush", *common])
    assert (flushed.exit_code, json.loads(flushed.stdout)["stored"]) == (0, 1), flushed.output
    uploads.write_text('{"purpose": "no-such", "values": {"contact.given_name": "x"}}\n')
    refused = RUNNER.invoke(cli.app, ["send", str(uploads), *common[:-1]])
    assert refused.exit_code == 1
    assert "unknown_purpose" in refused.output
    for text in ("[1]", "{", "[", "nonsense"):
        uploads.write_text(text)
        assert "bad_file" in RUNNER.invoke(cli.app, ["send", str(uploads), *common]).output
    assert MARKER not in waiting.output + flushed.output
