"""What the rows of a job say is checked before anything is done on it: the tables of redaction prove nothing.

Which fields are kept, sealed or shredded follows from the evidence and the catalogue each time; what lies in the
archive follows from its own MAC. So a row that somebody edits spares nothing, postpones nothing, certifies nothing.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from crm_core.imports import recall
from issuer.catalogue import Catalogue
from issuer.settling import Settling
from protocol import times
from protocol.consent import Field, GroundId, SubjectId
from protocol.errors import EvidenceError
from redaction import archive, deciding, drafting, lapse
from redaction.deciding import Decided
from redaction.disposition import DONE, PLANNED, Fate, Task
from redaction.drafting import UNCLAIMED
from redaction.fate import said
from redaction.looking import Proof, Proofs, Resting
from runtime.platform import Platform
from verifier.grant import Grant

Rows = Mapping[str, Sequence[Mapping[str, Any]]]  # of the archive, by customer, by their columns


def judge(
    session: Session,
    platform: Platform,
    proofs: Proofs,
    tasks: Sequence[Task],
    *,
    rest: Mapping[SubjectId, Resting],
    boxes: Rows,
    at: datetime,
) -> list[Task]:
    """The jobs put right: the cause that their evidence names, and each field that counts: kept under a living ground,
    in the archive, or what the catalogue says.

    `rest` is what rests of their customers, `boxes` what lies in the archive. A ground that was given since spares what
    is not archived yet: what is destroyed never comes back. A field that lost nothing is left out. Raises EvidenceError
    as `Proofs.of` does, and `reads_in_flight`: what was kept until now goes after they have ended.
    """
    proved = proofs.of(session, [task.subject for task in tasks], at)
    rules, judged = _Rules(proofs.catalogue, at), []
    for task in tasks:
        proof = proved[task.subject]
        ours = _ours(platform, boxes.get(task.subject, ()), task)
        newer = _newer(platform, rest[task.subject], ours)
        of_task = _Judge(session, rules, task, proof.grants, ours, newer)
        fates = [right for one in task.fates if (right := of_task.right(one)) is not None]
        judged.append(replace(_named(task, proof, fates, at), fates=fates))
    return judged


def _ours(platform: Platform, rows: Iterable[Mapping[str, Any]], task: Task) -> dict[Field, Mapping[str, Any]]:
    """The boxes that this job made; those alone whose rows are as we wrote them."""
    return {row["field"]: row for row in rows if row["job"] == task.id and archive.genuine(platform, row)}


def _newer(platform: Platform, rest: Resting, boxes: Mapping[Field, Mapping[str, Any]]) -> frozenset[Field]:
    """The fields that were archived, and rest again under a later data key: the box says nothing of that value."""
    record = rest.record
    if not boxes or record is None:
        return frozenset()
    return frozenset(
        name for name in rest.fields(platform) & boxes.keys() if boxes[name]["generation"] < record.generation
    )


@dataclass(slots=True)
class _Rules:
    """What the catalogue says of each field at one instant, looked up once for all customers."""

    catalogue: Catalogue
    at: datetime
    _known: dict[Field, Decided] = field(default_factory=dict)

    def of_bare(self, name: Field, causes: tuple[GroundId, ...]) -> Decided:
        """What becomes of a field that no living ground covers."""
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = deciding.of_bare(name, (), self.catalogue, self.at)
        return replace(known, causes=causes)


@dataclass(slots=True)
class _Judge:
    """One job and what is known of its customer."""

    session: Session
    rules: _Rules
    task: Task
    grants: Sequence[Grant]
    boxes: Mapping[Field, Mapping[str, Any]]
    newer: frozenset[Field]
    _lost: dict[Field, tuple[GroundId, ...]] = field(init=False)
    _living: list[Grant] = field(init=False)

    def __post_init__(self) -> None:
        self._lost = lapse.lost(self.grants, self.rules.at)
        self._living = [one for one in self.grants if not lapse.over(one, self.rules.at)]

    def right(self, fate: Fate) -> Fate | None:
        """The fate as it should be, the very one if it is; None for a field that lost nothing.

        None too for what came anew since this job archived the field: its own lapse gets a job of its own.
        """
        if fate.field in self.newer:
            return None
        causes = self._lost.get(fate.field, ())
        box = self.boxes.get(fate.field)
        if box is not None:
            return _boxed(fate, box, causes)
        if not causes and not self._unclaimed(fate):
            return None
        holder = self._holder(fate)
        if holder is not None:
            news = _news(fate, causes) or (UNCLAIMED,)
            return _set(fate, Decided(field=fate.field, action="keep", causes=news, ground=holder))
        if causes:
            decided = self.rules.of_bare(fate.field, causes)
            if fate.action == "keep" != decided.action:
                _refuse_in_flight(self.session, self.task.subject)
            return _set(fate, decided)
        return _set(fate, Decided(field=fate.field, action="shred", causes=(UNCLAIMED,)))

    def _unclaimed(self, fate: Fate) -> bool:
        """Whether the row says that no ground ever came, and the value's day has come: by the event that brought it."""
        told = said(fate.causes) == [UNCLAIMED]
        return told and fate.field in recall.due(self.session, self.task.subject, self.rules.at)

    def _holder(self, fate: Fate) -> GroundId | None:
        """The ground that the row names, if it covers the field and lives; else the one that lasts longest."""
        if not self._living:
            return None
        named = [one for one in self._living if one.ground == fate.ground]
        at = self.rules.at
        return lapse.holder(fate.field, named, at) or lapse.holder(fate.field, self._living, at)


def _named(task: Task, proof: Proof, fates: Sequence[Fate], at: datetime) -> Task:
    """The job with the ground that ended last, as the evidence tells it."""
    lost = {GroundId(cause) for told in {fate.causes for fate in fates} for cause in said(told)} - {UNCLAIMED}
    if lost:
        ended_at, cause_id, cause = drafting.ending(proof.evidence, proof.grants, lost, at)
    else:
        ended_at, cause_id, cause = at, UNCLAIMED, UNCLAIMED
    if (cause, cause_id) == (task.cause, task.cause_id) or not fates:
        return task
    return replace(task, cause=cause, cause_id=cause_id, ended_at=times.iso_ms(ended_at))


def _news(fate: Fate, causes: tuple[GroundId, ...]) -> tuple[GroundId, ...]:
    """Of what ended, what the row tells of: that a field is kept is said once for each ground."""
    told = said(fate.causes)
    return tuple(cause for cause in causes if cause in told) or causes


def _boxed(fate: Fate, box: Mapping[str, Any], causes: tuple[GroundId, ...]) -> Fate:
    return replace(
        fate, action="seal", state=DONE, at=box["at"], ground=None, legal_ground=box["ground"], period=box["period"],
        destroy_by=box["destroy_by"], digest=box["digest"], causes=json.dumps(causes),
    )  # fmt: skip


def _set(fate: Fate, decided: Decided) -> Fate:
    """The decision in its row: planned, unless it was kept under the same ground before."""
    destroy_by = None if decided.destroy_by is None else times.iso_ms(decided.destroy_by)
    causes = json.dumps(decided.causes)
    says = (fate.action, fate.ground, fate.legal_ground, fate.period, fate.destroy_by, fate.digest, fate.causes)
    if says == (decided.action, decided.ground, decided.legal_ground, decided.period, destroy_by, None, causes) and (
        (fate.state, fate.at, fate.event) == (PLANNED, None, None) or (fate.action, fate.state) == ("keep", DONE)
    ):
        return fate
    return replace(
        fate, action=decided.action, ground=decided.ground, legal_ground=decided.legal_ground, period=decided.period,
        destroy_by=destroy_by, digest=None, causes=causes, state=PLANNED, at=None, event=None,
    )  # fmt: skip


def _refuse_in_flight(session: Session, subject: SubjectId) -> None:
    waiting = select(Settling.id).where(Settling.subject == subject, col(Settling.settled_at).is_(None))
    if session.exec(waiting.limit(1)).first() is not None:
        raise EvidenceError("reads_in_flight", "a withdrawal still waits for its reads")
