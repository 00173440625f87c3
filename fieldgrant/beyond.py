"""What archive and log know of one customer, for the copy of everything that the customer may ask for."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlmodel import Session

from audit import history
from crm_core.rights.copies import Beyond
from protocol.consent import SubjectId
from redaction import archive

MOST = 5_000  # events in one copy; the wallet pages through older ones


def archived(session: Session, subject: SubjectId) -> Sequence[Mapping[str, Any]]:
    """What is archived: field, legal ground, period and the day of its destruction. The values open for nobody here."""
    return [
        {
            "field": row.field, "ground": row.ground, "period": row.period, "archived_at": row.at,
            "destroy_by": row.destroy_by, "digest": row.digest,
        }
        for row in archive.of_subject(session, subject)
    ]  # fmt: skip


def events(session: Session, subject: SubjectId) -> Iterable[Mapping[str, Any]]:
    """Every event about the subject, newest first: who read what, what was withheld, what became of it."""
    before: str | None = None
    given = 0
    while given < MOST:
        page = history.history(session, subject, limit=history.MAX_PAGE, before=before)
        yield from page.items
        given += len(page.items)
        if page.next is None:
            return
        before = page.next


BEYOND = Beyond(archived, events)
