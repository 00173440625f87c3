"""The evidence bundle: everything that proves what became of one subject's data, or of one field, in one zip."""

from collections.abc import Callable, Iterable

from sqlmodel import Session

from audit.log import Log
from protocol.consent import Field, SubjectId

Credentials = Callable[[Session, SubjectId], Iterable[tuple[str, bytes]]]
"""Composition's answer to: which signed credentials (kind, exact bytes) concern this subject?"""


def export(log: Log, credentials: Credentials, *, subject: SubjectId, field: Field | None, by: str, role: str) -> bytes:
    """Record the export, drain, and return the zip: deterministic for a given log.

    Raises EvidenceError("unknown_subject") when the log has nothing about `subject`.
    """
    raise NotImplementedError
