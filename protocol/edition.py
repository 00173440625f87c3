"""A version of the catalogue as a credential: who declared it, which version it follows, and what it says by digest."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from protocol import shape, vocabulary
from protocol.credential import VerifiedCredential
from protocol.did import Did
from protocol.errors import EvidenceError

EDITION_TYPE = "CatalogueVersionCredential"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """A published or proposed version. `previous` is the digestMultibase of the version before it: of its credential,
    of the packaged content for the first. `content` is that of the content's JCS form. `in_effect` is nothing for a
    draft; else the second after the controller's proof: whatever was asked in the same second counts as asked before.
    """

    id: str
    number: int
    previous: str
    content: str
    controller: Did
    declared_by: Did
    signers: frozenset[Did]
    in_effect: datetime | None
    digest: str


def build_edition(
    *, id: str, number: int, previous: str, content: str, controller: Did, declared_by: Did, at: datetime
) -> dict[str, Any]:
    """An unsigned version, to be signed by `declared_by`, then, as a proof set, by the approver and the controller."""
    claim = {
        "type": "CatalogueVersion",
        "hasDataController": controller,
        "catalogueNumber": number,
        "previousVersion": previous,
        "contentDigest": content,
    }
    return vocabulary.skeleton(
        EDITION_TYPE, id=id, issuer=declared_by, at=at, subject={"id": controller, "publishesCatalogue": claim}
    )


def parse_edition(credential: VerifiedCredential, *, approved: bool = True) -> Edition:
    """Read a verified version; with `approved` only one that two people and the controller signed.

    Whether those two may publish is for the caller to know.

    Raises:
        EvidenceError: `wrong_type`, `bad_credential`, `not_approved`.
    """
    controller, node = vocabulary.claim(credential, EDITION_TYPE, "publishesCatalogue")
    path = "credentialSubject.publishesCatalogue"
    claim = shape.exact(
        node, path, ("type", "hasDataController", "catalogueNumber", "previousVersion", "contentDigest")
    )
    vocabulary.kind(claim, path, "CatalogueVersion")
    if shape.did(claim, "hasDataController", path) != controller:
        raise shape.refuse(f"{path}.hasDataController", "must be the credential's subject")
    number = claim["catalogueNumber"]
    if type(number) is not int or number < 1:
        raise shape.refuse(f"{path}.catalogueNumber", "must be a whole number above 0")
    signers = frozenset(proof.did for proof in credential.proofs)
    if approved and (controller not in signers or len(signers - {controller}) < 2):
        raise EvidenceError("not_approved", "a version needs two people's proofs and the controller's", field="proof")
    stamps = [proof.created for proof in credential.proofs if proof.did == controller]
    return Edition(
        id=credential.id,
        number=number,
        previous=shape.text(claim, "previousVersion", path),
        content=shape.text(claim, "contentDigest", path),
        controller=controller,
        declared_by=credential.issuer,
        signers=signers,
        in_effect=max(stamps).replace(microsecond=0) + timedelta(seconds=1) if stamps else None,
        digest=credential.digest,
    )
