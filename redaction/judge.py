"""What the rows of a job say is checked before anything is done on it: the tables of redaction prove nothing.

Which fields are kept, sealed or shredded follows from the evidence and the catalogue each time; what lies in the
archive follows from its own MAC. So a row that somebody edits spares nothing, postpones nothing, certifies nothing.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from crm_core.imports import recall
from issuer.catalogue import Catalogue
from issuer.settling import Settling
from protocol import times
from protocol.consent import Field, GroundId, SubjectId
from protocol.errors import EvidenceError
from redaction import archive, disposition, lapse, plan
from redaction.archive import Archived
from redaction.disposition import DONE, PLANNED, Decided, Fate, Task
from redaction.looking import Proof, Proofs
from runtime.platform import Platform
from verifier.grant import Grant


@dataclass(frozen=True, slots=True)
class Judged:
    """The jobs with the cause that their evidence names, and the fields of each that count, put right."""

    tasks: list[Task]
    fates: dict[str, list[Fate]]

    def planned(self) -> list[Fate]:
        """What is not carried out yet."""
        return [fate for task in self.tasks for fate in self.fates.get(task.id, ()) if fate.state == PLANNED]


def judge(session: Session, platform: Platform, proofs: Proofs, tasks: Sequence[Task], at: datetime) -> Judged:
    """Put each field of the jobs right: kept under a living ground, in the archive, or what the catalogue says.

    A ground that was given since spares what is not archived yet: what is destroyed never comes back. A row about a
    field that lost nothing is taken out. Raises EvidenceError as `Proofs.of` does, and `reads_in_flight`: what was kept
    until now goes after they have ended.
    """
    stored = disposition.fates(session, [task.id for task in tasks])
    proved = proofs.of(session, [task.subject for task in tasks], at)
    boxes = archive.of_jobs(session, platform, [task.id for task in tasks])
    judged, wrong, void = Judged([], {}), [], []
    for task in tasks:
        of_task = _Judge(session, proofs.catalogue, task, proved[task.subject], boxes, at)
        fates = []
        for fate in stored.get(task.id, ()):
            right = of_task.right(fate)
            if right is None:
                void.append(fate)
                continue
            fates.append(right)
            wrong += [right] if right != fate else []
        if fates:
            judged.fates[task.id] = fates
        judged.tasks.append(_named(session, task, proved[task.subject], fates, at))
    disposition.correct(session, wrong, void)
    return judged


@dataclass(frozen=True, slots=True)
class _Judge:
    """One job and what is known of its customer."""

    session: Session
    catalogue: Catalogue
    task: Task
    proof: Proof
    boxes: Mapping[tuple[str, str, Field], Archived]
    at: datetime

    def right(self, fate: Fate) -> Fate | None:
        """The fate as it should be; None for a field that lost nothing."""
        ours = replace(fate, subject=self.task.subject)
        causes = _causes(fate.field, self.proof.grants, self.at)
        holder = _holder(fate, self.proof.grants, self.at)
        box = self.boxes.get((self.task.id, self.task.subject, fate.field))
        if box is not None:
            return _boxed(ours, box, causes)
        if not causes and not self._unclaimed(fate):
            return None
        if holder is not None:
            news = _news(fate, causes) or (plan.UNCLAIMED,)
            return _set(ours, Decided(field=fate.field, action="keep", causes=news, ground=holder))
        if causes:
            decided = disposition.of_bare(fate.field, causes, self.catalogue, self.at)
            if fate.action == "keep" != decided.action:
                _refuse_in_flight(self.session, self.task.subject)
            return _set(ours, decided)
        return _set(ours, Decided(field=fate.field, action="shred", causes=(plan.UNCLAIMED,)))

    def _unclaimed(self, fate: Fate) -> bool:
        """Whether the row says that no ground ever came, and the value's day has come: by the event that brought it."""
        said = _said(fate) == [plan.UNCLAIMED]
        return said and fate.field in recall.due(self.session, self.task.subject, self.at)


def _named(session: Session, task: Task, proof: Proof, fates: Sequence[Fate], at: datetime) -> Task:
    """The job with the ground that ended last, as the evidence tells it; stored if it said another."""
    lost = {GroundId(cause) for fate in fates for cause in _said(fate)} - {plan.UNCLAIMED}
    if lost:
        ended_at, cause_id, cause = plan.ending(proof.evidence, proof.grants, lost, at)
    else:
        ended_at, cause_id, cause = at, plan.UNCLAIMED, plan.UNCLAIMED
    if (cause, cause_id) == (task.cause, task.cause_id) or not fates:
        return task
    right = replace(task, cause=cause, cause_id=cause_id, ended_at=times.iso_ms(ended_at))
    disposition.name_cause(session, right)
    return right


def _holder(fate: Fate, grants: Sequence[Grant], at: datetime) -> GroundId | None:
    """The ground that the row names, if it is one that covers the field and lives; else the one that lasts longest."""
    named = [one for one in grants if one.ground == fate.ground]
    return lapse.holder(fate.field, named, at) or lapse.holder(fate.field, grants, at)


def _causes(field: Field, grants: Sequence[Grant], at: datetime) -> tuple[GroundId, ...]:
    return tuple(sorted({one.ground for one in grants if field in one.fields and lapse.over(one, at)}))


def _news(fate: Fate, causes: tuple[GroundId, ...]) -> tuple[GroundId, ...]:
    """Of what ended, what the row tells of: that a field is kept is said once for each ground."""
    said = _said(fate)
    return tuple(cause for cause in causes if cause in said) or causes


def _said(fate: Fate) -> list[Any]:
    try:
        said = json.loads(fate.causes)
    except (ValueError, TypeError):
        return []
    return said if isinstance(said, list) else []


def _boxed(fate: Fate, box: Archived, causes: tuple[GroundId, ...]) -> Fate:
    return replace(
        fate, action="seal", state=DONE, at=box.at, ground=None, legal_ground=box.ground, period=box.period,
        destroy_by=box.destroy_by, digest=box.digest, causes=json.dumps(causes),
    )  # fmt: skip


def _set(fate: Fate, decided: Decided) -> Fate:
    """The decision in its row: planned, unless it was kept under the same ground before."""
    destroy_by = None if decided.destroy_by is None else times.iso_ms(decided.destroy_by)
    right = replace(
        fate, action=decided.action, ground=decided.ground, legal_ground=decided.legal_ground, period=decided.period,
        destroy_by=destroy_by, digest=None, causes=json.dumps(decided.causes),
    )  # fmt: skip
    if right == fate and fate.action == "keep" and fate.state == DONE:
        return fate
    return replace(right, state=PLANNED, at=None, event=None)


def _refuse_in_flight(session: Session, subject: SubjectId) -> None:
    waiting = select(Settling.id).where(Settling.subject == subject, col(Settling.settled_at).is_(None))
    if session.exec(waiting.limit(1)).first() is not None:
        raise EvidenceError("reads_in_flight", "a withdrawal still waits for its reads")
