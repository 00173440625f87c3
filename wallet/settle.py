"""From a signed answer to its receipt: sent until the organisation said yes or no, then checked and written down."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from protocol.errors import EvidenceError
from protocol.receipt import Receipt
from wallet import answer
from wallet.client import Client
from wallet.errors import WalletError
from wallet.holding import LIVING, SENT, SUPERSEDED, WITHDRAWN, Holding, Pending

CONSENTS, REFUSALS = "/issuer/wallet/consents", "/issuer/wallet/refusals"
NARROWINGS, WITHDRAWALS = "/issuer/wallet/narrowings", "/issuer/wallet/withdrawals"
_AGAIN = frozenset({408, 425, 429})


def refused(error: WalletError) -> bool:
    """Whether the organisation has decided against an answer, so that sending it again is of no use."""
    return error.status is not None and 400 <= error.status < 500 and error.status not in _AGAIN


def send(client: Client, holding: Holding, pending: Pending, *, at: datetime) -> tuple[Holding, Receipt]:
    """Send an answer; the holding as it stands after its receipt, and the receipt.

    Raises:
        WalletError: what the organisation or the network says.
        EvidenceError: those of `answer.check_receipt`.
    """
    reply = client.call("POST", holding.at("FieldgrantIssuer", pending.path), holding.signer, body=pending.body)
    settle = {CONSENTS: _given, REFUSALS: _refused, NARROWINGS: _narrowed, WITHDRAWALS: _withdrawn}[pending.path]
    return settle(holding, pending.body, reply, at)


def dropped(holding: Holding, pending: Pending) -> Holding:
    """The holding without an answer that the organisation turned down, and without the consent in it."""
    kept = tuple(one for one in holding.pending if one != pending)
    gone = pending.body.get("consent", {}).get("id")
    consents = tuple(one for one in holding.consents if not (one.id == gone and one.standing == SENT))
    return replace(holding, pending=kept, consents=consents)


def confirm(client: Client, holding: Holding, pending: Pending, *, at: datetime) -> None:
    """Ask the public status list whether others see the same; EvidenceError ``status_mismatch``."""
    if pending.path == REFUSALS:
        return
    expected = {}
    if "consent" in pending.body:
        expected[pending.body["consent"]["id"]] = False
    if "withdrawal" in pending.body:
        expected[_withdrawn_id(pending.body)] = True
    for held in holding.consents:
        if held.id in expected:
            status = answer.reread(held.document, holding, at=at).status
            if answer.revoked(client, holding, status, at=at) != expected[held.id]:
                raise EvidenceError("status_mismatch", "the public status list says otherwise than the receipt")


def _given(
    holding: Holding, body: Mapping[str, Any], reply: Mapping[str, Any], at: datetime
) -> tuple[Holding, Receipt]:
    own = answer.reread(body["consent"], holding, at=at)
    document, read = answer.check_receipt(
        reply, holding, event="given", about=own.digest, processes=own.processes, at=at
    )
    return holding.with_receipt(document).standing(own.id, LIVING), read


def _narrowed(
    holding: Holding, body: Mapping[str, Any], reply: Mapping[str, Any], at: datetime
) -> tuple[Holding, Receipt]:
    own, old = answer.reread(body["consent"], holding, at=at), body["withdrawal"]["credentialSubject"]
    document, read = answer.check_receipt(
        reply, holding, event="narrowed", about=own.digest, processes=own.processes, at=at
    )
    left = old["withdrawsConsent"]["consent"]["digestMultibase"]
    if read.supersedes is None or read.supersedes.digest != left:
        raise EvidenceError("receipt_mismatch", "the receipt does not name the consent given up", field="supersedes")
    after = holding.with_receipt(document).standing(own.id, LIVING)
    return after.standing(_withdrawn_id(body), SUPERSEDED), read


def _withdrawn(
    holding: Holding, body: Mapping[str, Any], reply: Mapping[str, Any], at: datetime
) -> tuple[Holding, Receipt]:
    about = body["withdrawal"]["credentialSubject"]["withdrawsConsent"]["consent"]["digestMultibase"]
    document, read = answer.check_receipt(reply, holding, event="withdrawn", about=about, at=at)
    return holding.with_receipt(document).standing(_withdrawn_id(body), WITHDRAWN), read


def _refused(
    holding: Holding, body: Mapping[str, Any], reply: Mapping[str, Any], at: datetime
) -> tuple[Holding, Receipt]:
    about = body["refusal"]["credentialSubject"]["refusesConsent"]["ask"]["digestMultibase"]
    document, read = answer.check_receipt(reply, holding, event="refused", about=about, at=at)
    return holding.with_receipt(document), read


def _withdrawn_id(body: Mapping[str, Any]) -> str:
    return str(body["withdrawal"]["credentialSubject"]["withdrawsConsent"]["consent"]["id"])
