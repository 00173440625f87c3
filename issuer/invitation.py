"""Invitations: a link over one channel, a code over another, both single-use; nobody but the customer sees them."""

from sqlmodel import Field, SQLModel


class Invitation(SQLModel, table=True):
    """Only the hash of the link's token and a keyed hash of the code are kept."""

    __tablename__ = "invitation"

    id: str = Field(primary_key=True)
    subject: str = Field(index=True)
    token_hash: str = Field(unique=True)
    code_hash: str | None = None
    challenge: str | None = None
    challenges: int = 0  # how often a code was sent
    tries: int = 0  # wrong codes
    created_by: str
    created_at: str
    expires_at: str
    ended_at: str | None = None
    ended_kind: str | None = None  # used | tries | superseded | failed


class Challenge(SQLModel, table=True):
    """A challenge that we gave and, once it was answered, when."""

    __tablename__ = "challenge"

    challenge: str = Field(primary_key=True)
    reason: str  # enrolment | ask
    about: str  # id of the invitation or ask
    expires_at: str
    used_at: str | None = None
