"""Rights of customers, served: copies that open for their owner alone, erasures that stay, wallets that were lost."""

import base64
import json
import time
from contextlib import closing
from datetime import timedelta
from functools import partial
from typing import Any

import orjson
import pytest
from sqlalchemy import text
from sqlmodel import select

from issuer import catalogue, requests, sealing
from issuer.credentials import Credential
from issuer.evidence import evidence
from issuer.requests import DataRequest
from protocol import canonical, credential, proof, request, sealed
from protocol.consent import SubjectId, fresh_id
from protocol.errors import EvidenceError
from protocol.exclusion import EXCLUSION_TYPE
from runtime.platform import Platform
from tests.attacks.holder import Held
from tests.attacks.pieces import CITY, EMAIL, GIVEN, LINK, PHONE
from tests.attacks.place import Place
from tests.engine import hand
from verifier import allowance, grounds, reconcile

MARKETING = "https://w3id.org/dpv#DirectMarketing"
SERVICE = catalogue.load().purpose("service").iri


def _signed(held: Held, kind: str, **more: Any) -> dict[str, Any]:
    signer = more.pop("signer", held.signer)
    unsigned = request.build_request(
        kind, id=fresh_id(), controller=held.place.platform.controller, issuer=signer.did, at=held.place.now, **more
    )
    return proof.sign(unsigned, signer, created=held.place.now)


def _ask(held: Held, kind: str, **more: Any) -> dict[str, Any]:
    held.place.clock.advance(timedelta(seconds=1))
    answer = held.call("POST", "/issuer/wallet/requests", {"request": _signed(held, kind, **more)})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def _fetch(held: Held, id_: str) -> dict[str, Any]:
    answer = held.call("POST", "/crm/rights/answers", {"request": id_})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def _receipt(place: Place, document: dict[str, Any]) -> request.RequestReceipt:
    data = canonical.jcs(document)
    keys = place.platform.keys
    return request.parse_receipt(credential.verify(data, keys, at=place.now, expected_type=request.RECEIPT_TYPE))


def test_a_copy_of_everything_opens_for_the_wallet_that_asked_and_no_other(
    place: Place, mina: Held, thief: Held
) -> None:
    place.asked(mina, (EMAIL, CITY))
    id_ = _ask(mina, "access")["id"]
    told = _fetch(mina, id_)
    box = base64.b64decode(told["sealed"])
    receipt = _receipt(place, told["receipt"])
    assert (receipt.state, receipt.answer_digest) == ("answered", canonical.digest(box))
    document = orjson.loads(sealed.open_with_seed(mina.app.holding().seed, box))
    values = {one["field"]: one["value"] for one in document["fields"]}
    assert values[EMAIL] == mina.customer.email  # held, and granted to nobody
    assert {EMAIL, CITY, GIVEN, PHONE} <= set(values)
    assert all(one["provenance"] for one in document["fields"])
    assert document["grounds"]
    assert document["history"]
    assert (document["request"], document["for"], document["subject"]) == (id_, mina.did, mina.subject)
    with pytest.raises(EvidenceError, match="somebody else"):
        sealed.open_with_seed(thief.app.holding().seed, box)
    place.refused("unknown_request", partial(thief.call, "POST", "/crm/rights/answers", {"request": id_}))
    released = place.events("request.delivered")[-1].records[0]
    assert released[0] == mina.subject
    assert set(released[1]["fields"]) >= {EMAIL, CITY}
    assert mina.customer.email not in json.dumps([str(one) for one in place.events()])


def test_an_answer_is_over_after_a_week_and_says_nothing_else(place: Place, mina: Held) -> None:
    id_ = _ask(mina, "portability")["id"]
    told = orjson.loads(sealed.open_with_seed(mina.app.holding().seed, base64.b64decode(_fetch(mina, id_)["sealed"])))
    assert told["vcard"].startswith("BEGIN:VCARD\r\nVERSION:4.0")
    assert {one["field"] for one in told["data"]["values"]} >= {EMAIL, GIVEN}
    assert "history" not in told
    assert place.get("dpo", f"/issuer/requests/{id_}").json()["state"] == "answered"
    # the clock of a served place only moves on by a little: the week is put behind the request
    with place.platform.database.write("owner") as session:
        row = session.get_one(DataRequest, id_)
        row.closed_at = "2026-01-01T00:00:00.000Z"
        requests._save(session, place.platform, row)
    place.refused("answer_over", partial(mina.call, "POST", "/crm/rights/answers", {"request": id_}))
    objection = place.post("dpo", f"/crm/rights/requests/{id_}/file")
    place.problem(objection, "answer_over")


def test_a_correction_is_written_with_the_customer_as_its_source_and_shown_to_nobody(place: Place) -> None:
    held = place.enrolled()
    values = {CITY: "Hangzhou"}
    public = place.platform.keyring.archive.public(sealing.period_of(place.now))
    box = sealed.seal(public, sealing.inside(place.platform.controller, held.did, values))
    document = _signed(held, "rectification", fields=[CITY], correction=canonical.digest(box))
    body = {"request": document, "sealed": base64.b64encode(box).decode()}
    id_ = held.call("POST", "/issuer/wallet/requests", body).json()["id"]
    path = f"/crm/rights/requests/{id_}/correction"
    accepted = place.post("service", path)
    assert accepted.status_code == 200, accepted.text
    assert "Hangzhou" not in accepted.text
    corrected = place.events("value.corrected")[-1]
    assert (corrected.header["source"], corrected.header["importer"]) == ("subject", held.did)
    place.refused("request_closed", partial(place.post, "dpo", path))
    copy = _fetch(held, _ask(held, "access")["id"])
    told = orjson.loads(sealed.open_with_seed(held.app.holding().seed, base64.b64decode(copy["sealed"])))
    assert {one["field"]: one["value"] for one in told["fields"]}[CITY] == "Hangzhou"


@pytest.mark.parametrize(
    ("values", "code"), [({PHONE: "no number"}, "bad_phone"), ({"contact.gender": "x"}, "not_held")]
)
def test_a_correction_that_is_no_value_or_of_nothing_held_stays_open(
    place: Place, values: dict[str, str], code: str
) -> None:
    held = place.enrolled()
    public = place.platform.keyring.archive.public(sealing.period_of(place.now))
    box = sealed.seal(public, sealing.inside(place.platform.controller, held.did, values))
    document = _signed(held, "rectification", fields=list(values), correction=canonical.digest(box))
    body = {"request": document, "sealed": base64.b64encode(box).decode()}
    id_ = held.call("POST", "/issuer/wallet/requests", body).json()["id"]
    place.refused(code, partial(place.post, "dpo", f"/crm/rights/requests/{id_}/correction"))
    assert place.get("dpo", f"/issuer/requests/{id_}").json()["state"] == "identified"


def test_an_erasure_ends_everything_that_may_end_and_tells_what_stays(place: Place) -> None:
    held = place.enrolled()
    ask = place.asked(held, (GIVEN, EMAIL, CITY))
    held.give(ask)
    books = place.ground(
        "books", "service", (GIVEN,), subjects=[held.subject], basis="dpv:LegalObligation", citation="§ 147 AO"
    )
    told = _ask(held, "erasure")
    assert (told["state"], told["waiting_for"]) == ("in_work", "dpo")  # the contract ground is for the officer
    assert "fields" not in place.shown(held.subject) or EMAIL not in place.shown(held.subject)["fields"]
    refusal = {"reason": "We would rather not.", "citation": "none"}
    path = f"/issuer/requests/{told['id']}/refusal"
    place.refused("already_effective", partial(place.post, "dpo", path, refusal))
    contract = [one["id"] for one in place.get("dpo", "/issuer/grounds").json()["items"]]
    place.refused(
        "bad_keep", partial(place.post, "dpo", f"/issuer/requests/{told['id']}/answer", {"keep": {books: "books stay"}})
    )
    answered = place.post("dpo", f"/issuer/requests/{told['id']}/answer", {"keep": {}})
    assert answered.status_code == 200, answered.text
    receipt = _receipt(place, answered.json()["receipts"][-1])
    assert receipt.state == "answered"
    assert receipt.shut_at is not None
    assert [(one.ground, one.citation) for one in receipt.kept] == [(books, "§ 147 AO")]
    assert books in contract
    shown = place.shown(held.subject, "service", "administration")
    assert shown["fields"] == {}
    assert place.shown(held.subject, "service", "service")["fields"][GIVEN]  # the legal obligation stays
    place.refused(
        "request_closed",
        partial(place.post, "dpo", f"/issuer/requests/{told['id']}/refusal", {"reason": "no no", "citation": "none"}),
    )


def test_what_was_erased_lapses_even_where_no_ground_had_ever_covered_it(place: Place) -> None:
    held = place.enrolled()
    told = _ask(held, "erasure")
    place.post("dpo", f"/issuer/requests/{told['id']}/answer", {"keep": {}})
    _until_shredded(place, held, {CITY, PHONE, GIVEN})


def _until_shredded(place: Place, held: Held, wanted: set[str]) -> None:
    until = time.monotonic() + 20
    gone: set[str] = set()
    while not wanted <= gone and time.monotonic() < until:
        gone = {
            str(data["field"])
            for one in place.events("value.shredded", "value.sealed")
            for subject, data in one.records
            if subject == held.subject
        }
        time.sleep(0.2)
    assert wanted <= gone


def test_a_restored_database_revives_no_erasure(place: Place) -> None:
    held = place.enrolled()
    database = place.settings.db_dir / "fieldgrant.db"
    copy = place.home / "before.db"
    with closing(hand.connect(database)) as old, closing(hand.connect(copy)) as new:
        old.backup(new)
    told = _ask(held, "erasure")
    place.post("dpo", f"/issuer/requests/{told['id']}/answer", {"keep": {}})
    assert place.shown(held.subject, "service", "administration")["fields"] == {}
    place.stop()
    place.platform.close()
    kept = place.home / "after.db"
    hand.copied(database, kept)
    try:
        hand.copied(copy, database)
        restored = Platform.open(place.settings, place.clock)
        try:
            with pytest.raises(reconcile.Disagreement):
                reconcile.startup_check(restored)
            reconcile.reconcile(restored, catalogue.load())
            with restored.database.read() as session:
                kinds = session.exec(select(Credential.kind).where(Credential.subject == held.subject)).all()
                assert {"exclusion", "request"} <= set(kinds)
                found = grounds.grants(restored, catalogue.load(), evidence(session, SubjectId(held.subject)))
            assert found
            assert not [one for one in found if one.ended is None]
        finally:
            restored.close()
    finally:
        hand.copied(kept, database)
        place.platform = Platform.open(place.settings, place.clock)
        place.start()


@pytest.mark.parametrize("how", ["deleted", "changed", "moved"])
def test_whoever_takes_an_exclusion_out_of_the_database_opens_nothing(place: Place, how: str) -> None:
    held, other = place.enrolled(), place.enrolled()
    place.ground(f"svc-{how}", "service", (CITY,), subjects=[held.subject], basis="dpv:PublicInterest")
    assert place.shown(held.subject, "service", "service")["fields"].get(CITY)
    _ask(held, "objection", purpose=SERVICE)
    withheld = place.shown(held.subject, "service", "service")["withheld"]
    assert withheld[CITY] == "restricted"
    bent = {
        "deleted": "DELETE FROM credential WHERE kind = 'exclusion' AND subject = :subject",
        "changed": "UPDATE credential SET body = :body WHERE kind = 'exclusion' AND subject = :subject",
        "moved": "UPDATE credential SET subject = :other WHERE kind = 'exclusion' AND subject = :subject",
    }[how]
    with place.platform.database.write("owner") as session:
        session.connection().execute(text(bent), {"subject": held.subject, "other": other.subject, "body": b"{}"})
        allowance.compile(session, place.platform, catalogue.load(), SubjectId(held.subject))
    shown = place.shown(held.subject, "service", "service")
    assert CITY not in shown["fields"] or shown["fields"][CITY] is None


def test_an_objection_holds_back_until_the_officer_decides(place: Place) -> None:
    held = place.enrolled()
    ground = place.ground("watch", "service", (CITY,), subjects=[held.subject], basis="dpv:PublicInterest")

    def city() -> Any:
        return place.shown(held.subject, "service", "service")["fields"].get(CITY)

    assert city()
    refused = _ask(held, "objection", purpose=SERVICE, ground=ground)
    assert not city()
    answer = place.post(
        "dpo", f"/issuer/requests/{refused['id']}/refusal",
        {"reason": "Safety of others prevails.", "citation": "GDPR art. 21(1)"},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    assert city()
    upheld = _ask(held, "objection", purpose=SERVICE, ground=ground)
    assert not city()
    assert place.post("dpo", f"/issuer/requests/{upheld['id']}/answer").json()["state"] == "answered"
    assert place.shown(held.subject, "service", "service")["withheld"][CITY] == "withdrawn"


def test_an_objection_to_direct_marketing_takes_effect_at_once_and_for_good(place: Place) -> None:
    held = place.enrolled()
    held.give(place.asked(held, (EMAIL, CITY)))
    assert place.shown(held.subject)["fields"].get(EMAIL)
    told = _ask(held, "objection", purpose=MARKETING)
    assert told["state"] == "answered"
    assert place.shown(held.subject)["withheld"][EMAIL] == "withdrawn"
    assert _receipt(place, told["receipts"][-1]).shut_at is not None


def test_a_restriction_holds_all_back_but_what_the_law_demands_and_ends_with_notice(place: Place) -> None:
    held = place.enrolled()
    place.ground("law", "service", (GIVEN,), subjects=[held.subject], basis="dpv:LegalObligation")
    told = _ask(held, "restriction")
    assert place.shown(held.subject, "service", "administration")["fields"] == {}
    assert place.shown(held.subject, "service", "service")["fields"][GIVEN]
    path = f"/issuer/requests/{told['id']}"
    assert place.post("dpo", f"{path}/answer").json()["state"] == "answered"
    assert place.shown(held.subject, "service", "administration")["fields"] == {}
    assert place.get("dpo", path).json()["restricts"] is True
    lifted = place.post("dpo", f"{path}/lifting", {"reason": "It was looked into."}).json()
    assert _receipt(place, lifted["receipts"][-1]).reason == "It was looked into."
    assert place.shown(held.subject, "service", "administration")["fields"][GIVEN]
    assert place.get("dpo", path).json()["restricts"] is False
    place.refused("not_restricted", partial(place.post, "dpo", f"{path}/lifting", {"reason": "Once more."}))


def test_a_customer_without_a_wallet_gets_a_file_and_its_passphrase_from_two_people(place: Place) -> None:
    customer = place.customer()
    body = {"subject": customer.subject, "kind": "access", "method": "id_document", "evidence": "file 12"}
    id_ = place.post("dpo", "/issuer/requests", body).json()["id"]
    path = f"/crm/rights/requests/{id_}"
    place.refused("not_identified", partial(place.post, "dpo", f"{path}/file"))
    assert place.post("dan", f"/issuer/requests/{id_}/confirmation").json()["state"] == "identified"
    place.refused("own_confirmation", partial(place.post, "dan", f"{path}/file"))
    place.refused("not_your_confirmation", partial(place.post, "dpo", f"{path}/passphrase"))
    file = place.post("dpo", f"{path}/file")
    assert file.status_code == 200, file.text
    passphrase = place.post("dan", f"{path}/passphrase").json()["passphrase"]
    assert customer.email.encode() not in file.content
    document = orjson.loads(sealed.open_file(passphrase.upper().replace("-", " "), file.content))
    assert {one["field"]: one["value"] for one in document["fields"]}[EMAIL] == customer.email
    with pytest.raises(EvidenceError, match="does not open"):
        sealed.open_file("abcde", file.content)
    assert place.events("request.delivered")[-1].records[0][0] == customer.subject


def test_a_lost_wallet_takes_two_people_ends_at_once_and_everybody_is_told(place: Place) -> None:
    held = place.enrolled()
    held.give(place.asked(held, (EMAIL, CITY)))
    body = {"subject": held.subject, "method": "id_document", "evidence": "file 9"}
    id_ = place.post("service", "/issuer/losses", body).json()["id"]
    path = f"/issuer/losses/{id_}/confirmation"
    place.refused("own_report", partial(place.post, "service", path))
    place.refused("no_officer", partial(place.post, "admin", path))
    assert held.call("GET", "/issuer/wallet/consents").status_code == 200
    told = place.post("dpo", path).json()
    assert sorted(told["told"]) == ["email", "phone"]
    assert told["revoked"]
    place.refused("not_enrolled", partial(held.call, "GET", "/issuer/wallet/consents"))
    erase = partial(held.call, "POST", "/issuer/wallet/requests", {"request": _signed(held, "erasure")})
    place.refused("not_enrolled", erase)
    assert place.shown(held.subject)["withheld"][EMAIL] == "withdrawn"
    letters = [
        path.read_text("utf-8")
        for path in place.settings.mail_dir.glob("*-lost-*.eml")
        if held.customer.email in path.read_text("utf-8")
    ]
    assert len(letters) == 1
    assert "object at once" in letters[0]
    assert "提出异议" in letters[0]


def test_a_thief_of_the_mailbox_alone_and_staff_alone_take_over_nobody(place: Place, thief: Held) -> None:
    held = place.enrolled()
    body = {"subject": held.subject, "method": "known_person", "evidence": "file 10"}
    place.refused("already_enrolled", partial(place.post, "service", "/issuer/invitations", {"subject": held.subject}))
    id_ = place.post("service", "/issuer/losses", body).json()["id"]
    assert place.post("dpo", f"/issuer/losses/{id_}/confirmation").status_code == 200
    customer = held.customer
    link = place.invited(customer)  # it lies in the mailbox that the thief reads
    assert LINK.search(link)
    token, challenge, _ = place.opened(customer, link)
    shown = place.present(thief.signer, challenge)
    for guess in ("00000000", "11111111", "22222222", "33333333", "44444444"):
        answer = place.http.post(
            f"{place.base}/issuer/enrolments", json={"token": token, "code": guess, "presentation": shown}
        )
        assert answer.status_code in (403, 409, 410), answer.text
    ended = place.http.post(
        f"{place.base}/issuer/enrolments", json={"token": token, "code": "00000000", "presentation": shown}
    )
    place.problem(ended, "invitation_ended", status=410)
    begun = place.post("service", "/issuer/invitations/in-person", {"subject": held.subject}).json()
    alone = partial(place.post, "service", f"/issuer/invitations/{begun['id']}/confirmation")
    place.refused("own_invitation", alone)


def test_an_exclusion_is_the_controllers_and_of_this_customer(place: Place) -> None:
    held = place.enrolled()
    _ask(held, "restriction")
    with place.platform.database.read() as session:
        row = session.exec(
            select(Credential).where(Credential.kind == "exclusion", Credential.subject == held.subject)
        ).one()
    verified = credential.verify(
        row.body, place.platform.keys, at=place.now, expected_type=EXCLUSION_TYPE,
        expected_issuer=place.platform.controller,
    )  # fmt: skip
    assert verified.document["credentialSubject"]["excludesSubject"]["subjectReference"] == held.subject
