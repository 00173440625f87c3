"""What a wallet answers, checked and written inside one transaction. Everything here runs under the write lock."""

from datetime import datetime
from typing import Any

from sqlmodel import Session

from issuer import ask_rules, asks, challenges, closing, credentials, proved, receipts, settling, signed, statuslists
from issuer.credentials import Credential
from issuer.desk import Desk
from protocol import answers, consent, event, times
from protocol.answers import Withdrawal
from protocol.consent import Ask, Consent, Reference, SubjectId
from protocol.credential import VerifiedCredential
from protocol.did import Did
from protocol.errors import EvidenceError
from runtime import outbox
from runtime.platform import Platform
from runtime.problem import Problem


def take_consent(session: Session, desk: Desk, credential: VerifiedCredential, did: Did) -> dict[str, Any]:
    """Take a consent that answers an open ask; its receipt, or the one it got before."""
    if again := repeated(session, credential, did):
        return known_receipt(session, again)
    _refuse_outdated(session, desk, consent.parse_consent(credential).ask_id, did)
    given = checked(desk, credential)
    row, ask = _open_ask(session, desk, given.ask_id, credential, did)
    if ask.replaces is not None:
        raise EvidenceError("foreign_ask", "this ask offers a narrowing: send the withdrawal along", field="ask")
    at = desk.platform.clock.now()
    _refuse_wider(given, ask, at)
    new = _keep_consent(session, credential, given, row, at)
    version = desk.moved(session, SubjectId(row.subject))
    data = {**_told(given), "version": version}
    outbox.emit(session, event.CONSENT_GIVEN, at=at, records=[(SubjectId(row.subject), data)], key=f"given:{given.id}")
    receipt = receipts.issue(
        session,
        desk.platform,
        new,
        "given",
        standing="living",
        decided=at,
        about=given,
        ask=Reference(ask.id, ask.digest),
    )
    evidence = {"consent": credential.document, "ask": ask.document}
    desk.note(SubjectId(row.subject), version, evidence, at=at)
    return receipt


def take_refusal(session: Session, desk: Desk, credential: VerifiedCredential, did: Did) -> dict[str, Any]:
    """Take a no to an open ask; its receipt, or the one it got before."""
    if again := repeated(session, credential, did):
        return known_receipt(session, again)
    refusal = answers.parse_refusal(credential)
    row, ask = _open_ask(session, desk, refusal.ask_id, credential, did)
    if refusal.ask_digest != ask.digest or refusal.controller != desk.platform.controller:
        raise EvidenceError("foreign_ask", "this is not the ask that we made", field="ask")
    at = desk.platform.clock.now()
    subject = SubjectId(row.subject)
    new = _keep(session, credential, "refusal", did=did, subject=subject, at=at, ask_id=ask.id)
    _close(session, row, "refused", by=new.id, at=at)
    challenges.use(session, ask.challenge, at=at)
    statuslists.end(session, row.status_list, row.status_index, at=at)
    version = desk.moved(session, subject)
    data = {"credential": new.id, "digest": new.digest, "ask": ask.id, "version": version, **asks.told(ask.processes)}
    outbox.emit(session, event.CONSENT_REFUSED, at=at, records=[(subject, data)], key=f"refused:{new.id}")
    reference = Reference(ask.id, ask.digest)
    receipt = receipts.issue(session, desk.platform, new, "refused", standing="refused", decided=at, ask=reference)
    desk.note(subject, version, {"refusal": credential.document, "ask": ask.document}, at=at)
    return receipt


def take_withdrawal(session: Session, desk: Desk, credential: VerifiedCredential, did: Did) -> str:
    """End a consent; the id to settle. The same bytes again change nothing and give the same id."""
    if again := repeated(session, credential, did):
        return settling.of(session, again)
    old, held, withdrawal = _withdrawn(session, desk, credential, did)
    at = desk.platform.clock.now()
    subject = SubjectId(old.subject)
    new = _keep(session, credential, "withdrawal", did=did, subject=subject, at=at, about=old.id)
    closed = end_consent(session, desk.platform, old, "withdrawn", by=new.id, at=at)
    version = desk.raised(session, subject)
    data = {
        "credential": old.id, "withdrawal": new.id, "digest": new.digest, "version": version,
        **asks.told(held.processes),
    }  # fmt: skip
    outbox.emit(session, event.CONSENT_WITHDRAWN, at=at, records=[(subject, data)], key=f"withdrawn:{old.id}")
    row = settling.begin(session, "withdrawn", subject=subject, ended=old.id, by=new.id, version=version, at=at)
    evidence = {"withdrawal": credential.document, "given": signed.document(old)}
    desk.journal(session, subject, version, [withdrawal.consent_id], evidence, at=at, closed=closed)
    return row.id


def take_narrowing(
    session: Session, desk: Desk, leaving: VerifiedCredential, coming: VerifiedCredential, did: Did
) -> str:
    """Replace a consent by one within it; the id to settle. One change: at no instant do both or neither stand."""
    if again := repeated(session, coming, did):
        return settling.of(session, again)
    new = checked(desk, coming)
    row, ask = _open_ask(session, desk, new.ask_id, coming, did)
    old, held, withdrawal = _withdrawn(session, desk, leaving, did)
    if ask.replaces != old.id:
        raise EvidenceError("foreign_ask", "this ask was not made to replace that consent", field="ask")
    at = desk.platform.clock.now()
    _refuse_wider(new, ask, at)
    consent.narrower(new, held)
    subject = SubjectId(row.subject)
    _keep(session, leaving, "withdrawal", did=did, subject=subject, at=at, about=old.id)
    kept = _keep_consent(session, coming, new, row, at, about=old.id)
    closed = end_consent(session, desk.platform, old, "superseded", by=kept.id, at=at)
    version = desk.raised(session, subject)
    data = {**_told(new), "replaces": old.id, "withdrawal": withdrawal.id, "version": version}
    outbox.emit(session, event.CONSENT_NARROWED, at=at, records=[(subject, data)], key=f"narrowed:{old.id}")
    settle = settling.begin(session, "narrowed", subject=subject, ended=old.id, by=kept.id, version=version, at=at)
    evidence = {"withdrawal": leaving.document, "given": signed.document(old)}
    evidence |= {"consent": coming.document, "ask": ask.document}
    desk.journal(session, subject, version, [old.id], evidence, at=at, closed=closed)
    return settle.id


def repeated(session: Session, credential: VerifiedCredential, did: Did) -> Credential | None:
    """The row of these very bytes when this wallet sent them before."""
    row = credentials.by_digest(session, credential.digest)
    return row if row is not None and row.did == did else None


def known_receipt(session: Session, answered: Credential) -> dict[str, Any]:
    """The receipt of something taken before, in whose transaction it was given."""
    receipt = receipts.of(session, answered.id)
    if receipt is None:
        # a consent that came in by a narrowing, sent again by itself: it was never an answer of its own
        raise EvidenceError("foreign_ask", "this consent belongs to a narrowing", field="ask")
    return receipt


def checked(desk: Desk, credential: VerifiedCredential) -> Consent:
    """A consent in our vocabulary. EvidenceError `unknown_purpose`, `unknown_field` and those of parsing."""
    given = consent.parse_consent(credential)
    for process in given.processes:
        desk.catalogue.purpose(process.purpose)
        for field in sorted(process.fields):
            desk.catalogue.field(field)
    return given


def consent_row(session: Session, consent_id: str, did: Did | None = None) -> Credential:
    """A consent by id; Problem 404 `unknown_consent`, 403 `not_your_consent`."""
    row = session.get(Credential, consent_id)
    if row is None or row.kind != "consent":
        raise Problem(404, "unknown_consent", "There is no such consent.", field="consent")
    if did is not None and row.did != did:
        raise Problem(403, "not_your_consent", "Another wallet gave this consent.", field="consent")
    return row


def living_consent(session: Session, desk: Desk, consent_id: str, did: Did | None = None) -> Credential:
    """A consent that nothing has ended; Problem 409 `consent_ended` and those of `consent_row`."""
    row = consent_row(session, consent_id, did)
    if asks.standing_of(row, desk.platform.clock.now()) != "living":
        raise Problem(409, "consent_ended", "This consent has ended already.", field="consent")
    return row


def end_consent(
    session: Session, platform: Platform, old: Credential, ending: str, *, by: str, at: datetime
) -> list[dict[str, Any]]:
    """Mark a consent as ended: its row, its status bit, and the offers to narrow it; the journal's lines of those."""
    credentials.end(session, old, ending, by=by, at=at)
    statuslists.end(session, old.status_list, old.status_index, at=at)
    asked = credentials.living(session, "ask", did=Did(old.did), subject=SubjectId(old.subject))
    offers = [row for row in asked if row.about == old.id]
    return closing.supersede(session, platform, offers, by=by, at=at)


def _open_ask(
    session: Session, desk: Desk, ask_id: str, credential: VerifiedCredential, did: Did
) -> tuple[Credential, Ask]:
    row = session.get(Credential, ask_id)
    if row is None or row.kind != "ask" or row.did != did:
        raise EvidenceError("foreign_ask", "we made no such ask to this wallet", field="ask")
    if row.subject != proved.customer(session, desk.platform, did):
        raise EvidenceError("foreign_ask", "this ask is kept under another customer's name", field="ask")
    desk.platform.journal.refresh()
    if row.ended_kind == "revoked" or (row.ended_at is None and desk.platform.journal.ended(row.id)):
        raise EvidenceError("ask_ended", "the organisation ended this ask: it can no longer be answered", field="ask")
    for proof in credential.proofs:
        challenges.refuse_used(session, proof.challenge)
    ask = asks.parse(row, desk.platform)
    if row.ended_at is not None or desk.platform.clock.now() >= ask.expires:
        raise EvidenceError("stale_ask", "this ask can no longer be answered", field="ask")
    for proof in credential.proofs:
        if proof.challenge != ask.challenge:
            raise EvidenceError("wrong_challenge", "not the challenge of this ask", field="proof.challenge")
        if proof.domain != ask.domain:
            raise EvidenceError("wrong_domain", "not the domain of this ask", field="proof.domain")
    return row, ask


def _refuse_outdated(session: Session, desk: Desk, ask_id: str, did: Did) -> None:
    """Problem 409 `ask_outdated` for an open ask of this wallet that the catalogue has changed since."""
    row = session.get(Credential, ask_id)
    if row is None or row.kind != "ask" or row.did != did or row.ended_at is not None:
        return
    if ask_rules.outdated(asks.parse(row, desk.platform), desk.platform, desk.catalogue):
        raise Problem(409, "ask_outdated", "What this asks for has changed since: wait for a new request.", field="ask")


def _withdrawn(
    session: Session, desk: Desk, credential: VerifiedCredential, did: Did
) -> tuple[Credential, Consent, Withdrawal]:
    """What a withdrawal ends: the row, and the consent that this very wallet signed."""
    withdrawal = answers.parse_withdrawal(credential)
    old = consent_row(session, withdrawal.consent_id, did)
    if withdrawal.consent_digest != old.digest or withdrawal.controller != desk.platform.controller:
        raise EvidenceError("digest_mismatch", "the consent named is not the one that we hold", field="consent")
    if old.ended_at is not None:
        raise Problem(409, "consent_ended", "This consent has ended already.", field="consent")
    return old, proved.consent(session, desk.platform, old), withdrawal


def _refuse_wider(given: Consent, ask: Ask, at: datetime) -> None:
    """`consent.within`, with the fields at fault named: the catalogue knows them by now."""
    try:
        consent.within(given, ask, at=at)
    except EvidenceError as error:
        offered = {process.purpose: process.fields for process in ask.processes}
        beyond = {field for one in given.processes for field in one.fields - offered.get(one.purpose, one.fields)}
        if error.code != "consent_wider_than_ask" or not beyond:
            raise
        detail = f"the ask did not offer {', '.join(sorted(beyond))}"
        raise EvidenceError(error.code, detail, field=error.field) from None


def _keep_consent(
    session: Session, credential: VerifiedCredential, given: Consent, row: Credential, at: datetime, **columns: Any
) -> Credential:
    """Store the consent, close its ask and use up its challenge."""
    new = _keep(
        session, credential, "consent", did=Did(row.did), subject=SubjectId(row.subject), at=at,
        ask_id=row.id, status_list=row.status_list, status_index=row.status_index, **columns,
    )  # fmt: skip
    _close(session, row, "answered", by=given.id, at=at)
    for challenge in {proof.challenge for proof in credential.proofs}:
        challenges.use(session, challenge or "", at=at)
    return new


def _keep(
    session: Session,
    credential: VerifiedCredential,
    kind: str,
    *,
    did: Did,
    subject: SubjectId,
    at: datetime,
    **columns: Any,
) -> Credential:
    row = signed.row(credential.document, kind, subject=subject, did=did, at=at, **columns)
    return credentials.store(session, row)


def _close(session: Session, row: Credential, ending: str, *, by: str, at: datetime) -> None:
    credentials.end(session, row, ending, by=by, at=at)


def _told(given: Consent) -> dict[str, Any]:
    """A consent as events tell of it: names, never values."""
    return {
        "credential": given.id,
        "digest": given.digest,
        "ask": given.ask_id,
        "valid_until": times.iso(given.valid_until),
        **asks.told(given.processes),
    }
