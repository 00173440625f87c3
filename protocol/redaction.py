"""The notice that tells a recipient what to redact, signed by the controller, and the recipient's signed answer."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from protocol import shape, times, vocabulary
from protocol.credential import VerifiedCredential
from protocol.did import Did
from protocol.errors import EvidenceError
from protocol.vocabulary import Field, Reference, SubjectId

NOTICE_TYPE, ACKNOWLEDGEMENT_TYPE = "RedactionNoticeCredential", "RedactionAcknowledgementCredential"
DELETE = "delete"
ACTIONS = frozenset({"deleted", "not_found", "kept"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactionNotice:
    """What a recipient is to delete: of which customer, by the reference that went to them, until when.

    ``exports`` are the ids of the exports in which the fields went to them; none where they were read one by one.
    """

    id: str
    controller: Did
    recipient: Did
    subject: SubjectId
    fields: frozenset[Field]
    exports: frozenset[str]
    at: datetime
    deadline: datetime
    digest: str

    @property
    def reference(self) -> Reference:
        """How others name it."""
        return Reference(self.id, self.digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """What a recipient did: ``deleted``, ``not_found`` (they had nothing) or ``kept``, then with a ``citation``."""

    id: str
    recipient: Did
    controller: Did
    notice: Reference
    action: str
    citation: str | None
    at: datetime
    digest: str


def build_notice(
    *,
    id: str,
    controller: Did,
    recipient: Did,
    subject: SubjectId,
    fields: Iterable[Field],
    exports: Iterable[str] = (),
    at: datetime,
    deadline: datetime,
) -> dict[str, Any]:
    """An unsigned notice, to be signed by the controller. It names fields, never a value."""
    node: dict[str, Any] = {
        "type": "RedactionNotice",
        "hasDataController": controller,
        "subjectReference": subject,
        "hasPersonalData": sorted(fields),
        "requiredAction": DELETE,
        "noticeDeadline": times.iso(deadline),
    }
    if named := sorted(exports):
        node["exportReference"] = named
    subject_node = {"id": recipient, "tellsRedaction": node}
    return vocabulary.skeleton(NOTICE_TYPE, id=id, issuer=controller, at=at, subject=subject_node)


def parse_notice(credential: VerifiedCredential) -> RedactionNotice:
    """Read a verified notice; EvidenceError ``wrong_type``, ``wrong_issuer``, ``bad_credential``."""
    recipient, claim = vocabulary.claim(credential, NOTICE_TYPE, "tellsRedaction")
    path = "credentialSubject.tellsRedaction"
    required = (
        "type", "hasDataController", "subjectReference", "hasPersonalData", "requiredAction", "noticeDeadline",
    )  # fmt: skip
    node = shape.exact(claim, path, required, ("exportReference",))
    vocabulary.kind(node, path, "RedactionNotice")
    shape.one_of(node, "requiredAction", path, frozenset({DELETE}))
    return RedactionNotice(
        id=credential.id,
        controller=vocabulary.controller(node, path, credential.issuer),
        recipient=recipient,
        subject=SubjectId(shape.text(node, "subjectReference", path)),
        fields=frozenset(map(Field, shape.texts(node, "hasPersonalData", path))),
        exports=shape.texts(node, "exportReference", path) if "exportReference" in node else frozenset(),
        at=credential.valid_from,
        deadline=shape.moment(node, "noticeDeadline", path),
        digest=credential.digest,
    )


def build_acknowledgement(
    notice: Reference,
    *,
    id: str,
    recipient: Did,
    controller: Did,
    action: str,
    citation: str | None = None,
    at: datetime,
) -> dict[str, Any]:
    """An unsigned acknowledgement, to be signed by the recipient."""
    node: dict[str, Any] = {
        "type": "RedactionAcknowledgement",
        "redactionNotice": vocabulary.write_reference(notice),
        "actionTaken": action,
        "acknowledgedAt": times.iso(at),
    }
    if citation is not None:
        node["actionCitation"] = citation
    subject = {"id": controller, "acknowledgesRedaction": node}
    return vocabulary.skeleton(ACKNOWLEDGEMENT_TYPE, id=id, issuer=recipient, at=at, subject=subject)


def parse_acknowledgement(credential: VerifiedCredential) -> Acknowledgement:
    """Read a verified acknowledgement; EvidenceError ``wrong_type``, ``bad_credential``, ``citation_missing``."""
    controller, claim = vocabulary.claim(credential, ACKNOWLEDGEMENT_TYPE, "acknowledgesRedaction")
    path = "credentialSubject.acknowledgesRedaction"
    node = shape.exact(claim, path, ("type", "redactionNotice", "actionTaken", "acknowledgedAt"), ("actionCitation",))
    vocabulary.kind(node, path, "RedactionAcknowledgement")
    action, citation = (
        shape.one_of(node, "actionTaken", path, ACTIONS),
        shape.optional_text(node, "actionCitation", path),
    )
    if action == "kept" and citation is None:
        raise EvidenceError("citation_missing", "who keeps it names the law that says so", field="actionCitation")
    return Acknowledgement(
        id=credential.id,
        recipient=credential.issuer,
        controller=controller,
        notice=vocabulary.read_reference(node, "redactionNotice", path),
        action=action,
        citation=citation,
        at=shape.moment(node, "acknowledgedAt", path),
        digest=credential.digest,
    )
