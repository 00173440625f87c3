"""Sealing: the lapsed fields with a legal ground go into the archive; what has a ground again is kept after all."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlmodel import Session

from crm_core import archiving, records
from issuer import registry
from issuer.catalogue import Catalogue
from protocol import event, times
from protocol.consent import Field, SubjectId
from protocol.errors import EvidenceError
from redaction import archive, crash, disposition, lapse, plan, terms
from redaction.archive import Archived, Context
from redaction.disposition import DONE, DROPPED, PLANNED, SEALED, Disposition, Job
from runtime import outbox
from runtime.platform import Platform


def seal(platform: Platform, catalogue: Catalogue, job_id: str) -> None:
    """Take the job's step from planned to sealed. Raises EvidenceError, KeyGone."""
    crash.point("seal.before")
    with platform.database.write() as session:
        job = disposition.at_step(session, job_id, PLANNED)
        if job is None:
            return
        at = platform.clock.now()
        rows = disposition.of_job(session, job_id)
        spare(session, platform, catalogue, job=job, rows=rows, at=at)
        _archive(session, platform, job, [row for row in rows if row.action == "seal" and row.state == PLANNED], at)
        for row in rows:
            if row.action == "keep":
                _keep(session, job, row, at)
        # nothing to drop, no key to destroy: on to the certificate
        job.step = DROPPED if all(row.action == "keep" for row in rows) else SEALED
        session.add(job)
        crash.point("seal.within")
    crash.point("seal.after")


def spare(
    session: Session, platform: Platform, catalogue: Catalogue, *, job: Job, rows: Sequence[Disposition], at: datetime
) -> None:
    """Turn planned dispositions into `keep` where a ground was given since: what is destroyed never comes back."""
    evidence = registry.evidence(session, SubjectId(job.subject))
    grants = plan.proved(platform, catalogue, evidence, at)
    for row in rows:
        holder = lapse.holder(Field(row.field), grants, at)
        if row.action != "keep" and row.state == disposition.PLANNED and holder is not None:
            row.action, row.ground, row.legal_ground, row.period, row.destroy_by = "keep", holder, None, None, None
            _keep(session, job, row, at)


def _keep(session: Session, job: Job, row: Disposition, at: datetime) -> None:
    row.state, row.at = DONE, times.iso_ms(at)
    session.add(row)
    data = {"field": row.field, "job": job.id, "ground": row.ground, "legal_ground": row.legal_ground}
    _emit(session, event.VALUE_KEPT, row, data, at)


def _archive(session: Session, platform: Platform, job: Job, rows: Sequence[Disposition], at: datetime) -> None:
    subject = SubjectId(job.subject)
    record = records.load(session, subject)
    if record is None:
        raise EvidenceError("unknown_subject", "there is no such customer")
    values = archiving.take(session, platform, record, [Field(row.field) for row in rows])
    for row in rows:
        field = Field(row.field)
        key = _key(platform, row)
        if field not in values or key is None or row.period is None or not row.legal_ground or not row.destroy_by:
            # nothing to archive, no right to, or two officers ended this period's key: then it is over
            row.action, row.legal_ground, row.period, row.destroy_by = "shred", None, None, None
            session.add(row)
            continue
        context = Context(
            org=platform.controller,
            subject=subject,
            field=field,
            generation=record.generation,
            ground=row.legal_ground,
            destroy_by=row.destroy_by,
        )
        box, digest = archive.seal(platform.keyring.archive.public(key), values[field], context)
        now = times.iso_ms(at)
        archived = Archived(
            job=job.id,
            subject=subject,
            field=field,
            period=row.period,
            archive_key=key,
            ground=row.legal_ground,
            generation=record.generation,
            box=box,
            digest=digest,
            destroy_by=row.destroy_by,
            at=now,
            mac=b"",
        )
        session.add(archive.marked(platform, archived))
        row.digest, row.state, row.at = digest, DONE, now
        session.add(row)
        data = {"field": field, "job": job.id, "digest": digest, "legal_ground": row.legal_ground}
        _emit(session, event.VALUE_SEALED, row, data | {"period": row.period, "destroy_by": row.destroy_by}, at)


def _key(platform: Platform, row: Disposition) -> str | None:
    """The archive key of the row; None where it names none, or its key has ended."""
    if row.period is None or row.destroy_by is None:
        return None
    name = terms.key_name(row.period, times.parse(row.destroy_by, field="destroy_by"))
    return None if platform.keyring.archive.ended(name) else name


def _emit(session: Session, kind: str, row: Disposition, data: Mapping[str, str | None], at: datetime) -> None:
    known = {name: value for name, value in data.items() if value is not None}
    key = f"{kind}:{row.job}:{row.field}"
    row.event = outbox.emit(session, kind, at=at, records=[(SubjectId(row.subject), known)], key=key)
