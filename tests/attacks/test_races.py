"""Withdrawals over HTTP against readers that never pause: after the acknowledgement nothing is returned."""

import os
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import urlencode

import httpx
import pytest

from fieldgrant.demo.hammer import Hammer
from tests.attacks import forked
from tests.attacks.house import EMAIL, GIVEN, House, Signed, built
from tests.attacks.readers import Late, Readers, request
from tests.rounds import told
from verifier.advisory import AdvisoryTurnstile
from verifier.drain import Turnstile

WITHDRAWALS = int(os.environ.get("FIELDGRANT_TEST_WITHDRAWALS", "16"))
LONG = 2_000
READERS, WALLETS, AT_ONCE = 16, 8, 4
HANG = 120.0  # seconds: nobody waits for so long but for ever
# the value is a name that the contract keeps: it can be given and taken back as often as one likes
QUERIES = (
    {"select": GIVEN, "limit": 500},
    {"select": GIVEN, "sort": f"-{GIVEN}", "limit": 500},
    {"select": GIVEN, "filter": f"{GIVEN}:present", "limit": 500},
    {"select": GIVEN, "filter": f"{GIVEN}:contains:iven", "sort": GIVEN, "limit": 500},
)


@dataclass(slots=True)
class Outcome:
    """What a race came to: answers of each reader, values that came late, seconds to each acknowledgement."""

    answers: list[int]
    late: Late
    took: list[float]
    longest_wait: float

    def told(self) -> str:
        took = sorted(self.took)
        return (
            f"{len(took)} withdrawals, {self.late.started} and {self.late.returned} late; acknowledged after "
            f"{statistics.median(took) * 1000:.0f} ms, 99 of 100 after {took[len(took) * 99 // 100] * 1000:.0f} ms, "
            f"all after {took[-1] * 1000:.0f} ms; {min(self.answers)} to {max(self.answers)} answers a reader, "
            f"each within {self.longest_wait * 1000:.0f} ms"
        )


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with built(tmp_path_factory.mktemp("house"), customers=60, processes=3) as made:
        yield made


def asked(house: House, number: int, port: int, wallets: list[Signed]) -> list[bytes]:
    """What reader `number` asks, in turn: each customer alone; lists in some order; what a filter finds; files."""
    token = house.desk("mei")["authorization"]
    if number % 4 == 0:
        paths = [f"/crm/customers/{wallet.person.subject}?purpose=marketing" for wallet in wallets]
        return [request("GET", path, port, token) for path in paths]
    if number % 4 == 3:
        body = {"purpose": "marketing", "select": [GIVEN], "format": "jsonl"}
        return [request("POST", "/crm/exports", port, token, body)]
    some = QUERIES[:2] if number % 4 == 1 else QUERIES[2:]
    paths = [f"/crm/customers?{urlencode({'purpose': 'marketing', **query})}" for query in some]
    return [request("GET", path, port, token) for path in paths]


class Race:
    """Wallets that consent, wait until every reader has had the value, and withdraw; and so on."""

    def __init__(self, house: House, readers: Readers, withdrawals: int, *, patient: bool) -> None:
        self.house, self.readers, self.patient = house, readers, patient
        self.left, self.withdrawals, self.took = withdrawals, withdrawals, list[float]()
        self.lock = threading.Lock()

    def run(self, wallets: list[Signed]) -> None:
        """One thread with its wallets."""
        with httpx.Client(timeout=HANG) as client:
            turn = 0
            while self._one_more():
                turn += 1
                self._round(wallets[turn % len(wallets)], client)

    def _one_more(self) -> bool:
        with self.lock:
            self.left -= 1
            return self.left >= 0

    def _round(self, wallet: Signed, client: httpx.Client) -> None:
        one = int(wallet.person.email.removeprefix("person").partition("@")[0])
        self.readers.over(one)
        before = self.readers.had(one)
        document = wallet.give([GIVEN])
        if self.patient:
            self._until_had(one, before)
        body = {"withdrawal": wallet.withdrawal(document)}
        begun = time.monotonic()
        answer = wallet.send("/issuer/wallet/withdrawals", body, client)
        self.readers.mark(one)
        self.took.append(time.monotonic() - begun)
        assert answer.is_success, answer.text
        told(len(self.took), self.withdrawals)

    def _until_had(self, one: int, before: tuple[int, ...]) -> None:
        until = time.monotonic() + HANG
        while any(now <= then for now, then in zip(self.readers.had(one), before, strict=True)):
            assert not self.readers.failures, self.readers.failures
            assert time.monotonic() < until, "a reader gets no answer"
            time.sleep(0.002)


def race(house: House, wallets: list[Signed], servers: int, withdrawals: int, *, patient: bool = True) -> Outcome:
    """`patient`: no withdrawal before each reader has had the value; else as many as there can be."""
    ports = [house.ports[number // 4 % servers] for number in range(READERS)]
    requests = [asked(house, number, port, wallets) for number, port in enumerate(ports)]
    with Readers([("localhost", port) for port in ports], requests) as readers:
        at_work = Race(house, readers, withdrawals, patient=patient)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for done in [pool.submit(at_work.run, wallets[number::AT_ONCE]) for number in range(AT_ONCE)]:
                done.result()
        counts = [len(parts) for parts in readers.parts]
        until = time.monotonic() + HANG
        while any(len(now) < then + 2 for now, then in zip(readers.parts, counts, strict=True)):  # what is under way
            assert not readers.failures, readers.failures
            assert time.monotonic() < until, "a reader gets no answer"
            time.sleep(0.01)
    assert readers.failures == []
    found = Outcome(counts, readers.late(), at_work.took, readers.longest_wait())
    print(found.told())
    return found


def prepared(house: House, count: int) -> list[Signed]:
    return [house.enrol_by_hand(house.people.pop()) for _ in range(count)]


def serve(house: House, servers: int) -> None:
    for n in range(servers):
        forked.start(house, n, *(("crm",) if n else ()))


def undrained() -> None:
    """In a server process: a withdrawal waits for nobody."""
    for turnstile in (Turnstile, AdvisoryTurnstile):
        turnstile.drain = lambda self, timeout=30.0: None  # type: ignore[method-assign]


LONG_RACE = pytest.param(LONG, marks=pytest.mark.torture)


@pytest.mark.parametrize("withdrawals", [WITHDRAWALS, LONG_RACE])
@pytest.mark.parametrize("servers", [1, 3])
def test_no_read_list_filter_or_export_returns_a_value_after_its_withdrawal(
    house: House, servers: int, withdrawals: int
) -> None:
    """Sixteen readers, each of which has had it before; first one after the other, then without a pause."""
    wallets = prepared(house, WALLETS)
    serve(house, servers)
    try:
        found = race(house, wallets, servers, withdrawals)
        pressed = race(house, wallets, servers, max(WITHDRAWALS, withdrawals // 4), patient=False)
    finally:
        house.stop()
    assert (found.late, pressed.late) == (Late(0, 0), Late(0, 0))
    assert max(found.took + pressed.took) < HANG / 2  # readers never starve the withdrawer, nor it them
    assert min(pressed.answers) >= max(1, len(pressed.took) // 16)


def test_control_without_the_drain_some_do(house: House) -> None:
    wallets = prepared(house, WALLETS)
    forked.start(house, 0, before=undrained)
    try:
        found = race(house, wallets, 1, WITHDRAWALS)
    finally:
        house.stop()
    assert found.late.returned > 0


def test_clients_that_hang_up_leave_nothing_locked(house: House) -> None:
    (wallet,) = prepared(house, 1)
    given = wallet.give([EMAIL])
    target = f"/crm/customers?purpose=marketing&limit=500&sort={EMAIL}"
    serve(house, 1)
    try:
        for _ in range(40):
            with socket.create_connection(("localhost", house.ports[0])) as gone:
                gone.sendall(request("GET", target, house.ports[0], house.desk("mei")["authorization"]))
        begun = time.monotonic()
        with httpx.Client(timeout=60) as client:
            body = {"withdrawal": wallet.withdrawal(given)}
            assert wallet.send("/issuer/wallet/withdrawals", body, client).is_success
        assert time.monotonic() - begun < 25
        assert EMAIL not in house.shown(wallet.person)
    finally:
        house.stop()


def test_withdrawals_do_not_wait_for_each_other_for_ever(house: House) -> None:
    """Many at once, from as many wallets, while one record is hammered."""
    wallets = prepared(house, 16)
    given = [wallet.give([EMAIL]) for wallet in wallets]
    serve(house, 1)
    try:
        url = f"{house.url(0)}/crm/customers/{wallets[0].person.subject}?purpose=marketing"
        hammer = Hammer(url, house.tokens["mei"], wallets[0].person.email, readers=8)
        hammer.start()
        while hammer.seen() < 3:
            time.sleep(0.02)

        def withdraw(number: int) -> float:
            begun = time.monotonic()
            with httpx.Client(timeout=60) as client:
                body = {"withdrawal": wallets[number].withdrawal(given[number])}
                assert wallets[number].send("/issuer/wallet/withdrawals", body, client).is_success
            if number == 0:
                hammer.mark()
            return time.monotonic() - begun

        with ThreadPoolExecutor(len(wallets)) as pool:
            took = list(pool.map(withdraw, range(len(wallets))))
        time.sleep(0.3)
        tallies = hammer.stop()
    finally:
        house.stop()
    assert sum(tally.after_with_value for tally in tallies) == 0
    assert max(took) < 25
