"""The certificate: the controller's signed word to the customer of what became of each field and which key ended."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session, col, select

from issuer import credentials
from issuer.credentials import Credential
from protocol import canonical, certificate, event, proof, times
from protocol.consent import Field, SubjectId
from protocol.did import Did
from protocol.errors import EvidenceError
from redaction import crash, disposition
from redaction.disposition import DONE, DROPPED, Disposition, Job
from runtime import outbox
from runtime.platform import Platform

KIND = "certificate"


def certify(platform: Platform, job_id: str) -> None:
    """From dropped to done: sign and store the certificate, and tell of it, in one transaction."""
    crash.point("certify.before")
    with platform.database.write() as session:
        job = disposition.at_step(session, job_id, DROPPED)
        if job is None:
            return
        at = platform.clock.now()
        rows = disposition.of_job(session, job_id)
        _prove(platform, job_id, rows)
        _store(session, platform, job, rows, at)
        job.step, job.done_at, job.error, job.next_try_at = DONE, times.iso_ms(at), None, None
        session.add(job)
        crash.point("certify.within")
    crash.point("certify.after")


def of_subject(session: Session, subject: SubjectId) -> list[bytes]:
    """The subject's certificates as signed (JCS bytes), oldest first."""
    return [row.body for row in credentials.of_kind(session, KIND, subject=subject)]


def _prove(platform: Platform, job_id: str, rows: Sequence[Disposition]) -> None:
    """Refuse to certify an end that was not: the job's row is the database's word, journal and key-ring know.

    Raises EvidenceError `not_dropped`, JournalError.
    """
    gone = {row.field for row in rows if row.action != "keep"}
    if not gone:
        return
    platform.journal.refresh()
    dropped = platform.journal.dropped(job_id)
    if dropped is None or not gone <= dropped[2] or not platform.keyring.dropped(*dropped[:2]):
        raise EvidenceError("not_dropped", "a key that this job was to end is still there, or was never dropped")


def _store(session: Session, platform: Platform, job: Job, rows: Sequence[Disposition], at: datetime) -> None:
    subject = SubjectId(job.subject)
    did = _wallet(session, subject) or platform.controller
    document = certificate.build_certificate(
        id=job.id,
        controller=platform.controller,
        subject_did=did,
        items=[_item(job, row) for row in rows],
        cause=job.cause_id,
        at=at,
    )
    body = canonical.jcs(proof.sign(document, platform.signer, created=at))
    digest = canonical.digest(body)
    now = times.iso_ms(at)
    row = Credential(id=job.id, kind=KIND, subject=subject, did=did, body=body, digest=digest, at=now)
    row.about = job.cause_id
    credentials.store(session, row)
    data = {"certificate": job.id, "digest": digest, "fields": [one.field for one in rows]}
    outbox.emit(session, event.CERTIFICATE_ISSUED, at=at, records=[(subject, data)], key=f"certificate:{job.id}")


def _wallet(session: Session, subject: SubjectId) -> Did | None:
    """The wallet last enrolled for the subject; None for a customer who never had one."""
    statement = (
        select(Credential.did)
        .where(Credential.kind == "enrolment", Credential.subject == subject)
        .order_by(col(Credential.at).desc())
    )
    did = session.exec(statement).first()
    return None if did is None else Did(did)


def _item(job: Job, row: Disposition) -> certificate.Disposition:
    kept = row.action == "keep"
    return certificate.Disposition(
        field=Field(row.field),
        disposition=row.action,
        generation=None if kept else job.generation,
        bucket=None if kept else job.bucket,
        epoch=None if kept else job.epoch,
        archive_digest=row.digest,
        archive_ground=row.legal_ground,
        archive_period=row.period,
        destroy_by=None if row.destroy_by is None else times.parse(row.destroy_by, field="destroy_by"),
        kept_ground=row.ground,
    )
