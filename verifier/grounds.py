"""From stored evidence to grants. Signatures and the journal decide; the database is only where the bytes lie.

A consent counts if the wallet's signature verifies over the stored bytes, under an enrolment that the controller's key
signed (the key is not in the database), that carries the wallet's own presentation and names this very subject, and
if it is the one answer to an ask that the controller signed, within that ask. A statutory ground counts if the DPO and
an approver signed it and the controller's key confirms those two. What the columns say can only end a ground, never
make one; and a ground is ended if the columns, the journal or a signed withdrawal say so. What cannot be proved is no
ground. Where an enrolment or a consent that the journal speaks of is missing, nothing is granted at all: what is not
there may be what ended a ground, or forbids one.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from sqlalchemy import or_
from sqlalchemy import select as sql_select
from sqlmodel import Session, SQLModel, col, select

from issuer.catalogue import Catalogue
from issuer.credentials import EVERYONE, Credential, GroundSubject, Standing, StoredCredential, stored
from issuer.evidence import Evidence
from protocol.consent import Consent, Field, GroundId, Jurisdiction, Process, SubjectId, within
from protocol.did import Did
from protocol.enrolment import Enrolment
from protocol.errors import EvidenceError
from protocol.exclusion import Exclusion
from protocol.ground import StatutoryGround
from protocol.signature import CLOCK_SKEW
from runtime import bulk
from runtime.platform import Platform
from verifier.excluded import Excluded
from verifier.grant import Ended, Grant
from verifier.verdicts import Prove, Verdicts

T = TypeVar("T")

_OF_A_SUBJECT = ("enrolment", "ask", "consent", "withdrawal", "exclusion", "lift")
# A withdrawal only ends a consent; a lift only ends a pause, and what is paused is stored on.
_KEEP_NOTHING = ("withdrawal", "lift")
_STORED_ENDS: Mapping[str, Ended] = {"withdrawn": "withdrawn", "superseded": "superseded", "expired": "expired"}


@dataclass(frozen=True, slots=True)
class Complaint:
    """Stored evidence that does not prove what it claims: the row's id and the stable code of what is wrong.

    `keeps` is false where the row, had it proved what it claims, could have kept no value from being destroyed.
    """

    credential: str
    code: str
    keeps: bool = True


@dataclass(frozen=True, slots=True)
class Findings:
    """What a subject's evidence proves, and what of it proves nothing.

    `unproved` are the rows whose end a column alone tells: neither the journal, nor a withdrawal, nor a date. The end
    counts, for it only takes away; what cannot be undone must not follow from it.
    """

    grants: tuple[Grant, ...]
    complaints: tuple[Complaint, ...]
    unproved: tuple[str, ...] = ()


def grants(platform: Platform, catalogue: Catalogue, evidence: Evidence) -> tuple[Grant, ...]:
    """Every grant that a subject's evidence proves, ended ones marked so. Raises ClockError."""
    return examine(platform, catalogue, evidence, platform.clock.now()).grants


def examine(platform: Platform, catalogue: Catalogue, evidence: Evidence, at: datetime) -> Findings:
    """Verify a subject's evidence. Bad evidence is a complaint and grants nothing."""
    return _Examination(platform, catalogue, evidence, at).findings()


_TABLE = SQLModel.metadata.tables["credential"]
_STANDINGS = select(Standing.subject, Standing.version).where(col(Standing.subject).in_(bulk.these()))
# columns, no objects: of each customer there are several
_OWN = (
    sql_select(*_TABLE.c)
    .where(_TABLE.c.subject.in_(bulk.these()), or_(*(bulk.beside(_TABLE.c.kind) == kind for kind in _OF_A_SUBJECT)))
    .order_by(_TABLE.c.at, _TABLE.c.id)
)


def collect(session: Session, subjects: Sequence[SubjectId]) -> list[Evidence]:
    """The evidence on many subjects at once (three statements); subjects without a standing are left out."""
    standings = bulk.rows(session, _STANDINGS, subjects)
    # one that is no number somebody else wrote: it is below every floor
    versions = {subject: version if type(version) is int else -1 for subject, version in standings}
    by_subject: dict[str, dict[str, list[StoredCredential]]] = {}
    for row in bulk.rows(session, _OWN, subjects):
        one = StoredCredential._make(row)
        by_subject.setdefault(one.subject, {}).setdefault(one.kind, []).append(one)
    named = (
        select(GroundSubject.subject, Credential)
        .join(Credential, col(Credential.id) == col(GroundSubject.ground_id))
        .where(Credential.kind == "ground", col(GroundSubject.subject).in_([EVERYONE, *subjects]))
        .order_by(col(Credential.at), col(Credential.id))
    )
    of_law = [(subject, stored(row)) for subject, row in session.exec(named)]

    def evidence(subject: SubjectId) -> Evidence:
        kinds = by_subject.get(subject, {})
        return Evidence(
            subject=subject,
            version=versions[subject],
            enrolments=tuple(kinds.get("enrolment", ())),
            asks=tuple(kinds.get("ask", ())),
            consents=tuple(kinds.get("consent", ())),
            ended=tuple(kinds.get("withdrawal", ())),
            grounds=tuple(ground for whom, ground in of_law if whom in (EVERYONE, subject)),
            exclusions=tuple(kinds.get("exclusion", ())),
            lifts=tuple(kinds.get("lift", ())),
        )

    return [evidence(subject) for subject in subjects if subject in versions]


class _Examination:
    """One subject's evidence under examination."""

    def __init__(self, platform: Platform, catalogue: Catalogue, evidence: Evidence, at: datetime) -> None:
        self._platform, self._catalogue, self._evidence = platform, catalogue.current(), evidence
        self._ends = {(one.purpose, one.field): one.at for one in self._catalogue.endings}
        self._journal = platform.journal
        self._verdicts, self._at = Verdicts(platform, at), at
        self._complaints: list[Complaint] = []
        self._unproved: list[str] = []

    def findings(self) -> Findings:
        missing = self._journal.named(self._evidence.subject) - {
            row.id for row in (*self._evidence.enrolments, *self._evidence.consents, *self._evidence.grounds)
        }
        # an exclusion takes away: one whose bytes were changed is missing, not merely worth a complaint
        excluded = self._excluded()
        missing -= {one.id for one in excluded}
        if missing:
            return Findings((), tuple(Complaint(id_, "evidence_missing") for id_ in sorted(missing)))
        enrolments = self._enrolments()
        wallets = {enrolment.wallet_did for _, enrolment in enrolments}
        withdrawn = {
            (one.subject_did, one.consent_id, one.consent_digest)
            for _, one in self._read(self._evidence.ended, self._verdicts.withdrawal)
        }
        lifts = [one for _, one in self._read(self._evidence.lifts, self._verdicts.lift)]
        exclusions = Excluded.of(excluded, lifts)
        # One wallet speaks for a subject: the one that was enrolled last.
        unended = [enrolment for row, enrolment in enrolments if not self._row_ended(row, enrolment.id)]
        speaks = max(unended, key=lambda one: (one.at, one.id)).wallet_did if unended else None
        given: list[Grant] = []
        consents = self._read(self._evidence.consents, self._verdicts.consent)
        answers = Counter(consent.ask_id for _, consent in consents)
        for row, consent in consents:
            if self._bound(row, consent, wallets):
                ended = self._consent_end(row, consent, withdrawn)
                # Of one that ended nothing is granted: it only says what no ground of law may revive.
                asked = self._asked(row, consent, once=answers[consent.ask_id] == 1) if ended is None else None
                if asked is not None and exclusions.ends(consent, asked):
                    ended = "withdrawn"
                if ended is not None or asked is not None:
                    if ended is None and consent.subject_did != speaks:
                        ended = self._silenced(row, consent, unended)
                    given += self._grants_of(consent, ended, asked)
        # By the journal alone: an end in a column would open the ground that an enrolment closes.
        enrolled = any(not self._journal.ended(enrolment.id) for _, enrolment in enrolments)
        of_law = self._of_law(given, exclusions, enrolled=enrolled)
        return Findings((*given, *of_law), tuple(self._complaints), tuple(self._unproved))

    def _excluded(self) -> list[Exclusion]:
        found = []
        for row, one in self._read(self._evidence.exclusions, self._verdicts.exclusion):
            if one.subject == self._evidence.subject:
                found.append(one)
            else:
                self._complain(row, "foreign_exclusion")
        return found

    def _enrolments(self) -> list[tuple[StoredCredential, Enrolment]]:
        found = []
        for row, enrolment in self._read(self._evidence.enrolments, self._verdicts.enrolment):
            if enrolment.subject == self._evidence.subject:
                found.append((row, enrolment))
            else:
                self._complain(row, "foreign_enrolment")
        return found

    def _bound(self, row: StoredCredential, consent: Consent, wallets: set[Did]) -> bool:
        if consent.subject_did not in wallets:
            self._complain(row, "not_enrolled")
        elif consent.controller != self._platform.controller:
            self._complain(row, "foreign_consent")
        else:
            return True
        return False

    def _asked(self, row: StoredCredential, consent: Consent, *, once: bool) -> datetime | None:
        """When the consent's ask was made; None unless the consent is what that allows.

        The registry checks it: this one may have come in behind its back.
        """
        stored = next((one for one in self._evidence.asks if one.id == consent.ask_id), None)
        try:
            if stored is None:
                raise EvidenceError("foreign_ask", "there is no such ask")
            ask = self._verdicts.ask(stored.body)
            within(consent, ask)
            if not once or (ask.replaces is not None and consent.id not in self._journal.named(self._evidence.subject)):
                raise EvidenceError("challenge_used", "this ask was answered otherwise")
        except EvidenceError as error:
            self._complain(row, error.code)
            return None
        return ask.issued

    def _consent_end(
        self, row: StoredCredential, consent: Consent, withdrawn: set[tuple[Did, str, str]]
    ) -> Ended | None:
        if (consent.subject_did, consent.id, consent.digest) in withdrawn:
            return "superseded" if row.ended_kind == "superseded" else "withdrawn"
        if self._column_ended(row, consent.id, consent.valid_until):
            return _STORED_ENDS.get(row.ended_kind or "", "revoked")
        return "withdrawn" if self._journal.ended(consent.id) else None

    def _silenced(self, row: StoredCredential, consent: Consent, unended: Sequence[Enrolment]) -> Ended:
        """Another wallet speaks now, or none; while this one's own enrolment lives, a row alone brought that about."""
        if any(one.wallet_did == consent.subject_did for one in unended):
            self._unproved.append(row.id)
        return "revoked"

    def _grants_of(self, consent: Consent, ended: Ended | None, asked: datetime | None) -> list[Grant]:
        """`asked`: when its ask was made; None for one that ended, of which it no longer matters."""
        return [
            grant
            for process in consent.processes
            for grant in self._by_catalogue(
                Grant(
                    ground=GroundId(consent.id),
                    kind="consent",
                    subject=self._evidence.subject,
                    fields=process.fields,
                    purpose=process.purpose,
                    recipients=process.recipients,
                    processing=process.processing,
                    jurisdictions=process.jurisdictions,
                    not_before=consent.valid_from,
                    not_after=consent.valid_until,
                    ended=ended,
                ),
                asked,
            )
        ]

    def _by_catalogue(self, grant: Grant, made: datetime | None) -> Iterator[Grant]:
        """The grant, what a version of the catalogue ended of it since apart: that is revoked, for ever."""
        over = frozenset(
            field for field in grant.fields if made is not None and made < self._ends.get((grant.purpose, field), made)
        )
        if not over or grant.ended is not None:
            yield grant
            return
        yield replace(grant, fields=over, ended="revoked", by_catalogue=True)
        if grant.fields - over:
            yield replace(grant, fields=grant.fields - over)

    def _of_law(self, given: Sequence[Grant], excluded: Excluded, *, enrolled: bool) -> list[Grant]:
        known = frozenset(map(Field, (*self._catalogue.fields, *self._catalogue.retired.fields)))
        home = Jurisdiction(self._platform.settings.home_jurisdiction)
        found = excluded.erased(known, self._platform.controller, home)
        for row, ground in self._read(self._evidence.grounds, self._verdicts.ground):
            if not ground.concerns(self._evidence.subject):
                self._complain(row, "foreign_ground")
            elif not (ground.until_enrolled and enrolled):  # else it did not end, it is not meant for them: no lapse
                ended = self._ground_end(row, ground)
                found += [
                    grant
                    for process in ground.processes
                    if (fields := process.fields - _taken_back(given, process, ground))
                    for grant in self._of_process(ground, process, fields, ended, excluded)
                ]
        return found

    def _of_process(
        self,
        ground: StatutoryGround,
        process: Process,
        fields: frozenset[Field],
        ended: Ended | None,
        excluded: Excluded,
    ) -> Iterator[Grant]:
        grant = excluded.applied(_statutory(self._evidence.subject, ground, process, fields, ended), ground)
        if grant.ended is None and not self._lawful(process):
            yield replace(grant, ended="revoked", by_catalogue=True)  # only consent may open the purpose now, or none
        else:
            yield from self._by_catalogue(grant, ground.valid_from)

    def _ground_end(self, row: StoredCredential, ground: StatutoryGround) -> Ended | None:
        if not self._row_ended(row, ground.id, ground.valid_until):
            return None
        return "expired" if row.ended_kind == "expired" else "revoked"

    def _lawful(self, process: Process) -> bool:
        try:
            return not self._catalogue.purpose(process.purpose).consent_only
        except EvidenceError:
            return False  # a purpose that the catalogue does not know opens nothing

    def _row_ended(self, row: StoredCredential, id_: str, until: datetime | None = None) -> bool:
        return self._column_ended(row, id_, until) or self._journal.ended(id_)

    def _column_ended(self, row: StoredCredential, id_: str, until: datetime | None) -> bool:
        """Whether the columns say so; noted where nothing else does."""
        if row.ended_at is None and row.ended_kind is None:
            return False
        if not self._journal.ended(id_) and (until is None or until > self._at):
            self._unproved.append(row.id)
        return True

    def _read(self, rows: Iterable[StoredCredential], prove: Prove[T]) -> list[tuple[StoredCredential, T]]:
        found = []
        for row in rows:
            try:
                found.append((row, prove(row.body)))
            except EvidenceError as error:
                self._complain(row, error.code)
        return found

    def _complain(self, row: StoredCredential, code: str) -> None:
        # SQLite may hold bytes there
        self._complaints.append(Complaint(str(row.id), code, keeps=row.kind not in _KEEP_NOTHING))


def _taken_back(given: Sequence[Grant], process: Process, ground: StatutoryGround) -> frozenset[Field]:
    """Fields that the subject gave for this purpose and took back: no ground declared since may revive them.

    What a version of the catalogue ended the subject did not take back.

    Dates are whole seconds, and a wallet's clock may be ahead: one of about the same time counts as declared since.
    """
    kept = frozenset[Field]().union(*(one.fields for one in given if _about(one, process) and one.ended is None))
    taken = (
        one.fields
        for one in given
        if _about(one, process)
        and one.ended not in (None, "expired")
        and not one.by_catalogue
        and ground.valid_from >= one.not_before - CLOCK_SKEW
    )
    return frozenset[Field]().union(*taken) - kept


def _about(grant: Grant, process: Process) -> bool:
    return grant.purpose == process.purpose


def _statutory(
    subject: SubjectId, ground: StatutoryGround, process: Process, fields: frozenset[Field], ended: Ended | None
) -> Grant:
    return Grant(
        ground=ground.id,
        kind="statutory",
        subject=subject,
        fields=fields,
        purpose=process.purpose,
        recipients=process.recipients,
        processing=process.processing,
        jurisdictions=process.jurisdictions,
        roles=ground.roles,
        not_before=ground.valid_from,
        not_after=ground.valid_until,
        ended=ended,
    )
