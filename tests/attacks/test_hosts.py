"""Three gate processes, each on a host of its own: they share the database, and the files of journal and keys."""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from runtime.platform import Platform
from tests.attacks import forked
from tests.attacks.house import House, built
from tests.attacks.readers import Late
from tests.attacks.test_races import WALLETS, prepared, race
from verifier import turnstiles
from verifier.advisory import AdvisoryTurnstile
from verifier.drain import Turnstile
from verifier.response import GatedResponse

FEW = 4  # withdrawals
SLOW = 2.0  # seconds
pytestmark = [pytest.mark.postgresql("one file is no database of several hosts"), pytest.mark.alone]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with built(tmp_path_factory.mktemp("hosts"), customers=30, processes=3) as made:
        yield made


def apart() -> None:
    """In a server process: its flocks lie where no other process looks."""
    own, of = Path(os.environ["FIELDGRANT_HOME"]) / f"host-{os.getpid()}", turnstiles.of

    def here(platform: Platform) -> Turnstile:
        found = of(platform)
        assert isinstance(found, AdvisoryTurnstile)
        found.__init__(own, found._url, platform.settings.send_deadline)  # type: ignore[misc]
        return found

    turnstiles.of = here


def apart_and_slow() -> None:
    """The same, and what it answers takes two seconds to be sent, the values opened."""
    apart()
    send = GatedResponse.__call__

    async def late(self: GatedResponse, scope: Scope, receive: Receive, send_: Send) -> None:
        await asyncio.sleep(SLOW)
        await send(self, scope, receive, send_)

    GatedResponse.__call__ = late  # type: ignore[method-assign]


def apart_with_flocks_alone() -> None:
    """As `apart`, and a withdrawal waits for its own host alone."""
    apart()
    AdvisoryTurnstile.drain = Turnstile.drain  # type: ignore[method-assign]


def late(house: House, issuer: Callable[[], None]) -> Late:
    """What came late while wallets withdrew at one host and staff read at two slow ones besides."""
    wallets = prepared(house, WALLETS)
    forked.start(house, 0, before=issuer)
    for n in (1, 2):
        forked.start(house, n, "crm", before=apart_and_slow)
    try:
        return race(house, wallets, 3, FEW).late
    finally:
        house.stop()


def test_no_read_of_another_host_returns_a_value_after_its_withdrawal(house: House) -> None:
    assert late(house, apart) == Late(0, 0)


def test_control_a_withdrawal_that_waits_for_its_own_host_alone_is_followed_by_reads(house: House) -> None:
    assert late(house, apart_with_flocks_alone).returned > 0
