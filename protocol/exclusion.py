"""What takes one subject out of statutory grounds: an erasure, an objection, a restriction while one is looked into.

Signed by the controller, on a request of the subject. An exclusion that ends something ends it for good. A pause may be
lifted, which takes another signature of the controller: no row of a database makes processing go on.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from protocol import shape, vocabulary
from protocol.credential import VerifiedCredential
from protocol.did import Did
from protocol.ground import StatutoryGround
from protocol.vocabulary import DPV, Reference, SubjectId

EXCLUSION_TYPE, LIFT_TYPE = "SubjectExclusionCredential", "ExclusionLiftCredential"
ERASURE, OBJECTION, PAUSE = "erasure", "objection", "pause"
KINDS = frozenset({ERASURE, OBJECTION, PAUSE})
ANY = "*"
OBLIGATION = "dpv:LegalObligation"


@dataclass(frozen=True, slots=True)
class Excepted:
    """A ground (its id) and a purpose (IRI) that count no more for the subject; ``*`` is any.

    ``*`` as the ground speaks of those declared later too, and never of a legal obligation, which no request ends.
    """

    ground: str
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """One exclusion: ``kind`` erasure and objection end, pause (GDPR art. 18) only holds back."""

    id: str
    kind: str
    controller: Did
    subject: SubjectId
    excepted: tuple[Excepted, ...]
    request: Reference
    at: datetime
    digest: str

    def covers(self, ground: StatutoryGround, purpose: str) -> bool:
        """Whether it takes the subject out of this purpose of this ground."""
        demanded = ground.basis.replace(DPV, "dpv:", 1) == OBLIGATION
        # whoever objects to a use is not asked again under the next ground; whoever had all erased may come back
        later = self.kind != ERASURE and ground.valid_from >= self.at
        return any(
            one.purpose in (ANY, purpose)
            and (one.ground == ground.id or (not demanded and (one.ground == ANY or later)))
            for one in self.excepted
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lift:
    """The end of a pause."""

    id: str
    controller: Did
    subject: SubjectId
    exclusion: Reference
    at: datetime
    digest: str


def build_exclusion(
    kind: str,
    *,
    id: str,
    controller: Did,
    subject: SubjectId,
    excepted: Iterable[Excepted],
    request: Reference,
    at: datetime,
) -> dict[str, Any]:
    """An unsigned exclusion, to be signed by the controller."""
    pairs = sorted({(one.ground, one.purpose) for one in excepted})
    claim = {
        "type": "SubjectExclusion",
        "exclusionKind": kind,
        "hasDataController": controller,
        "subjectReference": subject,
        "dataRequest": vocabulary.write_reference(request),
        "excepts": [{"exceptedGround": ground, "exceptedPurpose": purpose} for ground, purpose in pairs],
    }
    return vocabulary.skeleton(
        EXCLUSION_TYPE, id=id, issuer=controller, at=at, subject={"id": controller, "excludesSubject": claim}
    )


def parse_exclusion(credential: VerifiedCredential) -> Exclusion:
    """Read a verified exclusion; EvidenceError ``wrong_type``, ``wrong_issuer``, ``bad_credential``."""
    _, node = vocabulary.claim(credential, EXCLUSION_TYPE, "excludesSubject")
    path = "credentialSubject.excludesSubject"
    required = ("type", "exclusionKind", "hasDataController", "subjectReference", "dataRequest", "excepts")
    claim = shape.exact(node, path, required)
    vocabulary.kind(claim, path, "SubjectExclusion")
    listed = claim["excepts"]
    if not isinstance(listed, list) or len(listed) > shape.MAX_ITEMS:  # an erasure may find no ground to end
        raise shape.refuse(f"{path}.excepts", "must be a list")
    return Exclusion(
        id=credential.id,
        kind=shape.one_of(claim, "exclusionKind", path, KINDS),
        controller=vocabulary.controller(claim, path, credential.issuer),
        subject=SubjectId(shape.text(claim, "subjectReference", path)),
        excepted=tuple(_excepted(one, f"{path}.excepts[{place}]") for place, one in enumerate(listed)),
        request=vocabulary.read_reference(claim, "dataRequest", path),
        at=credential.valid_from,
        digest=credential.digest,
    )


def build_lift(exclusion: Reference, *, id: str, controller: Did, subject: SubjectId, at: datetime) -> dict[str, Any]:
    """An unsigned end of a pause, to be signed by the controller."""
    claim = {
        "type": "ExclusionLift",
        "hasDataController": controller,
        "subjectReference": subject,
        "exclusion": vocabulary.write_reference(exclusion),
    }
    return vocabulary.skeleton(
        LIFT_TYPE, id=id, issuer=controller, at=at, subject={"id": controller, "liftsExclusion": claim}
    )


def parse_lift(credential: VerifiedCredential) -> Lift:
    """Read a verified lift; EvidenceError ``wrong_type``, ``wrong_issuer``, ``bad_credential``."""
    _, node = vocabulary.claim(credential, LIFT_TYPE, "liftsExclusion")
    path = "credentialSubject.liftsExclusion"
    claim = shape.exact(node, path, ("type", "hasDataController", "subjectReference", "exclusion"))
    vocabulary.kind(claim, path, "ExclusionLift")
    return Lift(
        id=credential.id,
        controller=vocabulary.controller(claim, path, credential.issuer),
        subject=SubjectId(shape.text(claim, "subjectReference", path)),
        exclusion=vocabulary.read_reference(claim, "exclusion", path),
        at=credential.valid_from,
        digest=credential.digest,
    )


def _excepted(node: Any, path: str) -> Excepted:
    pair = shape.exact(node, path, ("exceptedGround", "exceptedPurpose"))
    return Excepted(shape.text(pair, "exceptedGround", path), shape.text(pair, "exceptedPurpose", path))
