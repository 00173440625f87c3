"""From a withdrawal's request to its acknowledgement, over HTTP beside 16 readers, against one durable commit."""

import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import httpx

from bench import load, result
from bench.engine import Plain
from bench.result import Result
from bench.size import Size

READERS = 16
_QUERIES = (
    {"limit": "50"},
    {"limit": "50", "sort": "contact.email"},
    {"limit": "50", "filter": "contact.email:contains:example"},
    {"limit": "1"},
)


def measure(size: Size) -> Iterator[Result]:
    """p50 and p99, wall time; commits and withdrawals in turns."""
    from tests.attacks.house import EMAIL, Signed, built  # noqa: PLC0415 - only this row needs the tests' house

    count = 20 if size.rounds < 5 else 200
    with (
        tempfile.TemporaryDirectory(prefix="fieldgrant-bench-") as place,
        built(Path(place), customers=count + 20) as house,
    ):
        wallets: list[Signed] = [house.enrol_by_hand(house.people.pop()) for _ in range(count)]
        given = [wallet.give([EMAIL]) for wallet in wallets]
        house.start(0)
        token = house.desk("mei")["authorization"].split()[1]
        requests = [
            load.request(f"/crm/customers?{urlencode({'purpose': 'marketing', **_QUERIES[n % len(_QUERIES)]})}", token)
            for n in range(READERS)
        ]
        stop = threading.Event()

        def read() -> None:
            while not stop.is_set():
                load.ask(house.ports[0], requests, READERS)

        readers = threading.Thread(target=read)
        readers.start()
        took, commits = [], []
        database = Plain(Path(place) / "plain.db", 1)
        try:
            with httpx.Client(timeout=60) as client:
                for wallet, document in zip(wallets, given, strict=True):
                    body = {"withdrawal": wallet.withdrawal(document)}
                    begun = time.perf_counter()
                    answer = wallet.send("/issuer/wallet/withdrawals", body, client)
                    took.append(time.perf_counter() - begun)
                    if not answer.is_success:
                        raise RuntimeError(answer.text)
                    commits.append(_commit(database))
        finally:
            stop.set()
            readers.join(60)
            database.close()
            house.stop()
    plain = statistics.median(commits)
    halves = statistics.median(took[::2]) / statistics.median(took[1::2])
    for name, seconds, goal in (
        ("p50", statistics.median(took), 5),
        ("p99", sorted(took)[min(len(took) - 1, int(len(took) * 0.99))], 30),
    ):
        said = f"withdrawal to acknowledgement, {READERS} readers, {name}, against one durable commit"
        yield result.of(
            said,
            seconds * 1e6,
            plain * 1e6,
            goal,
            "at most",
            "µs",
            control=round(halves, 3),
            note=f"{count} withdrawals",
        )


def _commit(database: Plain) -> float:
    begun = time.perf_counter()
    database.add([(os.urandom(300),)])
    return time.perf_counter() - begun
