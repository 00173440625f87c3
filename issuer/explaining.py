"""Why was this read? A customer names one read of their history; an officer answers in words, signed."""

from typing import Any

from sqlmodel import Session

from protocol import event
from protocol.consent import SubjectId
from protocol.errors import EvidenceError
from runtime import outbox, telling
from runtime.problem import Problem

CITATION = "GDPR art. 15(1); PIPL art. 45, 48"
READS = frozenset({event.RELEASE, event.REFUSAL})


def read(session: Session, subject: SubjectId, event_id: str) -> dict[str, Any] | None:
    """The read that is asked about, as the customer's history has it; None for what is no read of theirs.

    Also None for an event that we did not write: nobody explains what somebody put into the database.
    """
    found = outbox.told(session, event_id)
    if found is None or found.type not in READS:
        return None
    data = next((data for about, data in found.records if about == subject), None)
    return None if data is None else telling.item(found, data, None)


def check(session: Session, subject: SubjectId, event_id: str) -> None:
    """EvidenceError `unknown_read`, the same for a read of somebody else's record and for one that never was."""
    if read(session, subject, event_id) is None:
        raise EvidenceError("unknown_read", "your history has no such read", field="request")


def answer(kind: str, explanation: str | None) -> dict[str, Any]:
    """What the last receipt of an explanation says. Problem 422 `bad_explanation` for too little or too much."""
    if (kind == "explanation") != (explanation is not None):
        raise Problem(422, "bad_explanation", "Who asks why is told why, and nobody else.", field="explanation")
    return {"explanation": explanation, "citation": CITATION}
