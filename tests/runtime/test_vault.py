"""VaultRoot against a loopback server that really encrypts, as the transit engine does."""

import json
import os
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from runtime.keyring import KeyRing
from runtime.platform import root_of
from runtime.root import RootError
from runtime.settings import Settings
from runtime.vault import ATTEMPTS, VaultRoot

TOKEN = "hvs.test"


class Transit(ThreadingHTTPServer):
    """A transit engine with one key; `script` holds the statuses that it answers first."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.key = AESGCM(AESGCM.generate_key(256))
        self.script: list[int | str] = []
        self.asked: list[tuple[str, str | None]] = []
        self.location = ""
        self.fail_items: set[int] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def item(self, verb: str, item: dict[str, str]) -> dict[str, str]:
        about = b64decode(item.get("associated_data", ""))
        if verb == "encrypt":
            nonce = os.urandom(12)
            sealed = nonce + self.key.encrypt(nonce, b64decode(item["plaintext"]), about)
            return {"ciphertext": "vault:v1:" + b64encode(sealed).decode()}
        try:
            sealed = b64decode(item["ciphertext"].removeprefix("vault:v1:"))
            return {"plaintext": b64encode(self.key.decrypt(sealed[:12], sealed[12:], about)).decode()}
        except (InvalidTag, ValueError):
            return {"error": "cipher: message authentication failed"}


class Asked(BaseHTTPRequestHandler):
    server: Transit

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((self.path, self.headers.get("x-vault-token")))
        status = self.server.script.pop(0) if self.server.script else 200
        if status == "hang up":
            self.connection.close()
            return
        assert isinstance(status, int)
        verb = self.path.split("/")[3]
        results = [self.server.item(verb, item) for item in body["batch_input"]]
        for index in self.server.fail_items:
            results[index] = {"error": "no"}
        self.answer(status, {"data": {"batch_results": results}})

    def answer(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        if status == 307:
            self.send_header("location", self.server.location)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def transit() -> Iterator[Transit]:
    with started() as server:
        yield server


class started:  # noqa: N801 - reads as a word
    def __enter__(self) -> Transit:
        self.server = Transit()
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()
        return self.server

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def root(server: Transit) -> VaultRoot:
    return VaultRoot(server.url, TOKEN, "fieldgrant", pause=lambda _: None)


def test_what_is_wrapped_unwraps_under_the_same_context_only(transit: Transit) -> None:
    wrapped = root(transit).wrap(b"secret", b"here")
    assert b"secret" not in wrapped
    assert root(transit).unwrap(wrapped, b"here") == b"secret"
    with pytest.raises(RootError) as caught:
        root(transit).unwrap(wrapped, b"elsewhere")
    assert caught.value.code == "bad_wrapping"


def test_a_redirect_is_not_followed_and_the_token_does_not_travel(transit: Transit) -> None:
    with started() as stranger:
        transit.script, transit.location = [307], stranger.url + "/v1/transit/encrypt/fieldgrant"
        with pytest.raises(RootError) as caught:
            root(transit).wrap(b"secret", b"here")
        assert caught.value.code == "root_refused"
        assert stranger.asked == []
    assert transit.asked == [("/v1/transit/encrypt/fieldgrant", TOKEN)]


@pytest.mark.parametrize("status", [412, 429, 472, 473, 500, 502, 503, "hang up"])
def test_a_passing_failure_is_tried_again(transit: Transit, status: int | str) -> None:
    transit.script = [status, status]
    wrapped = root(transit).wrap(b"secret", b"here")
    assert root(transit).unwrap(wrapped, b"here") == b"secret"
    assert len(transit.asked) >= 4


def test_a_lasting_failure_is_given_up_after_so_many_attempts(transit: Transit) -> None:
    transit.script = [503] * 10
    with pytest.raises(RootError) as caught:
        root(transit).wrap(b"secret", b"here")
    assert caught.value.code == "root_unavailable"
    assert len(transit.asked) == ATTEMPTS


@pytest.mark.parametrize("status", [400, 403, 404, 405, 413])
def test_a_refusal_is_not_tried_again(transit: Transit, status: int) -> None:
    transit.script = [status]
    with pytest.raises(RootError) as caught:
        root(transit).wrap(b"secret", b"here")
    assert caught.value.code == "root_refused"
    assert len(transit.asked) == 1


def test_an_item_that_fails_inside_a_200_fails_the_whole(transit: Transit) -> None:
    vault = root(transit)
    items = [(vault.wrap(bytes([n]) * 32, b"c"), b"c") for n in range(3)]
    assert vault.unwrap_all(items) == [bytes([n]) * 32 for n in range(3)]
    transit.fail_items = {1}
    with pytest.raises(RootError) as caught:
        vault.unwrap_all(items)
    assert caught.value.code == "bad_wrapping"
    transit.fail_items = {0}
    with pytest.raises(RootError) as caught:
        vault.wrap(b"secret", b"here")
    assert caught.value.code == "root_refused"


def test_an_address_in_clear_is_refused_but_on_this_machine() -> None:
    with pytest.raises(ValueError, match="https"):
        VaultRoot("http://vault.example.com", TOKEN, "fieldgrant")


def test_what_is_not_vaults_is_bad_wrapping(transit: Transit) -> None:
    with pytest.raises(RootError) as caught:
        root(transit).unwrap(b"\xff\xfe", b"here")
    assert caught.value.code == "bad_wrapping"


def test_a_key_ring_lives_under_vault_and_warms_in_one_call(transit: Transit, tmp_path: Path) -> None:
    settings = Settings(keys_dir=tmp_path, vault_addr=transit.url, vault_token=TOKEN)
    ring = KeyRing.create(tmp_path, root_of(settings), "did:web:example.com")
    nonce, secret = bytes(12), ring.secret("cursor")
    sealed = [ring.current(bucket)[1].encrypt(nonce, b"x", None) for bucket in range(5)]
    ring.close()
    other = KeyRing.open(tmp_path, root_of(settings))
    before = len(transit.asked)
    other.warm()
    assert len(transit.asked) == before + 1
    assert [other.opener(bucket, 1).decrypt(nonce, sealed[bucket], None) for bucket in range(5)] == [b"x"] * 5
    assert len(transit.asked) == before + 1
    assert other.secret("cursor") == secret
    other.close()


def test_vault_out_of_reach_is_not_taken_for_a_wrong_root(transit: Transit, tmp_path: Path) -> None:
    KeyRing.create(tmp_path, root(transit), "did:web:example.com")
    transit.script = [503] * ATTEMPTS
    with pytest.raises(RootError) as caught:
        KeyRing.open(tmp_path, root(transit))
    assert caught.value.code == "root_unavailable"


@pytest.mark.parametrize("body", [b"not json", b"[]", b'{"data": {"batch_results": []}}', b"{}"])
def test_an_answer_of_another_shape_is_refused(transit: Transit, monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    def answer(self: Asked, _status: int, _body: object) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    monkeypatch.setattr(Asked, "answer", answer)
    with pytest.raises(RootError) as caught:
        root(transit).wrap(b"secret", b"here")
    assert caught.value.code == "root_refused"
