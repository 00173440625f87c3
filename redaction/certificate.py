"""The certificate: the controller's signed word to the customer of what became of each field and which key ended."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import bindparam
from sqlmodel import Session, col, select

from issuer import credentials, signed
from issuer.credentials import Credential
from protocol import canonical, certificate, event, proof, times
from protocol.consent import Reference, SubjectId, fresh_id
from protocol.did import Did
from protocol.errors import EvidenceError
from redaction import crash, disposition, downstream, oath, telling
from redaction.disposition import DONE, DROPPED, Fate, Task
from redaction.downstream import NoticeRow
from redaction.pace import Pace
from runtime import bulk, outbox
from runtime.platform import Platform

KIND = "certificate"


def certify(platform: Platform, jobs: Sequence[str], *, pace: Pace | None = None) -> None:
    """From dropped to done, all or none: sign and store the certificates, and tell of them, in one transaction.

    Raises EvidenceError `not_dropped`, JournalError.
    """
    with platform.database.write("keeper") as session, (pace or Pace.free()).held(len(jobs)):
        tasks = disposition.at_step(session, jobs, DROPPED)
        if not tasks:
            return
        at = platform.clock.now()
        # one without fields is not a job of ours: there is nothing to certify
        disposition.move(session, [task.id for task in tasks if not task.fates], DONE, error="void")
        ours = _prove(session, platform, [task for task in tasks if task.fates])
        disposition.move(session, [task.id for task in ours], DONE, **done(at))
        _issue(session, platform, ours, at)
    after()


def at_once(session: Session, platform: Platform, tasks: Sequence[Task], at: datetime) -> None:
    """The same for jobs whose key was just found to be gone, in the caller's transaction.

    The caller has proved each by journal and key-ring, stores it as `done` says, and calls `after` once that is
    committed. Raises EvidenceError.
    """
    _issue(session, platform, tasks, at)


def done(at: datetime) -> dict[str, str | None]:
    """What a job says once its certificate is there."""
    return {"done_at": times.iso_ms(at), "error": None, "next_try_at": None}


def after() -> None:
    """To be called when the certificates are committed."""
    crash.point("certify.after")


def _issue(session: Session, platform: Platform, tasks: Sequence[Task], at: datetime) -> None:
    crash.point("certify.before")
    there = _displace(session, platform, [task.id for task in tasks], at)
    _store(session, platform, [task for task in tasks if task.id not in there], at)
    crash.point("certify.within")


def of_subject(session: Session, subject: SubjectId) -> list[bytes]:
    """The subject's certificates as signed (JCS bytes), oldest first."""
    return [row.body for row in credentials.of_kind(session, KIND, subject=subject)]


def genuine(session: Session, platform: Platform, jobs: Collection[str]) -> frozenset[str]:
    """Those of the jobs (at most 500) whose certificate is there, signed by us: a row of that id alone says nothing."""
    rows = session.exec(select(Credential).where(Credential.kind == KIND, col(Credential.id).in_(jobs)))
    return frozenset(row.id for row in rows if _ours(platform, row))


def _ours(platform: Platform, row: Credential) -> bool:
    try:
        read = certificate.parse_certificate(signed.reverify(row, platform, certificate.CERTIFICATE_TYPE))
    except EvidenceError:
        return False
    return read.id == row.id


def _displace(session: Session, platform: Platform, jobs: Collection[str], at: datetime) -> frozenset[str]:
    """Those of the jobs that have their certificate; what somebody else put in its place is taken out, on record."""
    if not bulk.rows(session, _TAKEN, jobs):
        return frozenset()
    rows = session.exec(select(Credential).where(col(Credential.id).in_(jobs))).all()
    there = frozenset(row.id for row in rows if row.kind == KIND and _ours(platform, row))
    for row in rows:
        if row.id not in there:
            data = {"action": "certificate", "code": "planted_row", "certificate": row.id}
            outbox.emit(session, event.ATTEMPT_REFUSED, at=at, records=[(None, data)])
            session.delete(row)
    session.flush()
    return there


def _prove(session: Session, platform: Platform, tasks: Sequence[Task]) -> list[Task]:
    """Refuse to certify what was not: the rows are the database's word, journal, key-ring and outbox know.

    Returns the jobs with the keys that the journal names. Raises EvidenceError `not_dropped`, `not_kept`, JournalError.
    """
    platform.journal.refresh()
    proved: list[Task] = []
    keys: set[tuple[int, int]] = set()
    for task in tasks:
        known = platform.journal.dropped(task.id)
        if not known and all(one.action == "keep" for one in task.fates):
            if not all(_told_kept(session, task, one) for one in task.fates):
                raise EvidenceError("not_kept", "nobody told that this field is kept")
            proved.append(task)
            continue
        dropped = oath.sworn(task, task.fates, known)
        if dropped is None:
            raise _not_dropped()
        keys.add((dropped.bucket, dropped.epoch))
        proved.append(replace(task, bucket=dropped.bucket, epoch=dropped.epoch, generation=dropped.generation))
    if keys - platform.keyring.dropped_of(keys):
        raise _not_dropped()
    return proved


def _told_kept(session: Session, task: Task, fate: Fate) -> bool:
    """Whether the event of the row is ours and says just that."""
    told = outbox.told(session, fate.event or "")
    expected = {"field": fate.field, "job": task.id, "ground": fate.ground, "legal_ground": fate.legal_ground}
    said = {name: value for name, value in expected.items() if value is not None}
    return told is not None and told.type == event.VALUE_KEPT and (task.subject, said) in told.records


def _not_dropped() -> EvidenceError:
    return EvidenceError("not_dropped", "a key that this job was to end is still there, or was never dropped")


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
    did = _wallets(session, [subject]).get(subject) or platform.controller
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


def _store(session: Session, platform: Platform, tasks: Sequence[Task], at: datetime) -> None:
    subjects = [task.subject for task in tasks]
    wallets, noticed = _wallets(session, subjects), downstream.unnamed(session, subjects)
    rows = []
    for task in tasks:
        told: Sequence[certificate.Told] = ()
        if task.subject in noticed:
            names = frozenset(one.field for one in task.fates)
            told = downstream.told(session, platform, task.subject, names, certificate_id=task.id)
        rows.append(_row(platform, task, did=wallets.get(task.subject) or platform.controller, told=told, at=at))
    credentials.insert_new(session, rows)
    records = [
        (task.subject, {"certificate": row["id"], "digest": row["digest"], "fields": [one.field for one in task.fates]})
        for task, row in zip(tasks, rows, strict=True)
    ]
    if records:
        key = f"certificate:{telling.name([row['id'] for row in rows])}"
        outbox.emit(session, event.CERTIFICATE_ISSUED, at=at, records=records, key=key)


def _row(
    platform: Platform,
    task: Task,
    *,
    did: Did,
    told: Sequence[certificate.Told],
    at: datetime,
) -> dict[str, Any]:
    """The columns of a job's certificate, signed. No object for each: they are made under the write lock."""
    document = certificate.build_certificate(
        id=task.id,
        controller=platform.controller,
        subject_did=did,
        items=[_item(task, one) for one in task.fates],
        cause=task.cause_id,
        at=at,
        events=sorted({one.event for one in task.fates if one.event is not None}),
        told=told,
    )
    body = canonical.jcs(proof.sign(document, platform.signer, created=at))
    return {
        "id": task.id,
        "kind": KIND,
        "subject": task.subject,
        "did": did,
        "body": body,
        "digest": canonical.digest(body),
        "at": times.iso_ms(at),
        "about": task.cause_id,
    }


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
    named = {one.notice.id for one in earlier.told}
    if not earlier.open or not named <= {one.notice.id for one in found if one is not None}:
        return None  # a notice that it names is not here: nobody can say that it was answered
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


_ENROLLED: Final = (
    select(Credential.subject, Credential.did)
    .where(col(Credential.subject).in_(bulk.these()), bulk.beside(col(Credential.kind)) == bindparam("kind"))
    .order_by(col(Credential.at))
)
_TAKEN: Final = select(Credential.id).where(col(Credential.id).in_(bulk.these()))


def _wallets(session: Session, subjects: Collection[SubjectId]) -> dict[str, Did]:
    """The wallet last enrolled for each of these; a customer who never had one is left out."""
    return {subject: Did(did) for subject, did in bulk.rows(session, _ENROLLED, subjects, kind="enrolment")}


@lru_cache(maxsize=64)  # the end of a quarter, of many fields
def _instant(destroy_by: str) -> datetime:
    return times.parse(destroy_by, field="destroy_by")


def _item(job: Task, row: Fate) -> certificate.Disposition:
    kept = row.action == "keep"
    return certificate.Disposition(
        field=row.field,
        disposition=row.action,
        generation=None if kept else job.generation,
        bucket=None if kept else job.bucket,
        epoch=None if kept else job.epoch,
        archive_digest=row.digest,
        archive_ground=row.legal_ground,
        archive_period=row.period,
        destroy_by=None if row.destroy_by is None else _instant(row.destroy_by),
        kept_ground=row.ground,
    )
