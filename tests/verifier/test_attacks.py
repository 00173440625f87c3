"""Whoever writes to the database can neither make a consent, nor widen one, nor revive one unnoticed."""

import json
from datetime import timedelta

import pytest

from issuer import signed
from protocol import canonical, consent, credential, event, ground, proof
from protocol.consent import SubjectId
from protocol.did import Did
from protocol.keys import Ed25519Signer
from tests.verifier.stage import ASKED, CITY, EMAIL, GIVEN, PHONE, Customer, Stage
from verifier import gate as gates
from verifier import reconcile


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "PATIENCE", 0.05)


def denied(stage: Stage, subject: SubjectId, cause: str) -> None:
    """Nothing is released, the subject is under quarantine for this cause, and that was told once."""
    for _ in range(2):
        verdict = stage.see(subject)
        assert verdict.released == frozenset()
        assert set(verdict.reasons.values()) == {"no_ground"}
    assert stage.sql("SELECT subject, cause FROM quarantine") == [(subject, cause)]
    (told,) = stage.events(event.SUBJECT_QUARANTINED)
    assert told.records == ((subject, {"state": "quarantined", "cause": cause}),)


def test_a_widened_mask_is_seen(stage: Stage, customer: Customer) -> None:
    stage.give(customer, [CITY])
    stage.sql("UPDATE allowance SET mask = ? WHERE subject = ?", b"\xff" * 16, customer.subject)
    denied(stage, customer.subject, "bad_mac")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("reasons", b"\x00" * 16),
        ("reasons", "text"),
        ("mask", "text"),
        ("grounds", "{}"),
        ("grounds", b"\xff"),
        ("next_change_at", None),
        ("next_change_at", "2099-01-01T00:00:00.000Z"),
        ("version", 99),
        ("version", "many"),
        ("mac", b""),
        ("mac", "text"),
    ],
)
def test_no_column_of_an_allowance_can_be_changed(stage: Stage, customer: Customer, column: str, value: object) -> None:
    stage.give(customer, [CITY])
    stage.sql(f"UPDATE allowance SET {column} = ? WHERE subject = ?", value, customer.subject)  # noqa: S608
    denied(stage, customer.subject, "bad_mac")


def test_an_allowance_cannot_be_moved_to_another_subject_or_purpose(stage: Stage, customer: Customer) -> None:
    stage.give(customer)
    other = stage.subject()
    marketing, service = (stage.catalogue.purpose(key).iri for key in ("marketing", "service"))
    rows = stage.sql("SELECT * FROM allowance WHERE subject = ?", customer.subject)
    stage.put_back([(other, *row[1:]) for row in rows])
    denied(stage, other, "bad_mac")
    stage.sql("DELETE FROM allowance WHERE subject = ? AND purpose = ?", customer.subject, service)
    stage.sql(
        "UPDATE allowance SET purpose = ? WHERE subject = ? AND purpose = ?", service, customer.subject, marketing
    )
    assert stage.released(customer.subject, "service", "service") == set()


def test_the_allowance_of_yesterday_is_seen(stage: Stage, customer: Customer) -> None:
    given = stage.give(customer)
    before = stage.sql("SELECT * FROM allowance WHERE subject = ?", customer.subject)
    stage.withdraw(customer, given)
    stage.put_back(before)
    denied(stage, customer.subject, "below_floor")


def test_a_missing_allowance_is_seen(stage: Stage, customer: Customer) -> None:
    stage.give(customer)
    stage.sql("DELETE FROM allowance WHERE subject = ?", customer.subject)
    denied(stage, customer.subject, "missing")


def test_an_edited_catalogue_digest_is_seen(stage: Stage, customer: Customer) -> None:
    stage.give(customer)
    stage.sql("UPDATE allowance SET catalogue = 'zQmOther' WHERE subject = ?", customer.subject)
    denied(stage, customer.subject, "catalogue")


def test_a_quarantined_subject_is_not_compiled_until_reconcile_has_looked(stage: Stage, customer: Customer) -> None:
    stage.give(customer)
    stage.sql("UPDATE allowance SET mac = x'00' WHERE subject = ?", customer.subject)
    denied(stage, customer.subject, "bad_mac")
    stage.compile_again(customer.subject)
    denied(stage, customer.subject, "bad_mac")
    report = reconcile.reconcile(stage.platform, stage.catalogue)
    assert (report.lifted, report.compiled, report.kept) == ((customer.subject,), 1, {})
    assert stage.released(customer.subject) == ASKED
    assert [each.records[0][1]["state"] for each in stage.events(event.SUBJECT_QUARANTINED)] == [
        "quarantined",
        "lifted",
    ]


def test_freeing_oneself_from_quarantine_is_seen_by_the_next_read(stage: Stage, customer: Customer) -> None:
    stage.give(customer)
    stage.sql("UPDATE allowance SET mac = x'00' WHERE subject = ?", customer.subject)
    denied(stage, customer.subject, "bad_mac")
    stage.sql("DELETE FROM quarantine")
    assert stage.released(customer.subject) == set()
    assert len(stage.sql("SELECT * FROM quarantine")) == 1


@pytest.mark.parametrize("credential_gone", [False, True])
def test_a_deleted_withdrawal_revives_nothing_when_compiled_again(
    stage: Stage, customer: Customer, credential_gone: bool
) -> None:
    given = stage.give(customer)
    stage.withdraw(customer, given)
    if credential_gone:
        stage.sql("DELETE FROM credential WHERE kind = 'withdrawal'")
    stage.sql("UPDATE credential SET ended_at = NULL, ended_by = NULL, ended_kind = NULL WHERE id = ?", given.id)
    stage.compile_again(customer.subject)
    verdict = stage.see(customer.subject)
    assert verdict.released == frozenset()
    assert verdict.reasons[EMAIL] == "withdrawn"
    with pytest.raises(reconcile.Disagreement, match="run fieldgrant reconcile") as refused:
        reconcile.startup_check(stage.platform)
    assert refused.value.code == "journal_ahead"


def test_a_standing_set_back_is_not_compiled(stage: Stage, customer: Customer) -> None:
    stage.withdraw(customer, stage.give(customer))
    before = stage.allowances(customer.subject)
    stage.sql("UPDATE standing SET version = 1 WHERE subject = ?", customer.subject)
    stage.compile_again(customer.subject)
    assert stage.allowances(customer.subject) == before
    with pytest.raises(reconcile.Disagreement):
        reconcile.startup_check(stage.platform)


def test_a_cleared_status_bit_changes_nothing_here(stage: Stage, customer: Customer) -> None:
    stage.withdraw(customer, stage.give(customer))
    stage.sql("UPDATE status_entry SET ended_at = NULL")
    stage.compile_again(customer.subject)
    assert stage.released(customer.subject) == set()


def plant(stage: Stage, document: dict[str, object], kind: str, subject: SubjectId, did: Did) -> None:
    """Put a document into the database past the registry, and have it compiled."""
    with stage.platform.database.write("owner") as session:
        session.add(signed.row(document, kind, subject=subject, did=did, at=stage.clock.now()))
    stage.compile_again(subject)


def complaints(stage: Stage) -> set[str]:
    return {each.records[0][1]["code"] for each in stage.events(event.ATTEMPT_REFUSED)}


def test_a_consent_that_its_subject_did_not_sign_grants_nothing(stage: Stage, customer: Customer) -> None:
    given = stage.give(customer, [CITY])
    document = json.loads(stage.row(given.id).body)
    record = document["credentialSubject"]["hasConsent"]
    record["hasProcess"][0]["hasPersonalData"] = sorted(ASKED)
    body = canonical.jcs(document)
    stage.sql("UPDATE credential SET body = ?, digest = ? WHERE id = ?", body, canonical.digest(body), given.id)
    stage.compile_again(customer.subject)
    stage.compile_again(customer.subject)
    assert stage.released(customer.subject) == set()
    assert complaints(stage) == {"bad_signature"}
    assert len(stage.events(event.ATTEMPT_REFUSED)) == 1


def test_a_strangers_wallet_cannot_consent_for_the_subject(stage: Stage, customer: Customer) -> None:
    other = stage.enrol()
    given = stage.give(other)
    stage.sql("UPDATE credential SET subject = ? WHERE id = ?", customer.subject, given.id)
    stage.compile_again(customer.subject)
    assert stage.released(customer.subject) == set()
    assert complaints(stage) == {"not_enrolled"}


def test_an_enrolment_moved_to_another_subject_binds_nobody(stage: Stage, customer: Customer) -> None:
    thief = stage.enrol()
    stage.give(thief)
    stage.sql("UPDATE credential SET subject = ? WHERE subject = ?", customer.subject, thief.subject)
    stage.compile_again(customer.subject)
    assert stage.released(customer.subject) == set()
    assert complaints(stage) == {"foreign_enrolment", "not_enrolled"}


def test_an_enrolment_that_the_controller_did_not_sign_binds_nobody(stage: Stage, customer: Customer) -> None:
    mallory, wallet = Ed25519Signer.generate(), Ed25519Signer.generate()
    (row,) = stage.sql("SELECT body FROM credential WHERE kind = 'enrolment'")
    document = json.loads(row[0])
    del document["proof"]
    document["id"], document["credentialSubject"]["id"] = consent.fresh_id(), wallet.did
    plant(stage, proof.sign(document, mallory, created=stage.clock.now()), "enrolment", customer.subject, wallet.did)
    document["issuer"] = mallory.did
    document["credentialSubject"]["hasEnrolment"]["hasDataController"] = mallory.did
    document["id"] = consent.fresh_id()
    plant(stage, proof.sign(document, mallory, created=stage.clock.now()), "enrolment", customer.subject, wallet.did)
    assert complaints(stage) == {"wrong_issuer"}


def test_an_enrolment_without_the_wallets_own_presentation_binds_nobody(stage: Stage) -> None:
    customer = Customer(stage.subject(), Ed25519Signer.generate())
    with stage.platform.database.write(
        "owner"
    ) as session:  # the controller itself, with a presentation of another wallet
        stage.store_enrolment(session, customer, presenter=Ed25519Signer.generate())
        stage.registry.moved(session, customer.subject)
    stage.give(customer)
    assert stage.released(customer.subject) == set()
    assert complaints(stage) == {"wrong_holder", "not_enrolled"}


def test_a_consent_for_another_controller_grants_nothing_here(stage: Stage, customer: Customer) -> None:
    given = stage.give(customer)
    document = json.loads(stage.row(given.id).body)
    del document["proof"]
    document["id"] = consent.fresh_id()
    document["credentialSubject"]["hasConsent"]["hasDataController"] = "did:web:elsewhere.example"
    resigned = proof.sign(document, customer.wallet, created=stage.clock.now())
    stage.withdraw(customer, given)
    plant(stage, resigned, "consent", customer.subject, customer.wallet.did)
    assert stage.released(customer.subject) == set()
    assert complaints(stage) == {"foreign_consent"}


def test_two_keys_of_ones_own_declare_no_ground(stage: Stage) -> None:
    subject = stage.subject()
    kept = stage.ground("administration", GIVEN)
    document = json.loads(stage.row(kept).body)
    del document["proof"]
    mallory, eve = Ed25519Signer.generate(), Ed25519Signer.generate()
    document["id"], document["issuer"] = consent.fresh_id(), mallory.did
    document["credentialSubject"]["declaresGround"]["hasProcess"][0]["hasPersonalData"] = [PHONE]
    for signer in (mallory, eve):
        document = proof.sign(document, signer, created=stage.clock.now())
    body = canonical.jcs(document)
    checked = credential.verify(body, stage.platform.keys, at=stage.clock.now(), expected_type=ground.GROUND_TYPE)
    assert len(ground.parse_ground(checked).signers) == 2
    stage.sql("INSERT INTO ground_subject VALUES (?, '*')", document["id"])
    plant(stage, document, "ground", SubjectId("*"), mallory.did)
    stage.compile_again(subject)
    assert stage.released(subject, "administration", "sales") == {GIVEN}
    assert complaints(stage) == {"not_approved"}


def test_a_ground_is_not_stretched_to_another_subject(stage: Stage) -> None:
    covered, other = stage.subject(), stage.subject()
    id_ = stage.ground("administration", GIVEN, subjects=frozenset({covered}))
    stage.sql("INSERT INTO ground_subject VALUES (?, ?)", id_, other)
    stage.compile_again(other)
    assert stage.released(other, "administration", "sales") == set()
    assert complaints(stage) == {"foreign_ground"}


def test_a_statutory_ground_never_opens_what_only_consent_may(stage: Stage) -> None:
    subject = stage.subject()
    id_ = stage.ground("administration", GIVEN)
    document = json.loads(stage.row(id_).body)
    for purpose in (stage.catalogue.purpose("marketing").iri, "https://w3id.org/dpv#Unknown"):
        del document["proof"]
        document["id"], document["issuer"] = consent.fresh_id(), stage.platform.controller
        document["credentialSubject"]["declaresGround"]["hasProcess"][0]["hasPurpose"] = purpose
        for signer in (Ed25519Signer.generate(), Ed25519Signer.generate(), stage.platform.signer):
            document = proof.sign(document, signer, created=stage.clock.now())
        stage.sql("INSERT INTO ground_subject VALUES (?, ?)", document["id"], subject)
        plant(stage, document, "ground", subject, stage.platform.controller)
    assert stage.released(subject) == set()
    assert complaints(stage) == set()


def test_a_ground_of_another_controller_is_none_here(stage: Stage) -> None:
    subject = stage.subject()
    document = json.loads(stage.row(stage.ground("administration", GIVEN)).body)
    del document["proof"]
    document["id"], document["issuer"] = consent.fresh_id(), stage.platform.controller
    document["credentialSubject"]["id"] = "did:web:elsewhere.example"
    document["credentialSubject"]["declaresGround"]["hasDataController"] = "did:web:elsewhere.example"
    document["credentialSubject"]["declaresGround"]["hasProcess"][0]["hasPersonalData"] = [PHONE]
    for signer in (Ed25519Signer.generate(), Ed25519Signer.generate(), stage.platform.signer):
        document = proof.sign(document, signer, created=stage.clock.now())
    stage.sql("INSERT INTO ground_subject VALUES (?, ?)", document["id"], subject)
    plant(stage, document, "ground", subject, stage.platform.controller)
    assert stage.released(subject, "administration", "sales") == {GIVEN}
    assert complaints(stage) == {"foreign_ground"}


def test_a_presentation_without_one_proof_enrols_nobody(stage: Stage, customer: Customer) -> None:
    (row,) = stage.sql("SELECT body FROM credential WHERE kind = 'enrolment'")
    document = json.loads(row[0])
    del document["proof"]
    document["id"] = consent.fresh_id()
    carried = document["credentialSubject"]["hasEnrolment"]["walletPresentation"]
    presented = json.loads(carried["presentationDocument"])
    presented["proof"] = [presented["proof"], presented["proof"]]
    body = canonical.jcs(presented)
    carried["presentationDocument"], carried["digestMultibase"] = body.decode(), canonical.digest(body)
    signed_ = proof.sign(document, stage.platform.signer, created=stage.clock.now())
    plant(stage, signed_, "enrolment", customer.subject, customer.wallet.did)
    assert complaints(stage) == {"bad_proof"}


def test_a_revived_enrolment_does_not_revive_its_wallets_consents(stage: Stage, customer: Customer) -> None:
    stage.give(customer)
    stage.clock.advance(timedelta(hours=1))
    stage.sql("UPDATE credential SET ended_at = 'x', ended_kind = 'revoked' WHERE kind = 'enrolment'")
    stage.enrol(customer.subject)
    stage.sql("UPDATE credential SET ended_at = NULL, ended_kind = NULL WHERE kind = 'enrolment'")
    stage.compile_again(customer.subject)
    assert stage.released(customer.subject) == set()
