"""The proof of one record for whom it is about: the record, its salt, and its way to the signed head of the log."""

from typing import Any

import orjson
from sqlmodel import Session, select

from audit import bundle
from audit.log import Log, LogEntry, LogRecord
from protocol.consent import SubjectId
from protocol.errors import EvidenceError


def of_event(log: Log, session: Session, subject: SubjectId, event_id: str) -> dict[str, Any]:
    """`{"file": …, "checkpoint": …}`: an event's file as a bundle has it, and the note that its proof leads to.

    Raises EvidenceError `not_in_log` (no record of this event is about the subject, or not yet) and `body_changed`.
    """
    statement = select(LogRecord).join(LogEntry, LogEntry.leaf_index == LogRecord.leaf_index)  # type: ignore[arg-type]
    row = session.exec(statement.where(LogEntry.event_id == event_id, LogRecord.subject == subject)).first()
    if row is None:
        raise EvidenceError("not_in_log", "no such record about you is in the log, or not yet", field="event")
    head, file = bundle.one(log, session, row)
    return {"file": orjson.loads(file.write()), "checkpoint": head.note.decode("utf-8")}
