"""Drafting: the job that would follow from a look at a customer, before it is confirmed under the write lock."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sqlalchemy import bindparam
from sqlmodel import Session, col, select

from issuer.evidence import Evidence
from issuer.settling import Settling
from protocol import times
from protocol.consent import GroundId, SubjectId, fresh_id
from redaction import deciding, disposition, lapse
from redaction.disposition import DONE, Job, Task
from redaction.looking import Look, Proof, Resting
from runtime import bulk, keyring
from runtime.platform import Platform
from verifier.grant import Grant

UNCLAIMED: Final = GroundId("unclaimed")  # in the place of a ground that ended: there never was one

Ending = tuple[datetime, str, str]  # when the last of the lost grounds ended, which, and how


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a look found about one subject, and the job that would follow: to be confirmed under the write lock."""

    looked: Look
    proof: Proof
    rest: Resting
    task: Task | None  # None: something is asked back or told, and no field lapses

    @property
    def subject(self) -> SubjectId:
        """Whose."""
        return self.proof.evidence.subject

    @property
    def alone(self) -> bool:
        """Whether nothing but the job follows from the look."""
        return not self.looked.wanted and not self.looked.elsewhere


_IN_FLIGHT: Final = select(Settling.subject).where(
    col(Settling.subject).in_(bulk.these()), col(Settling.settled_at).is_(None)
)
_UNDER_WAY: Final = select(Job.subject).where(col(Job.subject).in_(bulk.these()), Job.step != bindparam("done"))


def free_of(session: Session, subjects: Sequence[SubjectId]) -> list[SubjectId]:
    """Those without an open job, and of whom no narrowing still waits for its reads."""
    found = (*bulk.rows(session, _IN_FLIGHT, subjects), *bulk.rows(session, _UNDER_WAY, subjects, done=DONE))
    taken = {subject for (subject,) in found}
    return [subject for subject in subjects if subject not in taken]


def task(platform: Platform, looked: Look, rest: Resting, ending: Ending, at: datetime) -> Task:
    ended_at, cause_id, cause = ending
    subject = looked.evidence.subject
    loses = any(one.action != "keep" for one in looked.decided)
    drops = rest.record is not None and (loses or disposition.dropped(platform, rest.record))
    id_ = next(disposition.ids_of(platform, subject, rest.existing().generation)) if drops else fresh_id()
    return Task(
        id_,
        subject,
        looked.version,
        0,
        cause,
        cause_id,
        times.iso_ms(ended_at),
        times.iso_ms(at),
        keyring.bucket_of(subject),
        fates=deciding.new_fates(id_, subject, looked.decided),
    )


def numbered(
    session: Session, platform: Platform, tasks: Sequence[Task], rest: Mapping[SubjectId, Resting]
) -> list[Task]:
    """The jobs in their rounds: a lapse may be planned more than once at one version.

    One whose id is taken (all of it was kept in the end, and its generation lives on) gets the next one.
    """
    rounds = disposition.rounds(session, [one.subject for one in tasks])
    taken = disposition.known(session, [one.id for one in tasks])
    found = []
    for task in tasks:
        number = rounds.get((task.subject, task.version), 0)
        one = replace(task, round=number) if number else task
        if one.id in taken:
            ids = disposition.ids_of(platform, one.subject, rest[one.subject].existing().generation)
            id_ = next(id_ for id_ in ids if not disposition.known(session, [id_]))
            one = replace(one, id=id_, fates=[replace(fate, job=id_) for fate in one.fates])
        found.append(one)
    return found


def ending_of(looked: Look, at: datetime) -> Ending:
    lost = {cause for one in looked.decided for cause in one.causes}
    return ending(looked.evidence, looked.grants, lost, at)


def ending(evidence: Evidence, grants: Sequence[Grant], lost: Collection[GroundId], at: datetime) -> Ending:
    """When the last of the lost grounds ended, which, and how. The instant only measures, so a column may tell it."""
    stamps = {row.id: row.ended_at for row in (*evidence.consents, *evidence.grounds)}
    endings: list[Ending] = []
    for grant in grants:
        if grant.ground not in lost or not lapse.over(grant, at):
            continue
        ran_out = grant.not_after if grant.not_after is not None and grant.not_after <= at else None
        stamp = stamps.get(grant.ground)
        ended = at if ran_out is None else ran_out
        if stamp is not None:
            ended = min(ended, times.parse(stamp, field="ended_at"))
        endings.append((ended, grant.ground, "catalogue" if grant.by_catalogue else grant.ended or "expired"))
    return max(endings)
