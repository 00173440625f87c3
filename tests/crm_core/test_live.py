"""Live: an open page hears of a withdrawal in another process within a second, and of nothing that a list hides."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from crm_core.reading import live
from protocol.times import iso_ms
from tests.attacks.holder import Held
from tests.attacks.pieces import CITY, EMAIL
from tests.attacks.place import Place, served

TRIES = 3  # a busy machine may be slow once; the look is due four times a second


class Stream:
    """An open page: when it was told what."""

    def __init__(self, place: Place, account: str) -> None:
        self.said: list[tuple[float, str]] = []
        self.over = threading.Event()
        self._open = threading.Event()
        self._place, self._account = place, account
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()
        assert self._open.wait(20)

    def _listen(self) -> None:
        headers = self._place.desk(self._account)
        address = f"{self._place.base}/crm/live"
        with httpx.stream("GET", address, headers=headers, timeout=60, trust_env=False) as told:
            for line in told.iter_lines():
                self.said += [(time.time(), line)] if line else []
                if line.startswith(": listening"):
                    self._open.set()
        self.over.set()

    def looks(self, since: float = 0.0) -> list[float]:
        return [at for at, line in self.said if line == "event: look" and at >= since]

    def heard(self, since: float, wait: float = 10.0) -> float | None:
        """When it was told to look, the first time after `since`."""
        until = time.time() + wait
        while time.time() < until:
            if found := self.looks(since):
                return found[0]
            time.sleep(0.01)
        return None


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with served(tmp_path_factory.mktemp("place")) as made:
        yield made


@pytest.fixture(scope="module")
def mina(place: Place) -> Held:
    return place.enrolled()


@contextmanager
def other_process(place: Place) -> Iterator["subprocess.Popen[str]"]:
    script = Path(__file__).with_name("live_withdrawing.py")
    command = [sys.executable, "-m", f"tests.crm_core.{script.stem}"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=script.parents[2]) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        told = {"settings": place.settings.model_dump(mode="json"), "at": iso_ms(place.now)}
        process.stdin.write(json.dumps(told) + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ready\n"
        yield process
        process.stdin.close()


def test_a_withdrawal_in_another_process_reaches_open_pages_within_a_second(place: Place, mina: Held) -> None:
    delays, marketing, officer, sales = [], Stream(place, "marketing"), Stream(place, "dpo"), Stream(place, "sales")
    with other_process(place) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(TRIES):
            given = mina.give(place.asked(mina, (EMAIL, CITY)))
            assert place.shown(mina.subject)["fields"][EMAIL]
            time.sleep(2 * live.POLL + live.LEAST_PAUSE)  # what the consent itself had them told is over
            process.stdin.write(json.dumps(mina.withdrawal(given)) + "\n")
            process.stdin.flush()
            began, over = json.loads(process.stdout.readline())
            for page in (marketing, officer):
                heard = page.heard(began)
                assert heard is not None
                delays.append(heard - over)  # the commit lies before `over`
            assert EMAIL not in place.shown(mina.subject)["fields"]  # whoever looks again sees nothing
            if max(delays[-2:]) < 1.0:
                break
    assert min(map(max, zip(delays[::2], delays[1::2], strict=True))) < 1.0, delays
    # sales may not act for marketing: no list of theirs shows a change, so they are told of none
    assert sales.looks() == []
    assert {line for page in (marketing, officer, sales) for _, line in page.said} <= {
        "retry: 1000", ": listening", "event: beat", "event: look", "data: {}",
    }  # fmt: skip


def test_reading_alone_has_nobody_look_again(place: Place, mina: Held) -> None:
    page = Stream(place, "marketing")
    for _ in range(5):
        place.shown(mina.subject)
    time.sleep(4 * live.POLL)
    assert page.looks() == []


def test_control_what_concerns_all_is_told_to_all(place: Place) -> None:
    page, began = Stream(place, "sales"), time.time()
    place.enrolled()
    assert page.heard(began) is not None


def test_many_changes_at_once_make_few_looks(place: Place, mina: Held) -> None:
    page, began = Stream(place, "marketing"), time.time()
    for _ in range(4):
        given = mina.give(place.asked(mina, (CITY,)))
        mina.call("POST", "/issuer/wallet/withdrawals", {"withdrawal": mina.withdrawal(given)})
    page.heard(began)
    time.sleep(1)
    took = time.time() - began
    assert 1 <= len(page.looks(began)) <= took / live.LEAST_PAUSE + 1


def test_a_stream_ends_with_the_sign_in(place: Place, mina: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT", 0.2)
    page, other = Stream(place, "marketing"), Stream(place, "dpo")
    answer = place.http.delete(f"{place.base}/staff/sessions/current", headers=place.desk("marketing"))
    assert answer.status_code == 204
    place._tokens.pop("marketing")
    assert page.over.wait(10)
    assert not other.over.is_set()


def test_nobody_holds_more_than_a_few_streams_and_places_come_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LIFE", 1.0)
    monkeypatch.setattr(live, "PER_ACCOUNT", 2)
    pages = [Stream(place, "steward") for _ in range(2)]
    refused = place.get("steward", "/crm/live")
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_streams")
    assert all(page.over.wait(10) for page in pages)
    again = Stream(place, "steward")
    assert again.over.wait(10)


def test_without_a_sign_in_nobody_is_told_anything(place: Place) -> None:
    for headers in ({}, {"authorization": "Bearer nonsense"}, {"cookie": "__Host-fieldgrant=nonsense"}):
        answer = place.http.get(f"{place.base}/crm/live", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")


def test_an_open_stream_does_not_hold_up_the_end_of_the_server(place: Place) -> None:
    page, began = Stream(place, "dpo"), time.monotonic()
    place.stop()
    assert page.over.wait(5)
    assert time.monotonic() - began < 8  # uvicorn alone would wait 10 s, and then cut it
    place.start()
