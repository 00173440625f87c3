"""Somebody wants to enrol as a customer who is not them: guessed codes, replayed and bent presentations, a desk."""

import base64
import secrets
from datetime import timedelta
from functools import partial
from typing import Any

import httpx
import pytest

from issuer import sealing
from protocol import canonical, proof, request, sealed
from protocol.consent import fresh_id
from protocol.keys import Ed25519Signer
from tests.attacks.holder import Customer, Held
from tests.attacks.pieces import CODE, EMAIL, LINK, PHONE, at_once, codes, token_of
from tests.attacks.place import Place
from tests.engine import hand

ENROL, OPEN = "/issuer/enrolments", "/issuer/enrolments/challenge"


def _enrol(place: Place, token: str, code: str, shown: Any, **headers: str) -> httpx.Response:
    body = {"token": token, "code": code, "presentation": shown}
    return place.http.post(f"{place.base}{ENROL}", json=body, headers=headers)


def _wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**8:08d}"


def _invited(place: Place) -> tuple[Customer, str, str, str]:
    customer = place.customer()
    return (customer, *place.opened(customer, place.invited(customer)))


@pytest.fixture(scope="module")
def invited(place: Place) -> tuple[Customer, str, str, str]:
    """A customer with an open invitation: (customer, token, challenge, code)."""
    return _invited(place)


def test_a_presentation_is_good_once_and_an_invitation_too(place: Place) -> None:
    _, token, challenge, code = _invited(place)
    shown = place.present(Ed25519Signer.generate(), challenge)
    assert _enrol(place, token, code, shown).status_code == 201
    place.refused("challenge_used", lambda: _enrol(place, token, code, shown))
    fresh = place.present(Ed25519Signer.generate(), secrets.token_urlsafe(32))
    place.refused("invitation_used", lambda: _enrol(place, token, code, fresh))
    answer = lambda: place.http.post(f"{place.base}{OPEN}", json={"token": token})  # noqa: E731
    place.refused("invitation_used", answer)


def test_a_presentation_over_anything_else_is_refused(place: Place, mina: Held, invited: Any) -> None:
    _, token, challenge, code = invited
    key = Ed25519Signer.generate()
    sound = place.present(key, challenge)
    bare = {name: part for name, part in sound.items() if name != "proof"}
    asserted = proof.sign(bare, key, created=place.now, challenge=challenge, domain=place.base)
    other = Ed25519Signer.generate()
    over = {"purpose": "authentication", "challenge": challenge, "domain": place.base}
    twice = proof.sign(sound, other, created=place.now, **over)
    padded = {**bare, "id": "urn:x:" + '\\"' * 12_000}
    large = proof.sign(padded, key, created=place.now, **over)
    consent = mina.consent(place.asked(mina))
    attacks = {
        "wrong_challenge": place.present(key, "another challenge"),
        "wrong_domain": place.present(key, challenge, domain="https://elsewhere.example"),
        "wrong_purpose": asserted,
        "bad_signature": {**sound, "holder": other.did},
        "bad_presentation": consent,
        "unsupported_did": place.present(place.platform.signer, challenge),
        "no_proof": bare,
    }
    for name, shown in attacks.items():
        place.refused(name, partial(_enrol, place, token, code, shown))
    place.refused("wrong_holder", partial(_enrol, place, token, code, twice))
    for shown in (large, place.present(key, challenge, credentials=[consent])):
        place.refused("bad_presentation", partial(_enrol, place, token, code, shown))
    place.refused("did_enrolled", partial(_enrol, place, token, code, place.present(mina.signer, challenge)))


def test_staff_do_not_enrol_even_with_link_and_code(place: Place, invited: Any) -> None:
    _, token, challenge, code = invited
    shown = place.present(Ed25519Signer.generate(), challenge)
    desk = place.desk("sales")
    place.refused("staff_not_wallet", partial(_enrol, place, token, code, shown, **desk), status=403)
    opening = partial(place.http.post, f"{place.base}{OPEN}", json={"token": token}, headers=desk)
    place.refused("staff_not_wallet", opening, status=403)
    me = place.get("sales", "/staff/me").json()["did"]
    assert place.events("attempt.refused")[-1].records[0][1]["did"] == me
    own = place.present(place.platform.keyring.signer("staff/sales"), challenge)
    place.refused("staff_not_wallet", partial(_enrol, place, token, code, own), status=403)


def test_five_wrong_codes_end_an_invitation_over_restarts_and_new_codes(place: Place) -> None:
    customer, token, challenge, code = _invited(place)
    tries = 0
    for then in (place.restart, lambda: place.opened(customer, _link(place, customer)), lambda: None):
        for _ in range(2 if tries < 4 else 1):
            wrong = _enrol(place, token, _wrong(code), place.present(Ed25519Signer.generate(), challenge))
            assert wrong.json()["code"] == "wrong_code"
            tries += 1
        opened = then()
        if opened is not None:
            _, challenge, code = opened
    assert tries == 5
    right = partial(_enrol, place, token, code, place.present(Ed25519Signer.generate(), challenge))
    place.refused("invitation_ended", right, status=410)
    assert [data["code"] for one in place.events("enrolment.refused") for _, data in one.records][-1] == "wrong_code"


def _link(place: Place, customer: Customer) -> str:
    return place.letters(customer.email, LINK)[-1]


def test_twenty_guesses_at_once_are_five_tries(place: Place) -> None:
    _, token, challenge, code = _invited(place)
    shown = place.present(Ed25519Signer.generate(), challenge)
    answers = at_once([partial(_enrol, place, token, _wrong(code), shown)] * 20)
    assert codes(answers) == ["invitation_ended"] * 15 + ["wrong_code"] * 5
    assert codes([_enrol(place, token, code, shown)]) == ["invitation_ended"]


def test_the_right_code_twenty_times_at_once_enrols_one_wallet(place: Place) -> None:
    customer, token, challenge, code = _invited(place)
    acts = [partial(_enrol, place, token, code, place.present(Ed25519Signer.generate(), challenge)) for _ in range(20)]
    found = codes(at_once(acts))
    assert found.count("ok") == 1
    assert set(found) <= {"ok", "challenge_used", "invitation_used"}
    answer = place.get("service", "/issuer/enrolments", subject=customer.subject)
    assert answer.json()["enrolled"] is True
    with place.platform.database.read() as session:
        count = "SELECT count(*) FROM credential WHERE kind = 'enrolment' AND subject = ?"
        assert hand.execute(session, count, customer.subject).scalar_one() == 1


# -- whoever puts their own mailbox and phone on file


MAILBOX, DIAL = "thief@example.net", "+86 139 0000 4711"


def _import(place: Place, *rows: str) -> dict[str, Any]:
    place.clock.advance(timedelta(seconds=1))
    headers = {**place.desk("admin"), "content-type": "text/csv"}
    answer = place.http.post(f"{place.base}/crm/imports", content="\n".join(rows), headers=headers)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def _numbered(place: Place, customer: Customer) -> str:
    """Give a customer a number; the number."""
    number = f"K{secrets.randbelow(10**9)}"
    assert _import(place, "Email,Customer number", f"{customer.email},{number}")["updated"] == 1
    return number


def _invite(place: Place, customer: Customer) -> httpx.Response:
    return place.post("service", "/issuer/invitations", {"subject": customer.subject})


def test_no_imported_file_puts_its_importer_s_mailbox_and_phone_in_the_way_of_link_and_code(place: Place) -> None:
    customer = place.customer()
    number = _numbered(place, customer)
    stolen = _import(place, "Customer number,Email,Phone Number", f"{number},{MAILBOX},{DIAL}")
    assert (stolen["created"], stolen["updated"]) == (0, 1)  # what was imported is on file, as it should be
    place.refused("channels_replaced", partial(_invite, place, customer))
    assert place.letters(MAILBOX, LINK) == []
    begun = place.post("service", "/issuer/invitations/in-person", {"subject": customer.subject})
    assert begun.status_code == 201  # two people at the desk may


def test_no_channel_that_changes_under_an_open_invitation_gets_its_code(place: Place) -> None:
    customer = place.customer()
    number = _numbered(place, customer)
    assert _import(place, "Customer number,Email", f"{number},2{MAILBOX}")["updated"] == 1
    assert _invite(place, customer).status_code == 201  # the phone is the customer's still: so is the code
    token = token_of(place.letters(f"2{MAILBOX}", LINK)[-1])
    assert _import(place, "Customer number,Phone Number", f"{number},{DIAL}")["updated"] == 1
    opened = place.http.post(f"{place.base}{OPEN}", json={"token": token})
    place.problem(opened, "channels_replaced", status=409)
    assert place.letters(DIAL, CODE) == []


def test_what_a_stolen_wallet_put_on_file_does_not_get_the_next_invitation(place: Place) -> None:
    held = place.enrolled()
    values = {EMAIL: f"3{MAILBOX}", PHONE: "+8613900004713"}
    place.clock.advance(timedelta(seconds=1))
    public = place.platform.keyring.archive.public(sealing.period_of(place.now))
    box = sealed.seal(public, sealing.inside(place.platform.controller, held.did, values))
    unsigned = request.build_request(
        "rectification", id=fresh_id(), controller=place.platform.controller, issuer=held.signer.did, at=place.now,
        fields=list(values), correction=canonical.digest(box),
    )  # fmt: skip
    body = {
        "request": proof.sign(unsigned, held.signer, created=place.now),
        "sealed": base64.b64encode(box).decode(),
    }
    id_ = held.call("POST", "/issuer/wallet/requests", body).json()["id"]
    assert place.post("service", f"/crm/rights/requests/{id_}/correction").status_code == 200
    lost = {"subject": held.subject, "method": "id_document", "evidence": "file 9"}
    loss = place.post("service", "/issuer/losses", lost).json()["id"]
    assert place.post("dpo", f"/issuer/losses/{loss}/confirmation").status_code == 200
    place.refused("channels_replaced", partial(_invite, place, held.customer))


def test_what_a_customer_without_a_wallet_said_before_two_people_is_their_own(place: Place) -> None:
    customer = place.customer()
    number = _numbered(place, customer)
    _import(place, "Customer number,Email,Phone Number", f"{number},4{MAILBOX},+86 139 0000 4714")
    place.clock.advance(timedelta(seconds=1))
    recorded = {
        "subject": customer.subject, "kind": "rectification", "method": "id_document", "evidence": "file 7",
        "values": {EMAIL: "own@example.org"},
    }  # fmt: skip
    id_ = place.post("dpo", "/issuer/requests", recorded).json()["id"]
    place.refused("channels_replaced", partial(_invite, place, customer))
    assert place.post("service", f"/issuer/requests/{id_}/confirmation").status_code == 200
    assert place.post("dpo", f"/crm/rights/requests/{id_}/correction").status_code == 200
    assert _invite(place, customer).status_code == 201
    assert place.letters("own@example.org", LINK)
