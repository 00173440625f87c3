"""The list of asks over all customers: newest first, page by page, of one's own purposes."""

import pytest

from issuer import recent_asks
from tests.issuer.test_asks import _ask, _process
from tests.issuer.world import CITY, EMAIL, GIVEN, Wallet, World


def test_staff_see_the_asks_for_purposes_of_their_role_and_overseers_all(world: World, wallet: Wallet) -> None:
    _ask(world, "marketing", wallet.subject, _process("marketing", EMAIL))
    _ask(world, "service", wallet.subject, _process("service", CITY))

    def purposes(role: str) -> list[str]:
        items = world.get(role, "/issuer/asks").json()["items"]
        assert all(item["subject"] == wallet.subject for item in items)
        requests = [item["credential"]["credentialSubject"]["requestsConsent"] for item in items]
        return [process["hasPurpose"].rpartition("#")[2] for one in requests for process in one["hasProcess"]]

    assert purposes("marketing") == ["DirectMarketing"]
    assert purposes("service") == ["CustomerCare"]
    assert purposes("sales") == []
    assert sorted(purposes("dpo")) == sorted(purposes("auditor")) == ["CustomerCare", "DirectMarketing"]


def test_pages_follow_one_another_without_a_gap(world: World, wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent_asks, "LIMIT", 2)
    monkeypatch.setattr(recent_asks, "_CHUNK", 2)
    sets = [(EMAIL,), (CITY,), (GIVEN,), (EMAIL, CITY), (EMAIL, GIVEN)]
    made = [_ask(world, "marketing", wallet.subject, _process("marketing", *one))[1]["id"] for one in sets]
    found, before = [], None
    while True:
        page = world.get("marketing", "/issuer/asks", **({"before": before} if before else {})).json()
        assert len(page["items"]) <= 2
        found += [item["id"] for item in page["items"]]
        if (before := page["next"]) is None:
            break
    assert sorted(found) == sorted(made)
    assert len(found) == len(set(found))
    assert world.get("marketing", "/issuer/asks", before="urn:uuid:nobody").status_code == 404
