"""Every credential of the rights of data subjects, as tests of the vocabulary build on them."""

from datetime import datetime, timedelta
from typing import Any

from protocol import canonical, exclusion, request, sealed
from protocol.did import Did
from protocol.keys import Ed25519Signer
from protocol.vocabulary import Field, Reference, SubjectId

ASKED = Reference("urn:uuid:00000000-0000-4000-8000-00000000000c", canonical.digest(b"request"))
GROUND = "urn:uuid:00000000-0000-4000-8000-00000000000d"


def why(at: datetime) -> dict[str, Any]:
    """A request that names a read: what `every` has of this type names other things."""
    did = Ed25519Signer.generate().did
    return request.build_request("explanation", id=ASKED.id, controller=did, issuer=did, at=at, event=GROUND)


def every(
    id: str, at: datetime, subject: SubjectId, *, controller: Ed25519Signer, staff: Ed25519Signer, wallet: Did
) -> dict[str, tuple[dict[str, Any], tuple[Ed25519Signer, ...]]]:
    """Type → unsigned document and who signs it."""
    common: dict[str, Any] = {"id": id, "controller": controller.did, "at": at}
    kept = [request.Kept(ground=GROUND, fields=frozenset({Field("contract.number")}), citation="§ 257", reason="books")]
    excepted = [exclusion.Excepted(GROUND, "https://w3id.org/dpv#ServiceProvision")]
    return {
        request.REQUEST_TYPE: (
            request.build_request(
                "rectification", **common, issuer=staff.did, fields=["contact.phone"], correction=ASKED.digest,
                subject=subject, identified=request.Identified(method="id_document", evidence="file 7"),
            ),
            (staff, controller),
        ),
        request.RECEIPT_TYPE: (
            request.build_receipt(
                **common, subject_did=wallet, request=ASKED, kind="erasure", state="answered",
                due=at + timedelta(days=30), citation="GDPR art. 17", reason="as asked",
                explanation="for the order", kept=kept,
                answer_digest=canonical.digest(b"answer"), shut_at=at,
            ),
            (controller,),
        ),
        exclusion.EXCLUSION_TYPE: (
            exclusion.build_exclusion("objection", **common, subject=subject, excepted=excepted, request=ASKED),
            (controller,),
        ),
        exclusion.LIFT_TYPE: (exclusion.build_lift(ASKED, **common, subject=subject), (controller,)),
        sealed.KEY_TYPE: (
            sealed.build_key(b"\x07" * 32, **common, period="requests-2026-11", until=at + timedelta(days=30)),
            (controller,),
        ),
    }  # fmt: skip
