"""What a wallet holds of one organisation: the pairwise key, the pinned document, all that was signed between them."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from protocol import canonical, certificate, consent, credential, did, receipt
from protocol.certificate import Certificate
from protocol.consent import Consent
from protocol.credential import VerifiedCredential
from protocol.did import Did, Keys
from protocol.errors import EvidenceError
from protocol.keys import Ed25519Signer
from protocol.receipt import Receipt
from wallet.errors import WalletError

SENT, LIVING, WITHDRAWN, SUPERSEDED, REFUSED = "sent", "living", "withdrawn", "superseded", "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A consent that the owner gave: the signed document, how it stands as far as the wallet knows, the words shown."""

    document: Mapping[str, Any]
    standing: str
    notice: str

    @property
    def id(self) -> str:
        """The credential's id."""
        return str(self.document["id"])


@dataclass(frozen=True, slots=True)
class Pending:
    """A signed answer that is to reach the organisation; kept until it said yes or no, and sent again as it is."""

    path: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """One organisation. ``issuer`` is its base URL, ``seed`` the 32-byte key of the DID used with it alone.

    ``log_key`` is the verifier key of its log, pinned at enrolment; ``catalogue`` its words for fields, as last seen.
    """

    controller: Did
    issuer: str
    document: Mapping[str, Any]
    seed: bytes
    enrolment: Mapping[str, Any] | None = None
    consents: tuple[Held, ...] = ()
    receipts: tuple[Mapping[str, Any], ...] = ()
    certificates: tuple[Mapping[str, Any], ...] = ()
    pending: tuple[Pending, ...] = ()
    log_key: str | None = None
    catalogue: Mapping[str, Any] | None = None

    @property
    def signer(self) -> Ed25519Signer:
        """The pairwise key."""
        return Ed25519Signer(self.seed)

    @property
    def did(self) -> Did:
        """The DID that this organisation, and no other, knows the owner by."""
        return self.signer.did

    @property
    def keys(self) -> Keys:
        """Keys that count with this organisation: its pinned document's, and every did:key."""
        return Keys([self.document])

    def at(self, service: str, path: str) -> str:
        """Address of ``path`` at one of its services, from the pinned document; EvidenceError ``no_service``."""
        return did.service_endpoint(self.document, service).rstrip("/") + path

    def held(self, reference: str) -> Held:
        """The consent with this id, or whose id holds this part; WalletError ``unknown_consent``, ``ambiguous``."""
        fitting = [one for one in self.consents if reference == one.id or (len(reference) >= 4 and reference in one.id)]
        if not fitting:
            raise WalletError(
                "unknown_consent", "this wallet holds no such consent; `fieldgrant wallet show` lists them"
            )
        if len(fitting) > 1:
            raise WalletError("ambiguous", "more than one consent fits; write more of its id")
        return fitting[0]

    def with_consent(self, held: Held) -> Self:
        """With this consent added, or in place of its older state."""
        others = tuple(one for one in self.consents if one.id != held.id)
        return replace(self, consents=(*others, held))

    def standing(self, consent_id: str, standing: str) -> Self:
        """With one consent's standing changed; unknown ids change nothing."""
        changed = tuple(replace(one, standing=standing) if one.id == consent_id else one for one in self.consents)
        return replace(self, consents=changed)

    def with_receipt(self, document: Mapping[str, Any]) -> Self:
        """With this receipt kept, once."""
        others = tuple(one for one in self.receipts if one["id"] != document["id"])
        return replace(self, receipts=(*others, document))

    def with_certificate(self, document: Mapping[str, Any]) -> Self:
        """With this certificate kept, once."""
        others = tuple(one for one in self.certificates if one["id"] != document["id"])
        return replace(self, certificates=(*others, document))

    def to_json(self) -> dict[str, Any]:
        """As it lies in the sealed file."""
        return {
            "controller": self.controller,
            "issuer": self.issuer,
            "document": dict(self.document),
            "seed": base64.b64encode(self.seed).decode(),
            "enrolment": self.enrolment,
            "consents": [
                {"document": dict(one.document), "standing": one.standing, "notice": one.notice}
                for one in self.consents
            ],
            "receipts": list(self.receipts),
            "certificates": list(self.certificates),
            "pending": [{"path": one.path, "body": dict(one.body)} for one in self.pending],
            "log_key": self.log_key,
            "catalogue": None if self.catalogue is None else dict(self.catalogue),
        }

    @classmethod
    def from_json(cls, node: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote; WalletError ``bad_wallet``."""
        try:
            return cls(
                controller=Did(node["controller"]),
                issuer=node["issuer"],
                document=node["document"],
                seed=base64.b64decode(node["seed"], validate=True),
                enrolment=node["enrolment"],
                consents=tuple(Held(**one) for one in node["consents"]),
                receipts=tuple(node["receipts"]),
                certificates=tuple(node["certificates"]),
                pending=tuple(Pending(**one) for one in node["pending"]),
                log_key=node.get("log_key"),
                catalogue=node.get("catalogue"),
            )
        except (KeyError, TypeError, ValueError):
            raise WalletError("bad_wallet", "the wallet's content is of another version") from None


def own_consent(holding: Holding, held: Held, *, at: datetime) -> Consent:
    """Read back a consent of the owner's own; its signature is checked, its dates are not."""
    return consent.parse_consent(_kept(holding, held.document, consent.CONSENT_TYPE, at))


def own_receipt(holding: Holding, document: Mapping[str, Any], *, at: datetime) -> Receipt:
    """Read a receipt, verified against the pinned document and meant for this wallet's DID.

    Raises:
        EvidenceError: what `credential.verify` and `receipt.parse_receipt` raise, ``foreign_receipt``.
    """
    read = receipt.parse_receipt(_kept(holding, document, receipt.RECEIPT_TYPE, at))
    if read.subject_did != holding.did or read.controller != holding.controller:
        raise EvidenceError("foreign_receipt", "the receipt is about somebody else")
    return read


def own_certificate(holding: Holding, document: Mapping[str, Any], *, at: datetime) -> Certificate:
    """Read a disposition certificate likewise; EvidenceError also ``foreign_certificate``."""
    read = certificate.parse_certificate(_kept(holding, document, certificate.CERTIFICATE_TYPE, at))
    if read.subject_did != holding.did or read.controller != holding.controller:
        raise EvidenceError("foreign_certificate", "the certificate is about somebody else")
    return read


def _kept(holding: Holding, document: Mapping[str, Any], type_: str, at: datetime) -> VerifiedCredential:
    # what lies in the wallet stays readable after its end, so dates do not count here
    data = canonical.jcs(document)
    return credential.verify(data, holding.keys, at=at, expected_type=type_, check_dates=False)
