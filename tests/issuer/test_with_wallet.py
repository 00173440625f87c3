"""The project's own wallet goes the whole way with this issuer, each checking what the other signed."""

import re
from pathlib import Path

import pytest

from tests.issuer.world import CITY, EMAIL, World
from wallet.keystore import Strength
from wallet.wallet import Wallet


@pytest.fixture
def own(world: World, tmp_path: Path) -> Wallet:
    return Wallet.create(
        tmp_path / "wallet",
        "a long passphrase",
        strength=Strength(1, 8192),
        clock=lambda: world.now,
        transport=world.http._transport,
    )


def test_a_wallet_enrols_consents_narrows_and_withdraws(world: World, own: Wallet) -> None:
    subject = world.customer()
    world.invited(subject)
    link = re.search(r"fieldgrant://enrol\?\S+", world.mails("invitation")[-1])
    assert link is not None
    holding = own.enrol(link[0], lambda channel: world.code_sent())
    body = {"subject": subject, "processes": [{"purpose": "marketing", "fields": [EMAIL, CITY]}]}
    for language in ("en", "zh-CN"):
        assert world.post("marketing", "/issuer/asks", {**body, "language": language}).status_code == 201
    offers, rejected = own.asks()
    assert (len(offers), rejected) == (2, ())
    given = own.consent(offers[0].ask.id, [EMAIL, CITY])
    assert given.event == "given"
    assert own.refuse(offers[1].ask.id).event == "refused"
    assert given.consent is not None
    narrowed = own.narrow(given.consent.id, [CITY])
    assert narrowed.consent is not None
    assert own.withdraw(narrowed.consent.id).event == "withdrawn"
    assert sorted(one.event for one in own.receipts()) == ["given", "narrowed", "refused", "withdrawn"]
    assert own.grounds() == ()
    assert world.platform.journal.ended(narrowed.consent.id)
    assert holding.did == world.rows("enrolment")[0].did
