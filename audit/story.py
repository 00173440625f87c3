"""The records that tell one value's story: all that gave it, took it or decided on it, and its newest reads."""

from typing import Any, Final

from sqlmodel import Session

from audit import events
from audit.scope import READS

MOST: Final = 2_000
"""Records of each kind: of reads the newest, of all else the newest too, but there are seldom so many."""


def of(session: Session, subject: str, field: str) -> tuple[list[dict[str, Any]], bool]:
    """The records as `events.find` gives them, oldest first, and whether that is all of them.

    What names no field concerns the whole subject and is among them.
    """
    told, all_told = _up_to(session, events.Filter(subject=subject, besides=READS))
    reads: list[dict[str, Any]] = []
    whole = all_told
    for kind in sorted(READS):
        found, complete = _up_to(session, events.Filter(subject=subject, field=field, type=kind))
        reads += found
        whole = whole and complete
    return sorted(told + reads, key=lambda one: (one["leaf"], one["place"])), whole


def _up_to(session: Session, wanted: events.Filter) -> tuple[list[dict[str, Any]], bool]:
    found: list[dict[str, Any]] = []
    before: int | None = None
    while len(found) < MOST:
        page = events.find(session, wanted, limit=events.MAX_PAGE, before=before)
        found += page.items
        before = page.next
        if before is None:
            return found, True
    return found, False
