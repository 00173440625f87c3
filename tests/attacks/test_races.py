"""Withdrawals over HTTP against readers that never pause: after the acknowledgement nothing is returned.

What counts as returned is what the kernel has given to the reader's connection at the moment the acknowledgement is in
our hands (FIONREAD, see `fieldgrant.demo.hammer`), so a reader that wakes up late accuses nobody.
"""

import array
import fcntl
import os
import socket
import termios
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlencode

import httpx
import pytest

from fieldgrant.demo.hammer import Hammer
from tests.attacks.house import EMAIL, GIVEN, House, Signed, built

WITHDRAWALS = int(os.environ.get("FIELDGRANT_TEST_WITHDRAWALS", "12"))
READERS = 8
UNDRAINED = (
    "-c",
    "import verifier.drain as it; it.Turnstile.drain = lambda self, timeout=30.0: None; "
    "from fieldgrant.cli import main; main()",
)
# one customer after the other, a page, a page in order, a page that a filter finds, all of them on the withheld field
QUERIES = (
    {"select": EMAIL, "limit": 500},
    {"select": EMAIL, "sort": EMAIL, "limit": 500},
    {"select": EMAIL, "sort": f"-{EMAIL}", "filter": f"{EMAIL}:contains:example", "limit": 500},
    {"select": GIVEN, "filter": f"{EMAIL}:present", "sort": EMAIL, "limit": 500},
)


@dataclass(slots=True)
class Watch:
    """One connection that reads without pause; `marks`: bytes it had been given when an end was acknowledged."""

    socket: socket.socket
    request: bytes
    marks: dict[bytes, int] = field(default_factory=dict)
    received: int = 0
    answers: int = 0
    seen: int = 0
    late: int = 0
    failure: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def mark(self, needle: bytes) -> None:
        with self.lock:
            waiting = array.array("i", [0])
            fcntl.ioctl(self.socket.fileno(), termios.FIONREAD, waiting)
            self.marks[needle] = self.received + waiting[0]

    def run(self, stop: threading.Event) -> None:
        end, buffer = 0, b""
        try:
            while not stop.is_set():
                self.socket.sendall(self.request)
                while b"\r\n\r\n" not in buffer:
                    buffer += self._receive()
                head, _, buffer = buffer.partition(b"\r\n\r\n")
                if not head.startswith(b"HTTP/1.1 200"):
                    self.failure = head[:200].decode()
                    return
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                while len(buffer) < length:
                    buffer += self._receive()
                body, buffer = buffer[:length], buffer[length:]
                end += len(head) + 4 + length
                self.answers += 1
                self.seen += b'"contact.' in body
                with self.lock:
                    marks = list(self.marks.items())
                self.late += sum(at < end and needle in body for needle, at in marks)
        except OSError as error:
            self.failure = repr(error)

    def _receive(self) -> bytes:
        self.socket.settimeout(60)
        self.socket.recv(1, socket.MSG_PEEK)
        with self.lock:  # between recv and the count nobody may take a mark
            part = self.socket.recv(1 << 18)
            self.received += len(part)
        if not part:
            raise ConnectionResetError
        return part


@dataclass(slots=True)
class Outcome:
    """What a race came to."""

    answers: int
    late: int
    acknowledged: list[float]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Everybody has a wallet and has granted their e-mail address."""
    with built(tmp_path_factory.mktemp("house"), customers=2 * WITHDRAWALS + 30, processes=3) as made:
        yield made


def connection(house: House, n: int, target: str) -> tuple[socket.socket, bytes]:
    made = socket.socket()
    made.connect(("localhost", house.ports[n]))
    head = {"Host": f"localhost:{house.ports[n]}", "Authorization": house.desk("mei")["authorization"]}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    return made, f"GET {target} HTTP/1.1\r\n{lines}\r\n".encode()


def race(house: House, wallets: list[Signed], given: list[dict[str, object]], servers: int) -> Outcome:
    """Withdraw one after the other while the readers go on; count values that came after their acknowledgement."""
    stop, watches = threading.Event(), []
    for number in range(READERS):
        query = {"purpose": "marketing", **QUERIES[number % len(QUERIES)]}
        watches.append(Watch(*connection(house, number % servers, f"/crm/customers?{urlencode(query)}")))
    threads = [threading.Thread(target=watch.run, args=(stop,), daemon=True) for watch in watches]
    for thread in threads:
        thread.start()
    until = time.monotonic() + 60
    while min(watch.answers for watch in watches) < 2 and time.monotonic() < until:
        assert not any(watch.failure for watch in watches), watches[0].failure
        time.sleep(0.02)
    acknowledged = []
    with httpx.Client(timeout=60) as client:
        for wallet, document in zip(wallets, given, strict=True):
            body = {"withdrawal": wallet.withdrawal(document)}
            begun = time.monotonic()
            answer = wallet.send("/issuer/wallet/withdrawals", body, client)
            assert answer.is_success, answer.text
            for watch in watches:
                watch.mark(f'"{wallet.person.email}"'.encode())
            acknowledged.append(time.monotonic() - begun)
    done = [watch.answers for watch in watches]
    until = time.monotonic() + 60
    while any(watch.answers <= before for watch, before in zip(watches, done, strict=True)):
        assert time.monotonic() < until
        assert not any(watch.failure for watch in watches), [watch.failure for watch in watches]
        time.sleep(0.02)
    stop.set()
    for thread in threads:
        thread.join(60)
    assert not any(watch.failure for watch in watches), [watch.failure for watch in watches]
    return Outcome(sum(watch.answers for watch in watches), sum(watch.late for watch in watches), acknowledged)


def prepared(house: House, count: int) -> tuple[list[Signed], list[dict[str, object]]]:
    wallets = [house.enrol_by_hand(house.people.pop()) for _ in range(count)]
    return wallets, [wallet.give([EMAIL]) for wallet in wallets]


@pytest.mark.parametrize("servers", [1, 3])
def test_no_list_filter_or_sort_returns_a_value_after_its_withdrawal(house: House, servers: int) -> None:
    wallets, given = prepared(house, WITHDRAWALS)
    for n in range(servers):
        house.start(n, *(("crm",) if n else ()))
    try:
        found = race(house, wallets, given, servers)
    finally:
        house.stop()
    assert found.late == 0
    assert max(found.acknowledged) < 10


def test_control_without_the_drain_some_do(house: House) -> None:
    wallets, given = prepared(house, 8)
    house.start(0, command=UNDRAINED)
    try:
        found = race(house, wallets, given, 1)
    finally:
        house.stop()
    assert found.late > 0


def test_clients_that_hang_up_leave_nothing_locked(house: House) -> None:
    (wallet,), (given,) = prepared(house, 1)
    house.start(0)
    try:
        for _ in range(40):
            gone, request = connection(house, 0, f"/crm/customers?purpose=marketing&limit=500&sort={EMAIL}")
            gone.sendall(request)
            gone.close()
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
    wallets, given = prepared(house, 16)
    house.start(0)
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
