"""The certificate: the controller's signed word to the customer of what became of each field and which key ended."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session, col, select

from issuer import credentials, signed
from issuer.credentials import Credential
from protocol import certificate, event, times
from protocol.consent import Field, Reference, SubjectId, fresh_id
from protocol.did import Did
from protocol.errors import EvidenceError
from redaction import crash, disposition, downstream
from redaction.disposition import DONE, DROPPED, Disposition, Job
from redaction.downstream import NoticeRow
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
        if not rows:  # not a job of ours: there is nothing to certify
            job.step, job.error = DONE, "void"
            session.add(job)
            return
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


def issue(
    session: Session,
    platform: Platform,
    subject: SubjectId,
    *,
    items: Sequence[certificate.Disposition],
    cause: str,
    events: Sequence[str] = (),
    told: Sequence[certificate.Told] = (),
    supplements: Reference | None = None,
    id: str | None = None,
    at: datetime,
) -> Credential:
    """Sign a certificate, store it and tell of it, in the caller's transaction."""
    did = _wallet(session, subject) or platform.controller
    document = certificate.build_certificate(
        id=id or fresh_id(),
        controller=platform.controller,
        subject_did=did,
        items=items,
        cause=cause,
        at=at,
        events=events,
        told=told,
        supplements=supplements,
    )
    row = signed.issue(
        session, document, KIND, signers=(platform.signer,), subject=subject, did=did, at=at, about=cause
    )
    data = {"certificate": row.id, "digest": row.digest, "fields": [one.field for one in items]}
    outbox.emit(session, event.CERTIFICATE_ISSUED, at=at, records=[(subject, data)], key=f"certificate:{row.id}")
    return row


def _store(session: Session, platform: Platform, job: Job, rows: Sequence[Disposition], at: datetime) -> None:
    subject = SubjectId(job.subject)
    issue(
        session,
        platform,
        subject,
        items=[_item(job, row) for row in rows],
        cause=job.cause_id,
        events=sorted({row.event for row in rows if row.event is not None}),
        told=downstream.told(
            session, platform, subject, frozenset(Field(row.field) for row in rows), certificate_id=job.id
        ),
        id=job.id,
        at=at,
    )


def supplement(session: Session, platform: Platform, id_: str, at: datetime) -> Credential | None:
    """Once everybody whom a certificate names as open has answered: the certificate anew, that says so. Else None.

    In the caller's transaction. Raises EvidenceError when the earlier certificate is not as we signed it.
    """
    row = session.get(Credential, id_)
    notices = session.exec(select(NoticeRow).where(NoticeRow.certificate == id_).order_by(col(NoticeRow.at))).all()
    found = [downstream.standing(platform, one, at) for one in notices]
    if row is None or not found or not all(one is not None and one.settled for one in found):
        return None
    earlier = certificate.parse_certificate(signed.reverify(row, platform, certificate.CERTIFICATE_TYPE))
    if not earlier.open:
        return None
    return issue(
        session,
        platform,
        SubjectId(row.subject),
        items=earlier.items,
        cause=earlier.cause,
        events=sorted(earlier.events),
        told=[downstream.as_told(one) for one in found if one is not None],
        supplements=Reference(earlier.id, earlier.digest),
        at=at,
    )


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
