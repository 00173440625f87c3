"""The signed papers of a bundle: each verifies, each that the log must know is in it, and they belong together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from audit.provenance import mentions
from audit.statement import Claim, canonical_json
from audit.verify_chain import Story
from protocol import (
    answers,
    canonical,
    certificate,
    consent,
    credential,
    enrolment,
    exclusion,
    ground,
    presentation,
    receipt,
    request,
    times,
)
from protocol import event as events
from protocol.credential import VerifiedCredential
from protocol.did import Did, Keys
from protocol.errors import EvidenceError

FOLDER = "credentials/"
WITHDRAWAL = answers.WITHDRAWAL_TYPE
LOGGED = (
    enrolment.ENROLMENT_TYPE, consent.CONSENT_TYPE, WITHDRAWAL, ground.GROUND_TYPE, exclusion.EXCLUSION_TYPE,
)  # fmt: skip
"""Credentials on which something rests must stand in the log before it; asks are tied to it by their consents."""


@dataclass(frozen=True, slots=True)
class Papers:
    """The verified credentials of a bundle, each kind by id."""

    controller: Did
    enrolments: dict[str, enrolment.Enrolment] = field(default_factory=dict)
    asks: dict[str, consent.Ask] = field(default_factory=dict)
    consents: dict[str, consent.Consent] = field(default_factory=dict)
    withdrawals: dict[str, answers.Withdrawal] = field(default_factory=dict)
    refusals: dict[str, answers.Refusal] = field(default_factory=dict)
    receipts: dict[str, receipt.Receipt] = field(default_factory=dict)
    grounds: dict[str, ground.StatutoryGround] = field(default_factory=dict)
    certificates: dict[str, certificate.Certificate] = field(default_factory=dict)
    requests: dict[str, request.DataSubjectRequest] = field(default_factory=dict)
    request_receipts: dict[str, request.RequestReceipt] = field(default_factory=dict)
    exclusions: dict[str, exclusion.Exclusion] = field(default_factory=dict)
    lifts: dict[str, exclusion.Lift] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    """Id of each credential → its digest."""


def controller_of(files: Mapping[str, bytes], story: Story) -> tuple[Did, Keys]:
    """The controller's DID and keys, out of the document whose digest the log holds.

    Raises EvidenceError: `bad_did_document`, `controller_not_logged`.
    """
    document = canonical_json(files["controller.json"], "bad_did_document")
    digest = canonical.digest(files["controller.json"])
    published = [event for event in story.organisation if event.type == events.CONTROLLER_PUBLISHED]
    if not any(digest in mentions(event.data) for event in published):
        raise EvidenceError("controller_not_logged", "the log does not hold the digest of the controller's document")
    if not isinstance(document.get("id"), str):
        raise EvidenceError("bad_did_document", "the controller's document has no id")
    return Did(document["id"]), Keys([document])


def read(files: Mapping[str, bytes], story: Story, controller: Did, keys: Keys) -> Papers:
    """Verify every credential's proofs and form.

    Raises EvidenceError as `protocol.credential.verify` and the parsers, and `unexpected_credential`, `duplicate_id`,
    `not_canonical`; the detail names the file.
    """
    papers = Papers(controller)
    at = times.parse(story.claim.exported, field="exported")
    kinds: dict[str, Callable[[VerifiedCredential], None]] = {
        enrolment.ENROLMENT_TYPE: lambda one: _enrolment(papers, one),
        consent.ASK_TYPE: lambda one: _put(papers.asks, consent.parse_ask(one)),
        consent.CONSENT_TYPE: lambda one: _put(papers.consents, consent.parse_consent(one)),
        WITHDRAWAL: lambda one: _put(papers.withdrawals, answers.parse_withdrawal(one)),
        answers.REFUSAL_TYPE: lambda one: _put(papers.refusals, answers.parse_refusal(one)),
        receipt.RECEIPT_TYPE: lambda one: _put(papers.receipts, receipt.parse_receipt(one)),
        ground.GROUND_TYPE: lambda one: _ground(papers, one),
        certificate.CERTIFICATE_TYPE: lambda one: _put(papers.certificates, certificate.parse_certificate(one)),
        request.REQUEST_TYPE: lambda one: _put(papers.requests, request.parse_request(one)),
        request.RECEIPT_TYPE: lambda one: _put(papers.request_receipts, request.parse_receipt(one)),
        exclusion.EXCLUSION_TYPE: lambda one: _put(papers.exclusions, exclusion.parse_exclusion(one)),
        exclusion.LIFT_TYPE: lambda one: _put(papers.lifts, exclusion.parse_lift(one)),
    }
    for name in sorted(name for name in files if name.startswith(FOLDER)):
        try:
            document = canonical_json(files[name], "not_canonical")
            types = document.get("type")
            known = [kind for kind in types if kind in kinds] if isinstance(types, list) else []
            if len(known) != 1:
                raise EvidenceError("unexpected_credential", "of a type that no bundle holds")
            verified = credential.verify(files[name], keys, at=at, expected_type=known[0], check_dates=False)
            if verified.id in papers.digests:
                raise EvidenceError("duplicate_id", "two credentials have one id")
            kinds[known[0]](verified)
            papers.digests[verified.id] = verified.digest
            if known[0] in LOGGED:
                _check_logged(story, verified, known[0])
        except EvidenceError as error:
            raise EvidenceError(error.code, f"{name}: {error.detail}", field=error.field) from error
    _check_parties(papers, story.claim)
    return papers


def check_consents(papers: Papers) -> None:
    """Each consent, refusal and withdrawal answers a credential of the bundle, and no consent exceeds its ask.

    Raises EvidenceError: those of `protocol.consent.within`, `ask_missing`, `consent_missing`, `digest_mismatch`.
    """
    for given in papers.consents.values():
        ask = papers.asks.get(given.ask_id)
        if ask is None:
            raise EvidenceError("ask_missing", f"the ask that {given.id} answers is not in the bundle")
        consent.within(given, ask)
    for refusal in papers.refusals.values():
        asked = papers.asks.get(refusal.ask_id)
        if asked is None or asked.digest != refusal.ask_digest:
            raise EvidenceError("ask_missing", f"the ask that {refusal.id} refuses is not in the bundle")
    for withdrawal in papers.withdrawals.values():
        ended = papers.consents.get(withdrawal.consent_id)
        if ended is None or ended.digest != withdrawal.consent_digest:
            raise EvidenceError("consent_missing", f"the consent that {withdrawal.id} withdraws is not in the bundle")
        if ended.subject_did != withdrawal.subject_did:
            raise EvidenceError("foreign_consent", f"{withdrawal.id} withdraws somebody else's consent")


def _put(known: dict[str, Any], paper: Any) -> None:
    known[paper.id] = paper


def _ground(papers: Papers, verified: VerifiedCredential) -> None:
    """Two people and the controller itself must have signed."""
    found = ground.parse_ground(verified)
    if papers.controller not in found.signers or len(found.signers - {papers.controller}) < 2:
        raise EvidenceError("not_approved", "a ground needs the proofs of two people and of the controller")
    papers.grounds[found.id] = found


def _enrolment(papers: Papers, verified: VerifiedCredential) -> None:
    """An enrolment counts only with the wallet's own presentation (DESIGN, "What must always hold", 5)."""
    found = enrolment.parse_enrolment(verified)
    document = canonical.parse(found.presentation)
    proof = document.get("proof")
    if not isinstance(proof, Mapping):
        raise EvidenceError("no_proof", "the wallet's presentation has no proof")
    shown = presentation.verify(
        found.presentation,
        Keys(),  # a wallet is a did:key: no document may speak for it
        expected_challenge=str(proof.get("challenge")),
        expected_domain=str(proof.get("domain")),
        at=found.at,
    )
    if shown.holder != found.wallet_did:
        raise EvidenceError("foreign_presentation", "the presentation is another wallet's")
    papers.enrolments[found.id] = found


def _check_logged(story: Story, verified: VerifiedCredential, kind: str) -> None:
    """By its digest; a withdrawal's id will do, it can take nothing but what it names by digest itself."""
    names = {verified.digest, verified.id} if kind == WITHDRAWAL else {verified.digest}
    if not any(names & mentions(event.data) for event in (*story.own, *story.organisation)):
        raise EvidenceError("not_logged", "the log does not hold its digest")


def _check_parties(papers: Papers, claim: Claim) -> None:
    """Everything was said by this controller, or by a wallet that it enrolled for this subject."""
    wallets = {one.wallet_did for one in papers.enrolments.values() if one.subject == claim.subject}
    if len(wallets) != len({one.wallet_did for one in papers.enrolments.values()}):
        raise EvidenceError("foreign_enrolment", "an enrolment is another subject's")
    ours: tuple[Mapping[str, Any], ...] = (
        papers.enrolments, papers.asks, papers.consents, papers.withdrawals, papers.receipts, papers.certificates,
        papers.requests, papers.request_receipts, papers.exclusions, papers.lifts, papers.grounds,
    )  # fmt: skip
    for kind in ours:
        for paper in kind.values():
            if paper.controller != papers.controller:
                raise EvidenceError("foreign_controller", f"{paper.id} concerns another controller")
    apart = [(one.id, one.subject) for one in papers.exclusions.values()]
    apart += [(one.id, one.subject) for one in papers.lifts.values()]
    for name, subject in apart:
        if subject != claim.subject:
            raise EvidenceError("foreign_exclusion", f"{name} concerns another subject")
    said = [(one.id, one.subject_did) for one in papers.consents.values()]
    said += [(one.id, one.subject_did) for one in papers.withdrawals.values()]
    said += [(one.id, one.subject_did) for one in papers.refusals.values()]
    for name, did in said:
        if did not in wallets:
            raise EvidenceError("not_enrolled", f"{name} is signed by a wallet that was not enrolled")
