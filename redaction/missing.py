"""Records that are not there as a bucket is rotated, although nobody took their customer away.

Whoever deletes a record, or has its bucket's column say something else, would have the replica of data keys forget its
customer: once the old bucket key is destroyed, no backup would open what is theirs. The replica of the rotation before
knows them; before the first one the standings do.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from sqlmodel import Session, col, select

from crm_core import records
from crm_core.records import Wrapped
from issuer import credentials
from protocol import event
from protocol.consent import SubjectId
from protocol.errors import EvidenceError
from redaction import attempt
from redaction.attempt import Failed
from runtime import keyring, outbox
from runtime.outbox import Outbox
from runtime.platform import Platform

LOG: Final = logging.getLogger(__name__)


def carried(
    session: Session,
    platform: Platform,
    before: Mapping[SubjectId, tuple[int, int, bytes]],
    keys: Sequence[Wrapped],
    to: tuple[int, int],
) -> list[Wrapped]:
    """The data keys of the replica before whose records have gone, under what the bucket moved `to`: (bucket, epoch).

    Left out: a generation that was dropped, a customer whom the undoing of an import took away, and what opens no more.
    """
    bucket, epoch = to
    gone = before.keys() - {subject for subject, _, _, _ in keys}
    gone = {subject for subject in gone if before[subject][0] > platform.journal.generation(subject)}
    if not gone:
        return []
    found: list[Wrapped] = []
    # whom the journal knows was somebody's wallet: the undoing of an import leaves them as they are
    undone = {subject for subject in _undone(session) if not platform.journal.floor(subject)}
    for subject in sorted(gone - undone):
        generation, under, wrapped = before[subject]
        if under == epoch:
            found.append((subject, generation, under, wrapped))
            continue
        one: list[Wrapped] = [(subject, generation, under, wrapped)]
        moved = attempt.tried(lambda one=one: records.wrapped_anew(platform, bucket, one, epoch))  # type: ignore[misc]
        if not isinstance(moved, Failed):
            found += [(subject, generation, epoch, now) for _, now, _, _ in moved]
    if found:
        LOG.warning("records that nobody took away are missing; their data keys are kept: %d", len(found))
    return found


def _undone(session: Session) -> frozenset[SubjectId]:
    """The customers whom the undoing of an import took away, by events of ours."""
    rows = session.exec(select(Outbox.event_id).where(col(Outbox.type) == event.IMPORT_UNDONE))
    told = (outbox.told(session, id_) for id_ in rows.all())
    return frozenset(
        whose for one in told if one is not None for whose, data in one.records if whose and data.get("gone")
    )


class Expected:
    """Of buckets that have no replica yet: the customers of each, by their standings.

    All standings are gone through once, and only where it is asked; names are kept as one text of a bucket and page.
    """

    def __init__(self, buckets: Collection[int]) -> None:
        """No other buckets will be asked about."""
        self._buckets = frozenset(buckets)
        self._known: dict[int, list[str]] | None = None

    def of(self, session: Session, bucket: int) -> frozenset[str]:
        """The customers of the bucket, as this session or the first one that asked sees them; forgotten once asked."""
        if self._known is None:
            self._known = self._read(session)
        return frozenset(name for names in self._known.pop(bucket, ()) for name in names.split("\n"))

    def _read(self, session: Session) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        after = ""
        while page := credentials.subjects_after(session, after, 5_000):
            of_page: dict[int, list[str]] = {}
            for subject in page:
                bucket = keyring.bucket_of(subject)
                if bucket in self._buckets:
                    of_page.setdefault(bucket, []).append(subject)
            for bucket, names in of_page.items():
                found.setdefault(bucket, []).append("\n".join(names))
            after = page[-1]
        return found


def refuse(expected: Collection[str], keys: Sequence[Wrapped]) -> None:
    """Refuse to go on while one of these customers has no data key there. EvidenceError `record_missing`."""
    if expected and not {subject for subject, _, _, _ in keys}.issuperset(expected):
        raise EvidenceError("record_missing", "a record of the bucket is missing that nobody took away")
