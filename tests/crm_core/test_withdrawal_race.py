"""After a withdrawal has drained, no read through the planner returns the value; without the drain some do."""

import threading
import time

from crm_core.reading.query import Query

CITY = "address.city"
READERS = 4
SENDING = 0.03  # seconds that an answer is on its way while its passage is held


def hammer(stage, visit, stop, returned):
    while not stop.is_set():
        with stage.planner.page(visit, Query(select=(CITY,))) as (_, page):
            value = page.items[0].fields.get(CITY)
            time.sleep(SENDING)
            returned.append((time.monotonic(), value))


def late_values(stage, *, drain):
    """How many reads returned the value after the withdrawal was acknowledged."""
    subject = stage.customer(address__city="Leeds")
    consent = stage.grant(subject, CITY)
    visit, stop, returned = stage.visit(), threading.Event(), []
    readers = [threading.Thread(target=hammer, args=(stage, visit, stop, returned)) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    while sum(value == "Leeds" for _, value in list(returned)) < 5 * READERS:
        time.sleep(0.01)
    stage.withdraw(subject, consent)
    if drain:
        stage.gate._turnstile.drain(timeout=10.0)
    acknowledged = time.monotonic()
    time.sleep(5 * SENDING)
    stop.set()
    for reader in readers:
        reader.join()
    after = [value for at, value in returned if at > acknowledged]
    assert after
    return sum(value is not None for value in after)


def test_no_read_returns_the_value_after_the_acknowledgement(stage):
    assert late_values(stage, drain=True) == 0


def test_without_the_drain_a_read_under_way_returns_it(stage):
    """The control."""
    assert late_values(stage, drain=False) > 0
