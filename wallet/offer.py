"""Asks before the owner sees them: verified, meant for this wallet, with the notice's words; and what they ticked."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from protocol import canonical, consent, credential
from protocol.consent import Ask, NoticeRef, Process
from protocol.errors import EvidenceError
from wallet.client import SKEW, Client
from wallet.errors import WalletError
from wallet.holding import Holding


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """An ask that may be answered. ``notice`` is the text whose digest the ask, and so the consent, carries."""

    ask: Ask
    notice: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """An ask that is not shown, because it is not what it should be."""

    id: str
    code: str
    detail: str


def verify(document: Mapping[str, Any], holding: Holding, *, at: datetime) -> Ask:
    """An ask that the pinned controller signed, for this wallet, still open, about itself.

    Raises:
        EvidenceError: those of `credential.verify` and `consent.parse_ask`, ``foreign_ask``, ``wrong_domain``,
            ``wrong_challenge``.
    """
    verified = credential.verify(
        canonical.jcs(document),
        holding.keys,
        at=at + SKEW,
        expected_type=consent.ASK_TYPE,
        expected_issuer=holding.controller,
    )
    ask = consent.parse_ask(verified)
    if ask.subject_did != holding.did:
        raise EvidenceError("foreign_ask", "the ask is meant for another wallet", field="credentialSubject.id")
    if ask.domain not in domains(holding):
        raise EvidenceError("wrong_domain", "the answer would be good elsewhere", field="answerDomain")
    if len(ask.challenge) < 16:
        raise EvidenceError("wrong_challenge", "the challenge can be guessed", field="answerChallenge")
    return ask


def domains(holding: Holding) -> frozenset[str]:
    """What this organisation may call itself in a proof: its DID, its base URL or its host."""
    return frozenset({holding.controller, holding.issuer, urlsplit(holding.issuer).netloc})


def notice(client: Client, holding: Holding, reference: NoticeRef) -> str:
    """The notice's text, exactly as the digest says; WalletError ``notice_mismatch``, and those of `Client.fetch`."""
    if not reference.id.startswith(holding.issuer + "/"):
        raise WalletError("notice_mismatch", "the notice does not lie with the organisation")
    data = client.fetch(reference.id, params={"lang": reference.language})
    try:
        text = _text(data)
    except (EvidenceError, UnicodeDecodeError):
        raise WalletError("notice_mismatch", "the notice cannot be read") from None
    if canonical.digest(text.encode()) != reference.digest:
        raise WalletError("notice_mismatch", "the notice's words are not those that the ask names; do not answer")
    return text


def choose(processes: Collection[Process], fields: Mapping[str, Collection[str]]) -> tuple[Process, ...]:
    """The processes cut down to what the owner ticked, by purpose; nothing is ticked for them.

    Raises:
        WalletError: ``unknown_purpose``, ``unknown_field``, ``nothing_chosen``.
    """
    offered = {process.purpose: process for process in processes}
    chosen = []
    for purpose, ticked in fields.items():
        process = next((one for name, one in offered.items() if purpose in (name, short(name))), None)
        if process is None:
            raise WalletError("unknown_purpose", f"the ask does not name the purpose {purpose}", field="purpose")
        for field in ticked:
            if field not in process.fields:
                raise WalletError("unknown_field", f"the ask does not name the field {field}", field="fields")
        if ticked:
            chosen.append(replace(process, fields=frozenset(map(consent.Field, ticked))))
    if not chosen:
        raise WalletError("nothing_chosen", "no field was chosen; to say no, use `fieldgrant wallet refuse`")
    return tuple(chosen)


def by_purpose(
    processes: Collection[Process], fields: Mapping[str, Collection[str]] | Collection[str]
) -> Mapping[str, Collection[str]]:
    """What was ticked by purpose. Fields may stand alone, or as ``PURPOSE:FIELD``, which several purposes demand.

    Raises:
        WalletError: ``which_purpose``.
    """
    if isinstance(fields, Mapping):
        return fields
    ticked: dict[str, set[str]] = {}
    for field in fields:
        purpose, colon, name = field.rpartition(":")
        if not colon and len(processes) != 1:
            names = ", ".join(short(process.purpose) for process in processes)
            raise WalletError("which_purpose", f"the ask has several purposes ({names}); write each as PURPOSE:FIELD")
        ticked.setdefault(purpose if colon else next(iter(processes)).purpose, set()).add(name)
    return ticked


def short(purpose: str) -> str:
    """A purpose as people write it: what follows the ``#`` of its IRI."""
    return purpose.rpartition("#")[2]


def _text(data: bytes) -> str:
    if not data.lstrip().startswith(b"{"):
        return data.decode()
    text = canonical.parse(data).get("text")
    return text if isinstance(text, str) else ""
