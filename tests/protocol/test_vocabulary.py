"""Every credential of ours, under both cryptosuites, member for member."""

import copy
import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from protocol import (
    answers,
    canonical,
    certificate,
    consent,
    context,
    credential,
    edition,
    enrolment,
    exclusion,
    ground,
    proof,
    receipt,
    redaction,
    request,
    shape,
)
from protocol.credential import CONSENT_V1
from protocol.did import Keys
from protocol.errors import EvidenceError
from tests.protocol import pieces, rights_pieces

PARSERS: dict[str, Any] = {
    consent.ASK_TYPE: consent.parse_ask,
    consent.CONSENT_TYPE: consent.parse_consent,
    answers.WITHDRAWAL_TYPE: answers.parse_withdrawal,
    answers.REFUSAL_TYPE: answers.parse_refusal,
    edition.EDITION_TYPE: edition.parse_edition,
    enrolment.ENROLMENT_TYPE: enrolment.parse_enrolment,
    receipt.RECEIPT_TYPE: receipt.parse_receipt,
    ground.GROUND_TYPE: ground.parse_ground,
    certificate.CERTIFICATE_TYPE: certificate.parse_certificate,
    redaction.NOTICE_TYPE: redaction.parse_notice,
    redaction.ACKNOWLEDGEMENT_TYPE: redaction.parse_acknowledgement,
    request.REQUEST_TYPE: request.parse_request,
    request.RECEIPT_TYPE: request.parse_receipt,
    exclusion.EXCLUSION_TYPE: exclusion.parse_exclusion,
    exclusion.LIFT_TYPE: exclusion.parse_lift,
}
SUITES = (proof.JCS, proof.RDFC)


def signed(type_: str, suite: str = proof.JCS) -> dict[str, Any]:
    document, signers = pieces.every_document()[type_]
    for signer in signers:
        document = proof.sign(document, signer, created=pieces.AT, suite=suite)
    return document


def members(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(node, dict):
        for name, value in node.items():
            yield (*path, name)
            yield from members(value, (*path, name))
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from members(value, (*path, i))


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("type_", PARSERS)
def test_every_credential_signs_verifies_and_reads_back(type_: str, suite: str) -> None:
    document = signed(type_, suite)
    data = canonical.jcs(document)
    verified = credential.verify(data, Keys(), at=pieces.AT, expected_type=type_)
    read = PARSERS[type_](verified)
    assert read.digest == canonical.digest(data)
    assert read.id == document["id"]


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("type_", PARSERS)
def test_no_member_of_a_credential_can_be_changed(type_: str, suite: str) -> None:
    document = signed(type_, suite)
    tried = 0
    for path in members(document["credentialSubject"]):
        changed = copy.deepcopy(document)
        node = changed["credentialSubject"]
        for step in path[:-1]:
            node = node[step]
        value = node[path[-1]]
        if isinstance(value, bool):
            node[path[-1]] = not value
        elif isinstance(value, int):
            node[path[-1]] = value + 1
        elif isinstance(value, str):
            node[path[-1]] = value[:-2] + ("aZ" if value[-2:] != "aZ" else "bZ")
        else:
            del node[path[-1]]
        with pytest.raises(EvidenceError):
            PARSERS[type_](pieces.verified(changed, type_=type_))
        tried += 1
    assert tried > 3


@pytest.mark.parametrize("type_", PARSERS)
def test_a_member_left_out_or_too_many_is_refused_though_the_signature_holds(type_: str) -> None:
    document, signers = pieces.every_document()[type_]
    for path in members(document["credentialSubject"]):
        changed = copy.deepcopy(document)
        node = changed["credentialSubject"]
        for step in path[:-1]:
            node = node[step]
        name = path[-1]
        optional = {"replaces", "hasProcess", "hasNotice", "consent", "ask", "supersedes", "shutAt", "readerRole"}
        optional |= {"refusalReason", "explanation", "answerDigest", "keepsField"}
        if not isinstance(name, str) or name in optional or changed["type"][1] == certificate.CERTIFICATE_TYPE:
            continue
        del node[name]
        node["citation" if name != "citation" else "standing"] = "moved here"
        for signer in signers:
            changed = proof.sign(changed, signer, created=pieces.AT)
        with pytest.raises(EvidenceError):
            PARSERS[type_](pieces.verified(changed, type_=type_))


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        (("hasConsent", "type"), "ConsentRequest", "bad_credential"),
        (("hasConsent", "hasConsentStatus"), "dpv:ConsentRefused", "bad_credential"),
        (("hasConsent", "hasDataController"), "https://not.a.did", "bad_credential"),
        (("hasConsent", "hasProcess"), [], "bad_credential"),
        (("hasConsent", "hasProcess", 0, "hasPersonalData"), [], "bad_credential"),
        (("hasConsent", "hasProcess", 0, "hasPersonalData"), "contact.email", "bad_credential"),
        (("hasConsent", "hasProcess", 0, "hasRecipient"), ["https://not.a.did"], "bad_credential"),
        (("hasConsent", "hasProcess", 0, "hasPurpose"), "DirectMarketing", "bad_credential"),
        (("hasConsent", "hasProcess", 0, "hasStorageCondition", "hasDuration"), "soon", "bad_duration"),
        (("hasConsent", "hasProcess", 0), "text", "bad_credential"),
        (("hasConsent", "hasNotice", "language"), "", "bad_credential"),
        (("id",), "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK", "wrong_issuer"),
    ],
)
def test_a_signed_but_malformed_consent_is_refused(path: tuple[Any, ...], value: Any, code: str) -> None:
    document, _ = pieces.every_document()[consent.CONSENT_TYPE]
    node = document["credentialSubject"]
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    with pytest.raises(EvidenceError) as caught:
        consent.parse_consent(
            pieces.verified(proof.sign(document, pieces.SUBJECT, created=pieces.AT), type_=consent.CONSENT_TYPE)
        )
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("type", "StatusList2021Entry"),
        ("statusPurpose", "suspension"),
        ("statusListIndex", "-1"),
        ("statusListIndex", "9" * 10),
        ("statusListIndex", 7),
        ("statusListCredential", "status/7"),
        ("id", f"{pieces.STATUS.list_url}#"),
        ("id", f"{pieces.STATUS.list_url}#7\n"),
        ("id", f"{pieces.STATUS.list_url}#٣"),
        ("id", f"{pieces.STATUS.list_url}#{'9' * 10}"),
        ("id", f"{pieces.STATUS.list_url[:-1]}8#7"),
        ("id", f"{pieces.STATUS.list_url}0#7"),
        ("id", f"{pieces.STATUS.list_url}?#7"),
        ("id", "urn:x:anything-that-somebody-would-have-us-keep"),
    ],
)
def test_a_status_entry_of_another_kind_is_refused(name: str, value: Any) -> None:
    document, _ = pieces.every_document()[consent.CONSENT_TYPE]
    document["credentialStatus"][name] = value
    with pytest.raises(EvidenceError):
        consent.parse_consent(
            pieces.verified(proof.sign(document, pieces.SUBJECT, created=pieces.AT), type_=consent.CONSENT_TYPE)
        )


def test_an_iri_has_no_white_space_of_any_kind() -> None:
    for code in range(sys.maxunicode + 1):
        text = f"a:{chr(code)}"
        if re.fullmatch(r"a:\s", text):
            with pytest.raises(EvidenceError):
                shape.iri({"id": text}, "id", "x")
        elif text[2] not in '<>"{}|\\^`':
            assert shape.iri({"id": text}, "id", "x") == text


def test_a_node_has_each_of_its_members_and_no_other() -> None:
    assert shape.exact({"a": 1, "b": 2}, "x", ("a", "b"))
    assert shape.exact({"a": 1, "b": 2, "c": 3}, "x", ("a", "b"), ("c",))
    for node, field in (({"a": 1}, "x.b"), ({"a": 1, "c": 2}, "x.b"), ({"a": 1, "b": 2, "c": 3}, "x.c"), ([], "x")):
        with pytest.raises(EvidenceError) as caught:
            shape.exact(node, "x", ("a", "b"))
        assert caught.value.field == field


def test_a_credential_of_another_type_is_refused() -> None:
    for parse in PARSERS.values():
        other = consent.ASK_TYPE if parse is not consent.parse_ask else consent.CONSENT_TYPE
        with pytest.raises(EvidenceError) as caught:
            parse(pieces.verified(signed(other), type_=other))
        assert caught.value.code == "wrong_type"


def test_short_and_long_iris_of_dpv_are_one() -> None:
    document, _ = pieces.every_document()[consent.CONSENT_TYPE]
    first = document["credentialSubject"]["hasConsent"]["hasProcess"][0]
    first["hasPurpose"], first["hasProcessing"] = "dpv:DirectMarketing", ["https://w3id.org/dpv#Use"]
    read = consent.parse_consent(
        pieces.verified(proof.sign(document, pieces.SUBJECT, created=pieces.AT), type_=consent.CONSENT_TYPE)
    )
    assert read.processes[0] == pieces.ask().processes[0]


def test_consents_asks_and_grounds_must_end() -> None:
    for type_ in (consent.CONSENT_TYPE, consent.ASK_TYPE, ground.GROUND_TYPE):
        document, signers = pieces.every_document()[type_]
        del document["validUntil"]
        for signer in signers:
            document = proof.sign(document, signer, created=pieces.AT)
        with pytest.raises(EvidenceError) as caught:
            PARSERS[type_](pieces.verified(document, type_=type_))
        assert caught.value.field == "validUntil"


def test_a_ground_needs_two_different_people() -> None:
    document, _ = pieces.every_document()[ground.GROUND_TYPE]
    once = proof.sign(document, pieces.DPO, created=pieces.AT)
    for few in (once, proof.sign(once, pieces.DPO, created=pieces.AT)):
        with pytest.raises(EvidenceError) as caught:
            ground.parse_ground(pieces.verified(few, type_=ground.GROUND_TYPE))
        assert caught.value.code == "not_approved"
    assert ground.parse_ground(pieces.verified(once, type_=ground.GROUND_TYPE), approved=False).signers == {
        pieces.DPO.did
    }


def test_a_ground_for_everyone_concerns_everyone() -> None:
    read = ground.parse_ground(pieces.verified(signed(ground.GROUND_TYPE), type_=ground.GROUND_TYPE))
    assert read.concerns(pieces.SUBJECT_ID)
    assert not read.concerns(consent.SubjectId("sub_" + "b" * 26))
    document, signers = pieces.every_document()[ground.GROUND_TYPE]
    document["credentialSubject"]["declaresGround"]["coversSubject"] = ["*"]
    for signer in signers:
        document = proof.sign(document, signer, created=pieces.AT)
    everyone = ground.parse_ground(pieces.verified(document, type_=ground.GROUND_TYPE))
    assert everyone.subjects is None
    assert everyone.concerns(consent.SubjectId("sub_" + "b" * 26))


@pytest.mark.parametrize(
    ("name", "value"),
    [("untilEnrolled", "yes"), ("hasDataController", "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK")],
)
def test_a_malformed_ground_is_refused(name: str, value: Any) -> None:
    document, signers = pieces.every_document()[ground.GROUND_TYPE]
    document["credentialSubject"]["declaresGround"][name] = value
    for signer in signers:
        document = proof.sign(document, signer, created=pieces.AT)
    with pytest.raises(EvidenceError):
        ground.parse_ground(pieces.verified(document, type_=ground.GROUND_TYPE))


def test_evidence_and_presentation_are_bound_by_their_digests() -> None:
    for type_, claim, node, name in (
        (ground.GROUND_TYPE, "declaresGround", "groundEvidence", "evidenceText"),
        (enrolment.ENROLMENT_TYPE, "hasEnrolment", "walletPresentation", "presentationDocument"),
    ):
        document, signers = pieces.every_document()[type_]
        document["credentialSubject"][claim][node][name] += " "
        for signer in signers:
            document = proof.sign(document, signer, created=pieces.AT)
        with pytest.raises(EvidenceError) as caught:
            PARSERS[type_](pieces.verified(document, type_=type_))
        assert caught.value.code == "digest_mismatch"


def test_a_receipt_of_another_controller_is_refused() -> None:
    document, _ = pieces.every_document()[receipt.RECEIPT_TYPE]
    document["credentialSubject"]["hasReceipt"]["hasDataController"] = pieces.DPO.did
    with pytest.raises(EvidenceError) as caught:
        receipt.parse_receipt(
            pieces.verified(proof.sign(document, pieces.CONTROLLER, created=pieces.AT), type_=receipt.RECEIPT_TYPE)
        )
    assert caught.value.code == "wrong_issuer"


def test_a_bare_receipt_and_a_bare_disposition_read_back() -> None:
    bare = receipt.build_receipt(
        id=consent.fresh_id(), controller=pieces.CONTROLLER.did, subject_did=pieces.SUBJECT.did, event="refused",
        standing="refused", at=pieces.AT,
    )  # fmt: skip
    read = receipt.parse_receipt(
        pieces.verified(proof.sign(bare, pieces.CONTROLLER, created=pieces.AT), type_=receipt.RECEIPT_TYPE)
    )
    assert (read.consent, read.notice, read.status, read.shut_at, read.processes) == (None, None, None, None, ())
    one = certificate.Disposition(field=consent.Field("contact.phone"), disposition="shred")
    document = certificate.build_certificate(
        id=consent.fresh_id(),
        controller=pieces.CONTROLLER.did,
        subject_did=pieces.SUBJECT.did,
        items=[one],
        cause="expiry",
        at=pieces.AT,
    )
    certified = pieces.verified(
        proof.sign(document, pieces.CONTROLLER, created=pieces.AT), type_=certificate.CERTIFICATE_TYPE
    )
    assert certificate.parse_certificate(certified).items == (one,)
    document["credentialSubject"]["hasDispositionRecord"]["hasDisposition"][0]["generation"] = -1
    with pytest.raises(EvidenceError):
        certificate.parse_certificate(
            pieces.verified(
                proof.sign(document, pieces.CONTROLLER, created=pieces.AT), type_=certificate.CERTIFICATE_TYPE
            )
        )


def test_the_context_defines_every_term_that_we_use() -> None:
    defined = set(json.loads(canonical.jcs(context.load(CONSENT_V1)))["@context"])
    assert defined >= consent.TERMS
    documents = [document for document, _ in pieces.every_document().values()] + [rights_pieces.why(pieces.AT)]
    used = {path[-1] for document in documents for path in members(document["credentialSubject"])}
    ours = {name for name in used if isinstance(name, str)} - {"id", "type", "digestMultibase"}
    assert ours == consent.TERMS


@pytest.mark.parametrize(
    ("path", "value"),
    [(("credentialSubject", "hasReceipt"), "text"), (("credentialSubject", "hasReceipt", "standing"), "unsure")],
)
def test_a_receipt_of_another_shape_is_refused(path: tuple[str, ...], value: str) -> None:
    document: Any = pieces.every_document()[receipt.RECEIPT_TYPE][0]
    node = document
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    signed_again = proof.sign(document, pieces.CONTROLLER, created=pieces.AT)
    with pytest.raises(EvidenceError) as caught:
        receipt.parse_receipt(pieces.verified(signed_again, type_=receipt.RECEIPT_TYPE))
    assert caught.value.code in ("bad_credential", "undefined_term")
