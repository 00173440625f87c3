"""Shredding: the survivors under the subject's next generation, the old data key dropped, the survivors journalled.

What is left after that is the key of the bucket, which an older copy of the database could still use: see `rotation`.
"""

from datetime import datetime

from sqlmodel import Session

from crm_core import items, records
from issuer.catalogue import Catalogue
from protocol.consent import Field, SubjectId
from protocol.errors import EvidenceError
from redaction import archive, crash, disposition, seal, survivors
from redaction.disposition import DROPPED, JOURNALLED, RESEALED, SEALED, Job
from runtime.journal import DROPPED as DROPPED_ENTRY
from runtime.platform import Platform


def reseal(platform: Platform, catalogue: Catalogue, job_id: str) -> None:
    """From sealed to resealed: drop the data key that sealed the lapsed fields. Raises EvidenceError, KeyGone."""
    crash.point("reseal.before")
    with platform.database.write() as session:
        job = disposition.at_step(session, job_id, SEALED)
        if job is None:
            return
        at = platform.clock.now()
        rows = disposition.of_job(session, job_id)
        seal.spare(session, platform, catalogue, job=job, rows=rows, at=at)
        gone = frozenset(Field(row.field) for row in rows if row.action != "keep")
        job.step = RESEALED if gone else DROPPED
        if gone:
            _drop(session, platform, job, gone)
        session.add(job)
        crash.point("reseal.within")
    crash.point("reseal.after")


def journal(platform: Platform, job_id: str) -> None:
    """From resealed to journalled: the survivors are durable elsewhere before a key that a backup needs is destroyed.

    A kill between journal and commit leaves a second, equal entry: harmless, for a replay takes the last one.
    Raises JournalError.
    """
    crash.point("journal.before")
    with platform.database.write() as session:
        job = disposition.at_step(session, job_id, RESEALED)
        if job is None:
            return
        _append(session, platform, SubjectId(job.subject), platform.clock.now())
        job.step = JOURNALLED
        session.add(job)
        crash.point("journal.within")
    crash.point("journal.after")


def _drop(session: Session, platform: Platform, job: Job, gone: frozenset[Field]) -> None:
    subject = SubjectId(job.subject)
    old = records.load(session, subject)
    if old is None:
        raise EvidenceError("unknown_subject", "there is no such customer")
    job.generation, job.epoch = old.generation, old.epoch
    records.reseal(session, platform, subject, records.stored_fields(session, platform, subject) - gone)
    # Outside the database, so that no row can have a certificate signed for what was never dropped.
    platform.journal.append(
        {"kind": DROPPED_ENTRY, "job": job.id, "bucket": old.bucket, "epoch": old.epoch, "fields": sorted(gone)}
    )


def _append(session: Session, platform: Platform, subject: SubjectId, at: datetime) -> None:
    record = records.load(session, subject)
    if record is None:
        raise EvidenceError("unknown_subject", "there is no such customer")
    own, archived = items.of_subject(session, subject), archive.of_subject(session, subject)
    platform.journal.append(survivors.entry(record, own, archived, at))
