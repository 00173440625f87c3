"""The owner's signed answers, and how the organisation's replies to them are read."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from protocol import answers, canonical, consent, proof, status
from protocol import credential as credentials
from protocol.consent import Ask, Consent, Process, StatusRef
from protocol.errors import EvidenceError
from protocol.receipt import Receipt
from wallet.client import SKEW, Client
from wallet.errors import WalletError
from wallet.holding import Holding, own_receipt


def give(
    ask: Ask, processes: Sequence[Process], holding: Holding, *, until: datetime | None, at: datetime
) -> dict[str, Any]:
    """A signed consent to ``processes``, good for this ask's challenge and domain alone.

    It begins at once, whichever clock is a little ahead, but never before it was asked for; it ends with ``until`` or
    when the ask says; WalletError ``bad_until``.
    """
    begins, ends = max(at - SKEW, ask.issued), until or ask.latest_until
    if not max(at, begins) + timedelta(seconds=1) <= ends <= ask.latest_until:
        raise WalletError("bad_until", f"choose a last day in the future, at most {ask.latest_until:%Y-%m-%d}")
    unsigned = consent.build_consent(
        ask, processes=processes, valid_from=begins, valid_until=ends, id=consent.fresh_id()
    )
    return proof.sign(unsigned, holding.signer, created=at, challenge=ask.challenge, domain=ask.domain)


def refuse(ask: Ask, holding: Holding, *, at: datetime) -> dict[str, Any]:
    """A signed refusal of the whole ask."""
    unsigned = answers.build_refusal(ask, id=consent.fresh_id(), at=at - SKEW)
    return proof.sign(unsigned, holding.signer, created=at, challenge=ask.challenge, domain=ask.domain)


def withdraw(given: Consent, holding: Holding, *, at: datetime) -> dict[str, Any]:
    """A signed withdrawal of one consent."""
    unsigned = answers.build_withdrawal(
        given.id, given.digest, holding.did, holding.controller, id=consent.fresh_id(), at=at - SKEW
    )
    return proof.sign(unsigned, holding.signer, created=at)


def reread(document: Mapping[str, Any], holding: Holding, *, at: datetime) -> Consent:
    """A consent that was just signed, read as the organisation will read it."""
    data = canonical.jcs(document)
    return consent.parse_consent(
        credentials.verify(data, holding.keys, at=at, expected_type=consent.CONSENT_TYPE, check_dates=False)
    )


def document(reply: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The signed document in a reply: the reply itself, or its member ``name``; WalletError ``bad_answer``."""
    for candidate in (reply.get(name), reply.get("credential"), reply):
        if isinstance(candidate, Mapping) and "proof" in candidate and isinstance(candidate.get("id"), str):
            return candidate
    raise WalletError("bad_answer", f"the organisation's answer holds no {name}")


def items(reply: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The items of a listing; WalletError ``bad_answer``."""
    listed = reply.get("items", reply.get(name))
    if not isinstance(listed, list) or not all(isinstance(item, Mapping) for item in listed):
        raise WalletError("bad_answer", f"the organisation's answer holds no list of {name}")
    return listed


def documents(reply: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The signed documents of a listing, bare or as a member of an item; WalletError ``bad_answer``."""
    return [document(item, name.removesuffix("s")) for item in items(reply, name)]


def check_receipt(
    reply: Mapping[str, Any],
    holding: Holding,
    *,
    event: str,
    about: str,
    at: datetime,
    processes: Sequence[Process] | None = None,
) -> tuple[Mapping[str, Any], Receipt]:
    """The receipt in a reply, which must say what was signed.

    Args:
        about: digest of the consent (for a refusal: of the ask) that it answers.
        processes: what the receipt must say that it covers.

    Raises:
        EvidenceError: those of `own_receipt`, ``receipt_mismatch``.
    """
    received = document(reply, "receipt")
    read = own_receipt(holding, received, at=at)
    reference = read.ask if event == "refused" else read.consent
    if read.event != event or reference is None or reference.digest != about:
        raise EvidenceError("receipt_mismatch", "the receipt is not about what was signed")
    if processes is not None and set(read.processes) != set(processes):
        raise EvidenceError("receipt_mismatch", "the receipt says that more or less was agreed", field="hasProcess")
    if event in ("withdrawn", "narrowed") and read.shut_at is None:
        raise EvidenceError("receipt_mismatch", "the receipt does not say when reading had ended", field="shutAt")
    return received, read


def revoked(client: Client, holding: Holding, reference: StatusRef, *, at: datetime) -> bool:
    """Whether the organisation's own signed status list says that a consent has ended.

    Raises:
        EvidenceError: those of `credential.verify` and `status.check`, ``status_mismatch`` for a list elsewhere.
    """
    if not reference.list_url.startswith(holding.issuer + "/"):
        raise EvidenceError("status_mismatch", "the status list does not lie with the organisation")
    verified = credentials.verify(
        client.fetch(reference.list_url),
        holding.keys,
        at=at + SKEW,
        expected_type=status.LIST_TYPE,
        expected_issuer=holding.controller,
    )
    return status.check(verified, reference)
