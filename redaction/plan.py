"""Planning: which subjects to look at, what each of them lost, and the job that follows from it."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event
from typing import Final

from sqlalchemy import or_
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from crm_core import origin, records
from issuer import registry
from issuer.catalogue import Catalogue
from issuer.credentials import Standing
from issuer.evidence import Evidence
from issuer.settling import Settling
from protocol import times
from protocol.consent import Field, GroundId, SubjectId, fresh_id
from protocol.errors import EvidenceError
from redaction import archive, crash, disposition, downstream, lapse
from redaction.archive import Archived
from redaction.disposition import DONE, PLANNED, Decided, Job, LapseRow
from redaction.lapse import Lapse
from runtime import keyring
from runtime.platform import Platform
from verifier import grounds
from verifier.disclosure import Disclosure
from verifier.grant import Grant
from verifier.quarantine import Quarantine

BATCH: Final = 500  # subjects looked at in one snapshot
UNCLAIMED: Final = GroundId("unclaimed")  # in the place of a ground that ended: there never was one
RETRY: Final = timedelta(seconds=30)  # until evidence that could not be believed is looked at again


Seen = tuple[int, datetime | None]  # version of the standing, and when the next ground runs out by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one subject's evidence says at one instant: the lapse, its dispositions, and what is to come back."""

    version: int
    found: Lapse
    decided: tuple[Decided, ...]
    wanted: Mapping[int, GroundId]  # archive row → the living consent that covers its field again
    evidence: Evidence
    grants: tuple[Grant, ...]
    elsewhere: tuple[Disclosure, ...]  # what recipients have and nothing covers any more

    @property
    def idle(self) -> bool:
        """Nothing to do but to remember that we looked."""
        return not self.decided and not self.wanted and not self.elsewhere


def due(session: Session, at: datetime, limit: int = BATCH) -> list[SubjectId]:
    """Subjects whose standing moved since they were looked at, or one of whose grounds ran out by itself.

    Left out: those with a job under way (it ends first), those whose withdrawal still waits for reads in flight (its
    shut comes before what follows from it), and the quarantined ones: nothing is destroyed on suspicion.
    """
    now = times.iso_ms(at)
    statement = (
        select(Standing.subject)
        .outerjoin(LapseRow, col(LapseRow.subject) == col(Standing.subject))
        .where(
            or_(
                col(LapseRow.subject).is_(None),
                col(Standing.version) > col(LapseRow.done_version),
                col(LapseRow.next_at) <= now,
            ),
            or_(col(LapseRow.retry_at).is_(None), col(LapseRow.retry_at) <= now),
            *(col(Standing.subject).not_in(waits) for waits in _WAITING),
        )
        .order_by(col(Standing.subject))
        .limit(limit)
    )
    return [SubjectId(subject) for subject in session.exec(statement)]


_WAITING: Final = (
    select(Job.subject).where(Job.step != DONE),
    select(Settling.subject).where(col(Settling.settled_at).is_(None)),
    select(Quarantine.subject),
)


def waiting(session: Session) -> frozenset[SubjectId]:
    """The subjects that are left alone for now: a job or a withdrawal is under way, or they are under quarantine."""
    return frozenset(SubjectId(subject) for waits in _WAITING for subject in session.exec(waits))


def proved(platform: Platform, catalogue: Catalogue, evidence: Evidence, at: datetime) -> tuple[Grant, ...]:
    """The grants that a subject's evidence proves.

    Raises EvidenceError `disputed_evidence` when something of it proves nothing, and `below_floor` when the journal
    knows a later standing (a restored database): the gate withholds on suspicion, but nothing is destroyed on it.
    """
    platform.journal.refresh()
    if evidence.version < platform.journal.floor(evidence.subject):
        raise EvidenceError("below_floor", "the standing is older than the journal knows")
    findings = grounds.examine(platform, catalogue, evidence, at)
    if findings.complaints:
        raise EvidenceError("disputed_evidence", "stored evidence does not prove what it claims")
    return findings.grants


def look(session: Session, platform: Platform, catalogue: Catalogue, evidence: Evidence, at: datetime) -> Look:
    """Look at one subject, in the caller's snapshot. Raises EvidenceError as `proved` does, and `bad_cells`."""
    subject = evidence.subject
    stored = records.stored_fields(session, platform, subject)
    grants = proved(platform, catalogue, evidence, at)
    found = lapse.lapse(stored, grants, at)
    told = disposition.told(session, subject) if found.bare or found.held else {}
    wanted: dict[int, GroundId] = {}
    consents = [grant for grant in grants if grant.kind == "consent" and grant.not_before <= at]
    for row in archive.of_subject(session, subject):
        holder = lapse.holder(row.field_id, consents, at)
        if row.wanted_by is None and holder is not None and archive.returns(catalogue, row.field_id, stored):
            wanted[row.key] = holder
    decided = disposition.decide(found, catalogue, told, at)
    return Look(
        version=evidence.version,
        found=found,
        decided=decided,
        wanted=wanted,
        evidence=evidence,
        grants=grants,
        elsewhere=tuple(downstream.due(session, subject, grants, at)),
    )


def plan_due(platform: Platform, catalogue: Catalogue, stop: Event | None = None) -> tuple[int, bool]:
    """Look at the next batch of subjects; how many jobs were planned and whether there is more to look at."""
    at = platform.clock.now()
    idle: dict[SubjectId, Seen] = {}
    busy: list[SubjectId] = []
    broken: dict[SubjectId, str] = {}
    unclaimed = _plan_unclaimed(platform, catalogue, at)
    with platform.database.read() as session:
        subjects = due(session, at)
        archived = set(session.exec(select(Archived.subject).where(col(Archived.subject).in_(subjects))))
        for evidence in grounds.collect(session, subjects):
            try:
                grants = proved(platform, catalogue, evidence, at)
                if evidence.subject not in archived and not any(lapse.over(grant, at) for grant in grants):
                    # nothing ended and nothing to bring back: no need to read the record
                    idle[evidence.subject] = (evidence.version, lapse.lapse((), grants, at).next_at)
                    continue
                looked = look(session, platform, catalogue, evidence, at)
            except EvidenceError as error:
                broken[evidence.subject] = error.code
                continue
            if looked.idle:
                idle[evidence.subject] = (looked.version, looked.found.next_at)
            else:
                busy.append(evidence.subject)
    _remember(platform, idle, broken, at)
    planned = unclaimed
    for subject in busy:
        if stop is not None and stop.is_set():
            break
        with suppress(EvidenceError):  # it changed since we looked: the next look will say so
            planned += plan(platform, catalogue, subject)
    return planned, len(subjects) == BATCH


def _plan_unclaimed(platform: Platform, catalogue: Catalogue, at: datetime) -> int:
    """Imported values whose time has come and for which no ground ever came: destroyed. How many jobs were planned."""
    with platform.database.read() as session:
        waits = waiting(session)
        found = [one for one in origin.unclaimed(session, at, BATCH) if one[0] not in waits]
    planned = 0
    for subject, fields in found:
        with suppress(EvidenceError):  # evidence that cannot be believed: nothing is destroyed on it
            planned += _unclaimed(platform, catalogue, subject, fields)
    return planned


def _unclaimed(platform: Platform, catalogue: Catalogue, subject: SubjectId, fields: frozenset[Field]) -> bool:
    with platform.database.write() as session:
        if disposition.open_job(session, subject) is not None or _in_flight(session, subject):
            return False
        at = platform.clock.now()
        looked = look(session, platform, catalogue, registry.evidence(session, subject), at)
        lapsed = {one.field for one in looked.decided}  # those had a ground: they go the way of a lapse
        gone = [
            Decided(field=field, action="shred", causes=(UNCLAIMED,))
            for field in sorted(fields & records.stored_fields(session, platform, subject) - lapsed)
            if lapse.holder(field, looked.grants, at) is None
        ]
        if gone:
            disposition.add(session, _new_job(session, subject, looked.version, (at, UNCLAIMED, UNCLAIMED), at), gone)
        origin.settle(session, subject, at)
    return bool(gone)


def plan(platform: Platform, catalogue: Catalogue, subject: SubjectId) -> bool:
    """Look again under the write lock and store the job, and that we looked, in one transaction. True with a job.

    Raises EvidenceError as `look` does.
    """
    crash.point("plan.before")
    with platform.database.write() as session:
        if disposition.open_job(session, subject) is not None or _in_flight(session, subject):
            return False
        at = platform.clock.now()
        looked = look(session, platform, catalogue, registry.evidence(session, subject), at)
        _mark(session, {subject: (looked.version, looked.found.next_at)})
        for key, ground in looked.wanted.items():
            row = session.get_one(Archived, key)
            row.wanted_by, row.wanted_at, row.waiting = ground, times.iso_ms(at), None
            session.add(row)
        if looked.elsewhere:
            downstream.tell(session, platform, subject, looked.elsewhere, at)
        if looked.decided:
            disposition.add(session, _job(session, subject, looked, at), looked.decided)
        crash.point("plan.within")
    crash.point("plan.after")
    return bool(looked.decided)


def _in_flight(session: Session, subject: SubjectId) -> bool:
    """Does a narrowing of this subject still wait for its reads?"""
    waiting = select(Settling.id).where(Settling.subject == subject, col(Settling.settled_at).is_(None))
    return session.exec(waiting.limit(1)).first() is not None


def _job(session: Session, subject: SubjectId, looked: Look, at: datetime) -> Job:
    return _new_job(session, subject, looked.version, _ending(looked, at), at)


def _new_job(
    session: Session, subject: SubjectId, version: int, ending: tuple[datetime, str, str], at: datetime
) -> Job:
    ended_at, cause_id, cause = ending
    return Job(
        id=fresh_id(),
        subject=subject,
        version=version,
        round=disposition.rounds(session, subject, version),
        step=PLANNED,
        cause=cause,
        cause_id=cause_id,
        ended_at=times.iso_ms(ended_at),
        planned_at=times.iso_ms(at),
        bucket=keyring.bucket_of(subject),
    )


def _ending(looked: Look, at: datetime) -> tuple[datetime, str, str]:
    """When the last of the lost grounds ended, which, and how. The instant only measures, so a column may tell it."""
    stamps = {row.id: row.ended_at for row in (*looked.evidence.consents, *looked.evidence.grounds)}
    lost: Collection[GroundId] = {cause for one in looked.decided for cause in one.causes}
    endings: list[tuple[datetime, str, str]] = []
    for grant in looked.grants:
        if grant.ground not in lost or not lapse.over(grant, at):
            continue
        ran_out = grant.not_after if grant.not_after is not None and grant.not_after <= at else None
        stamp = stamps.get(grant.ground)
        ended = at if ran_out is None else ran_out
        if stamp is not None:
            ended = min(ended, times.parse(stamp, field="ended_at"))
        endings.append((ended, grant.ground, "catalogue" if grant.by_catalogue else grant.ended or "expired"))
    return max(endings)


def _mark(session: Session, seen: Mapping[SubjectId, Seen]) -> None:
    """Remember that these subjects were looked at: at which version, and when to look again."""
    dialect = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    rows = [
        {
            "subject": subject,
            "done_version": version,
            "next_at": None if next_at is None else times.iso_ms(next_at),
            "retry_at": None,
            "error": None,
        }
        for subject, (version, next_at) in seen.items()
    ]
    insert = dialect.insert(LapseRow)
    changed = {name: insert.excluded[name] for name in ("done_version", "next_at", "retry_at", "error")}
    session.connection().execute(insert.on_conflict_do_update(index_elements=["subject"], set_=changed), rows)


def _remember(
    platform: Platform, idle: Mapping[SubjectId, Seen], broken: Mapping[SubjectId, str], at: datetime
) -> None:
    """One transaction for all subjects with nothing to do, and for those whose evidence cannot be believed."""
    if not idle and not broken:
        return
    with platform.database.write() as session:
        if idle:
            # the versions that we looked at, not the present ones: whatever moved meanwhile is looked at next time
            _mark(session, idle)
        for subject, code in broken.items():
            row = session.get(LapseRow, subject) or LapseRow(subject=subject, done_version=0)
            row.retry_at, row.error = times.iso_ms(at + RETRY), code
            session.add(row)
