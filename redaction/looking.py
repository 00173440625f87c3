"""Looking: what a customer's evidence says of the fields that rest with us, at one instant. Nothing is changed here.

Evidence is examined once for as long as it stays the same: a step that follows soon asks `Proofs`, which examines anew
when the standing, what the journal knows of it or the catalogue has moved, and when a statutory ground was approved:
that is committed, and covers, before the standing of each customer is raised.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlmodel import Session, col, select

from crm_core import items, records
from crm_core.items import Sealed
from crm_core.records import Record
from issuer.catalogue import Catalogue
from issuer.credentials import Standing
from issuer.evidence import Evidence
from protocol.consent import Field, GroundId, SubjectId
from protocol.errors import EvidenceError
from redaction import archive, deciding, disposition, downstream, lapse
from redaction.deciding import Decided
from redaction.lapse import Lapse
from runtime import bulk
from runtime.platform import Platform
from verifier import disclosure, grounds
from verifier.disclosure import Disclosure
from verifier.grant import Grant

DISPUTED: Final = "disputed_evidence"  # why nothing is destroyed: a row does not prove what it claims
LOST: Final = "evidence_lost"  # why nothing is destroyed: the database lacks what the journal says was given


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


@dataclass(frozen=True, slots=True)
class Resting:
    """What rests of one customer: the record, if there is one, and the items."""

    record: Record | None
    items: tuple[Sealed, ...]

    def fields(self, platform: Platform) -> frozenset[Field]:
        """The fields that hold a value. EvidenceError `bad_cells`, `bad_item`."""
        if self.record is None:
            return frozenset()
        return records.stored(self.record) | items.fields_of(platform, self.items)

    def existing(self) -> Record:
        """The record. EvidenceError `unknown_subject`."""
        if self.record is None:
            raise EvidenceError("unknown_subject", "there is no such customer")
        return self.record


def resting(session: Session, subjects: Sequence[SubjectId]) -> dict[SubjectId, Resting]:
    """What rests of these customers (at most 500), each of whom is in the answer."""
    found, own = records.load_many(session, subjects), items.of_subjects(session, subjects)
    return {subject: Resting(found.get(subject), tuple(own.get(subject, ()))) for subject in subjects}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is known of many customers beside their evidence, read at once: it spares each of them four statements."""

    rest: Mapping[SubjectId, Resting]
    archived: Mapping[str, Sequence[Mapping[str, Any]]]  # rows of the archive, by their columns
    disclosed: frozenset[str]  # something of theirs went elsewhere, and nobody was told its end
    kept: frozenset[str]  # something of theirs was said to be kept


def view(session: Session, subjects: Sequence[SubjectId]) -> View:
    """The view of at most 500 customers, in the caller's snapshot."""
    return View(
        rest=resting(session, subjects),
        archived=archive.columns(session, subjects),
        disclosed=disclosure.untold(session, subjects),
        kept=disposition.saying_kept(session, subjects),
    )


def proved(platform: Platform, catalogue: Catalogue, evidence: Evidence, at: datetime) -> tuple[Grant, ...]:
    """The grants that a subject's evidence proves.

    Raises EvidenceError `disputed_evidence` when something of it proves nothing that could have kept a value, and when
    a column alone says that a ground has ended; `evidence_lost` when one is missing that the journal knows, as after a
    commit that failed: `reconcile` puts it back; `below_floor` when the journal knows a later standing (a restored
    database). The gate withholds on suspicion, but nothing is destroyed on it.
    """
    platform.journal.refresh()
    if evidence.version < platform.journal.floor(evidence.subject):
        raise EvidenceError("below_floor", "the standing is older than the journal knows")
    findings = grounds.examine(platform, catalogue, evidence, at)
    if any(one.keeps for one in findings.complaints) or findings.unproved:
        raise EvidenceError(DISPUTED, "stored evidence does not prove what it claims")
    if platform.journal.lacks(evidence.subject, [row.id for row in (*evidence.consents, *evidence.grounds)]):
        raise EvidenceError(LOST, "the database lacks what the journal says was given")
    return findings.grants


@dataclass(frozen=True, slots=True)
class _State:
    """What a verdict on a customer's evidence depends on."""

    version: int
    floor: int
    catalogue: str
    approved: int


@dataclass(frozen=True, slots=True)
class Proof:
    """A customer's evidence, and the grants that it proves."""

    evidence: Evidence
    grants: tuple[Grant, ...]


_STANDING: Final = select(Standing.subject, Standing.version).where(col(Standing.subject).in_(bulk.these()))


class Proofs:
    """What customers' evidence proves, kept for the length of one pass."""

    def __init__(self, platform: Platform, catalogue: Catalogue) -> None:
        self._platform, self._catalogue = platform, catalogue
        self._known: dict[SubjectId, tuple[_State, Proof]] = {}
        platform.journal.refresh()
        self._approved = platform.journal.approved  # before any snapshot that `keep` is told of

    def of(self, session: Session, subjects: Sequence[SubjectId], at: datetime) -> Mapping[SubjectId, Proof]:
        """The proof of each of these (at most 500), under the caller's write lock. Raises EvidenceError as `proved`.

        Without a standing there is no proof: EvidenceError `unknown_subject`.
        """
        self._platform.journal.refresh()
        catalogue, self._approved = self._catalogue.digest, self._platform.journal.approved
        versions: dict[str, int] = dict(bulk.rows(session, _STANDING, subjects))
        if len(versions) < len(set(subjects)):
            raise EvidenceError("unknown_subject", "there is no such customer")
        states = {subject: self._state(subject, versions[subject], catalogue) for subject in subjects}
        moved = [subject for subject in subjects if self._known.get(subject, (None,))[0] != states[subject]]
        for evidence in grounds.collect(session, moved) if moved else ():
            self.keep(Proof(evidence, proved(self._platform, self._catalogue, evidence, at)), catalogue)
        return {subject: self._known[subject][1] for subject in subjects}

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue that they are proved under."""
        return self._catalogue

    def keep(self, proof: Proof, catalogue: str) -> None:
        """Remember what was proved just now under the catalogue of that digest."""
        subject, version = proof.evidence.subject, proof.evidence.version
        self._known[subject] = (self._state(subject, version, catalogue), proof)

    def _state(self, subject: SubjectId, version: int, catalogue: str) -> _State:
        return _State(version, self._platform.journal.floor(subject), catalogue, self._approved)


def look(
    session: Session, platform: Platform, catalogue: Catalogue, proof: Proof, at: datetime, *, seen: View | None = None
) -> Look:
    """Look at one subject, in the caller's snapshot. Raises EvidenceError `bad_cells`, `bad_item`.

    `seen` is what the caller has read of that snapshot already.
    """
    evidence, grants = proof.evidence, proof.grants
    subject = evidence.subject
    seen = seen or view(session, [subject])
    stored = seen.rest[subject].fields(platform)
    found = lapse.lapse(stored, grants, at)
    told = disposition.told(session, subject) if subject in seen.kept and (found.bare or found.held) else {}
    record = seen.rest[subject].record
    if record is not None and disposition.dropped(platform, record):
        told = {}  # a job has to drop that key, and says of all that it keeps that it is kept
    elsewhere = downstream.due(session, subject, grants, at) if subject in seen.disclosed else []
    return Look(
        version=evidence.version,
        found=found,
        decided=deciding.decide(found, catalogue, told, at),
        wanted=_wanted(catalogue, seen.archived.get(subject, ()), stored, grants, at),
        evidence=evidence,
        grants=grants,
        elsewhere=tuple(elsewhere),
    )


def _wanted(
    catalogue: Catalogue,
    boxes: Iterable[Mapping[str, Any]],
    stored: frozenset[Field],
    grants: Sequence[Grant],
    at: datetime,
) -> dict[int, GroundId]:
    """The boxes that a living consent asks back."""
    wanted: dict[int, GroundId] = {}
    consents = [grant for grant in grants if grant.kind == "consent" and grant.not_before <= at]
    for row in boxes:
        field = Field(row["field"])
        holder = lapse.holder(field, consents, at)
        if row["wanted_by"] is None and holder is not None and archive.returns(catalogue, field, stored):
            wanted[row["id"]] = holder
    return wanted
