"""Why was this read? Which reads a customer may ask about, who answers, and what the customer keeps of it."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from protocol import canonical, credential, event, request
from protocol.consent import SubjectId
from runtime import outbox
from tests.issuer import rights_world as rights
from tests.issuer.world import EMAIL, Wallet, World

BECAUSE = "They called you back about your order of 2 May."


def _read(world: World, *subjects: str, type_: str = event.RELEASE) -> str:
    """A read on record, about these customers; the event's id."""
    header = {"reader": "did:key:z6MkStaff", "role": "sales", "purpose": "marketing", "query": {"sort": []}}
    data = {"released": [EMAIL], "grounds": {"urn:uuid:consent": [EMAIL]}}
    records = [(SubjectId(one), data) for one in subjects]
    with world.platform.database.write("owner") as session:
        return outbox.emit(session, type_, at=world.now, header=header, records=records)


def _answered(world: World, id_: str, body: dict[str, Any]) -> Any:
    return world.post("dpo", f"/issuer/requests/{id_}/answer", body)


def test_a_read_is_explained_in_words_that_the_customer_keeps_signed(world: World, wallet: Wallet) -> None:
    read = _read(world, wallet.subject)
    told = rights.ask(wallet, "explanation", event=read)
    assert (told["state"], told["waiting_for"]) == ("identified", "dpo")
    assert (told["read"]["event"], told["read"]["role"], told["read"]["released"]) == (read, "sales", [EMAIL])
    (received,) = world.events("request.received")
    assert received.records[0][1]["read"] == read
    (listed,) = world.get("dpo", "/issuer/requests").json()["items"]
    assert listed["kind"] == "explanation"
    shown = world.get("dpo", f"/issuer/requests/{told['id']}").json()
    assert shown["read"]["reader"] == "did:key:z6MkStaff"

    answered = _answered(world, told["id"], {"explanation": BECAUSE}).json()
    data = canonical.jcs(answered["receipts"][-1])
    verified = credential.verify(data, world.platform.keys, at=world.now, expected_type=request.RECEIPT_TYPE)
    receipt = request.parse_receipt(verified)
    assert (receipt.state, receipt.explanation, receipt.subject_did) == ("answered", BECAUSE, wallet.did)
    assert "art. 15" in (receipt.citation or "")
    mine = wallet.call("GET", "/issuer/wallet/requests").json()["items"]
    assert mine[0]["receipts"] == answered["receipts"]
    assert BECAUSE not in str([one.records for one in world.events()])  # the log names the request, not the words


@pytest.mark.parametrize("whose", ["nobody's", "another's", "no read", "forged"])
def test_only_a_read_of_ones_own_can_be_asked_about_and_each_no_is_the_same(
    world: World, wallet: Wallet, whose: str
) -> None:
    other = world.enrolled()
    named = {
        "nobody's": "urn:uuid:00000000-0000-4000-8000-000000000000",
        "another's": _read(world, other.subject),
        "no read": _read(world, wallet.subject, type_=event.VALUE_KEPT),
        "forged": _read(world, wallet.subject),
    }[whose]
    if whose == "forged":
        with world.platform.database.write("owner") as session:
            session.connection().execute(text("UPDATE outbox SET header = '{}' WHERE event_id = :id"), {"id": named})
    answer = rights.send(wallet, rights.signed(wallet, "explanation", event=named))
    assert rights.codes(answer) == (404, "unknown_read")
    assert answer.json()["detail"] == "your history has no such read"
    assert world.rows("request") == []


def test_of_a_read_of_many_the_customer_sees_their_own_part_alone(world: World, wallet: Wallet) -> None:
    other = world.enrolled()
    told = rights.ask(wallet, "explanation", event=_read(world, other.subject, wallet.subject))
    assert other.subject not in str(told)


def test_the_same_read_is_asked_about_once_at_a_time_and_another_one_meanwhile(world: World, wallet: Wallet) -> None:
    first, second = _read(world, wallet.subject), _read(world, wallet.subject)
    rights.ask(wallet, "explanation", event=first)
    again = rights.send(wallet, rights.signed(wallet, "explanation", event=first))
    assert rights.codes(again) == (409, "request_open")
    assert rights.ask(wallet, "explanation", event=second)["state"] == "identified"


def test_a_request_names_a_read_exactly_when_it_asks_why(world: World, wallet: Wallet) -> None:
    read = _read(world, wallet.subject)
    for kind, more in (("explanation", {}), ("access", {"event": read}), ("restriction", {"event": read})):
        answer = rights.send(wallet, rights.signed(wallet, kind, **more))
        assert rights.codes(answer) == (400, "bad_credential")


def test_an_explanation_is_never_empty_and_no_other_answer_brings_one(world: World, wallet: Wallet) -> None:
    why = rights.ask(wallet, "explanation", event=_read(world, wallet.subject))["id"]
    held_back = rights.ask(wallet, "restriction")["id"]
    assert rights.codes(_answered(world, why, {})) == (422, "bad_explanation")
    assert rights.codes(_answered(world, why, {"explanation": ""})) == (422, "bad_request")
    assert rights.codes(_answered(world, why, {"explanation": BECAUSE, "keep": {"g": "why"}})) == (422, "bad_keep")
    assert rights.codes(_answered(world, held_back, {"explanation": BECAUSE})) == (422, "bad_explanation")
    assert rights.codes(world.post("service", f"/issuer/requests/{why}/answer", {"explanation": BECAUSE})) == (
        403, "role",
    )  # fmt: skip
    refused = {"reason": "Asked about each of 2,000 reads.", "citation": "GDPR art. 12(5)"}
    assert world.post("dpo", f"/issuer/requests/{why}/refusal", refused).json()["state"] == "refused"
    world.clock.advance(timedelta(seconds=1))
    assert rights.codes(_answered(world, why, {"explanation": BECAUSE})) == (409, "request_closed")


def test_who_has_no_wallet_asks_at_the_desk(world: World) -> None:
    subject = world.customer()
    read = _read(world, subject)
    drafted = rights.record(world, subject, "explanation", event=read).json()
    assert drafted["read"]["event"] == read
    path = f"/issuer/requests/{drafted['id']}"
    assert world.post("service", f"{path}/confirmation").json()["waiting_for"] == "dpo"
    assert _answered(world, drafted["id"], {"explanation": BECAUSE}).json()["state"] == "answered"
    elsewhere = rights.record(world, world.customer(), "explanation", event=read)
    assert rights.codes(elsewhere) == (404, "unknown_read")
