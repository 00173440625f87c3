"""Ended, but a read stayed inside until the drain gave up: the same sent again is acknowledged only after a drain."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from httpx import Response
from sqlmodel import select

from issuer import settling, worker
from issuer.credentials import Credential
from issuer.requests import DataRequest
from protocol import canonical
from protocol.times import iso
from tests.issuer import rights_world as rights
from tests.issuer.test_grounds import _approve, _declare, _write
from tests.issuer.world import CITY, EMAIL, GIVEN, SHELF, Wallet, World
from verifier.drain import DrainTimeoutError

Send = Callable[[], Response]


def withdrawal(_: World, wallet: Wallet, given: dict[str, Any]) -> Send:
    body = {"withdrawal": wallet.withdrawal(given)}
    return lambda: wallet.call("POST", "/issuer/wallet/withdrawals", body)


def narrowing(_: World, wallet: Wallet, given: dict[str, Any]) -> Send:
    offer = wallet.call("POST", "/issuer/wallet/narrowings/offers", {"consent": given["id"]})
    smaller = wallet.consent(wallet.read_ask(offer.json()["ask"]), (CITY,))
    body = {"withdrawal": wallet.withdrawal(given), "consent": smaller}
    return lambda: wallet.call("POST", "/issuer/wallet/narrowings", body)


def revocation(world: World, _: Wallet, given: dict[str, Any]) -> Send:
    return lambda: world.post("dpo", f"/issuer/consents/{given['id']}/revocation")


def ground(world: World, _: Wallet, __: dict[str, Any]) -> Send:
    id_ = _declare(world)
    assert _approve(world, id_).status_code == 200
    return lambda: world.post("dpo", f"/issuer/grounds/{id_}/end")


def request(kind: str, **more: Any) -> Callable[[World, Wallet, dict[str, Any]], Send]:
    def made(world: World, wallet: Wallet, _: dict[str, Any]) -> Send:
        rights.ground(world, "service", "dpv:PublicInterest", "service", (EMAIL,))
        document = rights.signed(wallet, kind, **more)
        return lambda: rights.send(wallet, document)

    return made


def loss(world: World, wallet: Wallet, _: dict[str, Any]) -> Send:
    body = {"subject": wallet.subject, "method": "id_document", "evidence": "file 7"}
    made = world.post("service", "/issuer/losses", body)
    return lambda: world.post("dpo", f"/issuer/losses/{made.json()['id']}/confirmation")


def answered(world: World, wallet: Wallet, _: dict[str, Any]) -> Send:
    """The officer's part of an erasure: what a contract opened ends, too."""
    rights.ground(world, "deal", "dpv:Contract", "administration", (GIVEN,))
    id_ = rights.ask(wallet, "erasure")["id"]
    return lambda: world.post("dpo", f"/issuer/requests/{id_}/answer", {"keep": {}})


WAYS = {
    "withdrawal": withdrawal,
    "narrowing": narrowing,
    "revocation": revocation,
    "ground": ground,
    "erasure": request("erasure"),
    "restriction": request("restriction"),
    "objection": request("objection", purpose=SHELF.purpose("service").iri),
    "objection to advertising": request("objection", purpose=rights.MARKETING),
    "loss": loss,
    "erasure answered": answered,
}


@pytest.mark.parametrize("way", WAYS)
def test_what_timed_out_is_acknowledged_only_after_a_drain(world: World, wallet: Wallet, way: str) -> None:
    send = WAYS[way](world, wallet, wallet.give(world.asked(wallet)))
    world.crash_in.add("reads")
    for _ in range(3):
        assert rights.codes(send()) == (503, "drain_timeout")
    world.crash_in.clear()
    drains = world.drains
    answer = send()
    assert answer.status_code in (200, 201), answer.text
    assert world.drains > drains
    with world.platform.database.read() as session:
        assert settling.unsettled(session) == []


@pytest.mark.parametrize("way", WAYS)
def test_the_control_without_a_read_inside_each_is_acknowledged_at_once(world: World, wallet: Wallet, way: str) -> None:
    send = WAYS[way](world, wallet, wallet.give(world.asked(wallet)))
    drains = world.drains
    assert send().status_code in (200, 201)
    assert world.drains == drains + 1


@pytest.mark.parametrize("kind", ["restriction", "erasure"])
def test_what_somebody_marked_as_done_is_waited_for_all_the_same(world: World, wallet: Wallet, kind: str) -> None:
    send = request(kind)(world, wallet, wallet.give(world.asked(wallet)))
    world.crash_in.add("reads")
    assert send().status_code == 503
    with world.platform.database.write("owner") as session:
        session.connection().exec_driver_sql("UPDATE settling SET settled_at = '2026-01-01T00:00:00.000Z'")
    assert rights.codes(send()) == (503, "drain_timeout")


MARKED = "UPDATE settling SET settled_at = '2026-01-01T00:00:00.000Z'"
TOLD = """INSERT INTO outbox (event_id, type, at, header, records, salts, key, prev, mac)
    SELECT 'urn:uuid:' || id, 'consent.shut', at, '{}', '[]', '', 'shut:' || id, '', '' FROM settling"""


@pytest.mark.parametrize("written", [(MARKED,), (MARKED, TOLD)])
@pytest.mark.parametrize("way", ["objection to advertising", "erasure"])
def test_what_somebody_marked_as_done_answers_no_request_while_a_read_is_inside(
    world: World, wallet: Wallet, way: str, written: tuple[str, ...]
) -> None:
    """Neither the column nor an event that we did not write proves that the reads have ended."""
    send = WAYS[way](world, wallet, wallet.give(world.asked(wallet)))
    world.crash_in.add("reads")
    assert rights.codes(send()) == (503, "drain_timeout")
    for statement in written:
        _write(world, statement)
    before = world.events("consent.shut")
    with pytest.raises(DrainTimeoutError):
        worker.run_once(world.registry)
    assert _waiting(world) == ["drain"]
    assert world.events("consent.shut") == before
    world.crash_in.clear()
    world.clock.advance(timedelta(minutes=5))
    worker.run_once(world.registry)
    assert _waiting(world) == [None]
    (answered,) = [one for one in map(_said, world.rows("request-receipt")) if one["requestState"] == "answered"]
    assert answered["shutAt"] == iso(world.now)
    assert len(world.events("consent.shut")) == len(before) + 2  # the consent's, and the exclusion's
    worker.run_once(world.registry)
    assert len(world.events("consent.shut")) == len(before) + 2


def test_the_last_receipt_of_an_erasure_says_when_its_reads_ended_not_what_somebody_wrote(
    world: World, wallet: Wallet
) -> None:
    send = answered(world, wallet, {})
    before = len(world.events("consent.shut"))
    world.crash_in.add("reads")
    assert rights.codes(send()) == (503, "drain_timeout")
    _write(world, MARKED)
    world.crash_in.clear()
    world.clock.advance(timedelta(minutes=5))
    said = send().json()["receipts"][-1]["credentialSubject"]["hasRequestReceipt"]
    assert said["shutAt"] == iso(world.now)
    assert len(world.events("consent.shut")) == before + 1


def test_a_withdrawal_that_somebody_marks_as_open_again_gets_no_second_receipt(world: World, wallet: Wallet) -> None:
    given = wallet.give(world.asked(wallet))
    first = withdrawal(world, wallet, given)().json()
    _write(world, "UPDATE settling SET settled_at = NULL")
    world.clock.advance(timedelta(minutes=5))
    made = len(world.rows("receipt"))
    worker.run_once(world.registry)
    assert (len(world.rows("receipt")), len(world.events("consent.shut"))) == (made, 1)
    assert first


def test_the_end_of_a_ground_whose_row_somebody_took_out_is_shut_only_once_its_reads_have_ended(
    world: World, wallet: Wallet
) -> None:
    send = ground(world, wallet, {})
    world.crash_in.add("reads")
    assert rights.codes(send()) == (503, "drain_timeout")
    _write(world, "UPDATE credential SET kind = 'nothing' WHERE kind = 'ground'")
    with pytest.raises(DrainTimeoutError):
        worker.run_once(world.registry)
    assert world.events("consent.shut") == []
    world.crash_in.clear()
    worker.run_once(world.registry)
    assert len(world.events("consent.shut")) == 1


def _waiting(world: World) -> list[str | None]:
    with world.platform.database.read() as session:
        return list(session.exec(select(DataRequest.waiting)))


def _said(row: Credential) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(row.body)["credentialSubject"]["hasRequestReceipt"]
    return said


def test_an_officer_grants_a_restriction_only_once_its_reads_have_ended(world: World, wallet: Wallet) -> None:
    document = rights.signed(wallet, "restriction")
    world.crash_in.add("reads")
    assert rights.send(wallet, document).status_code == 503
    path = f"/issuer/requests/{document['id']}/answer"
    assert rights.codes(world.post("dpo", path, {"keep": {}})) == (503, "drain_timeout")
    world.crash_in.clear()
    assert world.post("dpo", path, {"keep": {}}).json()["state"] == "answered"


def test_an_objection_that_only_waited_for_its_reads_is_not_answered_as_an_erasure(
    world: World, wallet: Wallet
) -> None:
    document = rights.signed(wallet, "objection", purpose=rights.MARKETING)
    world.crash_in.add("reads")
    assert rights.send(wallet, document).status_code == 503
    path = f"/issuer/requests/{document['id']}/answer"
    assert rights.codes(world.post("dpo", path, {"keep": {}})) == (503, "drain_timeout")
    world.crash_in.clear()
    told = world.post("dpo", path, {"keep": {}}).json()
    said = told["receipts"][-1]["credentialSubject"]["hasRequestReceipt"]
    assert told["state"] == "answered"
    assert "art. 21(3)" in canonical.jcs(said).decode()
    worker.run_once(world.registry)


def test_a_loss_confirmed_again_leaves_the_wallet_that_was_enrolled_since(world: World, wallet: Wallet) -> None:
    wallet.give(world.asked(wallet))
    send = loss(world, wallet, {})
    world.crash_in.add("reads")
    assert rights.codes(send()) == (503, "drain_timeout")
    world.crash_in.clear()
    newer = world.enrolled(wallet.subject)
    given = newer.give(world.asked(newer))
    drains = world.drains
    answer = send()
    assert answer.status_code == 200, answer.text
    assert (answer.json()["enrolment"], answer.json()["revoked"]) == (None, [])
    assert world.drains > drains
    assert newer.call("GET", "/issuer/wallet/consents").status_code == 200
    assert not world.platform.journal.ended(given["id"])
    assert rights.codes(send()) == (409, "already_confirmed")


def test_a_loss_ends_no_wallet_but_the_one_that_was_reported(world: World, wallet: Wallet) -> None:
    """An officer ended that one meanwhile, and the customer has a new one: the old report says nothing of it."""
    send = loss(world, wallet, {})
    assert world.post("dpo", f"/issuer/subjects/{wallet.subject}/enrolment/end").status_code == 200
    newer = world.enrolled(wallet.subject)
    for _ in range(2):
        answer = send()
    assert answer.json().get("enrolment") is None
    assert newer.call("GET", "/issuer/wallet/consents").status_code == 200


def test_a_consent_that_somebody_spoiled_keeps_no_lost_wallet_alive(world: World, wallet: Wallet) -> None:
    spoiled, whole = (wallet.give(world.asked(wallet, fields=(field,)))["id"] for field in (CITY, GIVEN))
    send = loss(world, wallet, {})
    with world.platform.database.write("owner") as session:
        row = session.get_one(Credential, spoiled)
        row.body = b"{}"
        session.add(row)
    answer = send()
    assert answer.status_code == 200, answer.text
    assert answer.json()["revoked"] == [whole]
    assert world.platform.journal.ended(answer.json()["enrolment"])
    assert rights.codes(wallet.call("GET", "/issuer/wallet/consents")) == (403, "not_enrolled")
    told = [data for one in world.events("attempt.refused") for _, data in one.records if "credential" in data]
    assert [(data["action"], data["credential"]) for data in told] == [("enrolment-end", spoiled)]
