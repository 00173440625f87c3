"""Jobs that dropped a data key and never came to a certificate, made anew from the journal.

Whoever makes such a job vanish from the database would spare the bucket key that an older copy opens with; and a
restore of an older database would cost the customer the certificate. A row counts as the certificate by our signature.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final

from sqlmodel import Session, col, delete, select

from crm_core.records import RecordRow
from protocol.consent import SubjectId
from redaction import attempt, certificate, disposition, oath
from redaction.attempt import Failed
from redaction.disposition import DONE, Job
from runtime.journal import Dropped
from runtime.platform import Platform

LOG: Final = logging.getLogger(__name__)
BATCH: Final = 500


def revive(platform: Platform, subjects: Collection[SubjectId] | None = None) -> int:
    """Put back the jobs of which the journal knows and that have neither a certificate nor a true row; how many.

    Of these customers alone, or of all. Raises JournalError.
    """
    known = _known(platform, subjects)
    again = 0
    for id_ in sorted(_missing(platform, known)):
        done = attempt.tried(partial(_revived, platform, id_, known[id_]))
        if isinstance(done, Failed):
            LOG.error("a job that had vanished could not be put back: %s", type(done.error).__name__)
        else:
            again += done
    return again


def missing(platform: Platform, subjects: Collection[SubjectId] | None = None) -> frozenset[str]:
    """The jobs that `revive` would look at. Raises JournalError."""
    return _missing(platform, _known(platform, subjects))


def _known(platform: Platform, subjects: Collection[SubjectId] | None) -> dict[str, Sequence[Dropped]]:
    platform.journal.refresh()
    if subjects is None:
        return dict(platform.journal.every_dropped())
    return {job: told for one in subjects for job, told in platform.journal.dropped_of(one).items()}


def _missing(platform: Platform, known: Mapping[str, Sequence[Dropped]]) -> frozenset[str]:
    found: set[str] = set()
    ids = sorted(known)
    for start in range(0, len(ids), BATCH):
        some = ids[start : start + BATCH]
        with platform.database.read() as session:
            left = set(some) - certificate.genuine(session, platform, some)
            open_ = set(session.exec(select(Job.id).where(col(Job.id).in_(left), Job.step != DONE)))
            found |= {id_ for id_ in left if id_ not in open_ or not _sworn(session, id_, known[id_])}
    return frozenset(found)


def _sworn(session: Session, id_: str, dropped: Sequence[Dropped]) -> bool:
    job = session.get_one(Job, id_)
    return oath.sworn(job, disposition.fates_of(job), dropped) is not None


def _revived(platform: Platform, id_: str, dropped: Sequence[Dropped]) -> bool:
    """One job as the journal has it, from where its survivors are journalled; False while another one is under way.

    What it gave up last, if it came to that in this database; else what it gave up before: in a database that was
    restored a job may have been carried out a second time.
    """
    subject = SubjectId(dropped[0].subject)
    with platform.database.write("keeper") as session:
        under_way = disposition.open_job(session, subject)
        record = session.get(RecordRow, subject)
        if record is None or (under_way is not None and under_way.id != id_):
            return False
        told = _told(platform, [one for one in dropped if one.generation < record.generation])
        if told is None:
            return False  # it did not come to that: what is lapsed is planned and carried out
        session.exec(delete(Job).where(col(Job.id) == id_))
        session.expire_all()
        oath.put_back(session, told)
    LOG.warning("a job that had vanished is there again")
    return True


def _told(platform: Platform, dropped: Sequence[Dropped]) -> Mapping[str, Any] | None:
    """The newest of these entries that says what is to be certified."""
    for one in dropped:
        body = next(platform.journal.entries(one.seq - 1)).body
        if "told" in body:
            return body
    return None
