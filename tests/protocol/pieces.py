"""Values that several tests of the vocabulary build on, and every credential that it can make."""

from datetime import UTC, datetime, timedelta
from typing import Any

from protocol import (
    answers,
    canonical,
    certificate,
    consent,
    credential,
    edition,
    enrolment,
    ground,
    presentation,
    receipt,
    redaction,
    touchpoint,
)
from protocol.certificate import Disposition, Told
from protocol.consent import (
    Ask,
    Consent,
    Field,
    Jurisdiction,
    NoticeRef,
    Process,
    Purpose,
    Reference,
    StatusRef,
    SubjectId,
)
from protocol.credential import VerifiedCredential
from protocol.did import Keys
from protocol.keys import Ed25519Signer
from protocol.proof import sign
from tests.protocol import rights_pieces

AT = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
CONTROLLER, SUBJECT, DPO, APPROVER = (Ed25519Signer(bytes([n]) * 32) for n in (1, 2, 3, 4))
SUBJECT_ID = SubjectId("sub_" + "a" * 26)
BASE = "http://localhost:8700"


def process(*fields: str, purpose: str = "DirectMarketing", duration: str = "P180D", **more: Any) -> Process:
    return Process(
        purpose=Purpose(f"https://w3id.org/dpv#{purpose}"),
        fields=frozenset(map(Field, fields or ("contact.email", "address.city"))),
        recipients=more.pop("recipients", frozenset({CONTROLLER.did})),
        jurisdictions=more.pop("jurisdictions", frozenset({Jurisdiction("CN")})),
        locations=more.pop("locations", frozenset({Jurisdiction("CN")})),
        duration=duration,
        **more,
    )


NOTICE = NoticeRef(f"{BASE}/issuer/notices/marketing/1", canonical.digest("通知 notice".encode()), "zh-CN")
STATUS = StatusRef(f"{BASE}/issuer/status/7", 94567)


def ask_document(**more: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "id": "urn:uuid:00000000-0000-4000-8000-000000000001",
        "controller": CONTROLLER.did,
        "subject_did": SUBJECT.did,
        "processes": (process(), process("contact.phone", purpose="CustomerCare")),
        "notice": NOTICE,
        "latest_until": AT + timedelta(days=180),
        "issued": AT,
        "expires": AT + timedelta(days=7),
        "challenge": "c" * 43,
        "domain": BASE,
        "status": STATUS,
    }
    return consent.build_ask(**(values | more))


def verified(document: dict[str, Any], *, type_: str) -> VerifiedCredential:
    return credential.verify(canonical.jcs(document), Keys(), at=AT, expected_type=type_, check_dates=False)


def ask(**more: Any) -> Ask:
    return consent.parse_ask(verified(sign(ask_document(**more), CONTROLLER, created=AT), type_=consent.ASK_TYPE))


def given(of: Ask, **more: Any) -> Consent:
    """A consent as its reader sees it; ``more`` overrides what the wallet would put."""
    values: dict[str, Any] = {
        "processes": of.processes,
        "valid_from": AT,
        "valid_until": AT + timedelta(days=90),
        "id": consent.fresh_id(),
    }
    document = sign(consent.build_consent(of, **(values | more)), SUBJECT, created=AT)
    return consent.parse_consent(verified(document, type_=consent.CONSENT_TYPE))


def presented() -> dict[str, Any]:
    return presentation.present([], SUBJECT, challenge="c" * 43, domain=BASE, created=AT)


def every_document() -> dict[str, tuple[dict[str, Any], tuple[Ed25519Signer, ...]]]:
    """Each type of credential with all members that it can have, and who signs it."""
    asked, shown = ask(), presented()
    reference = Reference("urn:uuid:00000000-0000-4000-8000-00000000000a", canonical.digest(b"x"))
    shown_digest = canonical.digest(canonical.jcs(shown))
    item = Disposition(
        field=Field("contact.email"),
        disposition="seal",
        generation=3,
        bucket=17,
        epoch=4,
        archive_digest=canonical.digest(b"box"),
        archive_ground="tax law, art. 52",
        archive_period="P3Y-tax",
        destroy_by=AT + timedelta(days=1095),
        kept_ground=reference.id,
        archive_key="P3Y-tax~2030-01-01",
    )
    notice = Reference("urn:uuid:00000000-0000-4000-8000-00000000000b", canonical.digest(b"notice"))
    earlier = Reference("urn:uuid:00000000-0000-4000-8000-00000000000c", canonical.digest(b"certificate"))
    told = Told(
        recipient=DPO.did, notice=notice, fields=frozenset({Field("contact.email")}), deadline=AT, acknowledged=AT
    )
    common = {"id": consent.fresh_id(), "at": AT}
    who = {"controller": CONTROLLER.did, "subject_did": SUBJECT.did}
    return {
        consent.ASK_TYPE: (ask_document(replaces=reference.id), (CONTROLLER,)),
        consent.CONSENT_TYPE: (
            consent.build_consent(
                asked, processes=asked.processes, valid_from=AT, valid_until=AT + timedelta(days=9), id=common["id"]
            ),
            (SUBJECT,),
        ),
        answers.WITHDRAWAL_TYPE: (
            answers.build_withdrawal(reference.id, reference.digest, SUBJECT.did, CONTROLLER.did, **common),
            (SUBJECT,),
        ),
        answers.REFUSAL_TYPE: (answers.build_refusal(asked, **common), (SUBJECT,)),
        edition.EDITION_TYPE: (
            edition.build_edition(
                number=2,
                previous=reference.digest,
                content=reference.digest,
                controller=CONTROLLER.did,
                declared_by=SUBJECT.did,
                **common,
            ),
            (SUBJECT, DPO, CONTROLLER),
        ),
        enrolment.ENROLMENT_TYPE: (
            enrolment.build_enrolment(CONTROLLER.did, SUBJECT_ID, SUBJECT.did, shown_digest, shown, **common),
            (CONTROLLER,),
        ),
        receipt.RECEIPT_TYPE: (
            receipt.build_receipt(
                **who,
                **common,
                event="narrowed",
                standing="living",
                processes=asked.processes,
                notice=NOTICE,
                consent=reference,
                ask=Reference(asked.id, asked.digest),
                supersedes=Reference("urn:uuid:00000000-0000-4000-8000-00000000000b", canonical.digest(b"y")),
                status=STATUS,
                shut_at=AT,
            ),
            (CONTROLLER,),
        ),
        ground.GROUND_TYPE: (
            ground.build_ground(
                id=common["id"],
                key="contract",
                controller=CONTROLLER.did,
                declared_by=DPO.did,
                basis="dpv:Contract",
                citation="PIPL art. 13 (2)",
                evidence="合同 7",
                processes=[process("contact.given_name", purpose="CustomerManagement")],
                valid_from=AT,
                valid_until=AT + timedelta(days=365),
                subjects=[SUBJECT_ID],
                until_enrolled=True,
                roles=["mailer"],
            ),
            (DPO, APPROVER),
        ),
        certificate.CERTIFICATE_TYPE: (
            certificate.build_certificate(
                **who,
                **common,
                items=[item],
                cause=reference.id,
                events=[common["id"]],
                told=[told],
                supplements=earlier,
            ),
            (CONTROLLER,),
        ),
        redaction.NOTICE_TYPE: (
            redaction.build_notice(
                **common,
                controller=CONTROLLER.did,
                recipient=SUBJECT.did,
                subject=SUBJECT_ID,
                fields=[Field("contact.email")],
                exports=["exp_1"],
                deadline=AT + timedelta(days=7),
            ),
            (CONTROLLER,),
        ),
        redaction.ACKNOWLEDGEMENT_TYPE: (
            redaction.build_acknowledgement(
                reference,
                **common,
                recipient=SUBJECT.did,
                controller=CONTROLLER.did,
                action="kept",
                citation="tax law, art. 52",
            ),
            (SUBJECT,),
        ),
        touchpoint.TOUCHPOINT_TYPE: (
            touchpoint.build_registration(
                id=common["id"],
                touchpoint=SUBJECT.did,
                name="Web form",
                controller=CONTROLLER.did,
                declared_by=DPO.did,
                processes=[process("contact.email", processing=frozenset({consent.COLLECT}))],
                ungrounded="hold",
                rate=600,
                origins=["https://shop.example.com"],
                valid_from=AT,
                valid_until=AT + timedelta(days=365),
            ),
            (DPO, APPROVER, CONTROLLER),
        ),
        touchpoint.DELEGATION_TYPE: (
            touchpoint.build_delegation(
                id=common["id"],
                touchpoint=SUBJECT.did,
                browser=APPROVER.did,
                controller=CONTROLLER.did,
                scope={"https://w3id.org/dpv#DirectMarketing": ["contact.email"]},
                origins=["https://shop.example.com"],
                valid_from=AT,
                valid_until=AT + timedelta(minutes=15),
            ),
            (SUBJECT,),
        ),
        **rights_pieces.every(common["id"], AT, SUBJECT_ID, controller=CONTROLLER, staff=DPO, wallet=SUBJECT.did),
    }
