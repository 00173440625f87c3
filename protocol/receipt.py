"""The receipt: the controller's signed answer to what a subject decided, a consent record as in ISO/IEC TS 27560."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from protocol import shape, times, vocabulary
from protocol.credential import VerifiedCredential
from protocol.did import Did
from protocol.vocabulary import NoticeRef, Process, Reference, StatusRef

RECEIPT_TYPE = "ConsentReceiptCredential"
STATUS_OF = {
    "given": "dpv:ConsentGiven",
    "narrowed": "dpv:ConsentGiven",
    "withdrawn": "dpv:ConsentWithdrawn",
    "refused": "dpv:ConsentRefused",
    "revoked": "dpv:ConsentRevoked",
}
EVENTS = frozenset(STATUS_OF)
STANDINGS = frozenset({"living", "withdrawn", "revoked", "expired", "superseded", "refused"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was decided and since when it holds.

    ``consent`` is the consent that the event is about (the new one of a narrowing, nothing for a refusal),
    ``supersedes`` the one that a narrowing gave up; ``shut_at`` is when the last read in flight had ended.
    """

    id: str
    controller: Did
    subject_did: Did
    event: str
    standing: str
    at: datetime
    processes: tuple[Process, ...]
    notice: NoticeRef | None
    consent: Reference | None
    ask: Reference | None
    supersedes: Reference | None
    status: StatusRef | None
    shut_at: datetime | None
    digest: str


def build_receipt(
    *,
    id: str,
    controller: Did,
    subject_did: Did,
    event: str,
    standing: str,
    at: datetime,
    processes: Sequence[Process] = (),
    notice: NoticeRef | None = None,
    consent: Reference | None = None,
    ask: Reference | None = None,
    supersedes: Reference | None = None,
    status: StatusRef | None = None,
    shut_at: datetime | None = None,
    issued: datetime | None = None,
) -> dict[str, Any]:
    """An unsigned receipt, to be signed by the controller.

    Args:
        event: given, narrowed, withdrawn, refused or revoked.
        standing: living, withdrawn, revoked, expired, superseded or refused, of the consent (or ask) named.
        status: the consent's place in the status list, for as long as the receipt speaks of a living one.
        issued: when the receipt itself was made; default ``at``.
    """
    claim: dict[str, Any] = {
        "type": "ConsentReceipt",
        "hasConsentStatus": STATUS_OF[event],
        "hasDataController": controller,
        "receiptEvent": event,
        "standing": standing,
        "decidedAt": times.iso(at),
    }
    if processes:
        claim["hasProcess"] = [vocabulary.write_process(process) for process in processes]
    if notice is not None:
        claim["hasNotice"] = vocabulary.write_notice(notice)
    for name, reference in (("consent", consent), ("ask", ask), ("supersedes", supersedes)):
        if reference is not None:
            claim[name] = vocabulary.write_reference(reference)
    if shut_at is not None:
        claim["shutAt"] = times.iso(shut_at)
    return vocabulary.skeleton(
        RECEIPT_TYPE,
        id=id,
        issuer=controller,
        at=issued or at,
        subject={"id": subject_did, "hasReceipt": claim},
        status=status,
    )


def parse_receipt(credential: VerifiedCredential) -> Receipt:
    """Read a verified receipt; EvidenceError ``wrong_type``, ``wrong_issuer``, ``bad_credential``."""
    subject_did, node = vocabulary.claim(credential, RECEIPT_TYPE, "hasReceipt")
    path = "credentialSubject.hasReceipt"
    required = ("type", "hasConsentStatus", "hasDataController", "receiptEvent", "standing", "decidedAt")
    claim = shape.exact(node, path, required, ("hasProcess", "hasNotice", "consent", "ask", "supersedes", "shutAt"))
    event = shape.one_of(claim, "receiptEvent", path, EVENTS)
    vocabulary.kind(claim, path, "ConsentReceipt", STATUS_OF[event])

    def reference(name: str) -> Reference | None:
        return vocabulary.read_reference(claim, name, path) if name in claim else None

    return Receipt(
        id=credential.id,
        controller=vocabulary.controller(claim, path, credential.issuer),
        subject_did=subject_did,
        event=event,
        standing=shape.one_of(claim, "standing", path, STANDINGS),
        at=shape.moment(claim, "decidedAt", path),
        processes=vocabulary.read_processes(claim, path) if "hasProcess" in claim else (),
        notice=vocabulary.read_notice(claim, path) if "hasNotice" in claim else None,
        consent=reference("consent"),
        ask=reference("ask"),
        supersedes=reference("supersedes"),
        status=vocabulary.read_status(credential.document) if "credentialStatus" in credential.document else None,
        shut_at=shape.moment(claim, "shutAt", path) if "shutAt" in claim else None,
        digest=credential.digest,
    )
