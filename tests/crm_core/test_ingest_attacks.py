"""Whoever wants to bring more than they may: touchpoints, pages, a database administrator, a racing withdrawal."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from crm_core.gateway import app as ingest_app
from crm_core.gateway import collecting, touchpoints
from crm_core.gateway.ingest import Intake
from issuer.credentials import Credential
from protocol import canonical, consent, proof, touchpoint
from protocol.consent import COLLECT, fresh_id
from protocol.keys import Ed25519Signer
from tests.crm_core.gateway import BODY, CARE, MARKETING, ORIGIN, SUPPORT, TITLE, Gateway, Sender


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    place = Gateway(tmp_path)
    yield place
    place.platform.close()


def code(answer: Any) -> str:
    """The code of a refused request."""
    assert answer.status_code >= 400, answer.text
    return str(answer.json()["code"])


def test_a_request_counts_once_and_only_while_it_is_fresh(gateway: Gateway) -> None:
    form, ground = gateway.registered(), gateway.contract()
    upload = gateway.upload(ground=ground)
    assert form.send(upload, nonce="n1").status_code == 200
    assert code(form.send(upload, nonce="n1")) == "nonce_used"
    assert code(form.send(upload, created=gateway.now - timedelta(minutes=3))) == "stale_signature"
    assert code(form.send(upload, created=gateway.now + timedelta(minutes=3))) == "stale_signature"
    assert gateway.count("record") == 1


def test_only_the_signed_body_by_the_registered_key_is_read(gateway: Gateway) -> None:
    form, ground = gateway.registered(), gateway.contract()
    other = canonical.jcs({"uploads": [gateway.upload(ground=ground)]})
    assert code(form.send(gateway.upload(ground=ground), body=other)) == "bad_digest"
    assert code(form.send(gateway.upload(ground=ground), signer=Ed25519Signer.generate())) == "unknown_touchpoint"
    assert code(gateway.crm.post("/crm/ingest", json={"uploads": []})) == "no_signature"
    draft = gateway.registered(approved=False)
    assert code(draft.send(gateway.upload(ground=ground))) == "unknown_touchpoint"
    wallet = gateway.enrolled()
    assert code(Sender(gateway, wallet.signer).send(gateway.upload(ground=ground))) == "unknown_touchpoint"
    token = gateway.desk("admin")
    assert code(form.send(gateway.upload(ground=ground), headers=token)) == "staff_not_wallet"
    assert gateway.count("record") == 1  # the wallet's owner
    assert ("upload", "bad_digest") in gateway.attempts()


def test_the_registration_bounds_purposes_and_fields(gateway: Gateway) -> None:
    form = gateway.registered({SUPPORT: (TITLE,)})
    wallet, given = gateway.consenting()
    good = {"subject": wallet.subject, "ground": given["id"]}
    assert form.one(**good, values={BODY: "a@example.com"})["refused"] == {BODY: "field_not_registered"}
    assert form.one(**good, purpose=CARE)["refused"] == {TITLE: "purpose_not_registered"}
    assert form.one(**good, purpose="no-such")["code"] == "unknown_purpose"
    assert gateway.stored(wallet.subject) == {}


def test_no_consent_serves_for_another_customer_purpose_or_wallet(gateway: Gateway) -> None:
    form = gateway.registered()
    wallet, given = gateway.consenting()
    other, _ = gateway.consenting()
    assert form.one(subject=other.subject, ground=given["id"])["code"] == "no_ground"
    assert form.one(subject=other.subject, ground=given)["code"] == "no_ground"
    assert form.one(subject=None, ground=given["id"])["code"] == "no_ground"
    assert form.one(subject="sub_" + "b" * 26, ground=given["id"])["code"] == "unknown_subject"
    assert form.one(subject=Ed25519Signer.generate().did, ground=given["id"])["code"] == "unknown_subject"
    assert gateway.stored(wallet.subject) == gateway.stored(other.subject) == {}


def test_a_withdrawn_consent_lets_nothing_in_however_it_is_named(gateway: Gateway) -> None:
    form = gateway.registered()
    wallet, given = gateway.consenting()
    gateway.withdraw(wallet, given)
    for ground in (given["id"], given):
        told = form.one(subject=wallet.subject, ground=ground)
        assert (told["status"], told["refused"]) == (403, {TITLE: "withdrawn"})
    assert gateway.stored(wallet.subject) == {}


def test_a_consent_to_use_is_none_to_collect(gateway: Gateway) -> None:
    form = gateway.registered()
    wallet, given = gateway.consenting(processing=["dpv:Use"])
    told = form.one(subject=wallet.subject, ground=given["id"])
    assert told["refused"] == {TITLE: "not_for_collection"}


def test_a_purpose_that_collects_no_more_lets_nothing_in_under_older_consents(gateway: Gateway) -> None:
    form = gateway.registered()
    wallet, given = gateway.consenting()
    assert form.one(subject=wallet.subject, ground=given["id"])["status"] == 200
    entry = gateway.catalogue.purpose(SUPPORT)
    now = gateway.catalogue.purposes
    use = {**now, SUPPORT: replace(entry, processing=frozenset({"dpv:Use"}))}
    object.__setattr__(gateway.catalogue, "purposes", use)
    try:
        told = form.one(subject=wallet.subject, ground=given["id"], values={TITLE: "Lin"})
    finally:
        object.__setattr__(gateway.catalogue, "purposes", now)
    assert (told["status"], told["refused"]) == (403, {TITLE: "not_for_collection"})
    assert gateway.stored(wallet.subject)[TITLE] == "Wei"


def test_a_customer_may_leave_out_collecting_when_answering(gateway: Gateway) -> None:
    from dataclasses import replace

    form, wallet = gateway.registered(), gateway.enrolled()
    ask = gateway.ask(wallet)
    assert {consent.USE, COLLECT} == ask.processes[0].processing
    given = wallet.give(ask, processes=[replace(ask.processes[0], processing=frozenset({consent.USE}))])
    assert form.one(subject=wallet.subject, ground=given["id"])["refused"] == {TITLE: "not_for_collection"}


def test_an_embedded_consent_that_somebody_forged_is_refused(gateway: Gateway) -> None:
    form, wallet = gateway.registered(), gateway.enrolled()
    ask = gateway.ask(wallet)
    thief = Ed25519Signer.generate()
    forged = wallet.consent(ask, signer=thief)
    assert form.one(subject=wallet.subject, ground=forged)["status"] in (403, 422)
    good = wallet.consent(ask)
    wider = json.loads(canonical.jcs(good))
    wider["credentialSubject"]["hasConsent"]["hasProcess"][0]["hasPersonalData"].append("contact.phone")
    assert form.one(subject=wallet.subject, ground=wider)["code"] == "bad_signature"
    strange = {**good, "issuer": "lin.wei@example.cn"}
    assert form.one(subject=wallet.subject, ground=strange)["status"] == 422
    assert "lin.wei" not in str(gateway.events("attempt.refused"))
    assert gateway.rows("consent") == []
    assert gateway.stored(wallet.subject) == {}


def test_a_row_planted_in_the_database_registers_no_touchpoint(gateway: Gateway) -> None:
    ground, thief, mallory = gateway.contract(), Sender(gateway), Ed25519Signer.generate()
    real = gateway.registered()
    with gateway.platform.database.read() as session:
        row = session.get_one(Credential, real.id)
        document = json.loads(row.body)
    document["credentialSubject"]["id"] = thief.signer.did
    self_made = touchpoint.build_registration(
        id=fresh_id(), touchpoint=thief.signer.did, name="Mine", controller=gateway.platform.controller,
        declared_by=mallory.did, processes=touchpoint_processes(gateway, real), ungrounded="hold", rate=100,
        valid_from=gateway.now, valid_until=gateway.now + timedelta(days=9),
    )  # fmt: skip
    for signer in (mallory, thief.signer):
        self_made = proof.sign(self_made, signer, created=gateway.now)
    for planted in ({**document, "id": fresh_id()}, self_made):
        body = canonical.jcs(planted)
        with gateway.platform.database.write("owner") as session:
            session.add(
                Credential(
                    id=planted["id"],
                    kind="touchpoint",
                    subject="-",
                    did=thief.signer.did,
                    body=body,
                    digest=canonical.digest(body),
                    at="2026-11-22T08:00:00.000Z",
                )
            )
        assert code(thief.send(gateway.upload(ground=ground))) == "unknown_touchpoint"
    with gateway.platform.database.write("owner") as session:  # the real one, given to the thief's key
        row = session.get_one(Credential, real.id)
        row.did = thief.signer.did
        session.add(row)
    assert code(thief.send(gateway.upload(ground=ground))) == "unknown_touchpoint"
    draft = Credential(
        id=self_made["id"] + "0", kind="touchpoint-draft", subject="-", did=thief.signer.did,
        body=canonical.jcs(self_made) + b" ", digest="zQmX", at="2026-11-22T08:00:00.000Z",
    )  # fmt: skip
    with gateway.platform.database.write("owner") as session:
        session.add(draft)
    approved = gateway.staffed("POST", f"/crm/touchpoints/{self_made['id']}0/approval", "dpo")
    assert code(approved) == "foreign_touchpoint"


def touchpoint_processes(gateway: Gateway, sender: Sender) -> Any:
    with gateway.platform.database.read() as session:
        found = touchpoints.by_id(session, gateway.platform, sender.id, gateway.now)
    assert found is not None
    return found.processes


def test_a_touchpoint_that_ended_stays_ended_whatever_the_database_says(gateway: Gateway) -> None:
    form, ground = gateway.registered(), gateway.contract()
    assert form.one(ground=ground)["status"] == 200
    assert gateway.staffed("POST", f"/crm/touchpoints/{form.id}/end", "admin").json()["standing"] == "revoked"
    with gateway.platform.database.write("owner") as session:  # as a restore would
        row = session.get_one(Credential, form.id)
        row.ended_at = row.ended_by = row.ended_kind = None
        session.add(row)
    assert code(form.send(gateway.upload(ground=ground))) == "unknown_touchpoint"
    assert code(gateway.staffed("POST", f"/crm/touchpoints/{form.id}/approval", "dpo")) == "touchpoint_ended"
    again = {"did": form.signer.did, "name": "X", "processes": [{"purpose": SUPPORT, "fields": [TITLE]}]}
    again["valid_until"] = "2027-01-01T00:00:00Z"
    assert code(gateway.staffed("POST", "/crm/touchpoints", "admin", again)) == "did_used"


@pytest.mark.parametrize("ends", [True, pytest.param(False, id="control: it does not end")])
def test_an_upload_whose_sender_was_looked_at_before_the_touchpoint_ended_is_not_taken(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    form, ground = gateway.registered(), gateway.contract()
    write = Intake._write

    def late(self: Intake, *sent: Any) -> Any:
        if ends:
            assert gateway.staffed("POST", f"/crm/touchpoints/{form.id}/end", "admin").status_code == 200
        return write(self, *sent)

    monkeypatch.setattr(Intake, "_write", late)
    answer = form.one(ground=ground)
    told = (answer["status"], answer.get("code"), gateway.count("record"))
    assert told == ((403, "touchpoint_ended", 0) if ends else (200, None, 1))


def test_too_much_is_refused_before_any_of_it_is_stored(gateway: Gateway) -> None:
    form, ground = gateway.registered(), gateway.contract()
    many = [{"id": "x"}] * 10_000
    assert code(form.send(*many)) == "too_many_uploads"
    assert code(form.send(raw=b"{" + b" " * 2**20)) == "too_large"
    stranger = Sender(gateway)
    assert code(stranger.send(raw=b'{"uploads": "' + b"x" * 70_000 + b'"}')) == "too_large"
    slow = gateway.registered(rate=3)
    assert code(slow.send(*[gateway.upload(ground=ground)] * 4)) == "too_many_uploads"
    assert slow.send(gateway.upload(ground=ground), gateway.upload(ground=ground)).status_code == 200
    limited = slow.send(gateway.upload(ground=ground), gateway.upload(ground=ground))
    assert code(limited) == "too_many_requests"
    assert int(limited.headers["retry-after"]) > 0
    assert gateway.count("record") == 2


def test_a_page_s_visitor_brings_no_more_at_once_than_in_a_minute(gateway: Gateway) -> None:
    site, ground, headers = gateway.registered(origins=[ORIGIN]), gateway.contract(), {"origin": ORIGIN}
    page = Sender(gateway)
    told = site.delegate(page.signer)

    def sent(count: int) -> Any:
        uploads = [gateway.upload(ground=ground) for _ in range(count)]
        return page.send(*uploads, delegation=told, headers=headers)

    assert code(sent(ingest_app.PER_BROWSER + 1)) == "too_many_uploads"
    assert sent(ingest_app.PER_BROWSER - 1).status_code == 200
    assert code(sent(2)) == "too_many_requests"
    assert gateway.count("record") == ingest_app.PER_BROWSER - 1
    assert site.send(gateway.upload(ground=ground)).status_code == 200  # the site itself goes on


def test_a_process_takes_no_more_uploads_than_it_can_work_on() -> None:
    work = ingest_app.InWork(10)
    with work.of(8):
        with pytest.raises(ingest_app.Problem) as caught, work.of(3):
            pass
        assert (caught.value.code, caught.value.headers) == ("busy", {"Retry-After": "1"})
        with work.of(2):
            pass
    with work.of(500):  # alone it is taken, however large
        pass


def test_the_same_upload_gets_the_same_answer_and_another_under_its_id_a_conflict(gateway: Gateway) -> None:
    form, ground = gateway.registered(), gateway.contract()
    upload = gateway.upload(ground=ground)
    first = form.send(upload, headers={"idempotency-key": "k1"})
    again = form.send(upload, headers={"idempotency-key": "k1"})
    assert first.json() == again.json()
    assert gateway.count("record") == 1
    other = {**upload, "values": {TITLE: "Mei"}}
    assert code(form.send(other, headers={"idempotency-key": "k1"})) == "idempotency_conflict"
    assert form.send(other).json()["results"][0]["code"] == "idempotency_conflict"
    assert form.send(other, upload).status_code == 207
    rival = gateway.registered()
    assert rival.send(other).status_code == 200  # ids of touchpoints do not meet
    gateway.clock.advance(timedelta(days=7, seconds=1))
    gateway.work()
    assert gateway.count("upload_answer") == 0


def test_a_planted_answer_does_not_make_an_upload_seem_taken(gateway: Gateway) -> None:
    form, ground = gateway.registered(), gateway.contract()
    upload = gateway.upload(ground=ground)
    form.send(upload)
    with gateway.platform.database.write("owner") as session:
        session.connection().exec_driver_sql("UPDATE upload_answer SET answer = replace(answer, '200', '202')")
    assert form.send(upload).json()["results"][0]["code"] == "idempotency_conflict"


def test_a_page_brings_what_was_delegated_and_no_more(gateway: Gateway) -> None:
    site, page = gateway.registered(origins=[ORIGIN]), Sender(gateway)
    ground = gateway.contract()
    wallet, given = gateway.consenting()
    from_page = {"headers": {"origin": ORIGIN}}
    told = site.delegate(page.signer, scope={gateway.iri(SUPPORT): [TITLE]})
    assert page.send(gateway.upload(ground=ground), delegation=told, **from_page).status_code == 200
    assert page.send(gateway.upload(ground=given), delegation=told, **from_page).status_code == 200
    for upload, expected in (
        (gateway.upload(ground=given["id"], subject=wallet.subject), "consent_not_embedded"),
        (gateway.upload(ground=given["id"]), "no_ground"),
        (gateway.upload(ground=given, subject=gateway.customer()), "foreign_ask"),
        (gateway.upload(ground=given, values={BODY: "a@example.com"}), "field_not_registered"),
    ):
        answer = page.send(upload, delegation=told, **from_page)
        assert answer.json()["results"][0].get("code") == expected
    assert code(page.send(gateway.upload(ground=ground), delegation=told)) == "origin_not_allowed"
    elsewhere = {"headers": {"origin": "https://evil.example"}}
    assert code(page.send(gateway.upload(ground=ground), delegation=told, **elsewhere)) == "origin_not_allowed"


def test_a_delegation_that_is_wider_stale_or_for_another_key_serves_nobody(gateway: Gateway) -> None:
    site, page = gateway.registered(origins=[ORIGIN]), Sender(gateway)
    ground, at = gateway.contract(), gateway.now
    headers = {"origin": ORIGIN}

    def sent(**changes: Any) -> str:
        told = site.delegate(page.signer, **changes)
        return code(page.send(gateway.upload(ground=ground), delegation=told, headers=headers))

    assert sent(scope={gateway.iri(SUPPORT): [TITLE, "contact.phone"]}) == "delegation_wider"
    assert sent(scope={gateway.iri(MARKETING): [TITLE]}) == "delegation_wider"
    assert sent(origins=[ORIGIN, "https://evil.example"]) == "delegation_wider"
    assert sent(valid_until=at + timedelta(minutes=16)) == "delegation_too_long"
    assert sent(valid_from=at - timedelta(minutes=15), valid_until=at - timedelta(seconds=1)) == "expired"
    assert sent(valid_from=at + timedelta(hours=1), valid_until=at + timedelta(minutes=70)) == "not_yet_valid"
    assert sent(browser=Ed25519Signer.generate().did) == "foreign_delegation"
    assert sent(controller="did:web:other.example") == "foreign_delegation"
    assert sent(touchpoint=gateway.registered(origins=[ORIGIN]).signer.did) == "wrong_issuer"
    told = site.delegate(page.signer, scope={gateway.iri(SUPPORT): [TITLE]})
    told["credentialSubject"]["delegatesCollection"]["mayBring"][0]["hasPersonalData"].append(BODY)
    upload = gateway.upload(ground=ground)
    assert code(page.send(upload, delegation=told, headers=headers)) == "bad_signature"
    own = Sender(gateway)
    assert code(page.send(upload, delegation=own.delegate(page.signer), headers=headers)) == "unknown_touchpoint"
    good = site.delegate(page.signer)
    gateway.staffed("POST", f"/crm/touchpoints/{site.id}/end", "dpo")
    assert code(page.send(upload, delegation=good, headers=headers)) == "unknown_touchpoint"
    assert gateway.count("record") == 0


def test_only_registered_pages_may_read_the_answer_and_never_with_cookies(gateway: Gateway) -> None:
    site = gateway.registered(origins=[ORIGIN])
    allowed = gateway.crm.options("/crm/ingest", headers={"origin": ORIGIN}).headers
    assert allowed["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-credentials" not in allowed
    for origin in ("https://evil.example", "null", ORIGIN + ".evil.example"):
        answer = gateway.crm.options("/crm/ingest", headers={"origin": origin})
        assert "access-control-allow-origin" not in answer.headers
    refused = site.send(gateway.upload(), headers={"origin": ORIGIN})
    assert refused.headers["access-control-allow-origin"] == ORIGIN
    gateway.staffed("POST", f"/crm/touchpoints/{site.id}/end", "dpo")
    gateway.clock.advance(timedelta(seconds=1))
    ended = gateway.crm.options("/crm/ingest", headers={"origin": ORIGIN})
    assert "access-control-allow-origin" not in ended.headers


def raced(gateway: Gateway, monkeypatch: pytest.MonkeyPatch, *, protected: bool) -> int:
    """Uploads in a loop while the customer withdraws; how many were stored after the acknowledgement."""
    form = gateway.registered(rate=60_000)
    wallet, given = gateway.consenting()
    if not protected:
        known: dict[Any, Any] = {}
        whole = collecting.Collecting.prepare

        def prepare(self: Any, subjects: Any) -> None:  # the verdict of a moment ago
            whole(self, subjects)
            self._grants = known.setdefault("grants", self._grants)

        monkeypatch.setattr(collecting.Collecting, "prepare", prepare)
    acknowledged, stored_after, stop = threading.Event(), [], threading.Event()

    def flood() -> None:
        while not stop.is_set():
            late = acknowledged.is_set()
            told = form.one(subject=wallet.subject, ground=given["id"])
            if late and told["status"] == 200:
                stored_after.append(told)

    threads = [threading.Thread(target=flood) for _ in range(3)]
    for thread in threads:
        thread.start()
    while len(gateway.events("value.collected")) < 1:
        pass
    gateway.withdraw(wallet, given)
    acknowledged.set()
    stop.wait(0.6)
    stop.set()
    for thread in threads:
        thread.join()
    return len(stored_after)


def test_nothing_is_stored_under_a_consent_after_its_withdrawal_was_acknowledged(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert raced(gateway, monkeypatch, protected=True) == 0


def test_with_a_verdict_made_before_the_transaction_something_is(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control."""
    assert raced(gateway, monkeypatch, protected=False) > 0


def test_a_standing_below_the_journal_s_floor_lets_nothing_in(gateway: Gateway) -> None:
    form = gateway.registered()
    wallet, given = gateway.consenting()
    with gateway.platform.database.read() as session:
        session.exec(select(Credential.id)).first()
    entry = {"kind": "narrowing", "subject": wallet.subject, "version": 99, "ended": []}
    gateway.platform.journal.append({**entry, "evidence": {}, "at": "2026-11-22T08:00:00.000Z"})
    upload = gateway.upload(subject=wallet.subject, ground=given["id"])
    answer = form.send(upload).json()["results"][0]
    assert (answer["status"], answer["code"]) == (503, "standing_moving")
    assert gateway.stored(wallet.subject) == {}
