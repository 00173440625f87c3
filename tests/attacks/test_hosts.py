"""Three gate processes, each on a host of its own: they share the database, and the files of journal and keys."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.platform import Platform
from tests.attacks import forked
from tests.attacks.house import House, built
from tests.attacks.readers import Late
from tests.attacks.test_races import WALLETS, prepared, race
from verifier import turnstiles
from verifier.advisory import AdvisoryTurnstile
from verifier.drain import Turnstile

FEW = 4  # withdrawals
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


def test_no_read_of_another_host_returns_a_value_after_its_withdrawal(house: House) -> None:
    """What a withdrawer does who waits for its own host alone: tests/postgresql/test_gates.py shows it."""
    wallets = prepared(house, WALLETS)
    for n in range(3):
        forked.start(house, n, *(("crm",) if n else ()), before=apart)
    try:
        assert race(house, wallets, 3, FEW).late == Late(0, 0)
    finally:
        house.stop()
