"""What a data subject asks of the controller (GDPR art. 15-21, PIPL art. 44-50), and the controller's receipts for it.

A request is signed by the subject's wallet. For a customer without one a member of staff records it and says how the
customer was identified; it counts once a second person and the controller have signed the same document.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from protocol import canonical, shape, times, vocabulary
from protocol.credential import VerifiedCredential
from protocol.did import Did
from protocol.errors import EvidenceError
from protocol.vocabulary import Field, Purpose, Reference, SubjectId

REQUEST_TYPE, RECEIPT_TYPE = "DataSubjectRequestCredential", "DataSubjectReceiptCredential"
KINDS = frozenset({"access", "explanation", "rectification", "portability", "erasure", "objection", "restriction"})
STATES = frozenset({"received", "identified", "in_work", "extended", "answered", "refused"})
MAX_TEXT = 2000  # characters of a reason, a citation or a piece of evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """How a customer without a wallet was identified: the method, and where the proof of it lies."""

    method: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSubjectRequest:
    """One request.

    ``issuer`` is the wallet, or who recorded it at the desk: then ``subject`` and ``identified`` say of whom and how.
    An objection names a ``purpose`` and may name a ``ground``; a rectification the ``fields`` and the digest of the
    sealed values (``correction``); an explanation the ``event`` that it asks about: one read.
    """

    id: str
    kind: str
    controller: Did
    issuer: Did
    signers: frozenset[Did]
    subject: SubjectId | None
    identified: Identified | None
    purpose: Purpose | None
    ground: str | None
    fields: frozenset[Field]
    correction: str | None
    event: str | None
    at: datetime
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Fields that stay after an erasure: the ground that holds them, its citation, and the reason why it stays."""

    ground: str
    fields: frozenset[Field]
    citation: str
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestReceipt:
    """Where a request stands: its state, when it is to be answered, and with which answer or legal reason it ended."""

    id: str
    controller: Did
    subject_did: Did
    request: Reference
    kind: str
    state: str
    at: datetime
    due: datetime
    citation: str | None
    reason: str | None
    explanation: str | None
    kept: tuple[Kept, ...]
    answer_digest: str | None
    shut_at: datetime | None
    digest: str


def build_request(
    kind: str,
    *,
    id: str,
    controller: Did,
    issuer: Did,
    at: datetime,
    purpose: str | None = None,
    ground: str | None = None,
    fields: Iterable[str] = (),
    correction: str | None = None,
    event: str | None = None,
    subject: SubjectId | None = None,
    identified: Identified | None = None,
) -> dict[str, Any]:
    """An unsigned request, to be signed by ``issuer``: the wallet, or for ``subject`` a member of staff."""
    claim: dict[str, Any] = {"type": "DataSubjectRequest", "requestKind": kind, "hasDataController": controller}
    named = sorted(fields)
    optional = {
        "hasPurpose": purpose,
        "exceptedGround": ground,
        "correctionDigest": correction,
        "asksAboutEvent": event,
        "subjectReference": subject,
    }
    claim |= {name: value for name, value in optional.items() if value is not None}
    if named:
        claim["hasPersonalData"] = named
    if identified is not None:
        digest = canonical.digest(identified.evidence.encode())
        claim["identifiedBy"] = identified.method
        claim["groundEvidence"] = {"evidenceText": identified.evidence, "digestMultibase": digest}
    about = issuer if subject is None else controller
    return vocabulary.skeleton(REQUEST_TYPE, id=id, issuer=issuer, at=at, subject={"id": about, "makesRequest": claim})


def parse_request(credential: VerifiedCredential) -> DataSubjectRequest:
    """Read a verified request. Who may make it for whom is for the caller to know.

    Raises:
        EvidenceError: ``wrong_type``, ``wrong_issuer``, ``bad_credential``, ``digest_mismatch``.
    """
    about, node = vocabulary.claim(credential, REQUEST_TYPE, "makesRequest")
    path = "credentialSubject.makesRequest"
    optional = (
        "hasPurpose", "exceptedGround", "hasPersonalData", "correctionDigest", "asksAboutEvent", "subjectReference",
        "identifiedBy", "groundEvidence",
    )  # fmt: skip
    claim = shape.exact(node, path, ("type", "requestKind", "hasDataController"), optional)
    vocabulary.kind(claim, path, "DataSubjectRequest")
    controller = shape.did(claim, "hasDataController", path)
    subject = shape.optional_text(claim, "subjectReference", path)
    if subject is None:
        vocabulary.by_subject(credential, about)
    elif about != controller or "identifiedBy" not in claim:
        raise shape.refuse(path, "a request at the desk is the controller's, and says how the customer was identified")
    purpose = shape.iri(claim, "hasPurpose", path) if "hasPurpose" in claim else None
    read = DataSubjectRequest(
        id=credential.id,
        kind=shape.one_of(claim, "requestKind", path, KINDS),
        controller=controller,
        issuer=credential.issuer,
        signers=frozenset(proof.did for proof in credential.proofs),
        subject=None if subject is None else SubjectId(subject),
        identified=_identified(claim, path) if subject is not None else None,
        purpose=None if purpose is None else Purpose(purpose.replace("dpv:", vocabulary.DPV, 1)),
        ground=shape.text(claim, "exceptedGround", path) if "exceptedGround" in claim else None,
        fields=frozenset(map(Field, shape.texts(claim, "hasPersonalData", path)))
        if "hasPersonalData" in claim
        else frozenset(),
        correction=shape.optional_text(claim, "correctionDigest", path),
        event=shape.iri(claim, "asksAboutEvent", path) if "asksAboutEvent" in claim else None,
        at=credential.valid_from,
        digest=credential.digest,
    )
    _fits_kind(read, path)
    return read


def build_receipt(
    *,
    id: str,
    controller: Did,
    subject_did: Did,
    request: Reference,
    kind: str,
    state: str,
    at: datetime,
    due: datetime,
    citation: str | None = None,
    reason: str | None = None,
    explanation: str | None = None,
    kept: Iterable[Kept] = (),
    answer_digest: str | None = None,
    shut_at: datetime | None = None,
) -> dict[str, Any]:
    """An unsigned receipt for one step of a request, to be signed by the controller."""
    claim: dict[str, Any] = {
        "type": "DataSubjectReceipt",
        "hasDataController": controller,
        "dataRequest": vocabulary.write_reference(request),
        "requestKind": kind,
        "requestState": state,
        "dueAt": times.iso(due),
    }
    optional = {
        "citation": citation,
        "refusalReason": reason,
        "explanation": explanation,
        "answerDigest": answer_digest,
    }
    claim |= {name: value for name, value in optional.items() if value is not None}
    if staying := [_write_kept(one) for one in kept]:
        claim["keepsField"] = staying
    if shut_at is not None:
        claim["shutAt"] = times.iso(shut_at)
    return vocabulary.skeleton(
        RECEIPT_TYPE, id=id, issuer=controller, at=at, subject={"id": subject_did, "hasRequestReceipt": claim}
    )


def parse_receipt(credential: VerifiedCredential) -> RequestReceipt:
    """Read a verified receipt; EvidenceError ``wrong_type``, ``wrong_issuer``, ``bad_credential``."""
    subject_did, node = vocabulary.claim(credential, RECEIPT_TYPE, "hasRequestReceipt")
    path = "credentialSubject.hasRequestReceipt"
    required = ("type", "hasDataController", "dataRequest", "requestKind", "requestState", "dueAt")
    optional = ("citation", "refusalReason", "explanation", "keepsField", "answerDigest", "shutAt")
    claim = shape.exact(node, path, required, optional)
    vocabulary.kind(claim, path, "DataSubjectReceipt")
    kept = shape.objects(claim, "keepsField", path) if "keepsField" in claim else []
    return RequestReceipt(
        id=credential.id,
        controller=vocabulary.controller(claim, path, credential.issuer),
        subject_did=subject_did,
        request=vocabulary.read_reference(claim, "dataRequest", path),
        kind=shape.one_of(claim, "requestKind", path, KINDS),
        state=shape.one_of(claim, "requestState", path, STATES),
        at=credential.valid_from,
        due=shape.moment(claim, "dueAt", path),
        citation=shape.optional_text(claim, "citation", path),
        reason=shape.optional_text(claim, "refusalReason", path),
        explanation=shape.optional_text(claim, "explanation", path),
        kept=tuple(_read_kept(one, f"{path}.keepsField[{place}]") for place, one in enumerate(kept)),
        answer_digest=shape.optional_text(claim, "answerDigest", path),
        shut_at=shape.moment(claim, "shutAt", path) if "shutAt" in claim else None,
        digest=credential.digest,
    )


def _fits_kind(read: DataSubjectRequest, path: str) -> None:
    """Each kind says what it needs, and nothing besides."""
    if (read.kind == "objection") != (read.purpose is not None) or (read.ground and read.purpose is None):
        raise shape.refuse(f"{path}.hasPurpose", "an objection names one purpose, and nothing else does")
    rectifies = read.kind == "rectification"
    if rectifies != (read.correction is not None) or rectifies != bool(read.fields):
        raise shape.refuse(f"{path}.correctionDigest", "a rectification names its fields and the digest of their box")
    if (read.kind == "explanation") != (read.event is not None):
        raise shape.refuse(f"{path}.asksAboutEvent", "an explanation names the one read it asks about")


def _identified(claim: Any, path: str) -> Identified:
    place = f"{path}.groundEvidence"
    node = shape.exact(claim.get("groundEvidence"), place, ("evidenceText", "digestMultibase"))
    evidence = shape.text(node, "evidenceText", place)
    if canonical.digest(evidence.encode()) != shape.text(node, "digestMultibase", place):
        raise EvidenceError("digest_mismatch", "the evidence is not the one named", field=place)
    return Identified(method=shape.text(claim, "identifiedBy", path), evidence=evidence)


def _write_kept(one: Kept) -> dict[str, Any]:
    node = {"keptGround": one.ground, "hasPersonalData": sorted(one.fields), "citation": one.citation}
    return node if one.reason is None else {**node, "refusalReason": one.reason}


def _read_kept(node: Any, path: str) -> Kept:
    kept = shape.exact(node, path, ("keptGround", "hasPersonalData", "citation"), ("refusalReason",))
    return Kept(
        ground=shape.iri(kept, "keptGround", path),
        fields=frozenset(map(Field, shape.texts(kept, "hasPersonalData", path))),
        citation=shape.text(kept, "citation", path),
        reason=shape.optional_text(kept, "refusalReason", path),
    )
