"""The subject's other answers: to withdraw a consent, to refuse an ask."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from protocol import shape, vocabulary
from protocol.consent import Ask
from protocol.credential import VerifiedCredential
from protocol.did import Did
from protocol.vocabulary import Reference

WITHDRAWAL_TYPE, REFUSAL_TYPE = "ConsentWithdrawalCredential", "ConsentRefusalCredential"


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """A subject's signed end of one consent."""

    id: str
    subject_did: Did
    controller: Did
    consent_id: str
    consent_digest: str
    at: datetime
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A subject's signed no to one ask."""

    id: str
    subject_did: Did
    controller: Did
    ask_id: str
    ask_digest: str
    at: datetime
    digest: str


def build_withdrawal(
    consent_id: str, consent_digest: str, subject_did: Did, controller: Did, *, id: str, at: datetime
) -> dict[str, Any]:
    """An unsigned withdrawal of the consent with this id and digest, to be signed by the subject."""
    claim = {
        "type": "ConsentWithdrawal",
        "hasConsentStatus": "dpv:ConsentWithdrawn",
        "hasDataController": controller,
        "consent": vocabulary.write_reference(Reference(consent_id, consent_digest)),
    }
    return vocabulary.skeleton(
        WITHDRAWAL_TYPE, id=id, issuer=subject_did, at=at, subject={"id": subject_did, "withdrawsConsent": claim}
    )


def parse_withdrawal(credential: VerifiedCredential) -> Withdrawal:
    """Read a verified withdrawal; EvidenceError ``wrong_type``, ``wrong_issuer``, ``bad_credential``."""
    subject_did, node = vocabulary.claim(credential, WITHDRAWAL_TYPE, "withdrawsConsent")
    path = "credentialSubject.withdrawsConsent"
    claim = shape.exact(node, path, ("type", "hasConsentStatus", "hasDataController", "consent"))
    vocabulary.kind(claim, path, "ConsentWithdrawal", "dpv:ConsentWithdrawn")
    vocabulary.by_subject(credential, subject_did)
    consent = vocabulary.read_reference(claim, "consent", path)
    return Withdrawal(
        id=credential.id,
        subject_did=subject_did,
        controller=shape.did(claim, "hasDataController", path),
        consent_id=consent.id,
        consent_digest=consent.digest,
        at=credential.valid_from,
        digest=credential.digest,
    )


def build_refusal(ask: Ask, *, id: str, at: datetime) -> dict[str, Any]:
    """An unsigned refusal of ``ask``, to be signed by the subject over the ask's challenge and domain."""
    claim = {
        "type": "ConsentRefusal",
        "hasConsentStatus": "dpv:ConsentRefused",
        "hasDataController": ask.controller,
        "ask": vocabulary.write_reference(Reference(ask.id, ask.digest)),
    }
    return vocabulary.skeleton(
        REFUSAL_TYPE, id=id, issuer=ask.subject_did, at=at, subject={"id": ask.subject_did, "refusesConsent": claim}
    )


def parse_refusal(credential: VerifiedCredential) -> Refusal:
    """Read a verified refusal; EvidenceError ``wrong_type``, ``wrong_issuer``, ``bad_credential``."""
    subject_did, node = vocabulary.claim(credential, REFUSAL_TYPE, "refusesConsent")
    path = "credentialSubject.refusesConsent"
    claim = shape.exact(node, path, ("type", "hasConsentStatus", "hasDataController", "ask"))
    vocabulary.kind(claim, path, "ConsentRefusal", "dpv:ConsentRefused")
    vocabulary.by_subject(credential, subject_did)
    ask = vocabulary.read_reference(claim, "ask", path)
    return Refusal(
        id=credential.id,
        subject_did=subject_did,
        controller=shape.did(claim, "hasDataController", path),
        ask_id=ask.id,
        ask_digest=ask.digest,
        at=credential.valid_from,
        digest=credential.digest,
    )
