"""The statutory ground: why the law permits a use without consent, declared by one person, approved by another."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from protocol import canonical, shape, vocabulary
from protocol.credential import VerifiedCredential
from protocol.did import Did
from protocol.errors import EvidenceError
from protocol.vocabulary import GroundId, Process, SubjectId

GROUND_TYPE = "StatutoryGroundCredential"
EVERYONE = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatutoryGround:
    """A declared ground.

    ``subjects`` is nothing when it covers every customer; ``roles`` is nothing when any reader may use it;
    ``until_enrolled`` ends it for a subject with their first enrolment; ``signers`` are all whose proofs it bears.
    """

    id: GroundId
    key: str
    controller: Did
    declared_by: Did
    signers: frozenset[Did]
    basis: str
    citation: str
    evidence: str
    evidence_digest: str
    processes: tuple[Process, ...]
    subjects: frozenset[SubjectId] | None
    until_enrolled: bool
    roles: frozenset[str] | None
    valid_from: datetime
    valid_until: datetime
    digest: str

    def concerns(self, subject: SubjectId) -> bool:
        """Whether this ground is about ``subject`` at all."""
        return self.subjects is None or subject in self.subjects


def build_ground(
    *,
    id: str,
    key: str,
    controller: Did,
    declared_by: Did,
    basis: str,
    citation: str,
    evidence: str,
    processes: Sequence[Process],
    valid_from: datetime,
    valid_until: datetime,
    subjects: Iterable[SubjectId] | None = None,
    until_enrolled: bool = False,
    roles: Iterable[str] | None = None,
) -> dict[str, Any]:
    """An unsigned ground, to be signed by ``declared_by`` and then, as a proof set, by the approver.

    Args:
        basis: a DPV legal basis, as ``dpv:Contract``.
        evidence: what shows that the ground exists, as a text; its digest is put beside it.
        subjects: those whom it covers; nothing means every customer.
    """
    claim: dict[str, Any] = {
        "type": "StatutoryGround",
        "groundKey": key,
        "hasDataController": controller,
        "hasLegalBasis": basis,
        "citation": citation,
        "groundEvidence": {"evidenceText": evidence, "digestMultibase": canonical.digest(evidence.encode())},
        "hasProcess": [vocabulary.write_process(process) for process in processes],
        "coversSubject": [EVERYONE] if subjects is None else sorted(subjects),
        "untilEnrolled": until_enrolled,
    }
    if roles is not None:
        claim["readerRole"] = sorted(roles)
    return vocabulary.skeleton(
        GROUND_TYPE,
        id=id,
        issuer=declared_by,
        at=valid_from,
        until=valid_until,
        subject={"id": controller, "declaresGround": claim},
    )


def parse_ground(credential: VerifiedCredential, *, approved: bool = True) -> StatutoryGround:
    """Read a verified ground; with ``approved`` only one that two different people signed.

    Whether those two may declare grounds is for the caller to know.

    Raises:
        EvidenceError: ``wrong_type``, ``bad_credential``, ``not_approved``, ``digest_mismatch``.
    """
    controller, node = vocabulary.claim(credential, GROUND_TYPE, "declaresGround")
    path = "credentialSubject.declaresGround"
    required = (
        "type groundKey hasDataController hasLegalBasis citation groundEvidence hasProcess coversSubject untilEnrolled"
    )
    claim = shape.exact(node, path, required.split(), ("readerRole",))
    vocabulary.kind(claim, path, "StatutoryGround")
    if shape.did(claim, "hasDataController", path) != controller:
        raise shape.refuse(f"{path}.hasDataController", "must be the credential's subject")
    if not isinstance(claim["untilEnrolled"], bool):
        raise shape.refuse(f"{path}.untilEnrolled", "must be true or false")
    if credential.valid_until is None:
        raise shape.refuse("validUntil", "a ground must end")
    signers = frozenset(proof.did for proof in credential.proofs)
    if approved and len(signers) < 2:
        raise EvidenceError("not_approved", "a ground needs the proofs of two different people", field="proof")
    evidence, digest = _evidence(claim, path)
    subjects = shape.texts(claim, "coversSubject", path)
    return StatutoryGround(
        id=GroundId(credential.id),
        key=shape.text(claim, "groundKey", path),
        controller=controller,
        declared_by=credential.issuer,
        signers=signers,
        basis=shape.iri(claim, "hasLegalBasis", path),
        citation=shape.text(claim, "citation", path),
        evidence=evidence,
        evidence_digest=digest,
        processes=vocabulary.read_processes(claim, path),
        subjects=None if EVERYONE in subjects else frozenset(map(SubjectId, subjects)),
        until_enrolled=claim["untilEnrolled"],
        roles=shape.texts(claim, "readerRole", path) if "readerRole" in claim else None,
        valid_from=credential.valid_from,
        valid_until=credential.valid_until,
        digest=credential.digest,
    )


def _evidence(claim: Any, path: str) -> tuple[str, str]:
    place = f"{path}.groundEvidence"
    node = shape.exact(claim["groundEvidence"], place, ("evidenceText", "digestMultibase"))
    evidence, digest = shape.text(node, "evidenceText", place), shape.text(node, "digestMultibase", place)
    if canonical.digest(evidence.encode()) != digest:
        raise EvidenceError("digest_mismatch", "the evidence is not the one named", field=place)
    return evidence, digest
