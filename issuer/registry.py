"""The registry: consents, narrowings, refusals and withdrawals, each one change in one transaction."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from issuer.catalogue import Catalogue
from issuer.credentials import enrolled_subject, open_standing, subjects
from issuer.evidence import Evidence, evidence
from protocol.consent import SubjectId
from protocol.did import Did
from runtime.platform import Platform
from runtime.staff import Staff

__all__ = ["Evidence", "Registry", "enrolled_subject", "evidence", "open_standing", "subjects"]


@dataclass(frozen=True, slots=True)
class Registry:
    """`compile(session, subject)` shares the transaction; `drain()` follows the commit. Both are handed in."""

    platform: Platform
    catalogue: Catalogue
    compile: Callable[[Session, SubjectId], None]
    drain: Callable[[], None]

    def consent(self, body: bytes, did: Did) -> dict[str, Any]:
        """Take a consent; its receipt."""
        raise NotImplementedError

    def narrow(self, withdrawal: bytes, consent: bytes, did: Did) -> dict[str, Any]:
        """Replace a consent by a narrower one; its receipt."""
        raise NotImplementedError

    def refuse(self, body: bytes, did: Did) -> dict[str, Any]:
        """Take a refusal; its receipt."""
        raise NotImplementedError

    def withdraw(self, body: bytes, did: Did) -> dict[str, Any]:
        """End a consent; its receipt, given when nothing can be read any more."""
        raise NotImplementedError

    def offer_narrowing(self, consent_id: str, did: Did) -> dict[str, Any]:
        """The ask (signed document) under which a living consent may be narrowed."""
        raise NotImplementedError

    def revoke(self, consent_id: str, staff: Staff) -> dict[str, Any]:
        """End a consent without its wallet (DPO); the receipt."""
        raise NotImplementedError

    def expire(self, session: Session, at: datetime) -> tuple[str, ...]:
        """Mark the consents that ran out; their ids."""
        raise NotImplementedError
