"""An erasure from the wallet's word to its proof: the real server, its workers, a touchpoint and a recipient."""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from issuer import publication
from protocol import canonical, credential, proof, redaction, signature
from protocol.consent import Field, fresh_id
from protocol.did import Did
from protocol.keys import Ed25519Signer
from protocol.times import iso
from redaction import delivery
from runtime import staff
from runtime.session import Database
from tests.attacks import test_older_copies
from tests.attacks.house import CITY, EMAIL, GIVEN, PASSWORD, PHONE, House, Person, served
from tests.engine import hand

FAMILY, NOTE = "contact.family_name", "interaction.note"
DELIVERY = "partner-delivery"


@dataclass(slots=True)
class Recipient:
    """A partner: it checks who tells it, deletes, and says so. (The network between is replaced: it would be https.)"""

    house: House
    signer: Ed25519Signer = field(default_factory=Ed25519Signer.generate)
    told: list[redaction.RedactionNotice] = field(default_factory=list)

    def __call__(self, told: httpx.Request) -> httpx.Response:
        assert str(told.url) == "https://delivery.example/withdrawals"  # as the catalogue says
        return httpx.Response(200, content=self.answer(told.read()))

    def answer(self, body: bytes) -> bytes:
        platform, at = self.house.platform, self.house.platform.clock.now()
        type_ = redaction.NOTICE_TYPE
        verified = credential.verify(
            body, platform.keys, at=at, expected_type=type_, expected_issuer=platform.controller
        )
        notice = redaction.parse_notice(verified)
        self.told.append(notice)
        document = redaction.build_acknowledgement(
            notice.reference, id=fresh_id(), recipient=self.signer.did, controller=platform.controller,
            action="deleted", citation=None, at=at,
        )  # fmt: skip
        return canonical.jcs(proof.sign(document, self.signer, created=at))


def publish(house: House, recipient: Did) -> None:
    """A version of the catalogue in which the delivery company is this one."""
    registry = house.own.registry
    said = json.loads(json.dumps(dict(publication.standing(registry).written)))
    said["version"] = "another delivery company"
    said["recipients"]["delivery"]["did"] = recipient
    id_ = publication.declare(registry, house.staff("dora"), said).id
    publication.approve(registry, house.staff("dan"), id_)
    publication.finish(registry, id_)


def touchpoint(house: House) -> Callable[[dict[str, Any]], httpx.Response]:
    """A web form that may leave with us what has no ground yet; what sends its uploads."""
    with house.platform.database.write("owner") as session:
        at = house.platform.clock.now()
        staff.create_account(
            session, house.platform.keyring, account="ada", name="ada", role="admin", password=PASSWORD, at=at
        )
    house.tokens["ada"] = staff.sign_in(house.platform, "ada", PASSWORD, at).token
    signer = Ed25519Signer.generate()
    body = {
        "did": signer.did, "name": "Web form", "ungrounded": "hold", "valid_until": iso(at + timedelta(days=30)),
        "processes": [{"purpose": "service", "fields": [NOTE]}],
    }  # fmt: skip
    made = house.post("ada", "/crm/touchpoints", body)
    assert made.status_code == 201, made.text
    assert house.post("dora", f"/crm/touchpoints/{made.json()['id']}/approval", {}).is_success

    def send(upload: dict[str, Any]) -> httpx.Response:
        now = house.platform.clock.now()
        whole = {"id": fresh_id(), "purpose": "service", "collected_at": iso(now), **upload}
        data, url = canonical.jcs({"uploads": [whole]}), f"{house.url(0)}/crm/ingest"
        headers = {"content-type": "application/json"}
        nonce = secrets.token_urlsafe(16)
        headers |= signature.sign_request("POST", url, headers, data, signer, created=now, nonce=nonce)
        return httpx.post(url, content=data, headers=headers, timeout=60)

    return send


def until(true: Callable[[], object], limit: float = 100.0) -> None:
    end = time.monotonic() + limit
    while not true():
        assert time.monotonic() < end, "it does not come about"
        time.sleep(0.1)


def seen(house: House, person: Person) -> set[str]:
    """What anybody among the staff is shown, for any purpose."""
    desks = (("mei", "marketing"), ("sina", "administration"), ("sina", "service"), ("sina", DELIVERY))
    return {name for account, purpose in desks for name in house.shown(person, account, purpose)}


def backup(house: House) -> Path:
    copy = house.home / "before.db"
    with closing(hand.connect(house.file)) as live, closing(hand.connect(copy)) as target:
        live.backup(target)
    return copy


def stolen(house: House, copy: Path) -> dict[tuple[str, str], Any]:
    """What today's keys open in a copy: (customer, field) → value."""
    database = Database(f"sqlite:///{copy}")
    try:
        opened, _ = test_older_copies.opened(database, house.platform)
    finally:
        database.dispose()
    return {(subject, name): value for (subject, _, name), value in opened.items()}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with served(tmp_path, customers=2) as made:
        yield made


def test_an_erasure_ends_grounds_destroys_what_is_stored_tells_recipients_and_is_proved_to_the_wallet(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    partner = Recipient(house)
    deliver = partial(delivery.deliver_due, transport=httpx.MockTransport(partner))
    monkeypatch.setattr(delivery, "deliver_due", deliver)
    publish(house, partner.signer.did)
    house.ground("service", EMAIL, PHONE)  # else they go once the invitation has done its work
    form, other = touchpoint(house), house.newcomer()
    house.give(other, (CITY,))
    person = house.newcomer()
    house.give(person, (EMAIL,))
    process = {"purpose": DELIVERY, "fields": [GIVEN, PHONE], "recipients": [partner.signer.did]}
    ask = house.post("sina", "/issuer/asks", {"subject": person.subject, "processes": [process]})
    assert ask.status_code == 201, ask.text
    person.app.consent(ask.json()["credential"]["id"], [GIVEN, PHONE])
    # the address has no ground at all; what came in for a purpose without one waits in the hold
    exported = house.post(
        "sina", "/crm/exports",
        {"purpose": DELIVERY, "select": [PHONE], "format": "csv", "recipient": partner.signer.did},
    )  # fmt: skip
    assert person.phone in exported.text, exported.text
    assert form({"subject": person.subject, "values": {NOTE: "called about the bill"}}).status_code == 202
    assert seen(house, person) == {EMAIL, GIVEN, FAMILY, PHONE}
    copy = backup(house)

    asked = person.app.ask_right("erasure")
    assert house.shown(person) == house.shown(person, "sina", DELIVERY) == {}
    assert seen(house, person) == {EMAIL, GIVEN, FAMILY, PHONE}  # by contract: an officer is asked whether it holds
    answered = house.post("dora", f"/issuer/requests/{asked.id}/answer", {"keep": {}})
    assert answered.status_code == 200, answered.text
    assert seen(house, person) == set()
    (request,) = person.app.requests()
    assert (request.state, request.last.kept) == ("answered", ())
    assert request.last.shut_at is not None

    fields = {EMAIL: "seal", GIVEN: "seal", FAMILY: "seal", PHONE: "shred", CITY: "shred"}

    def ended() -> dict[str, str]:
        """What the certificates say of ends: until the officer answered, one may say that the contract keeps it."""
        told = [item for one in person.app.fate().certificates for item in one.certificate.items]
        return {str(item.field): item.disposition for item in told if item.disposition != "keep"}

    def proved() -> bool:
        return ended().keys() >= set(fields) and all(one.missing is None for one in person.app.fate().certificates)

    until(proved)
    until(lambda: [one["state"] for one in person.app.fate().state["elsewhere"]] == ["acknowledged"])
    until(proved)  # with the one that says that the recipient has answered
    assert ended() == fields
    fate = person.app.fate()
    assert all(one.proved == len(one.certificate.events) > 0 for one in fate.certificates)
    assert {one.certificate.id for one in fate.certificates} <= {one.id for one in person.app.certificates()}
    (notice,) = partner.told[:1]
    assert (notice.recipient, set(notice.fields)) == (partner.signer.did, {Field(PHONE)})
    until(lambda: house.sql("SELECT count(*) FROM held_upload") == [(0,)])
    assert [one["how"] for one in house.told(person, "held.ended")] == ["withdrawn"]
    assert form({"subject": person.subject, "values": {NOTE: "again"}}).status_code == 422  # nothing taken, nor held
    assert house.sql("SELECT count(*) FROM held_upload") == [(0,)]

    opened = stolen(house, copy)
    assert {name for subject, name in opened if subject == person.subject} == set()
    assert {name for subject, name in opened if subject == other.subject} >= {CITY}
    assert house.shown(other) == {CITY: opened[other.subject, CITY]}
