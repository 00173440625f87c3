"""A wallet per test, of little key strength so that tests are quick, and its organisation."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from nacl.pwhash import argon2id

from tests.wallet.organisation import CODE, Organisation
from wallet.keystore import Strength
from wallet.wallet import Wallet

WEAK = Strength(argon2id.OPSLIMIT_MIN, argon2id.MEMLIMIT_MIN)
PASSPHRASE = "correct horse 电池"


@pytest.fixture
def organisation() -> Organisation:
    return Organisation()


@pytest.fixture
def opened(tmp_path: Path, organisation: Organisation) -> Iterator[Wallet]:
    with Wallet.create(
        tmp_path / "wallet",
        PASSPHRASE,
        strength=WEAK,
        clock=lambda: organisation.at,
        transport=organisation.transport,
    ) as wallet:
        yield wallet


@pytest.fixture
def enrolled(opened: Wallet, organisation: Organisation) -> Wallet:
    opened.enrol(organisation.link, lambda channel: CODE)
    return opened


Reopen = Callable[[], Wallet]
