"""Each attack has its own code, changes nothing, and is on record."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from protocol import canonical, consent, proof
from protocol.errors import EvidenceError
from protocol.keys import Ed25519Signer
from runtime.problem import Problem
from tests.issuer.world import CITY, EMAIL, GIVEN, PHONE, Wallet, World

Act = Callable[[], object]


def refused(world: World, action: str, code: str, act: Act) -> EvidenceError | Problem:
    """The act is refused with the code, nothing has changed, and the attempt is on record."""
    before, seen = world.state(), len(world.attempts())
    with pytest.raises((EvidenceError, Problem)) as caught:
        act()
    assert caught.value.code == code
    assert world.state() == before
    assert world.attempts()[seen:] == [(action, code)]
    return caught.value


def take(world: World, wallet: Wallet, document: dict[str, Any]) -> Act:
    return lambda: world.registry.consent(canonical.jcs(document), wallet.signer.did)


def test_a_consent_with_a_field_beyond_its_ask_is_refused_and_the_field_named(world: World, wallet: Wallet) -> None:
    document = wallet.consent(world.asked(wallet), (EMAIL, CITY, GIVEN, PHONE))
    error = refused(world, "consent", "consent_wider_than_ask", take(world, wallet, document))
    assert error.field == "hasPersonalData"
    assert error.detail == f"the ask did not offer {PHONE}"


@pytest.mark.parametrize("member", ["recipients", "jurisdictions", "purpose", "duration", "locations"])
def test_a_consent_wider_in_any_other_way_is_refused(world: World, wallet: Wallet, member: str) -> None:
    ask = world.asked(wallet)
    (one,) = ask.processes
    wider: dict[str, Any] = {
        "recipients": one.recipients | {"did:web:other.example"},
        "jurisdictions": one.jurisdictions | {"US"},
        "purpose": "https://w3id.org/dpv#CustomerCare",
        "duration": "P9000D",
        "locations": one.locations | {"US"},
    }
    kept = {
        name: getattr(one, name)
        for name in ("purpose", "fields", "processing", "recipients", "jurisdictions", "duration", "locations")
    }
    process = consent.Process(**{**kept, member: wider[member]})
    document = wallet.consent(ask, processes=(process,))
    error = refused(world, "consent", "consent_wider_than_ask", take(world, wallet, document))
    assert error.field is not None


def test_a_consent_that_lasts_longer_than_asked_is_refused(world: World, wallet: Wallet) -> None:
    ask = world.asked(wallet)
    document = wallet.consent(ask, until=ask.latest_until + timedelta(seconds=1))
    assert refused(world, "consent", "consent_wider_than_ask", take(world, wallet, document)).field == "validUntil"


def test_a_stale_ask_cannot_be_answered(world: World, wallet: Wallet) -> None:
    ask = world.asked(wallet)
    world.clock.advance(timedelta(days=7))
    refused(world, "consent", "stale_ask", take(world, wallet, wallet.consent(ask)))


def test_an_ask_to_somebody_else_cannot_be_answered(world: World, wallet: Wallet) -> None:
    other = world.enrolled()
    ask = world.asked(other)

    def mine(document: dict[str, Any]) -> None:
        document["issuer"] = document["credentialSubject"]["id"] = wallet.did

    refused(world, "consent", "foreign_ask", take(world, wallet, wallet.consent(ask, edit=mine)))


def test_an_ask_that_we_never_made_cannot_be_answered(world: World, wallet: Wallet) -> None:
    ask = world.asked(wallet)

    def elsewhere(document: dict[str, Any]) -> None:
        document["credentialSubject"]["hasConsent"]["ask"]["id"] = consent.fresh_id()

    refused(world, "consent", "foreign_ask", take(world, wallet, wallet.consent(ask, edit=elsewhere)))


def test_an_ask_with_another_digest_is_foreign(world: World, wallet: Wallet) -> None:
    ask = world.asked(wallet)

    def forged(document: dict[str, Any]) -> None:
        document["credentialSubject"]["hasConsent"]["ask"]["digestMultibase"] = canonical.digest(b"another ask")

    refused(world, "consent", "foreign_ask", take(world, wallet, wallet.consent(ask, edit=forged)))


def test_a_second_answer_to_the_same_challenge_is_refused(world: World, wallet: Wallet) -> None:
    ask = world.asked(wallet)
    wallet.give(ask)
    refused(world, "consent", "challenge_used", take(world, wallet, wallet.consent(ask)))
    refusal = canonical.jcs(wallet.refusal(ask))
    refused(world, "refusal", "challenge_used", lambda: world.registry.refuse(refusal, wallet.signer.did))


def test_the_challenge_of_another_ask_is_refused(world: World, wallet: Wallet) -> None:
    used = world.asked(wallet)
    wallet.give(used)
    ask = world.asked(wallet, fields=(EMAIL,))
    open_ = world.asked(wallet, fields=(CITY,))
    refused(world, "consent", "challenge_used", take(world, wallet, wallet.consent(ask, challenge=used.challenge)))
    refused(world, "consent", "wrong_challenge", take(world, wallet, wallet.consent(ask, challenge=open_.challenge)))
    refused(world, "consent", "wrong_challenge", take(world, wallet, wallet.consent(ask, challenge=None)))
    domain = "https://elsewhere.example"
    refused(world, "consent", "wrong_domain", take(world, wallet, wallet.consent(ask, domain=domain)))


def test_an_expired_consent_is_refused(world: World, wallet: Wallet) -> None:
    ask = world.asked(wallet)
    document = wallet.consent(ask, until=world.now + timedelta(hours=1))
    world.clock.advance(timedelta(hours=2))
    refused(world, "consent", "expired", take(world, wallet, document))


def test_a_consent_from_the_future_is_refused(world: World, wallet: Wallet) -> None:
    document = wallet.consent(world.asked(wallet), valid_from=world.now + timedelta(days=1))
    refused(world, "consent", "not_yet_valid", take(world, wallet, document))


def test_a_tampered_consent_is_refused(world: World, wallet: Wallet) -> None:
    document = wallet.consent(world.asked(wallet), (CITY,))
    document["credentialSubject"]["hasConsent"]["hasProcess"][0]["hasPersonalData"] = [CITY, EMAIL]
    refused(world, "consent", "bad_signature", take(world, wallet, document))


def test_a_consent_signed_with_another_key_is_refused(world: World, wallet: Wallet) -> None:
    stranger = Ed25519Signer.generate()
    document = wallet.consent(world.asked(wallet), signer=stranger)
    refused(world, "consent", "wrong_issuer", take(world, wallet, document))


def test_a_consent_signed_by_another_wallet_than_the_caller_is_refused(world: World, wallet: Wallet) -> None:
    other = world.enrolled()
    document = other.consent(world.asked(other))
    refused(world, "consent", "wrong_issuer", take(world, wallet, document))


def test_a_consent_by_an_unsupported_did_method_is_refused(world: World, wallet: Wallet) -> None:
    document = wallet.consent(world.asked(wallet))
    document["issuer"] = document["credentialSubject"]["id"] = "did:ion:EiClkZMDxPKqC9c"
    document["proof"]["verificationMethod"] = "did:ion:EiClkZMDxPKqC9c#key-1"
    refused(world, "consent", "unsupported_did", take(world, wallet, document))


def test_an_unknown_field_or_purpose_is_refused(world: World, wallet: Wallet) -> None:
    ask = world.asked(wallet)
    refused(world, "consent", "unknown_field", take(world, wallet, wallet.consent(ask, ("contact.iris_scan",))))

    def purpose(document: dict[str, Any]) -> None:
        document["credentialSubject"]["hasConsent"]["hasProcess"][0]["hasPurpose"] = "https://w3id.org/dpv#Surveillance"

    refused(world, "consent", "unknown_purpose", take(world, wallet, wallet.consent(ask, edit=purpose)))


def test_another_status_entry_than_the_asks_is_refused(world: World, wallet: Wallet) -> None:
    ask = world.asked(wallet)

    def elsewhere(document: dict[str, Any]) -> None:
        index = str((ask.status.index + 1) % 131_072)
        document["credentialStatus"]["statusListIndex"] = index
        document["credentialStatus"]["id"] = f"{ask.status.list_url}#{index}"

    refused(world, "consent", "status_mismatch", take(world, wallet, wallet.consent(ask, edit=elsewhere)))


def test_an_id_that_exists_is_refused(world: World, wallet: Wallet) -> None:
    taken = wallet.give(world.asked(wallet))["id"]
    document = wallet.consent(world.asked(wallet, fields=(EMAIL,)), id=taken)
    refused(world, "consent", "id_used", take(world, wallet, document))


def test_a_credential_of_another_kind_is_no_consent(world: World, wallet: Wallet) -> None:
    document = wallet.refusal(world.asked(wallet))
    refused(world, "consent", "wrong_type", take(world, wallet, document))


def test_somebody_elses_consent_cannot_be_withdrawn_or_narrowed(world: World, wallet: Wallet) -> None:
    theirs = wallet.give(world.asked(wallet))
    thief = world.enrolled()
    withdrawal = canonical.jcs(thief.withdrawal(theirs))
    refused(world, "withdrawal", "not_your_consent", lambda: world.registry.withdraw(withdrawal, thief.signer.did))
    offer = lambda: world.registry.offer_narrowing(theirs["id"], thief.signer.did)  # noqa: E731
    refused(world, "narrowing-offer", "not_your_consent", offer)


def test_the_owners_withdrawal_cannot_be_sent_by_another_wallet(world: World, wallet: Wallet) -> None:
    withdrawal = canonical.jcs(wallet.withdrawal(wallet.give(world.asked(wallet))))
    thief = world.enrolled()
    refused(world, "withdrawal", "wrong_issuer", lambda: world.registry.withdraw(withdrawal, thief.signer.did))


def test_a_withdrawal_names_its_consent_by_digest_too(world: World, wallet: Wallet) -> None:
    document = wallet.give(world.asked(wallet))
    body = canonical.jcs(wallet.withdrawal(document, digest=canonical.digest(b"another consent")))
    refused(world, "withdrawal", "digest_mismatch", lambda: world.registry.withdraw(body, wallet.signer.did))


def test_what_is_unknown_or_has_ended_cannot_be_withdrawn(world: World, wallet: Wallet) -> None:
    document = wallet.give(world.asked(wallet))
    unknown = canonical.jcs(wallet.withdrawal({**document, "id": consent.fresh_id()}))
    refused(world, "withdrawal", "unknown_consent", lambda: world.registry.withdraw(unknown, wallet.signer.did))
    world.registry.withdraw(canonical.jcs(wallet.withdrawal(document)), wallet.signer.did)
    again = canonical.jcs(wallet.withdrawal(document))
    refused(world, "withdrawal", "consent_ended", lambda: world.registry.withdraw(again, wallet.signer.did))
    offer = lambda: world.registry.offer_narrowing(document["id"], wallet.signer.did)  # noqa: E731
    refused(world, "narrowing-offer", "consent_ended", offer)


def _offer(world: World, wallet: Wallet, document: dict[str, Any]) -> consent.Ask:
    return wallet.read_ask(world.registry.offer_narrowing(document["id"], wallet.signer.did))


def test_a_narrowing_may_not_widen_or_stay_the_same(world: World, wallet: Wallet) -> None:
    old = wallet.give(world.asked(wallet), (EMAIL, CITY), until=world.now + timedelta(days=30))
    ask = _offer(world, wallet, old)
    assert ask.latest_until == wallet.read_consent(old).valid_until
    leaving = canonical.jcs(wallet.withdrawal(old))

    def narrow(document: dict[str, Any]) -> Act:
        return lambda: world.registry.narrow(leaving, canonical.jcs(document), wallet.signer.did)

    refused(world, "narrowing", "consent_wider_than_ask", narrow(wallet.consent(ask, (EMAIL, CITY, GIVEN))))
    later = wallet.consent(ask, (CITY,), until=ask.latest_until + timedelta(days=1))
    refused(world, "narrowing", "consent_wider_than_ask", narrow(later))
    refused(world, "narrowing", "not_narrower", narrow(wallet.consent(ask)))


def test_a_narrowing_needs_the_offer_made_for_that_consent(world: World, wallet: Wallet) -> None:
    old = wallet.give(world.asked(wallet))
    second = wallet.give(world.asked(wallet, fields=(EMAIL, CITY)))
    ordinary = world.asked(wallet, fields=(EMAIL,))
    leaving = canonical.jcs(wallet.withdrawal(old))
    for ask in (ordinary, _offer(world, wallet, second)):
        coming = canonical.jcs(wallet.consent(ask, (EMAIL,)))
        refused(
            world, "narrowing", "foreign_ask", lambda c=coming: world.registry.narrow(leaving, c, wallet.signer.did)
        )  # type: ignore[misc]


def test_an_offer_to_narrow_is_no_ask_for_a_second_consent(world: World, wallet: Wallet) -> None:
    ask = _offer(world, wallet, wallet.give(world.asked(wallet)))
    refused(world, "consent", "foreign_ask", take(world, wallet, wallet.consent(ask, (CITY,))))


def test_a_consent_taken_before_is_no_narrowing(world: World, wallet: Wallet) -> None:
    old = wallet.give(world.asked(wallet))
    leaving, coming = canonical.jcs(wallet.withdrawal(old)), canonical.jcs(old)
    refused(world, "narrowing", "foreign_ask", lambda: world.registry.narrow(leaving, coming, wallet.signer.did))


def test_the_parts_of_a_narrowing_bind_only_together(world: World, wallet: Wallet) -> None:
    old = wallet.give(world.asked(wallet))
    ask = _offer(world, wallet, old)
    coming = wallet.consent(ask, (CITY,))
    signature = coming["proof"]["proofValue"]
    coming["proof"]["proofValue"] = signature[:-1] + ("2" if signature.endswith("1") else "1")
    leaving = canonical.jcs(wallet.withdrawal(old))
    with pytest.raises(EvidenceError):
        world.registry.narrow(leaving, canonical.jcs(coming), wallet.signer.did)
    assert [row.ended_at for row in world.rows("consent")] == [None]


def test_a_replayed_request_is_refused(world: World, wallet: Wallet) -> None:
    assert wallet.call("GET", "/issuer/wallet/asks", nonce="n" * 16).status_code == 200
    again = wallet.call("GET", "/issuer/wallet/asks", nonce="n" * 16)
    assert (again.status_code, again.json()["code"]) == (401, "nonce_used")
    assert world.attempts() == [("wallet-request", "nonce_used")]


def test_a_request_that_is_unsigned_stale_or_changed_is_refused(world: World, wallet: Wallet) -> None:
    assert world.http.get("/issuer/wallet/asks").json()["code"] == "no_signature"
    headers = dict(wallet.call("GET", "/issuer/wallet/asks").request.headers)
    assert world.http.get("/issuer/wallet/consents", headers=headers).json()["code"] == "bad_signature"
    world.clock.advance(timedelta(minutes=10))
    answer = world.http.get("/issuer/wallet/asks", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "stale_signature")
    assert [code for _, code in world.attempts()] == ["no_signature", "bad_signature", "stale_signature"]


def test_a_wallet_that_is_not_enrolled_is_refused(world: World, wallet: Wallet) -> None:
    stranger = Wallet(world, wallet.subject)
    answer = stranger.call("GET", "/issuer/wallet/asks")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_enrolled")


def test_a_member_of_staff_is_no_wallet(world: World) -> None:
    staff = world.staff("marketing")
    signer = world.platform.keyring.signer(f"staff/{staff.account}")
    answer = Wallet(world, world.customer(), signer).call("GET", "/issuer/wallet/asks")
    assert (answer.status_code, answer.json()["code"]) == (403, "staff_not_wallet")
    by_token = world.http.get("/issuer/wallet/asks", headers=world.desk("marketing"))
    assert (by_token.status_code, by_token.json()["code"]) == (403, "staff_not_wallet")
    assert [code for _, code in world.attempts()] == ["staff_not_wallet", "staff_not_wallet"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"consent": {}, "consent": {}}', "duplicate_key"),
        (b'{"consent": {"n": NaN}}', "bad_number"),
        (b"[" * 100, "too_deep"),
        (b"{", "bad_json"),
        (b'{"consent": 1}', "bad_request"),
        (b'{"consent": {}, "more": 1}', "bad_request"),
        (b'{"consent": "' + b"x" * 70_000 + b'"}', "too_large"),
    ],
)
def test_bodies_are_parsed_strictly(world: World, wallet: Wallet, body: bytes, code: str) -> None:
    from protocol import signature

    url = f"{world.settings.base_url}/issuer/wallet/consents"
    headers = signature.sign_request("POST", url, {}, body, wallet.signer, created=world.now, nonce="n" * 16)
    answer = world.http.post("/issuer/wallet/consents", content=body, headers=headers)
    found = answer.json()["code"]
    assert found == code or (code in ("bad_number", "too_deep") and found == "bad_json")


def test_a_proof_set_in_which_another_key_answers_too_is_refused_when_it_lacks_the_challenge(
    world: World, wallet: Wallet
) -> None:
    document = wallet.consent(world.asked(wallet))
    twice = proof.sign(document, Ed25519Signer.generate(), created=world.now)
    refused(world, "consent", "wrong_challenge", take(world, wallet, twice))
