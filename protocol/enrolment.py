"""The enrolment: the controller's word that a wallet's DID speaks for a subject, with the wallet's own proof in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from protocol import canonical, shape, vocabulary
from protocol.credential import VerifiedCredential
from protocol.did import Did
from protocol.errors import EvidenceError
from protocol.vocabulary import SubjectId

ENROLMENT_TYPE = "EnrolmentCredential"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """A DID bound to a subject; ``presentation`` are the JCS bytes of what the wallet signed to enrol."""

    id: str
    controller: Did
    subject: SubjectId
    wallet_did: Did
    presentation: bytes
    presentation_digest: str
    at: datetime
    digest: str


def build_enrolment(
    controller: Did,
    subject_id: SubjectId,
    wallet_did: Did,
    presentation_digest: str,
    presentation: Mapping[str, Any],
    *,
    id: str,
    at: datetime,
) -> dict[str, Any]:
    """An unsigned enrolment, to be signed by the controller.

    The presentation travels as one string, its JCS text: so both cryptosuites sign it to the byte.
    """
    claim = {
        "type": "Enrolment",
        "hasDataController": controller,
        "subjectReference": subject_id,
        "walletPresentation": {
            "presentationDocument": canonical.jcs(dict(presentation)).decode(),
            "digestMultibase": presentation_digest,
        },
    }
    subject = {"id": wallet_did, "hasEnrolment": claim}
    return vocabulary.skeleton(ENROLMENT_TYPE, id=id, issuer=controller, at=at, subject=subject)


def parse_enrolment(credential: VerifiedCredential) -> Enrolment:
    """Read a verified enrolment. The presentation in it is still to be verified (`protocol.presentation`).

    Raises:
        EvidenceError: ``wrong_type``, ``wrong_issuer``, ``bad_credential``, ``digest_mismatch``.
    """
    wallet_did, node = vocabulary.claim(credential, ENROLMENT_TYPE, "hasEnrolment")
    path = "credentialSubject.hasEnrolment"
    claim = shape.exact(node, path, ("type", "hasDataController", "subjectReference", "walletPresentation"))
    vocabulary.kind(claim, path, "Enrolment")
    place = f"{path}.walletPresentation"
    carried = shape.exact(claim["walletPresentation"], place, ("presentationDocument", "digestMultibase"))
    presentation = shape.text(carried, "presentationDocument", place).encode()
    digest = shape.text(carried, "digestMultibase", place)
    if canonical.digest(presentation) != digest:
        raise EvidenceError("digest_mismatch", "the presentation is not the one named", field=place)
    return Enrolment(
        id=credential.id,
        controller=vocabulary.controller(claim, path, credential.issuer),
        subject=SubjectId(shape.text(claim, "subjectReference", path)),
        wallet_did=wallet_did,
        presentation=presentation,
        presentation_digest=digest,
        at=credential.valid_from,
        digest=credential.digest,
    )
