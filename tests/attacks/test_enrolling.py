"""Somebody wants to enrol as a customer who is not them: guessed codes, replayed and bent presentations, a desk."""

import secrets
from functools import partial
from typing import Any

import httpx
import pytest

from protocol import proof
from protocol.keys import Ed25519Signer
from tests.attacks.holder import Customer, Held
from tests.attacks.pieces import LINK, at_once, codes
from tests.attacks.place import Place

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
        assert session.connection().exec_driver_sql(count, (customer.subject,)).scalar_one() == 1
