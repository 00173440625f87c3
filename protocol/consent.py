"""Asks and consents: how they are written, read and compared.

Builders return unsigned credentials; parsers take verified ones and refuse every member that they do not know.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from protocol import shape, times, vocabulary
from protocol.credential import VerifiedCredential
from protocol.did import Did
from protocol.errors import EvidenceError
from protocol.vocabulary import (
    COLLECT,
    DPV,
    TERMS,
    USE,
    Field,
    GroundId,
    Jurisdiction,
    NoticeRef,
    Process,
    Processing,
    Purpose,
    Reference,
    StatusRef,
    SubjectId,
    fresh_id,
)

__all__ = [
    "COLLECT",
    "DPV",
    "TERMS",
    "USE",
    "Ask",
    "Consent",
    "Did",
    "Field",
    "GroundId",
    "Jurisdiction",
    "NoticeRef",
    "Process",
    "Processing",
    "Purpose",
    "Reference",
    "StatusRef",
    "SubjectId",
    "build_ask",
    "build_consent",
    "fresh_id",
    "narrower",
    "parse_ask",
    "parse_consent",
    "within",
]

ASK_TYPE, CONSENT_TYPE = "ConsentRequestCredential", "ConsentCredential"
_RECORD = ("type", "hasConsentStatus", "hasDataController", "hasProcess", "hasNotice", "ask")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A controller's signed request for consent; ``latest_until`` bounds the consent, ``expires`` the ask itself."""

    id: str
    controller: Did
    subject_did: Did
    processes: tuple[Process, ...]
    notice: NoticeRef
    latest_until: datetime
    issued: datetime
    expires: datetime
    challenge: str
    domain: str
    status: StatusRef
    replaces: str | None
    digest: str
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """A subject's signed consent."""

    id: str
    subject_did: Did
    controller: Did
    processes: tuple[Process, ...]
    notice: NoticeRef
    ask_id: str
    ask_digest: str
    status: StatusRef
    valid_from: datetime
    valid_until: datetime
    digest: str


def build_ask(
    *,
    id: str,
    controller: Did,
    subject_did: Did,
    processes: Sequence[Process],
    notice: NoticeRef,
    latest_until: datetime,
    issued: datetime,
    expires: datetime,
    challenge: str,
    domain: str,
    status: StatusRef,
    replaces: str | None = None,
) -> dict[str, Any]:
    """An unsigned ask, to be signed by the controller; ``replaces`` names the consent that a narrowing gives up."""
    request: dict[str, Any] = {
        "type": "ConsentRequest",
        "hasConsentStatus": "dpv:ConsentRequested",
        "hasDataController": controller,
        "hasProcess": [vocabulary.write_process(process) for process in processes],
        "hasNotice": vocabulary.write_notice(notice),
        "latestUntil": times.iso(latest_until),
        "answerChallenge": challenge,
        "answerDomain": domain,
    }
    if replaces is not None:
        request["replaces"] = replaces
    return vocabulary.skeleton(
        ASK_TYPE,
        id=id,
        issuer=controller,
        at=issued,
        until=expires,
        subject={"id": subject_did, "requestsConsent": request},
        status=status,
    )


def parse_ask(credential: VerifiedCredential) -> Ask:
    """Read a verified ask.

    Raises:
        EvidenceError: ``wrong_type``, ``bad_credential``, ``bad_datetime``, ``bad_duration``, ``wrong_issuer`` when
            the controller that it names is not the one that signed it.
    """
    subject_did, node = vocabulary.claim(credential, ASK_TYPE, "requestsConsent")
    path = "credentialSubject.requestsConsent"
    required = "type hasConsentStatus hasDataController hasProcess hasNotice latestUntil answerChallenge answerDomain"
    request = shape.exact(node, path, required.split(), ("replaces",))
    vocabulary.kind(request, path, "ConsentRequest", "dpv:ConsentRequested")
    if credential.valid_until is None:
        raise shape.refuse("validUntil", "an ask must end")
    return Ask(
        id=credential.id,
        controller=vocabulary.controller(request, path, credential.issuer),
        subject_did=subject_did,
        processes=vocabulary.read_processes(request, path),
        notice=vocabulary.read_notice(request, path),
        latest_until=shape.moment(request, "latestUntil", path),
        issued=credential.valid_from,
        expires=credential.valid_until,
        challenge=shape.text(request, "answerChallenge", path),
        domain=shape.text(request, "answerDomain", path),
        status=vocabulary.read_status(credential.document),
        replaces=shape.iri(request, "replaces", path) if "replaces" in request else None,
        digest=credential.digest,
        document=credential.document,
    )


def build_consent(
    ask: Ask, *, processes: Sequence[Process], valid_from: datetime, valid_until: datetime, id: str
) -> dict[str, Any]:
    """An unsigned consent to ``processes`` out of ``ask``, for the subject to sign over its challenge and domain."""
    record = {
        "type": "ConsentRecord",
        "hasConsentStatus": "dpv:ConsentGiven",
        "hasDataController": ask.controller,
        "hasProcess": [vocabulary.write_process(process) for process in processes],
        "hasNotice": vocabulary.write_notice(ask.notice),
        "ask": vocabulary.write_reference(Reference(ask.id, ask.digest)),
    }
    return vocabulary.skeleton(
        CONSENT_TYPE,
        id=id,
        issuer=ask.subject_did,
        at=valid_from,
        until=valid_until,
        subject={"id": ask.subject_did, "hasConsent": record},
        status=ask.status,
    )


def parse_consent(credential: VerifiedCredential) -> Consent:
    """Read a verified consent.

    Raises:
        EvidenceError: ``wrong_type``, ``bad_credential``, ``bad_duration``, ``wrong_issuer`` when somebody other than
            the subject signed it.
    """
    subject_did, node = vocabulary.claim(credential, CONSENT_TYPE, "hasConsent")
    path = "credentialSubject.hasConsent"
    record = shape.exact(node, path, _RECORD)
    vocabulary.kind(record, path, "ConsentRecord", "dpv:ConsentGiven")
    vocabulary.by_subject(credential, subject_did)
    if credential.valid_until is None:
        raise shape.refuse("validUntil", "a consent must end")
    if credential.valid_until <= credential.valid_from:
        raise shape.refuse("validUntil", "a consent must end after it begins")
    ask = vocabulary.read_reference(record, "ask", path)
    return Consent(
        id=credential.id,
        subject_did=subject_did,
        controller=shape.did(record, "hasDataController", path),
        processes=vocabulary.read_processes(record, path),
        notice=vocabulary.read_notice(record, path),
        ask_id=ask.id,
        ask_digest=ask.digest,
        status=vocabulary.read_status(credential.document),
        valid_from=credential.valid_from,
        valid_until=credential.valid_until,
        digest=credential.digest,
    )


def within(consent: Consent, ask: Ask, *, at: datetime | None = None) -> None:
    """Refuse a consent that is not an answer to ``ask`` (``at``: when it arrived) or grants more than it offered.

    Raises:
        EvidenceError: ``foreign_ask``, ``stale_ask``, ``status_mismatch``, ``consent_wider_than_ask``; field named.
    """
    same = {
        "ask": (consent.ask_id, consent.ask_digest) == (ask.id, ask.digest),
        "issuer": consent.subject_did == ask.subject_did,
        "hasDataController": consent.controller == ask.controller,
        "hasNotice": consent.notice == ask.notice,
    }
    for field, holds in same.items():
        if not holds:
            raise EvidenceError("foreign_ask", "the consent answers another ask", field=field)
    if consent.status != ask.status:
        raise EvidenceError("status_mismatch", "the consent names another status entry", field="credentialStatus")
    if max(consent.valid_from, at or consent.valid_from) > ask.expires:
        raise EvidenceError("stale_ask", "the ask had expired", field="validFrom")
    if consent.valid_from < ask.issued:
        raise EvidenceError("consent_wider_than_ask", "the consent begins before it was asked for", field="validFrom")
    if consent.valid_until > ask.latest_until:
        raise EvidenceError("consent_wider_than_ask", "the consent lasts longer than asked for", field="validUntil")
    if (beyond := _beyond(consent.processes, ask.processes)) is not None:
        raise EvidenceError("consent_wider_than_ask", "the consent grants more than was asked for", field=beyond)


def narrower(new: Consent, old: Consent) -> None:
    """Refuse a replacement that is not within the consent that it replaces, dates included, and smaller.

    Raises:
        EvidenceError: ``not_narrower``; field named.
    """
    inside = {
        "issuer": new.subject_did == old.subject_did,
        "hasDataController": new.controller == old.controller,
        "validFrom": new.valid_from >= old.valid_from,
        "validUntil": new.valid_until <= old.valid_until,
    }
    beyond = next((name for name, holds in inside.items() if not holds), None) or _beyond(new.processes, old.processes)
    if beyond is not None:
        raise EvidenceError("not_narrower", "the new consent goes beyond the one that it replaces", field=beyond)
    if new.valid_until == old.valid_until and _beyond(old.processes, new.processes) is None:
        raise EvidenceError("not_narrower", "the new consent gives up nothing", field="hasProcess")


def _beyond(asked: Sequence[Process], offered: Sequence[Process]) -> str | None:
    """The first member by which one of ``asked`` is covered by none of ``offered``."""
    for process in asked:
        alike = [one for one in offered if one.purpose == process.purpose]
        if not any(one.covers(process) for one in alike):
            return next((one.missing(process) for one in alike), "hasPurpose")
    return None
