"""What touchpoints bring: taken under a living ground, refused by name without one."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from protocol.times import iso
from tests.crm_core.gateway import BODY, CARE, MILEAGE, TITLE, Gateway


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    place = Gateway(tmp_path)
    yield place
    place.platform.close()


def test_a_value_under_a_living_consent_to_collect_is_stored_and_told(gateway: Gateway) -> None:
    form = gateway.registered()
    wallet, given = gateway.consenting()
    told = form.one(subject=wallet.subject, ground=given["id"], values={TITLE: " 小  伟 ", BODY: "Wei@Example.COM"})
    assert (told["status"], told["stored"], told["refused"]) == (200, [BODY, TITLE], {})
    assert gateway.stored(wallet.subject) == {TITLE: "小 伟", BODY: "wei@example.com"}
    [event] = [one for one in gateway.events("value.collected") if one.header.get("touchpoint")]
    assert event.event_id == told["event"]
    assert event.header["touchpoint"] == form.id
    assert event.header["importer"] == form.signer.did
    assert event.header["source"] == "Web form"
    assert event.header["purpose"] == gateway.iri("support")
    assert event.header["grounds"] == {given["id"]: [BODY, TITLE]}
    assert "example.com" not in str(gateway.events())
    assert "小" not in str(gateway.events())


def test_the_customer_may_be_named_by_wallet_and_the_consent_may_come_along(gateway: Gateway) -> None:
    form = gateway.registered()
    wallet = gateway.enrolled()
    given = wallet.consent(gateway.ask(wallet))  # the organisation has not seen it yet
    told = form.one(ground=given, values={TITLE: "Wei"})
    assert (told["status"], told["subject"]) == (200, wallet.subject)
    again = form.one(subject=wallet.did, ground=given["id"], values={TITLE: "Wai"})
    assert (again["status"], gateway.stored(wallet.subject)[TITLE]) == (200, "Wai")
    assert [row.id for row in gateway.rows("consent")] == [given["id"]]


def test_numbers_lists_and_booleans_take_their_normal_form(gateway: Gateway) -> None:
    car = gateway.registered({CARE: (MILEAGE, "vehicle.fault_codes")})
    wallet, given = gateway.consenting(CARE, (MILEAGE, "vehicle.fault_codes"))
    values = {MILEAGE: 120_345.5, "vehicle.fault_codes": ["P0301", "P0301", " U0100 "]}
    told = car.one(purpose=CARE, subject=wallet.subject, ground=given["id"], values=values)
    assert told["status"] == 200, told
    assert gateway.stored(wallet.subject) == {MILEAGE: 120_345.5, "vehicle.fault_codes": ["P0301", "U0100"]}


def test_a_bad_value_is_refused_by_the_name_of_its_field_and_never_repeated(gateway: Gateway) -> None:
    form = gateway.registered()
    wallet, given = gateway.consenting()
    bad = {TITLE: ["secret-a"], BODY: "secret-b at nowhere", "no.such.secret-c": "x"}
    answer = form.send(gateway.upload(subject=wallet.subject, ground=given["id"], values=bad))
    assert answer.status_code == 422
    assert answer.json()["results"][0]["refused"] == {
        TITLE: "bad_value", BODY: "bad_email", "values[2]": "unknown_field",
    }  # fmt: skip
    assert "secret" not in answer.text + str(gateway.events())
    assert gateway.stored(wallet.subject) == {}


def test_a_batch_is_answered_upload_by_upload_and_success_looks_like_success_only_for_all(gateway: Gateway) -> None:
    form = gateway.registered()
    wallet, given = gateway.consenting()
    good = {"subject": wallet.subject, "ground": given["id"]}
    both = form.send(gateway.upload(**good), gateway.upload(subject=wallet.subject))
    assert both.status_code == 207
    assert [one["status"] for one in both.json()["results"]] == [200, 403]
    assert form.send(gateway.upload(**good)).status_code == 200
    none = form.send(gateway.upload(subject=wallet.subject), gateway.upload(purpose="no-such"), {"id": "x"})
    assert none.status_code == 422
    assert none.headers["content-type"] == "application/problem+json"
    assert none.json()["code"] == "nothing_taken"
    assert [one["code"] for one in none.json()["results"]] == ["no_ground", "unknown_purpose", "bad_upload"]


def test_one_field_without_a_ground_refuses_the_upload_whole(gateway: Gateway) -> None:
    form = gateway.registered()
    wallet, given = gateway.consenting(fields=(TITLE,))
    told = form.one(subject=wallet.subject, ground=given["id"], values={TITLE: "Wei", BODY: "wei@example.com"})
    assert (told["status"], told["stored"], told["refused"]) == (403, [], {BODY: "no_ground"})
    assert gateway.stored(wallet.subject) == {}
    told = [data for one in gateway.events("attempt.refused") for _, data in one.records][-1]
    assert (told["action"], told["code"], told["fields"]) == ("upload", "no_ground", [BODY])


def test_a_new_customer_needs_a_statutory_ground_for_everyone(gateway: Gateway) -> None:
    form = gateway.registered()
    assert form.one(subject=None)["code"] == "no_ground"
    ground = gateway.contract()
    told = form.one(subject=None, ground=ground, values={TITLE: "Wei"})
    assert told["status"] == 200
    assert gateway.stored(told["subject"]) == {TITLE: "Wei"}
    other = form.one(subject=None, ground=ground, values={TITLE: "Wei"})
    assert other["subject"] != told["subject"]  # matching is the import's to do


def test_a_statutory_ground_that_does_not_say_so_collects_nothing(gateway: Gateway) -> None:
    from issuer.asks import Wish

    form = gateway.registered()
    ground = gateway.contract(wish=Wish(purpose="support", fields=frozenset({TITLE})))
    assert form.one(subject=None, ground=ground)["refused"] == {TITLE: "not_for_collection"}


def test_what_was_collected_long_ago_or_in_the_future_is_refused(gateway: Gateway) -> None:
    form = gateway.registered()
    for days in (-91, 1):
        told = form.one(collected_at=iso(gateway.now + timedelta(days=days)))
        assert told["code"] == "collected_when"


def test_nobody_who_uploads_a_value_finds_out_whether_it_was_known(gateway: Gateway) -> None:
    form = gateway.registered()
    wallet, given = gateway.consenting()
    told = [
        form.one(subject=wallet.subject, ground=given["id"], values={TITLE: value}) for value in ("Wei", "Wei", "Mei")
    ]
    assert len({one["event"] for one in told}) == 3
    fixed = {"id": None, "event": None}
    assert {**told[0], **fixed} == {**told[1], **fixed} == {**told[2], **fixed}
    brought = [data["fields"] for one in gateway.events("value.collected")[-2:] for _, data in one.records]
    assert brought == [[TITLE], []]  # on record as an upload, not as a value


def test_fields_of_items_make_a_new_item_beside_the_record(gateway: Gateway) -> None:
    form = gateway.registered({"support": (TITLE, "ticket.subject", "ticket.body")})
    values = {TITLE: "Wei", "ticket.subject": "It does not start", "ticket.body": "Since Monday"}
    told = form.one(subject=None, ground=gateway.contract(fields=tuple(values)), values=values)
    assert (told["status"], told["stored"]) == (200, sorted(values))
    assert gateway.stored(told["subject"]) == {TITLE: "Wei"}
    assert gateway.count("item") == 1
    found = [data for one in gateway.events("value.collected") for _, data in one.records if "item" in data]
    assert found[0]["fields"] == ["ticket.body", "ticket.subject"]


def test_a_customer_has_no_more_items_than_a_feed_can_show(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    from crm_core.gateway import lot

    monkeypatch.setattr(lot, "MAX_ITEMS", 1)
    form = gateway.registered({"support": ("ticket.subject",)})
    wallet, given = gateway.consenting(fields=("ticket.subject",))
    about = {"subject": wallet.subject, "ground": given["id"], "values": {"ticket.subject": "Help"}}
    assert [form.one(**about).get("code") for _ in range(2)] == [None, "too_many_items"]
    assert gateway.count("item") == 1
