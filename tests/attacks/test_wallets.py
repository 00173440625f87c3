"""An enrolled wallet, or a stranger with a key, wants more than is theirs: each attempt has its own code, changes
nothing, and is on record. Over HTTP, against the platform as it is served."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from protocol import canonical, consent, proof
from protocol.answers import build_refusal
from protocol.did import Did
from protocol.keys import Ed25519Signer
from tests.attacks.holder import Held
from tests.attacks.pieces import CITY, EMAIL, PHONE, bent
from tests.attacks.place import Place

Edit = Callable[[dict[str, Any]], None]
CONSENTS, WITHDRAWALS, NARROWINGS = (f"/issuer/wallet/{name}" for name in ("consents", "withdrawals", "narrowings"))
READS = ("/issuer/wallet/asks", "/audit/history", "/redaction/state")


class Named:
    """A key that signs under a name of its own choosing."""

    def __init__(self, method: str, key: Ed25519Signer | None = None) -> None:
        self.did, self.verification_method = Did(method.partition("#")[0]), method
        self.sign = (key or Ed25519Signer.generate()).sign


# -- requests


@pytest.mark.parametrize("path", READS)
def test_a_signed_request_counts_once(place: Place, mina: Held, path: str) -> None:
    nonce = f"nonce-for-{path}"
    assert mina.call("GET", path, nonce=nonce).status_code == 200
    place.refused("nonce_used", lambda: mina.call("GET", path, nonce=nonce), status=401)


def test_a_nonce_used_at_one_party_is_used_at_the_others(place: Place, mina: Held) -> None:
    assert mina.call("GET", READS[0], nonce="used at the issuer").status_code == 200
    place.refused("nonce_used", lambda: mina.call("GET", READS[1], nonce="used at the issuer"), status=401)


def test_a_request_is_good_for_one_service_path_method_and_body(place: Place, mina: Held) -> None:
    audit = place.settings.urls["audit"]
    place.refused("bad_signature", lambda: mina.call("GET", READS[1], sign_base=place.base))
    place.refused("bad_signature", lambda: mina.call("GET", READS[0], sign_base=audit))
    place.refused("bad_signature", lambda: mina.call("GET", READS[2], sign_base=audit))
    place.refused(
        "bad_signature", lambda: mina.call("GET", READS[0], sign_base=f"{place.base}/issuer/wallet/consents?")
    )
    place.refused("bad_signature", lambda: mina.call("POST", f"{CONSENTS}?a=1", {}, sign_base=f"{place.base}/x"))
    place.refused("bad_digest", lambda: mina.call("POST", CONSENTS, {"consent": {}}, sent=b'{"consent":{"a":1}}'))


def test_a_request_is_good_for_two_minutes_and_not_before_its_time(place: Place, mina: Held) -> None:
    for off in (timedelta(minutes=-3), timedelta(minutes=2)):
        place.refused(
            "stale_signature", lambda off=off: mina.call("GET", READS[0], created=place.now + off), status=401
        )  # type: ignore[misc]


def test_nobody_signs_under_anothers_name(place: Place, mina: Held, thief: Held) -> None:
    key = thief.signer
    names = {
        mina.signer.verification_method: "bad_signature",
        place.platform.signer.verification_method: "bad_signature",
        f"{mina.did}#{key.verification_method.partition('#')[2]}": "bad_did",
        f"{place.platform.controller}#key-2": "unknown_key",
        "did:ion:EiClkZMDxPKqC9c#key-1": "unsupported_did",
        "did:web:elsewhere.example#key-1": "unknown_key",
        str(key.did): "bad_did",
    }
    for name, code in names.items():
        place.refused(code, lambda name=name: place.signed(Named(name, key), "GET", READS[1]), status=401)  # type: ignore[misc, arg-type]


def test_a_request_without_a_signature_or_enrolment_is_refused(place: Place) -> None:
    for path in READS:
        place.refused("no_signature", lambda path=path: place.http.get(place.base + path), status=401)  # type: ignore[misc]
    place.refused("not_enrolled", lambda: place.signed(Ed25519Signer.generate(), "GET", READS[1]), status=403)
    place.refused("not_enrolled", lambda: place.signed(place.platform.signer, "GET", READS[0]), status=403)


def test_a_wallet_reads_of_nobody_else(place: Place, mina: Held, thief: Held) -> None:
    given = mina.give(place.asked(mina), (CITY,))
    for path in (*READS, CONSENTS, "/issuer/wallet/receipts", "/issuer/wallet/enrolments", "/redaction/certificates"):
        told = thief.call("GET", f"{path}?subject={mina.subject}&did={mina.did}").text
        assert given["id"] not in told
        assert mina.did not in told
        assert mina.subject not in told


# -- consents


@pytest.mark.parametrize(
    ("member", "wider"),
    [
        ("hasPersonalData", {"fields": frozenset({EMAIL, PHONE})}),
        ("hasPurpose", {"purpose": "https://w3id.org/dpv#CustomerCare"}),
        ("hasProcessing", {"processing": frozenset({"dpv:Use", "dpv:Share"})}),
        ("hasRecipient", {"recipients": frozenset({"did:web:other.example"})}),
        ("hasJurisdiction", {"jurisdictions": frozenset({"CN", "US"})}),
        ("hasDuration", {"duration": "P181D"}),
        ("hasLocation", {"locations": frozenset({"CN", "US"})}),
    ],
)
def test_a_consent_wider_than_its_ask_is_refused(place: Place, mina: Held, member: str, wider: dict[str, Any]) -> None:
    ask = place.asked(mina, (EMAIL, CITY))
    document = mina.consent(ask, processes=(bent(ask.processes[0], **wider),))
    told = place.refused("consent_wider_than_ask", lambda: mina.call("POST", CONSENTS, {"consent": document}))
    assert told["field"] == member


def test_a_consent_lasts_no_longer_and_begins_no_sooner_than_asked(place: Place, mina: Held) -> None:
    ask = place.asked(mina)
    second = timedelta(seconds=1)
    for member, dates in {
        "validUntil": {"until": ask.latest_until + second},
        "validFrom": {"valid_from": ask.issued - second},
    }.items():
        document = mina.consent(ask, **dates)
        told = place.refused("consent_wider_than_ask", lambda d=document: mina.call("POST", CONSENTS, {"consent": d}))  # type: ignore[misc]
        assert told["field"] == member


def _at(*path: str | int, to: Any) -> Edit:
    def edit(document: dict[str, Any]) -> None:
        node: Any = document
        for step in path[:-1]:
            node = node[step]
        node[path[-1]] = to

    return edit


_RECORD = ("credentialSubject", "hasConsent")


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("unknown_field", {"edit": _at(*_RECORD, "hasProcess", 0, "hasPersonalData", to=["contact.iris_scan"])}),
        ("unknown_purpose", {"edit": _at(*_RECORD, "hasProcess", 0, "hasPurpose", to="https://w3id.org/dpv#Spying")}),
        ("foreign_ask", {"edit": _at(*_RECORD, "ask", "id", to=consent.fresh_id())}),
        ("foreign_ask", {"edit": _at(*_RECORD, "ask", "digestMultibase", to=canonical.digest(b"another"))}),
        ("foreign_ask", {"edit": _at(*_RECORD, "hasDataController", to="did:web:other.example")}),
        ("foreign_ask", {"edit": _at(*_RECORD, "hasNotice", "digestMultibase", to=canonical.digest(b"another"))}),
        ("status_mismatch", {"edit": _at("credentialStatus", "statusListIndex", to="7")}),
        ("undefined_term", {"edit": _at(*_RECORD, "alsoGrants", to=["contact.phone"])}),
        ("bad_credential", {"edit": _at(*_RECORD, "standing", to="living")}),
        ("bad_credential", {"edit": _at("@context", to=["https://www.w3.org/ns/credentials/v2"] * 2 + ["https://ns.fieldgrant.example/consent/v1"])}),
        ("context_unknown", {"edit": _at("@context", 1, to="https://evil.example/v1")}),
        ("bad_credential", {"id": "urn:x:lin.wei@example.cn"}),
        ("unsupported_did", {"edit": _at("issuer", to={"id": "did:web:other.example"})}),
        ("wrong_challenge", {"challenge": "another challenge"}),
        ("wrong_challenge", {"challenge": None}),
        ("wrong_domain", {"domain": "https://elsewhere.example"}),
        ("wrong_purpose", {"purpose": "authentication"}),
        ("wrong_issuer", {"signer": Ed25519Signer.generate()}),
        ("unsupported_did", {"signer": Named("did:ion:EiClkZMDxPKqC9c#key-1")}),
        ("unknown_key", {"signer": Named("did:web:elsewhere.example#key-1")}),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)  # fmt: skip
def test_a_consent_that_is_not_what_it_must_be_is_refused(place: Place, mina: Held, code: str, how: Any) -> None:
    document = mina.consent(place.asked(mina), **how)
    place.refused(code, lambda: mina.call("POST", CONSENTS, {"consent": document}))


def test_a_tampered_consent_or_one_under_anothers_key_is_refused(place: Place, mina: Held, thief: Held) -> None:
    document = mina.consent(place.asked(mina), (CITY,))
    claim = document["credentialSubject"]["hasConsent"]["hasProcess"][0]
    tampered = {**document, "credentialSubject": {**document["credentialSubject"], "hasConsent": {
        **document["credentialSubject"]["hasConsent"], "hasProcess": [{**claim, "hasPersonalData": [CITY, EMAIL]}],
    }}}  # fmt: skip
    place.refused("bad_signature", lambda: mina.call("POST", CONSENTS, {"consent": tampered}))
    method = f"{mina.did}#{thief.signer.verification_method.partition('#')[2]}"
    confused = {**document, "proof": {**document["proof"], "verificationMethod": method}}
    place.refused("bad_did", lambda: mina.call("POST", CONSENTS, {"consent": confused}))
    theirs = {**document, "proof": {**document["proof"], "verificationMethod": thief.signer.verification_method}}
    place.refused("bad_signature", lambda: mina.call("POST", CONSENTS, {"consent": theirs}))
    ending = {**document, "proof": {**document["proof"], "expires": "2026-11-23T00:00:00Z"}}
    place.refused("bad_signature", lambda: mina.call("POST", CONSENTS, {"consent": ending}))
    place.refused("wrong_issuer", lambda: thief.call("POST", CONSENTS, {"consent": document}))
    assert mina.call("POST", CONSENTS, {"consent": document}).status_code == 201


def test_an_expired_consent_and_one_from_the_far_future_are_refused(place: Place, mina: Held) -> None:
    ask, hour = place.asked(mina), timedelta(hours=1)
    dates = {"expired": (place.now - 2 * hour, place.now - hour), "not_yet_valid": (place.now + hour, ask.latest_until)}
    for code, (begins, ends) in dates.items():
        document = mina.consent(ask, valid_from=begins, until=ends)
        place.refused(code, lambda d=document: mina.call("POST", CONSENTS, {"consent": d}))  # type: ignore[misc]


def test_a_wallet_whose_clock_is_ahead_is_heard_and_nothing_opens_before_its_time(place: Place) -> None:
    held, ahead = place.enrolled(), timedelta(seconds=20)
    begins = place.now + ahead
    given = held.give(place.asked(held, (EMAIL,)), valid_from=begins, created=begins)
    assert place.shown(held.subject)["withheld"] == {EMAIL: "no_ground"} | _others(place, held)
    withdrawal = held.withdrawal(given, at=begins, created=begins)
    assert held.call("POST", WITHDRAWALS, {"withdrawal": withdrawal}).status_code == 201
    place.clock.advance(ahead)
    assert EMAIL in place.shown(held.subject)["withheld"]


def _others(place: Place, held: Held) -> dict[str, str]:
    return {name: why for name, why in place.shown(held.subject)["withheld"].items() if name != EMAIL}


def test_a_proof_that_ends_by_itself_is_no_evidence_to_keep(place: Place, mina: Held) -> None:
    unsigned = {name: part for name, part in mina.consent(place.asked(mina)).items() if name != "proof"}
    ask = place.asked(mina)
    signed = proof.sign(unsigned, mina.signer, created=place.now, challenge=ask.challenge, domain=ask.domain)
    options = {**{k: v for k, v in signed["proof"].items() if k != "proofValue"}, "expires": "2026-11-23T00:00:00Z"}
    value = proof.multibase.encode(mina.signer.sign(proof._hashes(unsigned, options)))
    document = {**unsigned, "proof": {**options, "proofValue": value}}
    told = place.refused("bad_proof", lambda: mina.call("POST", CONSENTS, {"consent": document}))
    assert told["field"] == "proof.expires"


def test_a_stale_ask_and_one_to_somebody_else_cannot_be_answered(place: Place, mina: Held, thief: Held) -> None:
    until = (place.now + timedelta(seconds=30)).isoformat()
    short, theirs = place.asked(mina, (EMAIL,), latest_until=until), place.asked(mina)
    place.refused("foreign_ask", lambda: thief.call("POST", CONSENTS, {"consent": thief.consent(theirs)}))
    place.clock.advance(timedelta(seconds=31))
    late = mina.consent(short, until=place.now + timedelta(days=1))
    place.refused("stale_ask", lambda: mina.call("POST", CONSENTS, {"consent": late}))


def test_an_ask_is_answered_once_and_what_was_withdrawn_stays_so(place: Place) -> None:
    held = place.enrolled()
    ask = place.asked(held)
    given = held.give(ask)
    assert EMAIL in place.shown(held.subject)["fields"]
    place.refused("challenge_used", lambda: held.call("POST", CONSENTS, {"consent": held.consent(ask)}))
    offered = held.offer(given)
    smaller = held.consent(offered, (CITY,))
    leaving = held.withdrawal(given)
    assert held.call("POST", WITHDRAWALS, {"withdrawal": leaving}).status_code == 201
    place.refused("challenge_used", lambda: held.call("POST", CONSENTS, {"consent": held.consent(ask, (CITY,))}))
    body = {"withdrawal": leaving, "consent": smaller}
    place.refused("stale_ask", lambda: held.call("POST", NARROWINGS, body))
    again = {"withdrawal": held.withdrawal(given)}
    place.refused("consent_ended", lambda: held.call("POST", WITHDRAWALS, again))
    place.refused("consent_ended", lambda: held.call("POST", f"{NARROWINGS}/offers", {"consent": given["id"]}))
    before = place.state()
    assert held.call("POST", CONSENTS, {"consent": given}).status_code == 201  # the receipt that it had got
    assert place.state() == before
    assert place.shown(held.subject)["fields"] == {}


def test_other_credentials_are_no_consent_and_a_consent_is_nothing_else(place: Place, mina: Held) -> None:
    ask = place.asked(mina)
    unsigned = build_refusal(ask, id=consent.fresh_id(), at=place.now)
    refusal = proof.sign(unsigned, mina.signer, created=place.now, challenge=ask.challenge, domain=ask.domain)
    shown = place.present(mina.signer, ask.challenge)
    given = mina.consent(ask)
    for name, path, document, code in (
        ("consent", CONSENTS, refusal, "wrong_type"),
        ("consent", CONSENTS, shown, "bad_credential"),
        ("consent", CONSENTS, ask.document, "unsupported_did"),
        ("refusal", "/issuer/wallet/refusals", given, "wrong_type"),
        ("withdrawal", WITHDRAWALS, given, "wrong_type"),
    ):
        place.refused(code, lambda path=path, body={name: document}: mina.call("POST", path, body))  # type: ignore[misc]
