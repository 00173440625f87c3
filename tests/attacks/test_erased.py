"""A consent that somebody kept out of the way while its customer had everything erased, and put back afterwards."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from crm_core.reading.planner import Planner
from issuer import taking
from issuer.wallet_auth import WalletCaller
from protocol import consent, proof, request
from runtime.clock import FixedClock
from tests.attacks.house import CITY, EMAIL, House, Signed
from tests.attacks.test_machine import NOWHERE, START
from verifier.gate import Reader

WANTED = (EMAIL, CITY)
MARKETING = "https://w3id.org/dpv#DirectMarketing"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path / "house", NOWHERE, clock=FixedClock(START))
    made.build(1)
    yield made
    made.close()


@pytest.fixture
def wallet(house: House) -> Signed:
    return house.enrol_by_hand(house.people[0])


def later(house: House) -> None:
    clock = house.platform.clock
    assert isinstance(clock, FixedClock)
    clock.advance(timedelta(minutes=1))


def shown(house: House, wallet: Signed) -> dict[str, Any]:
    """What marketing gets."""
    later(house)
    house.compiled(wallet.person)
    staff = house.staff("mei")
    visit = house.own.gate.visit(Reader(did=staff.did, role=staff.role, account=staff.account), "marketing")
    with Planner(house.platform, house.own.gate).one(visit, wallet.person.subject, tuple(sorted(WANTED))) as (_, page):
        return {name: value for name, value in page.items[0].fields.items() if value is not None}


def asked_to_end(house: House, wallet: Signed, kind: str) -> str:
    """The wallet has everything erased, or objects to advertising; the state of its request."""
    later(house)
    at, purpose = house.platform.clock.now(), {"purpose": MARKETING} if kind == "objection" else {}
    unsigned = request.build_request(
        kind, id=consent.fresh_id(), controller=house.platform.controller, issuer=wallet.signer.did, at=at, **purpose
    )
    signed = proof.sign(unsigned, wallet.signer, created=at)
    caller = WalletCaller(did=wallet.signer.did, subject=wallet.person.subject)
    return str(taking.take(house.own.registry, signed, None, caller)["state"])


def deleted(house: House, id_: str) -> Callable[[], None]:
    """Take the row of a consent away; what puts it back."""
    [row] = house.sql("SELECT * FROM credential WHERE id = ?", id_)
    house.sql("DELETE FROM credential WHERE id = ?", id_)
    places = ", ".join("?" * len(row))
    return lambda: house.sql(f"INSERT INTO credential VALUES ({places})", *row) and None  # noqa: S608 - ours


def spoiled(house: House, id_: str) -> Callable[[], None]:
    """Change its bytes; what puts them back."""
    [(body,)] = house.sql("SELECT body FROM credential WHERE id = ?", id_)
    house.sql("UPDATE credential SET body = ? WHERE id = ?", b"{}", id_)
    return lambda: house.sql("UPDATE credential SET body = ? WHERE id = ?", body, id_) and None


WAYS = pytest.mark.parametrize("away", [deleted, spoiled])


@WAYS
@pytest.mark.parametrize("kind", ["erasure", "objection"])
def test_a_consent_that_was_away_meanwhile_is_over_all_the_same(
    house: House, wallet: Signed, away: Callable[[House, str], Callable[[], None]], kind: str
) -> None:
    given = wallet.give(WANTED)
    assert set(shown(house, wallet)) == set(WANTED)
    put_back = away(house, given["id"])
    assert asked_to_end(house, wallet, kind) in ("in_work", "answered", "identified")
    put_back()
    assert shown(house, wallet) == {}
    assert not house.platform.journal.ended(given["id"])  # it is the erasure that ends it, not a line of its own
    wallet.give(WANTED)  # asked anew
    assert set(shown(house, wallet)) == set(WANTED)


@WAYS
def test_control_put_back_without_an_erasure_it_is_shown_again(
    house: House, wallet: Signed, away: Callable[[House, str], Callable[[], None]]
) -> None:
    away(house, wallet.give(WANTED)["id"])()
    assert set(shown(house, wallet)) == set(WANTED)
