"""The consent vocabulary (DPV 2.3, shaped as in ISO/IEC TS 27560): its words and the pieces that credentials share."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NewType, cast
from uuid import uuid4

from protocol import shape, times
from protocol.credential import CONSENT_V1, CREDENTIALS_V2, VerifiedCredential
from protocol.did import Did
from protocol.errors import EvidenceError

SubjectId = NewType("SubjectId", str)
Field = NewType("Field", str)
Purpose = NewType("Purpose", str)
Jurisdiction = NewType("Jurisdiction", str)
Processing = NewType("Processing", str)
GroundId = NewType("GroundId", str)

DPV = "https://w3id.org/dpv#"
USE = Processing("dpv:Use")
COLLECT = Processing("dpv:Collect")
# fmt: off
TERMS = frozenset({
    "acknowledgedAt", "acknowledgesRedaction", "actionCitation", "actionTaken", "allowedOrigin", "answerChallenge",
    "answerDigest", "answerDomain", "archiveDigest", "archiveGround", "archiveKeyEnded", "archivePeriod", "ask",
    "asksAboutEvent", "bucket", "catalogueNumber", "citation", "consent", "contentDigest", "correctionDigest",
    "coversSubject",
    "dataRequest", "decidedAt", "declaresGround", "declaresSealingKey", "delegatesCollection", "destroyBy",
    "disposedAt", "disposition", "dispositionCause", "dueAt", "epochEnded", "evidenceEvent", "evidenceText",
    "exceptedGround", "exceptedPurpose", "excepts", "excludesSubject", "exclusion", "exclusionKind",
    "explanation",
    "exportReference", "field", "generation", "groundEvidence", "groundKey", "hasConsent", "hasConsentStatus",
    "hasDataController", "hasDisposition", "hasDispositionRecord", "hasDuration", "hasEnrolment", "hasJurisdiction",
    "hasLegalBasis", "hasLocation", "hasNotice", "hasPersonalData", "hasProcess", "hasProcessing", "hasPurpose",
    "hasReceipt", "hasRecipient", "hasRequestReceipt", "hasStorageCondition", "identifiedBy", "keepsField",
    "keptGround", "language", "latestUntil", "liftsExclusion", "makesRequest", "mayBring", "noticeDeadline",
    "presentationDocument", "previousVersion", "publishesCatalogue", "readerRole", "receiptEvent",
    "redactionNotice", "refusalReason", "refusesConsent", "registersTouchpoint", "replaces", "requestKind",
    "requestState", "requestsConsent", "requiredAction", "sealingKey", "sealingPeriod", "shutAt", "standing",
    "subjectReference", "supersedes", "supplementsCertificate", "tellsRedaction", "toldRecipient", "touchpointName",
    "untilEnrolled", "uploadRate", "walletPresentation", "withdrawsConsent", "withoutGround",
})
# fmt: on
"""Every member name of our credentials beyond those of credentials/v2; the JSON-LD context defines them all."""

_PLACE = re.compile("[0-9]{1,9}")
# fmt: off
_PROCESS = (
    "hasPurpose", "hasPersonalData", "hasProcessing", "hasRecipient", "hasJurisdiction", "hasStorageCondition",
)
# fmt: on


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What may be done with which fields, what for, by whom, where; ``duration`` is the data life (ISO 8601)."""

    purpose: Purpose
    fields: frozenset[Field]
    processing: frozenset[Processing] = frozenset({USE})
    recipients: frozenset[Did]
    jurisdictions: frozenset[Jurisdiction]
    duration: str
    locations: frozenset[Jurisdiction]

    def covers(self, other: "Process") -> bool:
        """Whether ``other`` asks for nothing beyond this process."""
        return self.missing(other) is None

    def missing(self, other: "Process") -> str | None:
        """The first member of ``other`` that goes beyond this process, by its name in the credential."""
        within = {
            "hasPurpose": self.purpose == other.purpose,
            "hasPersonalData": other.fields <= self.fields,
            "hasProcessing": other.processing <= self.processing,
            "hasRecipient": other.recipients <= self.recipients,
            "hasJurisdiction": other.jurisdictions <= self.jurisdictions,
            "hasDuration": times.duration(other.duration) <= times.duration(self.duration),
            "hasLocation": other.locations <= self.locations,
        }
        return next((name for name, holds in within.items() if not holds), None)


@dataclass(frozen=True, slots=True)
class Reference:
    """Another credential, by id and digestMultibase of its JCS form."""

    id: str
    digest: str


@dataclass(frozen=True, slots=True)
class NoticeRef:
    """The text that was shown: its address, digestMultibase and language tag (BCP 47)."""

    id: str
    digest: str
    language: str


@dataclass(frozen=True, slots=True)
class StatusRef:
    """A place in a Bitstring Status List."""

    list_url: str
    index: int


def fresh_id() -> str:
    """A new random credential id, ``urn:uuid:…``."""
    return f"urn:uuid:{uuid4()}"


def skeleton(
    type_: str,
    *,
    id: str,
    issuer: Did,
    at: datetime,
    until: datetime | None = None,
    subject: Mapping[str, Any],
    status: StatusRef | None = None,
) -> dict[str, Any]:
    """An unsigned VCDM 2.0 credential of one of our types."""
    document: dict[str, Any] = {
        "@context": [CREDENTIALS_V2, CONSENT_V1],
        "id": id,
        "type": ["VerifiableCredential", type_],
        "issuer": issuer,
        "validFrom": times.iso(at),
    }
    if until is not None:
        document["validUntil"] = times.iso(until)
    document["credentialSubject"] = dict(subject)
    if status is not None:
        document["credentialStatus"] = write_status(status)
    return document


def claim(credential: VerifiedCredential, type_: str, name: str) -> tuple[Did, Any]:
    """The subject's id and the one claim ``name`` about it.

    Raises:
        EvidenceError: ``wrong_type``, ``bad_credential``.
    """
    if type_ not in credential.types:
        raise EvidenceError("wrong_type", f"a {type_} is expected", field="type")
    path = "credentialSubject"
    subject = shape.exact(credential.document.get(path), path, ("id", name))
    return shape.did(subject, "id", path), subject[name]


def write_status(status: StatusRef) -> dict[str, str]:
    """A BitstringStatusListEntry (Bitstring Status List 1.0, section 2.1)."""
    return {
        "id": f"{status.list_url}#{status.index}",
        "type": "BitstringStatusListEntry",
        "statusPurpose": "revocation",
        "statusListIndex": str(status.index),
        "statusListCredential": status.list_url,
    }


def read_status(document: Mapping[str, Any]) -> StatusRef:
    """The status entry of a credential; EvidenceError ``bad_credential``."""
    path = "credentialStatus"
    members = ("id", "type", "statusPurpose", "statusListIndex", "statusListCredential")
    entry = shape.exact(document.get(path), path, members)
    if entry["type"] != "BitstringStatusListEntry" or entry["statusPurpose"] != "revocation":
        raise shape.refuse(path, "must be a BitstringStatusListEntry for revocation")
    index = shape.text(entry, "statusListIndex", path)
    if not (index.isascii() and index.isdigit() and len(index) <= 9):
        raise shape.refuse(f"{path}.statusListIndex", "must be a whole number as a text")
    found = StatusRef(shape.iri(entry, "statusListCredential", path), int(index))
    # a wallet writes it, and we keep it: it may be no text of its own
    whole, start = shape.text(entry, "id", path), f"{found.list_url}#"
    if not (whole.startswith(start) and _PLACE.fullmatch(whole, len(start))):
        raise shape.refuse(f"{path}.id", "must be a place in the list")
    return found


def write_process(process: Process) -> dict[str, Any]:
    """A process as JSON, lists sorted."""
    return {
        "hasPurpose": process.purpose,
        "hasPersonalData": sorted(process.fields),
        "hasProcessing": sorted(process.processing),
        "hasRecipient": sorted(process.recipients),
        "hasJurisdiction": sorted(process.jurisdictions),
        "hasStorageCondition": {"hasDuration": process.duration, "hasLocation": sorted(process.locations)},
    }


def read_process(node: Any, path: str) -> Process:
    """A process from JSON; EvidenceError ``bad_credential``, ``bad_duration``."""
    process = shape.exact(node, path, _PROCESS)
    place = f"{path}.hasStorageCondition"
    storage = shape.exact(process["hasStorageCondition"], place, ("hasDuration", "hasLocation"))
    duration = shape.text(storage, "hasDuration", place)
    times.duration(duration)
    purpose = shape.iri(process, "hasPurpose", path)
    recipients = shape.texts(process, "hasRecipient", path)
    for one in recipients:
        if not one.startswith("did:"):
            raise shape.refuse(f"{path}.hasRecipient", "must be DIDs")
    # RDF knows the short and the long form as one IRI, so we read them as one. The kinds of text are told to the type
    # checker only: to call one for each text costs more than to read it.
    if purpose.startswith("dpv:"):
        purpose = DPV + purpose[4:]
    fields = shape.texts(process, "hasPersonalData", path)
    processing = [one.replace(DPV, "dpv:", 1) for one in shape.texts(process, "hasProcessing", path)]
    return Process(
        purpose=Purpose(purpose),
        fields=cast("frozenset[Field]", fields),
        processing=cast("frozenset[Processing]", frozenset(processing)),
        recipients=cast("frozenset[Did]", recipients),
        jurisdictions=cast("frozenset[Jurisdiction]", shape.texts(process, "hasJurisdiction", path)),
        duration=duration,
        locations=cast("frozenset[Jurisdiction]", shape.texts(storage, "hasLocation", place)),
    )


def read_processes(node: Mapping[str, Any], path: str) -> tuple[Process, ...]:
    """All of ``node``'s processes, at least one."""
    listed = shape.objects(node, "hasProcess", path)
    return tuple(read_process(one, f"{path}.hasProcess[{i}]") for i, one in enumerate(listed))


def write_notice(notice: NoticeRef) -> dict[str, str]:
    """A notice reference as JSON."""
    return {"id": notice.id, "digestMultibase": notice.digest, "language": notice.language}


def read_notice(node: Mapping[str, Any], path: str) -> NoticeRef:
    """``node``'s notice reference; EvidenceError ``bad_credential``."""
    place = f"{path}.hasNotice"
    notice = shape.exact(node["hasNotice"], place, ("id", "digestMultibase", "language"))
    digest, language = shape.text(notice, "digestMultibase", place), shape.text(notice, "language", place)
    return NoticeRef(shape.iri(notice, "id", place), digest, language)


def write_reference(reference: Reference) -> dict[str, str]:
    """A reference as JSON."""
    return {"id": reference.id, "digestMultibase": reference.digest}


def read_reference(node: Mapping[str, Any], name: str, path: str) -> Reference:
    """``node``'s reference ``name``; EvidenceError ``bad_credential``."""
    place = f"{path}.{name}"
    reference = shape.exact(node[name], place, ("id", "digestMultibase"))
    return Reference(shape.iri(reference, "id", place), shape.text(reference, "digestMultibase", place))


def kind(node: Mapping[str, Any], path: str, type_: str, *statuses: str) -> None:
    """Refuse a node that is not of ``type_`` or whose consent status is none of ``statuses``."""
    if node["type"] != type_:
        raise shape.refuse(f"{path}.type", f"must be {type_}")
    if statuses and node["hasConsentStatus"] not in statuses:
        raise shape.refuse(f"{path}.hasConsentStatus", f"must be {' or '.join(statuses)}")


def controller(node: Mapping[str, Any], path: str, issuer: Did) -> Did:
    """``node``'s controller, which must be who signed; EvidenceError ``wrong_issuer``."""
    named = shape.did(node, "hasDataController", path)
    if named != issuer:
        raise EvidenceError("wrong_issuer", "the controller named did not sign this", field=f"{path}.hasDataController")
    return named


def by_subject(credential: VerifiedCredential, subject_did: Did) -> None:
    """Refuse what the subject did not sign in person; EvidenceError ``wrong_issuer``."""
    if credential.issuer != subject_did:
        raise EvidenceError("wrong_issuer", "only the subject may sign this", field="issuer")
