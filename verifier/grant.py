"""One permission out of a verified ground, and the question that is put to it. Pure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from protocol.consent import Field, GroundId, Jurisdiction, Processing, Purpose, SubjectId
from protocol.did import Did

GroundKind = Literal["consent", "statutory"]
Ended = Literal["withdrawn", "revoked", "superseded", "expired"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRequest:
    """Who reads, about whom, which fields, what for, how and where, when (UTC).

    `roles` are the catalogue roles that the answer has to hold for: those of one reader, or, when an allowance
    is compiled, all that may act for the purpose.
    """

    reader: Did
    recipient: Did
    subject: SubjectId
    fields: frozenset[Field]
    purpose: Purpose
    processing: Processing
    jurisdiction: Jurisdiction
    roles: frozenset[str]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What one process of one verified ground permits.

    `not_before` is part of the grant's life, `not_after` is the first instant after it; `roles` None means every role.
    A `paused` one (GDPR art. 18) releases nothing, and still lets its fields be stored. `by_catalogue`: a version of
    the catalogue ended it, nobody took it back.
    """

    ground: GroundId
    kind: GroundKind
    subject: SubjectId
    fields: frozenset[Field]
    purpose: Purpose
    recipients: frozenset[Did]
    processing: frozenset[Processing]
    jurisdictions: frozenset[Jurisdiction]
    roles: frozenset[str] | None = None
    not_before: datetime
    not_after: datetime | None = None
    ended: Ended | None = None
    paused: bool = False
    by_catalogue: bool = False

    def permits(self, request: ReadRequest) -> bool:
        """Does this grant release its fields to this request at this instant?"""
        return self.fits(request) and self.in_force(request.at)

    def fits(self, request: ReadRequest) -> bool:
        """Would it, were it only a question of time?"""
        return (
            self.subject == request.subject
            and self.for_purpose(request)
            and request.recipient in self.recipients
            and request.jurisdiction in self.jurisdictions
            and self.for_roles(request)
        )

    def for_purpose(self, request: ReadRequest) -> bool:
        """Is the purpose granted, and this processing for it?"""
        return self.purpose == request.purpose and request.processing in self.processing

    def for_roles(self, request: ReadRequest) -> bool:
        """May each of the request's roles use it? (One that may not would read what another may.)"""
        return self.roles is None or (bool(request.roles) and request.roles <= self.roles)

    def in_force(self, at: datetime) -> bool:
        """Living at this instant: begun, not over, not ended by anyone."""
        return (
            self.ended is None
            and not self.paused
            and self.not_before <= at
            and (self.not_after is None or at < self.not_after)
        )

    def over(self, at: datetime) -> bool:
        """Did it run out by itself?"""
        return self.ended == "expired" or (self.not_after is not None and at >= self.not_after)
