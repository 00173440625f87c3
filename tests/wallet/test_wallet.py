"""The verbs against an organisation that signs, checks and, where told to, lies."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from protocol import canonical, proof
from protocol.consent import NoticeRef, StatusRef
from protocol.errors import EvidenceError
from protocol.keys import Ed25519Signer
from tests.wallet.conftest import PASSPHRASE, WEAK
from tests.wallet.organisation import CODE, TOKEN, Json, Organisation
from wallet import client as clients
from wallet.client import Client
from wallet.errors import WalletError
from wallet.wallet import Wallet

BOTH = ["contact.email", "address.city"]


def code(call: Callable[[], Any]) -> str:
    with pytest.raises((WalletError, EvidenceError)) as caught:
        call()
    return str(caught.value.code)  # type: ignore[union-attr]


def given(wallet: Wallet, organisation: Organisation, *fields: str) -> str:
    receipt = wallet.consent(organisation.make_ask().id, list(fields) or BOTH)
    assert receipt.consent is not None
    return receipt.consent.id


def reopened(wallet: Wallet, tmp_path: Path, organisation: Organisation) -> Wallet:
    wallet.close()
    return Wallet.open(tmp_path / "wallet", PASSPHRASE, clock=lambda: organisation.at, transport=organisation.transport)


def test_an_enrolment_survives_closing(enrolled: Wallet, tmp_path: Path, organisation: Organisation) -> None:
    assert enrolled.holding().did == organisation.wallet
    with reopened(enrolled, tmp_path, organisation) as again:
        assert again.holding(organisation.base).did == organisation.wallet
        assert again.asks() == ((), ())


def test_each_organisation_knows_another_did(enrolled: Wallet, organisation: Organisation) -> None:
    other = Organisation("http://localhost:8701")
    both = {8700: organisation, 8701: other}
    enrolled._client._http._transport = httpx.MockTransport(lambda request: both[request.url.port or 0].handle(request))
    enrolled.enrol(other.link, lambda channel: CODE)
    assert len({one.did for one in enrolled.holdings}) == 2
    assert code(enrolled.holding) == "which_organisation"
    assert enrolled.holding("8701").controller == other.did
    assert code(lambda: enrolled.holding("elsewhere")) == "not_enrolled"
    other.make_ask()
    receipt = enrolled.consent(next(iter(other.asks)), BOTH, organisation="8701")
    assert receipt.consent is not None
    assert enrolled.withdraw(receipt.consent.id).controller == other.did


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("fieldgrant://", "https://", "bad_link"),
        ("token=", "tokens=", "bad_link"),
        (TOKEN, "short", "bad_link"),
        ("document=zQm", "document=zQmm", "document_mismatch"),
        ("did%3Aweb%3Alocalhost%253A8700", "did%3Aweb%3Aevil.example", "document_mismatch"),
        ("8700&token", "8701&token", "document_mismatch"),
        ("http%3A%2F%2Flocalhost", "http%3A%2F%2Fcrm.example.com", "document_mismatch"),
    ],
)
def test_a_link_that_names_something_else_is_refused(
    opened: Wallet, organisation: Organisation, old: str, new: str, expected: str
) -> None:
    assert old in organisation.link
    assert code(lambda: opened.begin(organisation.link.replace(old, new))) == expected
    assert opened.holdings == ()


def test_a_changed_document_is_refused_and_nothing_is_sent(opened: Wallet, organisation: Organisation) -> None:
    stranger = Ed25519Signer.generate()
    changes: list[Callable[[Json], Any]] = [
        lambda document: {**document, "verificationMethod": []},
        lambda document: {**document, "id": stranger.did},
        lambda document: httpx.Response(200, text="{"),
    ]
    for change in changes:
        organisation.twist["/.well-known/did.json"] = change
        assert code(lambda: opened.begin(organisation.link)) == "document_mismatch"
    assert {path for _, path in organisation.requests} == {"/.well-known/did.json"}


def test_a_pinned_document_must_be_usable(opened: Wallet, organisation: Organisation) -> None:
    for change in ({"service": []}, {"id": "did:web:else"}, {"verificationMethod": "none"}):
        organisation.document = {**Organisation().document, **change}
        assert code(lambda: opened.begin(organisation.link)) == "document_mismatch"


def test_only_https_is_called_except_on_this_machine() -> None:
    with Client(lambda: Organisation().at, transport=Organisation().transport) as client:
        for url in ("http://crm.example.com/x", "ftp://localhost/x", "file:///etc/passwd"):
            assert code(lambda url=url: client.fetch(url)) == "insecure_url"  # type: ignore[misc]


def test_a_wrong_code_changes_nothing_and_the_same_did_tries_again(opened: Wallet, organisation: Organisation) -> None:
    begun = opened.begin(organisation.link)
    assert code(lambda: opened.complete(begun, "00000000")) == "wrong_code"
    assert code(opened.holding) == "not_enrolled"
    again = opened.begin(organisation.link)
    assert again.holding.did == begun.holding.did
    assert opened.complete(again, f" {CODE} ").enrolment is not None
    assert code(lambda: opened.begin(organisation.link)) == "already_enrolled"


@pytest.mark.parametrize(
    ("path", "twist", "expected"),
    [
        ("/issuer/enrolments/challenge", lambda a: {**a, "domain": "https://evil.example"}, "wrong_domain"),
        ("/issuer/enrolments/challenge", lambda a: {**a, "challenge": "1"}, "wrong_challenge"),
        ("/issuer/enrolments", lambda a: {}, "bad_answer"),
        ("/issuer/enrolments", lambda a: {"enrolment": {**a["enrolment"], "id": "urn:uuid:x"}}, "bad_signature"),
        ("/issuer/enrolments", lambda a: httpx.Response(302, headers={"location": "http://localhost:1/"}), "refused"),
        ("/issuer/enrolments", lambda a: httpx.Response(200, text="[]"), "bad_answer"),
    ],
)
def test_an_enrolment_that_does_not_hold_is_not_kept(
    opened: Wallet, organisation: Organisation, path: str, twist: Callable[[Json], Any], expected: str
) -> None:
    organisation.twist[path] = twist
    assert code(lambda: opened.enrol(organisation.link, lambda channel: CODE)) == expected
    assert code(opened.holding) == "not_enrolled"


def test_an_enrolment_of_another_wallet_is_not_kept(opened: Wallet, organisation: Organisation, tmp_path: Path) -> None:
    with Wallet.create(
        tmp_path / "other", PASSPHRASE, strength=WEAK, clock=lambda: organisation.at, transport=organisation.transport
    ) as other:
        theirs = other.enrol(organisation.link, lambda channel: CODE).enrolment
    organisation.twist["/issuer/enrolments"] = lambda answer: {"enrolment": theirs}
    assert code(lambda: opened.enrol(organisation.link, lambda channel: CODE)) == "foreign_enrolment"


def test_an_ask_is_shown_with_its_notice(enrolled: Wallet, organisation: Organisation) -> None:
    ask = organisation.make_ask()
    offers, rejected = enrolled.asks()
    assert [one.ask for one in offers] == [ask]
    assert "我们想给您写信" in offers[0].notice
    assert rejected == ()
    assert enrolled.ask(ask.id[9:17]).ask == ask
    assert code(lambda: enrolled.ask("urn:uuid:none")) == "unknown_ask"
    organisation.make_ask()
    assert code(lambda: enrolled.ask("urn:uuid")) == "ambiguous"


def stranger_ask(organisation: Organisation) -> Json:
    document = dict(organisation.make_ask().document)
    del document["proof"]
    return proof.sign(document, Ed25519Signer.generate(), created=organisation.at)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"subject_did": Ed25519Signer(b"\x09" * 32).did}, "foreign_ask"),
        ({"domain": "https://evil.example"}, "wrong_domain"),
        ({"challenge": "1"}, "wrong_challenge"),
        ({"notice": NoticeRef("http://localhost:8700/issuer/notices/marketing/1", "zQmX", "en")}, "notice_mismatch"),
        ({"notice": NoticeRef("https://evil.example/notice", "zQmX", "en")}, "notice_mismatch"),
        ({"notice": NoticeRef("http://localhost:8700/none", "zQmX", "en")}, "not_found"),
    ],
)
def test_an_ask_that_is_not_what_it_should_be_is_never_shown(
    enrolled: Wallet, organisation: Organisation, more: Json, expected: str
) -> None:
    ask = organisation.make_ask(**more)
    offers, rejected = enrolled.asks()
    assert offers == ()
    assert [(one.id, one.code) for one in rejected] == [(ask.id, expected)]
    assert code(lambda: enrolled.consent(ask.id, BOTH)) == expected


def test_an_expired_tampered_or_foreign_signed_ask_is_never_shown(enrolled: Wallet, organisation: Organisation) -> None:
    tampered = json.loads(json.dumps(organisation.make_ask().document))
    tampered["credentialSubject"]["requestsConsent"]["hasProcess"][0]["hasPersonalData"].append("contact.phone")
    unsigned = {name: value for name, value in tampered.items() if name != "proof"}
    listed = [{"credential": one} for one in (tampered, stranger_ask(organisation), {**unsigned, "proof": []})]
    organisation.twist["/issuer/wallet/asks"] = lambda answer: {"items": listed}
    assert [one.code for one in enrolled.asks()[1]] == ["bad_signature", "wrong_issuer", "no_proof"]
    del organisation.twist["/issuer/wallet/asks"]
    organisation.at += timedelta(days=8)
    offers, rejected = enrolled.asks()
    assert offers == ()
    assert {one.code for one in rejected} == {"expired"}


def test_notice_bytes_that_cannot_be_read_are_refused(enrolled: Wallet, organisation: Organisation) -> None:
    organisation.make_ask()
    for told in (b"\xff", b'{"a":', b'{"text": 7}'):
        organisation.twist["/issuer/notices/marketing/1"] = lambda answer, told=told: httpx.Response(200, content=told)
        assert enrolled.asks()[1][0].code == "notice_mismatch"


def test_a_consent_grants_exactly_what_was_ticked(enrolled: Wallet, organisation: Organisation, tmp_path: Path) -> None:
    ask = organisation.make_ask()
    until = organisation.at + timedelta(days=30)
    receipt = enrolled.consent(ask.id, ["address.city"], until=until)
    kept, _ = organisation.consents[receipt.consent.id if receipt.consent else ""]
    assert [sorted(process.fields) for process in kept.processes] == [["address.city"]]
    assert kept.valid_until == until
    with reopened(enrolled, tmp_path, organisation) as again:
        held = again.holding().consents[0]
        assert (held.standing, held.notice[:8]) == ("living", "We would")
        assert len(again.holding().receipts) == 1
        assert again.holding().pending == ()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], "nothing_chosen"),
        (["contact.phone"], "unknown_field"),
        (["SellProducts:contact.email"], "unknown_purpose"),
        ({"https://w3id.org/dpv#DirectMarketing": []}, "nothing_chosen"),
    ],
)
def test_what_was_not_asked_or_not_ticked_is_not_given(
    enrolled: Wallet, organisation: Organisation, fields: Any, expected: str
) -> None:
    ask = organisation.make_ask()
    assert code(lambda: enrolled.consent(ask.id, fields)) == expected
    assert organisation.consents == {}
    assert enrolled.holding().consents == ()


def test_an_ask_with_two_purposes_is_answered_by_purpose(enrolled: Wallet, organisation: Organisation) -> None:
    care = organisation.process("contact.phone", purpose="CustomerCare")
    ask = organisation.make_ask(organisation.process(*BOTH), care)
    assert code(lambda: enrolled.consent(ask.id, ["contact.phone"])) == "which_purpose"
    receipt = enrolled.consent(ask.id, ["CustomerCare:contact.phone"])
    assert receipt.processes == (care,)


def test_a_consent_cannot_last_longer_than_asked_nor_end_before_now(
    enrolled: Wallet, organisation: Organisation
) -> None:
    ask = organisation.make_ask()
    for until in (organisation.at, organisation.at + timedelta(days=181)):
        assert code(lambda until=until: enrolled.consent(ask.id, BOTH, until=until)) == "bad_until"  # type: ignore[misc]


def test_a_refusal_is_receipted(enrolled: Wallet, organisation: Organisation) -> None:
    ask = organisation.make_ask()
    receipt = enrolled.refuse(ask.id)
    assert (receipt.event, receipt.ask.id if receipt.ask else None) == ("refused", ask.id)
    assert enrolled.asks() == ((), ())


def test_a_narrowing_gives_up_a_part_in_one_step(enrolled: Wallet, organisation: Organisation) -> None:
    old = given(enrolled, organisation)
    receipt = enrolled.narrow(old, ["address.city"])
    assert receipt.supersedes is not None
    assert receipt.supersedes.id == old
    assert {held.id: held.standing for held in enrolled.holding().consents} == {
        old: "superseded",
        receipt.consent.id if receipt.consent else "": "living",
    }
    assert code(lambda: enrolled.narrow(receipt.consent.id, ["contact.email"])) == "unknown_field"  # type: ignore[union-attr]


def test_a_narrowing_that_gives_up_nothing_is_not_sent(enrolled: Wallet, organisation: Organisation) -> None:
    old = given(enrolled, organisation)
    assert code(lambda: enrolled.narrow(old, BOTH)) == "not_narrower"
    assert ("POST", "/issuer/wallet/narrowings") not in organisation.requests


def test_an_offer_for_narrowing_is_for_that_consent_and_nothing_else(
    enrolled: Wallet, organisation: Organisation
) -> None:
    old = given(enrolled, organisation)
    other = organisation.make_ask(replaces="urn:uuid:00000000-0000-4000-8000-0000000000ff")
    assert code(lambda: enrolled.consent(other.id, BOTH)) == "narrowing_offer"
    organisation.twist["/issuer/wallet/narrowings/offers"] = lambda answer: {"ask": dict(other.document)}
    assert code(lambda: enrolled.narrow(old, ["address.city"])) == "foreign_ask"


def test_a_withdrawal_ends_a_consent_and_the_public_list_says_so(enrolled: Wallet, organisation: Organisation) -> None:
    consent_id = given(enrolled, organisation)
    receipt = enrolled.withdraw(consent_id[9:17])
    assert (receipt.event, receipt.standing) == ("withdrawn", "withdrawn")
    assert receipt.shut_at is not None
    assert enrolled.holding().consents[0].standing == "withdrawn"
    assert code(lambda: enrolled.withdraw("none such")) == "unknown_consent"


def test_a_public_list_that_contradicts_the_receipt_is_noticed(enrolled: Wallet, organisation: Organisation) -> None:
    consent_id = given(enrolled, organisation)
    forged = organisation._status()
    organisation.twist["/issuer/status/1"] = lambda answer: forged
    assert code(lambda: enrolled.withdraw(consent_id)) == "status_mismatch"
    assert enrolled.holding().consents[0].standing == "withdrawn"


def test_a_status_list_elsewhere_is_not_asked(enrolled: Wallet, organisation: Organisation) -> None:
    ask = organisation.make_ask(status=StatusRef("https://evil.example/status/1", 7))
    assert code(lambda: enrolled.consent(ask.id, BOTH)) == "status_mismatch"


def lie(answer: Json, organisation: Organisation, **changes: Any) -> Json:
    document = json.loads(json.dumps(answer["receipt"]))
    del document["proof"]
    document["credentialSubject"]["hasReceipt"].update(changes)
    return {"receipt": proof.sign(document, organisation.signer, created=organisation.at)}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"receiptEvent": "withdrawn", "hasConsentStatus": "dpv:ConsentWithdrawn"}, "receipt_mismatch"),
        ({"consent": {"id": "urn:uuid:x", "digestMultibase": "zQmX"}}, "receipt_mismatch"),
        ({"hasProcess": "more"}, "receipt_mismatch"),
        ({"hasDataController": "did:web:evil.example"}, "wrong_issuer"),
    ],
)
def test_a_receipt_that_says_something_else_is_not_accepted(
    enrolled: Wallet, organisation: Organisation, changes: Json, expected: str
) -> None:
    ask = organisation.make_ask()

    def twist(answer: Json) -> Json:
        told = dict(changes)
        if "hasProcess" in told:
            more = json.loads(json.dumps(answer["receipt"]["credentialSubject"]["hasReceipt"]["hasProcess"]))
            more[0]["hasPersonalData"].append("contact.phone")
            told["hasProcess"] = more
        return lie(answer, organisation, **told)

    organisation.twist["/issuer/wallet/consents"] = twist
    assert code(lambda: enrolled.consent(ask.id, BOTH)) == expected
    assert enrolled.holding().consents[0].standing == "sent"


def test_a_withdrawal_receipt_without_its_shut_is_not_accepted(enrolled: Wallet, organisation: Organisation) -> None:
    consent_id = given(enrolled, organisation)

    def without(answer: Json) -> Json:
        document = json.loads(json.dumps(answer["receipt"]))
        del document["proof"], document["credentialSubject"]["hasReceipt"]["shutAt"]
        return {"receipt": proof.sign(document, organisation.signer, created=organisation.at)}

    organisation.twist["/issuer/wallet/withdrawals"] = without
    assert code(lambda: enrolled.withdraw(consent_id)) == "receipt_mismatch"


def test_a_receipt_for_somebody_else_is_not_kept(enrolled: Wallet, organisation: Organisation) -> None:
    given(enrolled, organisation)
    document = json.loads(json.dumps(next(iter(organisation.receipts.values()))))
    del document["proof"]
    document["credentialSubject"]["id"] = organisation.did
    foreign = proof.sign(document, organisation.signer, created=organisation.at)
    organisation.twist["/issuer/wallet/receipts"] = lambda answer: {"items": [{"credential": foreign}]}
    assert code(enrolled.receipts) == "foreign_receipt"
    organisation.twist["/redaction/certificates"] = lambda answer: {
        "certificates": [organisation.certificate(organisation.did)]
    }
    assert code(enrolled.certificates) == "foreign_certificate"


def test_an_answer_lost_on_the_way_is_sent_again_as_it_was(
    enrolled: Wallet, organisation: Organisation, tmp_path: Path
) -> None:
    ask = organisation.make_ask()
    organisation.down = "after /issuer/wallet/consents"
    assert code(lambda: enrolled.consent(ask.id, BOTH)) == "unreachable"
    assert len(organisation.consents) == 1
    organisation.down = None
    with reopened(enrolled, tmp_path, organisation) as again:
        assert again.holding().consents[0].standing == "sent"
        assert [one.event for one in again.resume()] == ["given"]
        assert again.holding().consents[0].standing == "living"
        assert again.resume() == ()
    assert len(organisation.consents) == 1


def test_an_answer_that_never_left_is_sent_later_and_a_refused_one_is_dropped(
    enrolled: Wallet, organisation: Organisation
) -> None:
    ask = organisation.make_ask()
    organisation.down = "/issuer/wallet/consents"
    assert code(lambda: enrolled.consent(ask.id, BOTH)) == "unreachable"
    assert enrolled.resume() == ()
    assert len(enrolled.holding().pending) == 1
    organisation.down = None
    organisation.asks.clear()
    assert enrolled.resume() == ()
    assert enrolled.holding().pending == ()
    assert enrolled.holding().consents == ()


def test_being_asked_to_wait_keeps_the_answer(enrolled: Wallet, organisation: Organisation) -> None:
    consent_id = given(enrolled, organisation)
    slow = httpx.Response(429, json={"code": "too_many_requests", "detail": "Wait a minute."})
    organisation.twist["/issuer/wallet/withdrawals"] = lambda answer: slow
    assert code(lambda: enrolled.withdraw(consent_id)) == "too_many_requests"
    assert len(enrolled.holding().pending) == 1
    del organisation.twist["/issuer/wallet/withdrawals"]
    assert [one.event for one in enrolled.resume()] == ["withdrawn"]


def test_receipts_certificates_grounds_and_history_are_fetched_and_kept(
    enrolled: Wallet, organisation: Organisation, tmp_path: Path
) -> None:
    consent_id = given(enrolled, organisation)
    organisation.revoke(consent_id)
    assert [one.event for one in enrolled.receipts()] == ["given", "revoked"]
    assert enrolled.holding().consents[0].standing == "revoked"
    assert [item.disposition for one in enrolled.certificates() for item in one.items] == ["shred"]
    assert [one.citation for one in enrolled.grounds()] == ["PIPL art. 13 (2)"]
    page = enrolled.history(limit=5, before="cursor")
    assert (page.items[0]["kind"], page.next) == ("release", "cursor")
    with reopened(enrolled, tmp_path, organisation) as again:
        assert len(again.holding().receipts) == 2
        assert len(again.holding().certificates) == 1


@pytest.mark.parametrize("told", [{}, {"items": 7}, {"items": [7]}])
def test_listings_of_another_shape_are_refused(enrolled: Wallet, organisation: Organisation, told: Json) -> None:
    for path, verb in (("/audit/history", enrolled.history), ("/issuer/wallet/asks", enrolled.asks)):
        organisation.twist[path] = lambda answer: told
        assert code(verb) == "bad_answer"  # type: ignore[arg-type]


def test_a_ground_of_another_organisation_is_refused(enrolled: Wallet, organisation: Organisation) -> None:
    foreign = Organisation("http://localhost:9999").ground()
    organisation.twist["/issuer/wallet/grounds"] = lambda answer: {"items": [{"credential": foreign}]}
    assert code(enrolled.grounds) == "foreign_ground"


def test_a_backup_restores_elsewhere_and_fetches_what_came_later(
    enrolled: Wallet, organisation: Organisation, tmp_path: Path
) -> None:
    first = given(enrolled, organisation)
    enrolled.backup(tmp_path / "backup", "backup passphrase", strength=WEAK)
    second = given(enrolled, organisation, "address.city")
    enrolled.close()
    with Wallet.restore(
        tmp_path / "elsewhere" / "wallet",
        tmp_path / "backup",
        "backup passphrase",
        "new passphrase",
        strength=WEAK,
        clock=lambda: organisation.at,
        transport=organisation.transport,
    ) as restored:
        assert [held.id for held in restored.holding().consents] == [first]
        assert restored.withdraw(second).event == "withdrawn"
        assert {held.id for held in restored.holding().consents} == {first, second}


def test_consents_that_this_key_did_not_sign_are_not_taken_in(enrolled: Wallet, organisation: Organisation) -> None:
    given(enrolled, organisation)
    document = json.loads(json.dumps(next(iter(organisation.consents.values()))[1]))
    del document["proof"]
    other = Ed25519Signer.generate()
    document["id"], document["issuer"], document["credentialSubject"]["id"] = "urn:uuid:x1", other.did, other.did
    forged = proof.sign(document, other, created=organisation.at)
    organisation.twist["/issuer/wallet/consents"] = lambda answer: {"items": [{"credential": forged}]}
    assert len(enrolled.refresh().consents) == 1


def test_answers_are_bounded_and_strange_ones_are_refused(
    enrolled: Wallet, organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "MAX_ANSWER", 1000)
    organisation.twist["/audit/history"] = lambda answer: httpx.Response(200, content=b"x" * 1001)
    assert code(enrolled.history) == "answer_too_large"
    hostile = {"code": "\x1b[2J", "detail": "\x1b]0;owned\x07", "field": "\x1b"}
    for told in (httpx.Response(500, text="<html>"), httpx.Response(400, json=hostile)):
        organisation.twist["/audit/history"] = lambda answer, told=told: told
        with pytest.raises(WalletError) as caught:
            enrolled.history()
        assert caught.value.code == "refused"
        assert "\x1b" not in caught.value.detail


def test_every_call_is_signed_once_and_only_once(enrolled: Wallet, organisation: Organisation) -> None:
    enrolled.asks()
    enrolled.history()
    assert len(organisation.nonces) == 2
    organisation.wallet = organisation.did
    assert code(enrolled.asks) == "replayed"


def test_a_wallet_of_another_version_is_not_guessed_at(tmp_path: Path) -> None:
    from wallet.keystore import Keystore

    Keystore.create(tmp_path / "w", PASSPHRASE, {"v": 1, "organisations": [{"x": 1}]}, strength=WEAK).close()
    assert code(lambda: Wallet.open(tmp_path / "w", PASSPHRASE)) == "bad_wallet"


def test_the_pinned_document_is_the_one_in_the_link(organisation: Organisation, enrolled: Wallet) -> None:
    assert canonical.jcs(enrolled.holding().document) == canonical.jcs(organisation.document)


@pytest.mark.parametrize("ahead", [-50, 25])
def test_clocks_may_differ_a_little(tmp_path: Path, organisation: Organisation, ahead: int) -> None:
    with Wallet.create(
        tmp_path / "wallet",
        PASSPHRASE,
        strength=WEAK,
        clock=lambda: organisation.at + timedelta(seconds=ahead),
        transport=organisation.transport,
    ) as wallet:
        wallet.enrol(organisation.link, lambda channel: CODE)
        first = given(wallet, organisation)
        narrowed = wallet.narrow(first, ["address.city"]).consent
        assert narrowed is not None
        assert wallet.withdraw(narrowed.id).event == "withdrawn"
        assert wallet.refuse(organisation.make_ask().id).event == "refused"


def test_an_enrolment_whose_answer_was_lost_is_found_again(opened: Wallet, organisation: Organisation) -> None:
    organisation.down = "after /issuer/enrolments"
    assert code(lambda: opened.enrol(organisation.link, lambda channel: CODE)) == "unreachable"
    organisation.down = None
    assert code(lambda: opened.begin(organisation.link)) == "already_enrolled"
    assert opened.holding().did == organisation.wallet


def test_a_false_receipt_does_not_keep_the_owner_from_withdrawing(enrolled: Wallet, organisation: Organisation) -> None:
    first = given(enrolled, organisation)
    organisation.twist["/issuer/wallet/consents"] = lambda answer: lie(answer, organisation, decidedAt="never")
    assert code(lambda: given(enrolled, organisation)) == "bad_datetime"
    assert enrolled.resume() == ()
    assert len(enrolled.holding().pending) == 1
    assert enrolled.withdraw(first).event == "withdrawn"
    assert code(lambda: enrolled.withdraw("urn:uuid")) == "ambiguous"
