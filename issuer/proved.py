"""What a stored row proves of itself: its bytes verify, and they say what the columns beside them say.

Whoever writes the database can put one customer's row under another's name or wallet. So a wallet speaks for a customer
by our own signature, and a consent is ended as its own wallet's and its own customer's, never by the word of a column.
"""

from sqlmodel import Session, select

from issuer import credentials, settling, signed
from issuer.credentials import Credential
from protocol import enrolment, event
from protocol.consent import Consent, SubjectId
from protocol.did import Did
from protocol.errors import EvidenceError
from runtime import outbox
from runtime.platform import Platform


def consent(session: Session, platform: Platform, row: Credential) -> Consent:
    """The consent of a row, which is of the wallet that signed it and of the customer who gave it.

    Who gave it says the journal, or an enrolment that we signed. EvidenceError (those of verifying; `digest_mismatch`,
    `unknown_subject`).
    """
    said = settling.consent_of(row, platform)
    if (said.id, said.digest, said.subject_did) != (row.id, row.digest, row.did):
        raise EvidenceError("digest_mismatch", "the row is not of the statement that it holds", field="id")
    if platform.journal.gave(row.subject, said.id):
        return said
    bound = select(Credential).where(
        Credential.kind == "enrolment", Credential.subject == row.subject, Credential.did == said.subject_did
    )
    if not any(binds(platform, enrolled) for enrolled in session.exec(bound)):
        raise EvidenceError("unknown_subject", "no customer of that name had this wallet", field="subject")
    return said


def proves(session: Session, platform: Platform, row: Credential, action: str) -> bool:
    """Whether a consent proves itself; one that does not is put on record, and keeps nothing else from its end."""
    try:
        consent(session, platform, row)
    except settling.SPOILED as error:
        data = {"action": action, "code": getattr(error, "code", "spoiled"), "credential": settling.name_of(row.id)}
        records = [(SubjectId(row.subject), data)]
        outbox.emit(session, event.ATTEMPT_REFUSED, at=platform.clock.now(), records=records)
        return False
    return True


def binds(platform: Platform, row: Credential) -> bool:
    """Whether an enrolment's row is our signed word that its wallet is its customer's."""
    try:
        verified = signed.reverify(row, platform, enrolment.ENROLMENT_TYPE, issuer=platform.controller)
        said = enrolment.parse_enrolment(verified)
    except settling.SPOILED:
        return False
    return (said.id, said.digest, said.subject, said.wallet_did) == (row.id, row.digest, row.subject, row.did)


def enrolments(
    session: Session, platform: Platform, *, subject: SubjectId | None = None, did: Did | None = None
) -> list[Credential]:
    """The living enrolments of a customer or a wallet that prove themselves, oldest first."""
    platform.journal.refresh()
    rows = credentials.living(session, "enrolment", subject=subject, did=did)
    return [row for row in rows if binds(platform, row) and not platform.journal.ended(row.id)]


def customer(session: Session, platform: Platform, wallet: Did) -> SubjectId | None:
    """Whom this wallet speaks for; None when it speaks for nobody (any more)."""
    rows = enrolments(session, platform, did=wallet)
    return SubjectId(rows[0].subject) if rows else None
