"""After the acknowledgement of a withdrawal no read returns the field: not one that starts later, nor one under way."""

import threading
import time
from dataclasses import dataclass

import pytest

from issuer.registry import Registry
from tests.verifier.stage import EMAIL, Customer, Stage, look

READERS = 8
ROUNDS = 6
SENDING = 0.01  # seconds between the decision and the last byte


@dataclass(slots=True)
class Return:
    """One read that returned the field: when its last byte was out."""

    at: float


def late_returns(stage: Stage, customer: Customer, registry: Registry) -> tuple[int, int]:
    """Reads that returned the field after the acknowledgement, and those that returned it at all."""
    late = total = 0
    for _ in range(ROUNDS):
        given = stage.give(customer)
        stop = threading.Event()
        returned: list[Return] = []

        def read(stop: threading.Event = stop, returned: list[Return] = returned) -> None:
            visit = stage.gate.visit(stage.reader(), "marketing")
            while not stop.is_set():
                with stage.gate.read(visit, lambda passage: look(stage, passage, customer.subject)) as (_, verdict):
                    time.sleep(SENDING)  # bytes on their way to the socket
                    if EMAIL in verdict.released:
                        returned.append(Return(time.monotonic()))

        threads = [threading.Thread(target=read) for _ in range(READERS)]
        for thread in threads:
            thread.start()
        until = time.monotonic() + 30
        while len(returned) < 3 * READERS and time.monotonic() < until:
            time.sleep(0.005)
        registry.withdraw(stage.withdrawal(customer, given), customer.wallet.did)
        acknowledged = time.monotonic()
        time.sleep(0.1)
        stop.set()
        for thread in threads:
            thread.join()
        late += sum(one.at > acknowledged for one in returned)
        total += len(returned)
    return late, total


@pytest.mark.slow
def test_no_read_returns_after_the_acknowledgement_and_without_the_drain_some_do(
    stage: Stage, customer: Customer
) -> None:
    late, total = late_returns(stage, customer, stage.registry)
    assert total > ROUNDS * READERS
    assert late == 0
    undrained = Registry(stage.platform, stage.catalogue, stage.compile, lambda: None)
    late, _ = late_returns(stage, customer, undrained)
    assert late > 0
    assert stage.sql("SELECT * FROM quarantine") == []
