"""What the organisation has on record about the owner: receipts, certificates, statutory grounds, consents, reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from protocol import canonical, credential, ground
from protocol.certificate import Certificate
from protocol.errors import EvidenceError
from protocol.ground import StatutoryGround
from protocol.receipt import Receipt
from wallet import answer
from wallet.client import Client
from wallet.errors import WalletError
from wallet.holding import LIVING, Held, Holding, own_certificate, own_receipt

_ENDED = {"withdrawn": "withdrawn", "revoked": "revoked"}


@dataclass(frozen=True, slots=True)
class History:
    """One page of what happened, newest first; ``next`` asks for the page after it."""

    items: tuple[Mapping[str, Any], ...]
    next: str | None


def history(client: Client, holding: Holding, *, limit: int, before: str | None) -> History:
    """Who read, asked or changed what; the audit's words, not evidence in themselves. WalletError ``bad_answer``."""
    params = {"limit": str(limit)} | ({"before": before} if before else {})
    url = holding.at("FieldgrantAudit", "/audit/history")
    reply = client.call("GET", url, holding.signer, params=params)
    items, more = reply.get("items"), reply.get("next")
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise WalletError("bad_answer", "the organisation's answer holds no history")
    return History(tuple(items), more if isinstance(more, str) else None)


def receipts(client: Client, holding: Holding, *, at: datetime) -> tuple[Holding, tuple[Receipt, ...]]:
    """Fetch and keep all receipts, and what they say of consents that ended without this wallet; EvidenceError."""
    for document in _fetch(client, holding, "FieldgrantIssuer", "/issuer/wallet/receipts", "receipts"):
        read = own_receipt(holding, document, at=at)
        holding = holding.with_receipt(document)
        if read.event in _ENDED and read.consent is not None:
            holding = holding.standing(read.consent.id, _ENDED[read.event])
    return holding, kept_receipts(holding, at=at)


def kept_receipts(holding: Holding, *, at: datetime) -> tuple[Receipt, ...]:
    """The receipts in the wallet, oldest first, verified anew."""
    return tuple(sorted((own_receipt(holding, one, at=at) for one in holding.receipts), key=lambda one: one.at))


def certificates(client: Client, holding: Holding, *, at: datetime) -> tuple[Holding, tuple[Certificate, ...]]:
    """Fetch and keep all certificates of what became of fields; EvidenceError."""
    for document in _fetch(client, holding, "FieldgrantRedaction", "/redaction/certificates", "certificates"):
        own_certificate(holding, document, at=at)
        holding = holding.with_certificate(document)
    return holding, tuple(own_certificate(holding, one, at=at) for one in holding.certificates)


def grounds(client: Client, holding: Holding, *, at: datetime) -> tuple[StatutoryGround, ...]:
    """The statutory grounds that the organisation claims about the owner, each with two signatures; EvidenceError."""
    claimed = []
    for document in _fetch(client, holding, "FieldgrantIssuer", "/issuer/wallet/grounds", "grounds"):
        verified = credential.verify(
            canonical.jcs(document), holding.keys, at=at, expected_type=ground.GROUND_TYPE, check_dates=False
        )
        read = ground.parse_ground(verified)
        if read.controller != holding.controller:
            raise EvidenceError("foreign_ground", "the ground is another organisation's")
        claimed.append(read)
    return tuple(claimed)


def consents(client: Client, holding: Holding, *, at: datetime) -> Holding:
    """Take back consents that the organisation holds and this wallet does not (after a restore), if its key signed."""
    reply = client.call("GET", holding.at("FieldgrantIssuer", "/issuer/wallet/consents"), holding.signer)
    known = {one.id for one in holding.consents}
    for document, item in zip(answer.documents(reply, "consents"), answer.items(reply, "consents"), strict=True):
        if document["id"] in known:
            continue
        given = answer.reread(document, holding, at=at)
        if given.subject_did == holding.did and given.controller == holding.controller:
            standing = item.get("standing")
            standing = standing if isinstance(standing, str) else LIVING
            holding = holding.with_consent(Held(document=document, standing=standing, notice=""))
    return holding


def _fetch(client: Client, holding: Holding, service: str, path: str, name: str) -> list[Mapping[str, Any]]:
    return answer.documents(client.call("GET", holding.at(service, path), holding.signer), name)
