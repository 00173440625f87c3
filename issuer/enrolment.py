"""Enrolment, the root of trust: a wallet's DID is bound to a subject, signed by the controller,
with the wallet's own proof.
"""

import hmac
from collections.abc import Mapping
from typing import Any

from sqlmodel import Session, select

from issuer import attempts, challenges, closing, credentials, invitation, proved, settling, signed
from issuer.credentials import Credential
from issuer.desk import Desk
from issuer.invitation import Invitation
from issuer.registry import Registry
from protocol import consent, enrolment, event, presentation, times
from protocol.consent import SubjectId
from protocol.did import Did
from protocol.errors import EvidenceError
from protocol.presentation import VerifiedPresentation
from runtime import outbox
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff, StaffAccount

MAX_PRESENTATION = 8192  # bytes; one that shows a DID has about 700


def complete(desk: Desk, token: str, code: str, document: Mapping[str, Any]) -> dict[str, Any]:
    """Enrol the wallet that signed the presentation; the enrolment credential.

    Problem 404 `unknown_invitation`, 410 `invitation_used`, `invitation_expired`, `invitation_ended`, 403
    `wrong_code` (five of them end the invitation), `staff_not_wallet`, 409 `already_enrolled`, `did_enrolled`,
    `no_challenge`; EvidenceError `challenge_used` and those of `protocol.presentation.verify`.
    """
    with attempts.recorded(desk.platform, "enrolment"):
        subject, shown = _shown(desk, token, document)
    with attempts.recorded(desk.platform, "enrolment", did=shown.holder, subject=subject):
        with desk.platform.database.write() as session:
            row = invitation.living(session, token, desk.platform.clock.now())
            fits = _code_fits(session, desk, row, code)
            made = _bind(session, desk, row, shown) if fits else None
        if made is None:
            raise Problem(403, "wrong_code", "This is not the code that we sent last.", field="code")
    settling.settle(desk, f"enrolled:{made['id']}")
    return made


def end(registry: Registry, subject: SubjectId, staff: Staff) -> dict[str, Any]:
    """End a subject's enrolment and, with it, every consent of that wallet (DPO): for a customer who lost the wallet.

    Answers {"enrolment": id, "revoked": [consent ids]}. Problem 403 `role`, 409 `not_enrolled`.
    """
    if staff.role != "dpo":
        raise Problem(403, "role", "Only the data protection officer may end an enrolment.")
    return end_lost(registry, subject, staff)


def living(session: Session, platform: Platform, subject: SubjectId, id_: str | None = None) -> Credential:
    """The subject's living enrolment that proves itself, of that id where one is given. Problem 409 `not_enrolled`."""
    rows = [row for row in proved.enrolments(session, platform, subject=subject) if id_ in (None, row.id)]
    if not rows:
        raise Problem(409, "not_enrolled", "This customer has no wallet enrolled.", field="subject")
    return rows[-1]


def end_lost(registry: Registry, subject: SubjectId, staff: Staff, id_: str | None = None) -> dict[str, Any]:
    """The same, on the word of two members of staff (`issuer.loss`), for the wallet of that enrolment.

    Problem 409 `not_enrolled`.
    """
    platform = registry.platform
    with platform.database.write() as session:
        row, at = living(session, platform, subject, id_), platform.clock.now()
        held = credentials.living(session, "consent", did=Did(row.did), subject=subject)
        # a spoiled one grants nothing, nor does it once its bytes are put back: by then the wallet speaks for nobody
        held = [one for one in held if proved.proves(session, platform, one, "enrolment-end")]
        credentials.end(session, row, "revoked", by=staff.account, at=at)
        open_ = credentials.living(session, "ask", did=Did(row.did), subject=subject)
        closed = closing.supersede(session, platform, open_, by=staff.account, at=at)
        revocations = [registry.revoke_within(session, one, staff) for one in held]
        version = registry.raised(session, subject)
        data = {"credential": row.id, "digest": row.digest, "version": version}
        header = {"reader": staff.did, "role": staff.role}
        outbox.emit(
            session, event.ENROLMENT_ENDED, at=at, header=header, records=[(subject, data)], key=f"left:{row.id}"
        )
        last = settling.begin(session, "unenrolled", subject=subject, ended=row.id, by=row.id, version=version, at=at)
        settle = [*(id_ for id_, _ in revocations), last.id]
        closing.write(platform, closed)
        for _, journal in revocations:
            journal()
        registry.journal(session, subject, version, [row.id], {"enrolment": signed.document(row)}, at=at)
    settling.settle(registry, *settle)
    return {"enrolment": row.id, "revoked": [one.id for one in held]}


def _shown(desk: Desk, token: str, document: Mapping[str, Any]) -> tuple[SubjectId, VerifiedPresentation]:
    """Verify the presentation outside the transaction: a slow proof must not hold the write lock."""
    platform, at = desk.platform, desk.platform.clock.now()
    with platform.database.read() as session:
        for challenge in _challenges(document):
            challenges.refuse_used(session, challenge)
        row = invitation.living(session, token, at)
        given = session.get(challenges.Challenge, row.challenge) if row.challenge else None
    if given is None:
        raise Problem(409, "no_challenge", "Ask for a challenge first.", field="token")
    if at >= times.parse(given.expires_at, field="expires_at"):
        raise EvidenceError("challenge_expired", "this challenge is over; ask for a new one", field="proof.challenge")
    shown = presentation.verify(
        document,
        platform.keys,
        expected_challenge=given.challenge,
        expected_domain=platform.settings.base_url,
        at=at,
    )
    if shown.credentials or len(shown.bytes) > MAX_PRESENTATION:
        # it is carried inside the enrolment, which has to stay readable whatever else it holds
        raise EvidenceError("bad_presentation", "to enrol, show your DID and nothing else", field="presentation")
    if not isinstance(document.get("proof"), Mapping):
        raise EvidenceError("bad_proof", "the presentation bears one proof, the wallet's own", field="proof")
    if not shown.holder.startswith("did:key:"):
        raise EvidenceError("unsupported_did", "a wallet is a did:key", field="holder")
    return SubjectId(row.subject), shown


def _challenges(document: Mapping[str, Any]) -> list[str]:
    """The challenges that a presentation claims to answer; what is malformed is for its verification to refuse."""
    proofs = document.get("proof")
    found = [
        one.get("challenge") for one in (proofs if isinstance(proofs, list) else [proofs]) if isinstance(one, Mapping)
    ]
    return [one for one in found if isinstance(one, str)]


def _code_fits(session: Session, desk: Desk, row: Invitation, code: str) -> bool:
    """Compare the code; a wrong one counts, and that stays although the attempt is refused.

    The fifth ends the invitation.
    """
    known = row.code_hash or ""
    if hmac.compare_digest(known, invitation.code_hash(desk.platform, row.id, row.subject, code)):
        return True
    at = desk.platform.clock.now()
    row.tries += 1
    session.add(row)
    if row.tries >= invitation.MAX_TRIES:
        invitation.end(session, row, "tries", at)
        data = {"invitation": row.id, "code": "wrong_code"}
        outbox.emit(session, event.ENROLMENT_REFUSED, at=at, records=[(SubjectId(row.subject), data)])
    return False


def _bind(session: Session, desk: Desk, row: Invitation, shown: VerifiedPresentation) -> dict[str, Any]:
    platform, at = desk.platform, desk.platform.clock.now()
    subject = SubjectId(row.subject)
    _free(session, subject, shown.holder)
    if row.challenge is None:
        raise Problem(409, "no_challenge", "Ask for a challenge first.", field="token")
    challenges.use(session, row.challenge, at=at)
    invitation.end(session, row, "used", at)
    unsigned = enrolment.build_enrolment(
        platform.controller, subject, shown.holder, shown.digest, shown.document, id=consent.fresh_id(), at=at
    )
    made = signed.issue(
        session,
        unsigned,
        "enrolment",
        signers=(platform.signer,),
        subject=subject,
        did=shown.holder,
        at=at,
        about=row.id,
    )
    version = desk.raised(session, subject)
    data = {"credential": made.id, "digest": made.digest, "did": shown.holder, "version": version}
    outbox.emit(session, event.ENROLMENT_COMPLETED, at=at, records=[(subject, data)], key=f"enrolled:{made.id}")
    # it takes something away too: what the mailer could read until now
    settling.begin(session, "enrolled", subject=subject, ended=made.id, by=made.id, version=version, at=at)
    document = signed.document(made)
    desk.journal(session, subject, version, [], {"enrolment": document}, at=at)
    return document


def _free(session: Session, subject: SubjectId, holder: Did) -> None:
    """The subject has no wallet, and the wallet has (and had) no other subject and is nobody's on the staff."""
    if credentials.living(session, "enrolment", subject=subject):
        raise Problem(409, "already_enrolled", "This customer has a wallet.", field="token")
    if session.exec(select(StaffAccount).where(StaffAccount.did == holder)).first() is not None:
        raise Problem(
            403, "staff_not_wallet", "A member of staff signs here as staff, not as a wallet.", field="holder"
        )
    statement = select(Credential).where(
        Credential.kind == "enrolment", Credential.did == holder, Credential.subject != subject
    )
    if session.exec(statement).first() is not None:
        raise Problem(409, "did_enrolled", "This DID is or was another customer's; make a fresh one.", field="holder")
