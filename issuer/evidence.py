"""Everything from which a subject's grounds are to be derived: signed bytes, and how each stands with us."""

from dataclasses import dataclass

from sqlmodel import Session, col, select

from issuer import credentials
from issuer.credentials import EVERYONE, Credential, GroundSubject, StoredCredential
from protocol.consent import SubjectId


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Raw signed bytes with their standing columns. Trust only the signatures and the journal."""

    subject: SubjectId
    version: int
    enrolments: tuple[StoredCredential, ...]
    asks: tuple[StoredCredential, ...]  # those that consents answer are among them
    consents: tuple[StoredCredential, ...]  # ended ones too, with `ended_kind`
    ended: tuple[StoredCredential, ...]  # the withdrawals
    grounds: tuple[
        StoredCredential, ...
    ]  # approved statutory grounds that name the subject or everyone, ended ones too
    exclusions: tuple[StoredCredential, ...] = ()  # what takes the subject out of grounds, on their request
    lifts: tuple[StoredCredential, ...] = ()  # the ends of pauses


def evidence(session: Session, subject: SubjectId) -> Evidence:
    """Collect the evidence on a subject. Use it inside the transaction that needs it."""

    def all_of(kind: str) -> tuple[StoredCredential, ...]:
        return tuple(credentials.stored(row) for row in credentials.of_kind(session, kind, subject=subject))

    named = select(GroundSubject.ground_id).where(col(GroundSubject.subject).in_([EVERYONE, subject]))
    grounds = session.exec(
        select(Credential)
        .where(Credential.kind == "ground", col(Credential.id).in_(named))
        .order_by(col(Credential.at))
    )
    return Evidence(
        subject=subject,
        version=credentials.version(session, subject),
        enrolments=all_of("enrolment"),
        asks=all_of("ask"),
        consents=all_of("consent"),
        ended=all_of("withdrawal"),
        grounds=tuple(credentials.stored(row) for row in grounds),
        exclusions=all_of("exclusion"),
        lifts=all_of("lift"),
    )
