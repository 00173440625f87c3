"""To enrol: pin the organisation, prove a DID made for it alone, hand in the code from the second channel."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from protocol import canonical, credential, enrolment, presentation
from protocol.enrolment import Enrolment
from protocol.errors import EvidenceError
from wallet import answer, link, offer
from wallet.client import SKEW, Client
from wallet.errors import WalletError
from wallet.holding import Holding
from wallet.link import Link


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolling:
    """An invitation half accepted: the organisation is pinned and waits for the code that it sent to ``channel``."""

    holding: Holding
    token: str
    challenge: str
    domain: str
    channel: str


def begin(client: Client, invitation: Link, known: Holding | None) -> Enrolling:
    """Pin the organisation and have the second code sent.

    A DID made for this organisation before is used again: the answer to it may have been lost on the way.

    Raises:
        WalletError: ``document_mismatch``, ``bad_answer``, and what the organisation refuses.
        EvidenceError: ``wrong_challenge``, ``wrong_domain``.
    """
    document = link.pin(client, invitation)
    seed = secrets.token_bytes(32) if known is None else known.seed
    holding = Holding(controller=invitation.did, issuer=invitation.issuer, document=document, seed=seed)
    url = holding.at("FieldgrantIssuer", "/issuer/enrolments/challenge")
    told = client.post(url, {"token": invitation.token})
    challenge, domain, channel = (str(told.get(name) or "") for name in ("challenge", "domain", "code_channel"))
    if len(challenge) < 16:
        raise EvidenceError("wrong_challenge", "the challenge can be guessed", field="challenge")
    if domain not in offer.domains(holding):
        raise EvidenceError("wrong_domain", "the proof would be good elsewhere", field="domain")
    return Enrolling(holding=holding, token=invitation.token, challenge=challenge, domain=domain, channel=channel)


def complete(client: Client, enrolling: Enrolling, code: str, *, at: datetime) -> Holding:
    """The holding with the controller's enrolment credential in it.

    Raises:
        WalletError: what the organisation refuses, as a wrong code.
        EvidenceError: the credential does not hold, ``foreign_enrolment``.
    """
    holding = enrolling.holding
    presented = presentation.present(
        [], holding.signer, challenge=enrolling.challenge, domain=enrolling.domain, created=at
    )
    body = {"token": enrolling.token, "code": code.strip(), "presentation": presented}
    document = answer.document(client.post(holding.at("FieldgrantIssuer", "/issuer/enrolments"), body), "enrolment")
    read = _read(holding, document, at)
    if read.presentation != canonical.jcs(presented):
        raise EvidenceError("foreign_enrolment", "the enrolment is not what this wallet signed")
    return replace(holding, enrolment=document)


def recover(client: Client, holding: Holding, *, at: datetime) -> Holding:
    """Fetch the enrolment whose answer was lost on the way; the holding as it was, if there is none."""
    try:
        reply = client.call("GET", holding.at("FieldgrantIssuer", "/issuer/wallet/enrolments"), holding.signer)
    except WalletError:
        return holding
    for document in answer.documents(reply, "enrolments"):
        _read(holding, document, at)
        holding = replace(holding, enrolment=document)
    return holding


def _read(holding: Holding, document: Mapping[str, Any], at: datetime) -> Enrolment:
    verified = credential.verify(
        canonical.jcs(document),
        holding.keys,
        at=at + SKEW,
        expected_type=enrolment.ENROLMENT_TYPE,
        expected_issuer=holding.controller,
    )
    read = enrolment.parse_enrolment(verified)
    if read.wallet_did != holding.did:
        raise EvidenceError("foreign_enrolment", "the enrolment is for another wallet")
    return read
