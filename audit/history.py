"""What a subject may see of what was done with their data: each event about them, newest first, names but no values."""

from dataclasses import dataclass
from typing import Any

from sqlmodel import Session

from protocol.consent import SubjectId


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a history; `next` is the `before` of the page that follows, None at the end."""

    items: tuple[dict[str, Any], ...]
    next: str | None


def history(session: Session, subject: SubjectId, *, limit: int = 50, before: str | None = None) -> Page:
    """Up to `limit` (1..200) events about `subject` before the cursor `before`. Raises EvidenceError("bad_cursor")."""
    raise NotImplementedError
