"""What customers ask for: states, deadlines, receipts, and whoever is not who they say."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import col, select

from issuer import deadline, requests, sealing, worker
from issuer.credentials import Credential
from issuer.requests import DataRequest
from issuer.settling import Settling
from protocol import canonical, credential, request
from protocol.keys import Ed25519Signer
from protocol.times import iso_ms
from tests.issuer import rights_world as rights
from tests.issuer.world import EMAIL, PHONE, Wallet, World


def _receipt(world: World, document: dict[str, Any]) -> request.RequestReceipt:
    data = canonical.jcs(document)
    keys = world.platform.keys
    return request.parse_receipt(credential.verify(data, keys, at=world.now, expected_type=request.RECEIPT_TYPE))


@given(st.datetimes(min_value=datetime(2024, 1, 1), max_value=datetime(2030, 1, 1), timezones=st.just(UTC)))
def test_a_deadline_is_within_its_law_and_an_extension_is_later(received: datetime) -> None:
    month, fifteen = deadline.due(received, "DE", 15), deadline.due(received, "CN", 15)
    assert timedelta(days=28) <= month - received <= timedelta(days=31)
    assert timedelta(days=19) <= fifteen - received <= timedelta(days=23)
    assert fifteen.weekday() < 5
    assert timedelta(days=89) <= deadline.extended(received, "DE", 15) - received <= timedelta(days=92)
    assert deadline.extended(received, "CN", 15) > fifteen


def test_a_month_ends_on_its_last_day_where_the_day_is_missing() -> None:
    assert deadline.due(datetime(2027, 1, 31, tzinfo=UTC), "DE", 15) == datetime(2027, 2, 28, tzinfo=UTC)
    assert deadline.due(datetime(2026, 12, 15, tzinfo=UTC), "DE", 15) == datetime(2027, 1, 15, tzinfo=UTC)


def test_a_wallet_asks_and_gets_a_signed_receipt_with_the_deadline(world: World, wallet: Wallet) -> None:
    told = rights.ask(wallet, "access")
    assert (told["state"], told["waiting_for"]) == ("identified", "wallet")
    receipt = _receipt(world, told["receipts"][-1])
    assert (receipt.kind, receipt.state, receipt.subject_did) == ("access", "identified", wallet.did)
    assert receipt.request.digest == canonical.digest(canonical.jcs(told["request"]))
    assert receipt.due > world.now + timedelta(days=14)
    assert [one.type for one in world.events() if one.type.startswith("request.")] == [
        "request.received", "request.moved",
    ]  # fmt: skip
    listed = wallet.call("GET", "/issuer/wallet/requests").json()["items"]
    assert [one["id"] for one in listed] == [told["id"]]


def test_the_same_bytes_again_are_the_same_request(world: World, wallet: Wallet) -> None:
    document = rights.signed(wallet, "access")
    first, second = rights.send(wallet, document), rights.send(wallet, document)
    assert first.json() == second.json()
    assert len(world.rows("request")) == 1


def test_a_request_replayed_with_its_nonce_is_refused(wallet: Wallet) -> None:
    document = rights.signed(wallet, "access")
    assert rights.send(wallet, document, nonce="n" * 22).status_code == 201
    assert rights.codes(rights.send(wallet, document, nonce="n" * 22)) == (401, "nonce_used")


def test_a_request_signed_by_another_did_or_for_another_controller_is_refused(world: World, wallet: Wallet) -> None:
    other = world.enrolled()
    stranger = Ed25519Signer.generate()
    before = world.state()
    for bent in (
        rights.signed(other, "erasure"),
        rights.signed(wallet, "erasure", signer=stranger),
        rights.signed(wallet, "erasure", signer=stranger, issuer=wallet.did),
        rights.signed(wallet, "erasure", controller="did:web:other.example"),
    ):
        answer = rights.send(wallet, bent)
        assert answer.status_code in (400, 403), answer.text
    assert world.state() == before


@pytest.mark.parametrize(
    "bent",
    [
        {"kind": "oblivion"},
        {"kind": "objection"},
        {"kind": "access", "purpose": rights.SERVICE},
        {"kind": "rectification"},
    ],
)
def test_a_request_that_says_too_little_or_too_much_is_refused(wallet: Wallet, bent: dict[str, Any]) -> None:
    kind = bent.pop("kind")
    assert rights.codes(rights.send(wallet, rights.signed(wallet, kind, **bent))) == (400, "bad_credential")


def test_the_same_question_is_not_asked_twice_while_it_is_open(wallet: Wallet) -> None:
    rights.ask(wallet, "access")
    assert rights.codes(rights.send(wallet, rights.signed(wallet, "access"))) == (409, "request_open")


def test_a_flood_of_requests_is_stopped_and_the_next_day_begins_anew(
    world: World, wallet: Wallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "PER_DAY", 3)
    ids = [rights.ask(wallet, kind)["id"] for kind in ("access", "portability", "restriction")]
    flood = rights.send(wallet, rights.signed(wallet, "objection", purpose=rights.MARKETING))
    assert rights.codes(flood) == (429, "too_many_requests")
    assert world.attempts()[-1] == ("request", "too_many_requests")
    world.clock.advance(timedelta(days=1, seconds=1))
    assert rights.ask(wallet, "objection", purpose=rights.MARKETING)["id"] not in ids


def test_a_request_forged_in_the_database_is_disputed_and_does_nothing(world: World, wallet: Wallet) -> None:
    mallory = Wallet(world, wallet.subject)
    forged = rights.signed(mallory, "access")
    body = canonical.jcs(forged)
    with world.platform.database.write("owner") as session:
        session.add(
            Credential(
                id=forged["id"],
                kind="request",
                subject=wallet.subject,
                did=mallory.did,
                body=body,
                digest=canonical.digest(body),
                at=iso_ms(world.now),
            )
        )
        session.add(
            DataRequest(
                id=forged["id"],
                subject=wallet.subject,
                did=mallory.did,
                kind="access",
                state="identified",
                waiting="wallet",
                received_at=iso_ms(world.now),
                due_at=iso_ms(world.now),
                mac=b"guess",
            )
        )
    assert rights.codes(world.get("dpo", f"/issuer/requests/{forged['id']}")) == (409, "request_disputed")
    assert world.get("dpo", "/issuer/requests").json()["items"][0]["disputed"] is True
    # with a row that is truly ours, too, the signature has to be an enrolled wallet's
    with world.platform.database.write("owner") as session:
        row = session.get_one(DataRequest, forged["id"])
        requests.wait(session, world.platform, row, "wallet")
        with pytest.raises(Exception, match="no wallet of this customer"):
            requests.asked(session, world.platform, row)


def test_a_row_that_somebody_moved_is_disputed(world: World, wallet: Wallet) -> None:
    id_ = rights.ask(wallet, "restriction")["id"]
    with world.platform.database.write("owner") as session:
        session.get_one(DataRequest, id_).state = "answered"
    assert rights.codes(world.post("dpo", f"/issuer/requests/{id_}/lifting", {"reason": "why not"})) == (
        409, "request_disputed",
    )  # fmt: skip


def test_what_is_overdue_stands_in_front_of_the_officers_list(world: World, wallet: Wallet) -> None:
    old = rights.ask(wallet, "access")["id"]
    world.clock.advance(timedelta(days=30))
    new = rights.ask(wallet, "portability")["id"]
    items = world.get("dpo", "/issuer/requests").json()["items"]
    assert [(one["id"], one["overdue"]) for one in items] == [(old, True), (new, False)]
    assert world.get("dpo", "/issuer/requests", state="answered").json()["items"] == []


def test_a_deadline_is_extended_once_with_a_signed_reason(world: World, wallet: Wallet) -> None:
    told = rights.ask(wallet, "access")
    path = f"/issuer/requests/{told['id']}/extension"
    extended = world.post("dpo", path, {"reason": "Much is to be put together."}).json()
    assert extended["state"] == "extended"
    assert extended["due_at"] > told["due_at"]
    receipt = _receipt(world, extended["receipts"][-1])
    assert (receipt.state, receipt.reason) == ("extended", "Much is to be put together.")
    assert rights.codes(world.post("dpo", path, {"reason": "Once more."})) == (409, "request_closed")


def test_a_request_is_refused_with_the_law_that_permits_it(world: World, wallet: Wallet) -> None:
    id_ = rights.ask(wallet, "access")["id"]
    taken = world.post("dpo", f"/issuer/requests/{id_}/taking").json()
    assert (taken["state"], taken["taken_by"]) == ("in_work", "dpo")
    refused = world.post(
        "dpo", f"/issuer/requests/{id_}/refusal", {"reason": "Asked every day.", "citation": "GDPR art. 12(5)"}
    ).json()
    receipt = _receipt(world, refused["receipts"][-1])
    assert (receipt.state, receipt.citation) == ("refused", "GDPR art. 12(5)")
    assert rights.codes(world.post("dpo", f"/issuer/requests/{id_}/taking")) == (409, "request_closed")
    bare = world.post("dpo", f"/issuer/requests/{id_}/refusal", {"reason": "No."})
    assert rights.codes(bare) == (422, "bad_request")


def test_a_correction_travels_sealed_and_its_box_goes_with_the_decision(world: World, wallet: Wallet) -> None:
    document, box = rights.correction(wallet, {PHONE: "+86 139 0000 1111"})
    told = rights.send(wallet, document, box).json()
    assert (told["state"], told["waiting_for"]) == ("identified", "dpo")
    with world.platform.database.read() as session:
        row = requests.of_id(session, world.platform, told["id"])
        assert row.box == box
    refusal = {"reason": "The number is another customer's.", "citation": "GDPR art. 16"}
    assert world.post("dpo", f"/issuer/requests/{told['id']}/refusal", refusal).status_code == 200
    with world.platform.database.read() as session:
        assert session.get_one(DataRequest, told["id"]).box is None
    answered = world.post("dpo", f"/issuer/requests/{told['id']}/answer")
    assert rights.codes(answered) == (409, "request_closed")


def test_a_correction_that_cannot_be_written_or_is_anothers_is_refused(world: World, wallet: Wallet) -> None:
    other = world.enrolled()
    cases = {
        "unknown_field": rights.correction(wallet, {"contact.iris": "blue"}),
        "bad_correction": rights.correction(wallet, {PHONE: "1" * 20_000}),
        "bad_box": (rights.correction(wallet, {PHONE: "1"})[0], b"x" * 200),
        "digest_mismatch": (rights.correction(wallet, {PHONE: "1"})[0], rights.correction(wallet, {PHONE: "2"})[1]),
    }
    stolen = rights.correction(wallet, {PHONE: "1"}, sender=other.did)
    for code, (document, box) in cases.items():
        assert rights.codes(rights.send(wallet, document, box))[1] == code
    assert rights.codes(rights.send(wallet, *stolen)) == (422, "bad_correction")
    nested = rights.correction(wallet, {PHONE: {"a": "b"}})
    assert rights.codes(rights.send(wallet, *nested)) == (422, "bad_correction")
    assert rights.codes(rights.send(wallet, rights.correction(wallet, {PHONE: "1"})[0])) == (422, "bad_request")
    assert rights.codes(rights.send(wallet, rights.signed(wallet, "access"), b"box")) == (422, "bad_request")
    bad = wallet.call("POST", "/issuer/wallet/requests", {"request": document, "sealed": "%%"})
    assert rights.codes(bad) == (422, "bad_request")
    swapped = rights.correction(wallet, {PHONE: "1"})
    named = rights.signed(wallet, "rectification", fields=[EMAIL], correction=canonical.digest(swapped[1]))
    assert rights.codes(rights.send(wallet, named, swapped[1])) == (422, "bad_correction")
    assert world.rows("request") == []


def test_the_key_of_corrections_is_signed_and_ends_with_its_last_box(world: World, wallet: Wallet) -> None:
    document, box = rights.correction(wallet, {PHONE: "1"})
    id_ = rights.send(wallet, document, box).json()["id"]
    period = sealing.period_of(world.now)
    assert wallet.call("GET", "/issuer/wallet/requests/key").json()["credential"]["type"][1] == "SealingKeyCredential"
    world.clock.advance(timedelta(days=70))
    with world.platform.database.read() as session:
        assert sealing.forgettable(world.platform, session) == []  # it is still open
    refusal = {"reason": "Out of time.", "citation": "GDPR art. 16"}
    assert world.post("dpo", f"/issuer/requests/{id_}/refusal", refusal).status_code == 200
    with world.platform.database.read() as session:
        assert sealing.forget(world.platform, session) == 1
    assert world.platform.keyring.archive.ended(period)


def test_nobody_acts_alone_for_a_customer_without_a_wallet(world: World) -> None:
    subject = world.customer()
    drafted = rights.record(world, subject, "erasure").json()
    assert (drafted["state"], drafted["waiting_for"]) == ("received", "second")
    path = f"/issuer/requests/{drafted['id']}"
    assert rights.codes(world.post("dpo", f"{path}/confirmation")) == (403, "own_request")
    assert rights.codes(world.post("dpo", f"{path}/answer", {"keep": {}})) == (409, "not_identified")
    assert rights.codes(world.post("dpo", f"{path}/taking")) == (409, "not_identified")
    assert world.rows("exclusion") == []
    confirmed = world.post("service", f"{path}/confirmation").json()
    assert confirmed["state"] == "answered"
    assert len(world.rows("exclusion")) == 1
    assert rights.codes(world.post("admin", f"{path}/confirmation")) == (409, "request_closed")


def test_a_draft_that_the_officer_did_not_sign_is_not_confirmed(world: World) -> None:
    subject = world.customer()
    drafted = rights.record(world, subject, "access").json()
    with world.platform.database.write("owner") as session:  # the officer rewrites who recorded it
        session.get_one(DataRequest, drafted["id"]).recorded_by = "somebody"
    assert rights.codes(world.post("service", f"/issuer/requests/{drafted['id']}/confirmation")) == (
        409, "request_disputed",
    )  # fmt: skip


def test_the_desk_records_for_customers_without_a_wallet_alone(world: World, wallet: Wallet) -> None:
    assert rights.codes(rights.record(world, wallet.subject, "access")) == (409, "has_wallet")
    assert rights.codes(rights.record(world, "sub_" + "a" * 26, "access")) == (404, "unknown_subject")
    assert rights.codes(rights.record(world, world.customer(), "access", method="a hunch")) == (422, "bad_method")
    assert rights.codes(rights.record(world, world.customer(), "rectification")) == (422, "bad_request")
    values = {PHONE: "+86 1"}
    made = rights.record(world, world.customer(), "rectification", values=values)
    assert made.status_code == 201
    assert "+86 1" not in made.text
    assert world.post("service", f"/issuer/requests/{made.json()['id']}/confirmation").json()["waiting_for"] == "dpo"


def test_a_request_whose_row_a_restore_lost_is_taken_again_with_the_same_bytes(world: World, wallet: Wallet) -> None:
    document = rights.signed(wallet, "access")
    id_ = rights.send(wallet, document).json()["id"]
    with world.platform.database.write("owner") as session:
        session.delete(session.get_one(DataRequest, id_))
        for row in session.exec(select(Credential).where(col(Credential.about) == id_)):
            session.delete(row)
    assert rights.send(wallet, document).json()["state"] == "identified"


@pytest.mark.parametrize("place", ["compile", "drain"])
def test_an_erasure_that_a_crash_broke_off_is_finished(world: World, wallet: Wallet, place: str) -> None:
    wallet.give(world.asked(wallet))
    document = rights.signed(wallet, "erasure")
    world.crash_in = {place}
    assert rights.send(wallet, document).status_code == 500
    world.crash_in = set()
    if place == "compile":  # nothing was committed: the wallet sends the same bytes again
        assert rights.send(wallet, document).json()["state"] == "answered"
    else:
        worker.run_once(world.registry)
        assert wallet.call("GET", "/issuer/wallet/requests").json()["items"][0]["state"] == "answered"
    assert len(world.rows("exclusion")) == 1
    assert len([one for one in world.events("consent.shut") if one.records[0][1]["how"] == "excluded"]) == 1
    assert {row.ended_kind for row in world.rows("consent")} == {"revoked"}


def test_an_erasure_after_a_restore_is_the_same_exclusion(world: World, wallet: Wallet) -> None:
    document = rights.signed(wallet, "erasure")
    id_ = rights.send(wallet, document).json()["id"]
    with world.platform.database.write(
        "owner"
    ) as session:  # as reconcile leaves it: the papers are back, the rest is not
        session.delete(session.get_one(DataRequest, id_))
        for row in session.exec(select(Settling)):
            session.delete(row)
        for paper in session.exec(select(Credential).where(Credential.kind == "request-receipt")):
            session.delete(paper)
    assert rights.send(wallet, document).json()["state"] == "answered"
    assert len(world.rows("exclusion")) == 1


def test_an_erasure_closes_the_corrections_that_were_under_way(world: World, wallet: Wallet) -> None:
    document, box = rights.correction(wallet, {PHONE: "1"})
    correction = rights.send(wallet, document, box).json()["id"]
    rights.ask(wallet, "erasure")
    with world.platform.database.read() as session:
        row = session.get_one(DataRequest, correction)
    assert (row.state, row.box) == ("refused", None)


def test_an_objection_to_what_nobody_does_is_told_so(world: World, wallet: Wallet) -> None:
    rights.ground(world, "law", "dpv:LegalObligation", "service", (EMAIL,))
    service = world.catalogue.purpose("service").iri
    answer = rights.send(wallet, rights.signed(wallet, "objection", purpose=service))
    assert rights.codes(answer) == (409, "nothing_to_object")
    unknown = rights.send(wallet, rights.signed(wallet, "objection", purpose="https://w3id.org/dpv#Nothing"))
    assert rights.codes(unknown) == (404, "unknown_purpose")
