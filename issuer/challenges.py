"""Challenges: each is answered once."""

import secrets
from datetime import datetime

from sqlmodel import Field, Session, SQLModel

from protocol.errors import EvidenceError
from protocol.times import iso_ms


class Challenge(SQLModel, table=True):
    """A challenge that we gave and, once it was answered, when. Kept, so that a replay is known as one."""

    __tablename__ = "challenge"

    challenge: str = Field(primary_key=True)
    reason: str  # enrolment | ask
    about: str  # id of the invitation or ask
    expires_at: str
    used_at: str | None = None


def give(session: Session, reason: str, about: str, *, expires: datetime) -> str:
    """A fresh challenge of 256 bits."""
    challenge = secrets.token_urlsafe(32)
    keep(session, challenge, reason, about, expires=expires)
    return challenge


def keep(session: Session, challenge: str, reason: str, about: str, *, expires: datetime) -> None:
    """Remember a challenge that we gave: now, or before a database was restored that does not know of it."""
    session.add(Challenge(challenge=challenge, reason=reason, about=about, expires_at=iso_ms(expires)))
    session.flush()


def refuse_used(session: Session, challenge: str | None) -> None:
    """EvidenceError `challenge_used` for a challenge that was answered before; unknown ones are for others to judge."""
    row = session.get(Challenge, challenge) if challenge is not None else None
    if row is not None and row.used_at is not None:
        raise EvidenceError("challenge_used", "this challenge was answered before", field="proof.challenge")


def use(session: Session, challenge: str, *, at: datetime) -> None:
    """Mark a challenge as answered; EvidenceError `challenge_used`, `wrong_challenge`."""
    refuse_used(session, challenge)
    row = session.get(Challenge, challenge)
    if row is None:
        raise EvidenceError("wrong_challenge", "we gave no such challenge", field="proof.challenge")
    row.used_at = iso_ms(at)
    session.add(row)
    session.flush()
