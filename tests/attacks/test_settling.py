"""Rows that somebody plants among the narrowings to be settled: put aside by name, and nobody else waits for them."""

# ruff: noqa: S608 - the attacker's own statements

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from issuer import settling
from issuer import worker as desk_worker
from protocol import canonical
from redaction import due
from runtime import crash
from tests.attacks.house import CITY, GIVEN, House, Signed, built

AT = "2026-01-01T00:00:00.000Z"
KINDS = ("expired", "enrolled", "unenrolled", "excluded", "ground", "catalogue")
URN = "urn:uuid:00000000-0000-4000-8000-00000000000{}"


class Pulled(BaseException):
    """The process dies here."""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with built(tmp_path, customers=3) as made:
        yield made


def plant(house: House, **columns: Any) -> None:
    row = {"id": URN.format(1), "kind": "withdrawn", "subject": "sub_x", "ended": URN.format(2), "by": URN.format(1)}
    values = {**row, "version": 1, "at": AT, "settled_at": None, **columns}
    marks = ", ".join("?" * len(values))
    house.sql(f"INSERT INTO settling ({', '.join(values)}) VALUES ({marks})", *values.values())


def half_withdrawn(house: House, monkeypatch: pytest.MonkeyPatch, wallet: Signed, given: dict[str, Any]) -> bytes:
    """A withdrawal whose process dies after the commit, before it has drained; the bytes that were sent."""
    body = canonical.jcs(wallet.withdrawal(given))
    with monkeypatch.context() as patch:

        def point(name: str) -> None:
            if name == "withdrawal.after":
                raise Pulled

        patch.setattr(crash, "point", point)
        with pytest.raises(Pulled):
            house.own.registry.withdraw(body, wallet.signer.did)
    return body


def refused(house: House) -> list[dict[str, str]]:
    rows = house.sql("SELECT records FROM outbox WHERE type = 'attempt.refused' ORDER BY id")
    told = [one["data"] for (records,) in rows for one in json.loads(records)]
    return [one for one in told if one.get("action") == "settling"]


SHAPES: list[dict[str, Any]] = [
    {},
    {"id": "no name of ours", "by": "no name of ours"},
    {"kind": "narrowed"},
    {"kind": "revoked", "at": "yesterday"},
    {"kind": "of no kind"},
    {"kind": "ground", "id": URN.format(8)},
    {"kind": "catalogue", "id": URN.format(9)},
    *({"kind": kind, "id": f"{kind}:{URN.format(7)}", "ended": URN.format(7)} for kind in KINDS),
]


def test_planted_rows_are_put_aside_by_name_and_the_others_are_settled(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet = house.enrol_by_hand(house.people.pop())
    body = half_withdrawn(house, monkeypatch, wallet, wallet.give([CITY]))
    for number, shape in enumerate(SHAPES):
        name = f"urn:uuid:00000000-0000-4000-8000-1{number:011}"
        plant(house, **{"id": name, "by": name, "subject": house.people[0].subject, **shape})
    desk_worker.run_once(house.own.registry)
    assert house.sql("SELECT id FROM settling WHERE settled_at IS NULL") == []
    told = [one["row"] for one in refused(house)]
    assert len(told) == len(set(told)) == len(SHAPES)
    assert "of no form of ours" in told
    assert {shape["id"] for shape in SHAPES[5:]} <= set(told)
    assert len(house.told(wallet.person, "consent.shut")) == 1
    assert house.told(house.people[0], "consent.shut") == []
    first = house.own.registry.withdraw(body, wallet.signer.did)
    assert first == house.own.registry.withdraw(body, wallet.signer.did)
    desk_worker.run_once(house.own.registry)
    assert len(refused(house)) == len(SHAPES)
    with house.platform.database.read() as session:
        assert house.people[0].subject not in due.waiting(session)


@pytest.mark.sqlite("a text that is no UTF-8")
def test_rows_whose_names_are_no_text_are_put_aside_together(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    wallet = house.enrol_by_hand(house.people.pop())
    half_withdrawn(house, monkeypatch, wallet, wallet.give([CITY]))
    for n in range(150):
        plant(house, id=f"{n}", subject=house.people[0].subject)
    house.sql("UPDATE settling SET id = CAST(id || x'ff' AS TEXT) WHERE length(id) < 9")
    for _ in range(2):
        desk_worker.run_once(house.own.registry)
    assert len(house.told(wallet.person, "consent.shut")) == 1
    assert [one["row"] for one in refused(house)] == ["of no form of ours"]
    with house.platform.database.read() as session:
        assert house.people[0].subject not in due.waiting(session)


def test_many_planted_rows_keep_nobody_waiting_for_long(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    wallet = house.enrol_by_hand(house.people.pop())
    half_withdrawn(house, monkeypatch, wallet, wallet.give([CITY]))
    for n in range(150):
        plant(house, id=f"urn:uuid:00000000-0000-4000-8000-{n:012}")
    for _ in range(2):
        desk_worker.run_once(house.own.registry)
    assert len(house.told(wallet.person, "consent.shut")) == 1


def test_a_spoiled_row_is_put_aside_and_the_wallet_gets_its_receipt_once_it_is_whole_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The withdrawal's own credential is taken out: no receipt can be made. That nothing is read is recorded."""
    wallet = house.enrol_by_hand(house.people.pop())
    body = half_withdrawn(house, monkeypatch, wallet, wallet.give([CITY]))
    ((by,),) = house.sql("SELECT by FROM settling WHERE settled_at IS NULL")
    row = house.sql("SELECT * FROM credential WHERE id = ?", by)
    house.sql("DELETE FROM credential WHERE id = ?", by)
    desk_worker.run_once(house.own.registry)
    assert [one["row"] for one in refused(house)] == [by]
    assert len(house.told(wallet.person, "consent.shut")) == 1
    house.put_back("credential", row)
    receipt = house.own.registry.withdraw(body, wallet.signer.did)
    assert receipt["type"] == ["VerifiableCredential", "ReceiptCredential"] or receipt["credentialSubject"]
    assert len(house.told(wallet.person, "consent.shut")) == 1


def test_a_row_marked_as_settled_by_somebody_else_costs_no_receipt(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet = house.enrol_by_hand(house.people.pop())
    body = half_withdrawn(house, monkeypatch, wallet, wallet.give([CITY]))
    house.sql("UPDATE settling SET settled_at = at WHERE settled_at IS NULL")
    house.own.registry.withdraw(body, wallet.signer.did)
    assert len(house.told(wallet.person, "consent.shut")) == 1


def test_a_row_planted_under_the_name_of_an_end_to_come_stops_no_expiry(house: House) -> None:
    wallet, other = (house.enrol_by_hand(house.people.pop()) for _ in range(2))
    given = wallet.give([CITY])
    other.give([GIVEN])
    plant(house, id=f"expired:{given['id']}", kind="expired", ended=given["id"], by="time", settled_at=AT)
    at = house.platform.clock.now() + timedelta(days=4_000)
    with house.platform.database.write("owner") as session:
        ids = house.own.registry.expire(session, at)
    assert settling.settle_each(house.own.registry, ids) == 2
    assert len(house.told(wallet.person, "consent.shut")) == len(house.told(other.person, "consent.shut")) == 1
