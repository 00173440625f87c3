"""Refused attempts go on record, in a transaction of their own: what was refused has been rolled back by then."""

from collections.abc import Iterator
from contextlib import contextmanager

from issuer import credentials
from protocol import event
from protocol.consent import SubjectId
from protocol.did import Did
from protocol.errors import EvidenceError
from runtime import outbox
from runtime.platform import Platform
from runtime.problem import Problem


@contextmanager
def recorded(
    platform: Platform, action: str, *, did: Did | None = None, subject: SubjectId | None = None
) -> Iterator[None]:
    """Put every EvidenceError and Problem that leaves the block on record, and let it go on."""
    try:
        yield
    except (EvidenceError, Problem) as error:
        record(platform, action, error.code, field=error.field, did=did, subject=subject)
        raise


def record(
    platform: Platform,
    action: str,
    code: str,
    *,
    field: str | None = None,
    did: Did | None = None,
    subject: SubjectId | None = None,
) -> None:
    """Emit `attempt.refused`. The field is a member's name from our own code, never what somebody sent."""
    data = {"action": action, "code": code}
    if field is not None:
        data["member"] = field  # not "field": that is a field of personal data in every event
    if did is not None:
        data["did"] = did
    with platform.database.write() as session:
        if subject is not None and credentials.version(session, subject) == 0:
            subject = None  # somebody typed it: it may be anything, even an address
        outbox.emit(session, event.ATTEMPT_REFUSED, at=platform.clock.now(), records=[(subject, data)])
