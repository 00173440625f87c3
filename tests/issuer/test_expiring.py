"""What ran out ends by what its signer wrote; a row that somebody altered is put aside, and the others go on."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from issuer import registry, worker
from issuer.credentials import Credential
from protocol.times import iso
from tests.issuer.test_grounds import _approve, _declare
from tests.issuer.world import Wallet, World

DAY = timedelta(days=1)


def altered(world: World, id_: str, **columns: Any) -> dict[str, Any]:
    """Write to the row of a credential; what its columns held."""
    with world.platform.database.write("owner") as session:
        row = session.get_one(Credential, id_)
        before = row.model_dump()
        for name, value in columns.items():
            setattr(row, name, value)
        session.add(row)
    return before


def bent(body: bytes) -> bytes:
    """The same statement with another signature."""
    return body.replace(b'"proofValue":"z', b'"proofValue":"z2', 1)


def aside(world: World) -> list[dict[str, Any]]:
    found = [data for one in world.events("attempt.refused") for _, data in one.records]
    return [data for data in found if data["action"] == "expiry"]


def of(world: World, id_: str) -> Credential:
    return next(row for row in (*world.rows("consent"), *world.rows("ground")) if row.id == id_)


WAYS: dict[str, tuple[dict[str, Any], str]] = {
    "bytes": ({"body": b"\x00no statement"}, "bad_json"),
    "signature": ({"body": None}, "bad_signature"),
    "digest": ({"digest": "zQmAnother"}, "digest_mismatch"),
    "customer": ({"subject": "li.na@example.org"}, "unknown_subject"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_spoiled_consent_that_ran_out_is_put_aside_once_and_the_others_expire(
    world: World, wallet: Wallet, way: str
) -> None:
    columns, code = WAYS[way]
    spoiled = wallet.give(world.asked(wallet), until=world.now + DAY)["id"]
    other = world.enrolled()
    whole = other.give(world.asked(other), until=world.now + 2 * DAY)["id"]
    if columns == {"body": None}:
        columns = {"body": bent(of(world, spoiled).body)}
    before = altered(world, spoiled, **columns)
    world.clock.advance(3 * DAY)
    worker.run_once(world.registry)
    assert [data["credential"] for one in world.events("consent.expired") for _, data in one.records] == [whole]
    assert len(world.events("consent.shut")) == 1
    (told,) = aside(world)
    assert (told["credential"], told["code"]) == (spoiled, code)
    assert "li.na" not in str([one.records for one in world.events()])
    state = world.state()
    worker.run_once(world.registry)
    assert (len(aside(world)), world.state()) == (1, state)
    assert of(world, spoiled).ended_at is None
    assert not world.platform.journal.ended(spoiled)
    altered(world, spoiled, **{name: before[name] for name in (*columns, "ended_kind")})
    worker.run_once(world.registry)
    assert world.platform.journal.ended(spoiled)
    assert of(world, spoiled).ended_kind == "expired"


def test_more_spoiled_ones_than_a_batch_takes_hold_up_nobody(
    world: World, wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "EXPIRY_BATCH", 2)
    for _ in range(5):
        one = world.enrolled()
        altered(world, one.give(world.asked(one), until=world.now + DAY)["id"], body=b"{}")
    whole = wallet.give(world.asked(wallet), until=world.now + 2 * DAY)["id"]
    world.clock.advance(3 * DAY)
    worker.run_once(world.registry)
    assert world.platform.journal.ended(whole)
    assert len(aside(world)) == 5


def test_a_date_that_somebody_moved_forward_ends_no_consent_and_is_put_right(world: World, wallet: Wallet) -> None:
    """An end in the journal is proof enough to destroy: a column must not bring it about."""
    id_ = wallet.give(world.asked(wallet), until=world.now + 9 * DAY)["id"]
    altered(world, id_, valid_until=iso(world.now - DAY))
    for _ in range(2):
        worker.run_once(world.registry)
    assert (world.events("consent.expired"), world.platform.journal.ended(id_)) == ([], False)
    assert (of(world, id_).valid_until, of(world, id_).ended_kind) == (iso(world.now + 9 * DAY), None)
    assert [(told["credential"], told["code"]) for told in aside(world)] == [(id_, "date_altered")]
    world.clock.advance(9 * DAY)
    worker.run_once(world.registry)
    assert world.platform.journal.ended(id_)


def test_a_consent_that_is_put_under_another_customer_ends_nothing_there(world: World, wallet: Wallet) -> None:
    """Else that customer would lack, by the journal, what they never gave."""
    id_ = wallet.give(world.asked(wallet), until=world.now + DAY)["id"]
    other = world.enrolled()
    before = altered(world, id_, subject=other.subject)
    world.clock.advance(2 * DAY)
    worker.run_once(world.registry)
    assert not world.platform.journal.ended(id_)
    assert [(told["credential"], told["code"]) for told in aside(world)] == [(id_, "unknown_subject")]
    altered(world, id_, subject=before["subject"], ended_kind=None)
    worker.run_once(world.registry)
    assert world.platform.journal.ended(id_)


@pytest.mark.parametrize("way", ["bytes", "date"])
def test_a_spoiled_ground_of_law_stops_nobody_else_either(world: World, wallet: Wallet, way: str) -> None:
    id_ = _declare(world, valid_until=iso(world.now + 5 * DAY))
    assert _approve(world, id_).status_code == 200
    whole = wallet.give(world.asked(wallet), until=world.now + DAY)["id"]
    altered(world, id_, **({"body": b"{"} if way == "bytes" else {"valid_until": iso(world.now)}))
    world.clock.advance((6 if way == "bytes" else 2) * DAY)
    worker.run_once(world.registry)
    assert world.platform.journal.ended(whole)
    assert len(world.events("consent.shut")) == 1
    assert not world.platform.journal.ended(id_)
    assert [told["credential"] for told in aside(world)] == [id_]


@pytest.mark.sqlite("a text that is no UTF-8")
def test_a_consent_whose_name_is_no_text_keeps_no_other_from_its_end(world: World, wallet: Wallet) -> None:
    spoiled = wallet.give(world.asked(wallet), until=world.now + DAY)["id"]
    other = world.enrolled()
    whole = other.give(world.asked(other), until=world.now + 2 * DAY)["id"]
    with world.platform.database.write("owner") as session:
        renamed = "UPDATE credential SET id = CAST(x'ff' AS TEXT) WHERE id = :id"
        session.connection().exec_driver_sql("PRAGMA defer_foreign_keys=ON")
        session.execute(text(renamed), {"id": spoiled})
    world.clock.advance(3 * DAY)
    worker.run_once(world.registry)
    assert [data["credential"] for one in world.events("consent.expired") for _, data in one.records] == [whole]
    assert len(world.events("consent.shut")) == 1
