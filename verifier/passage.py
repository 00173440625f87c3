"""A passage: the gate held open for one read. It judges rows, keeps the record, and ends when the last byte is out."""

import hmac
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import Row

from protocol import event
from protocol.consent import USE, Field, GroundId, Jurisdiction, Processing, Purpose, SubjectId
from protocol.did import Did
from runtime.clock import iso
from runtime.journal import Journal, JournalError
from runtime.outbox import Written
from runtime.problem import Problem
from verifier.drain import Hold
from verifier.quarantine import Cause
from verifier.reading import Reading
from verifier.recorder import Entry, Recorder
from verifier.rule import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who reads on the controller's behalf. `since`: when the account was made; "" for the organisation itself."""

    did: Did
    role: str
    account: str
    since: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request's context: who, what for, to whom, how, where, when it came."""

    reader: Reader
    purpose: Purpose
    recipient: Did
    processing: Processing
    jurisdiction: Jurisdiction
    at: datetime


class Verdict(NamedTuple):
    """What one subject's allowance says to a visit. Every catalogue field is in exactly one of the two.

    A tuple, not a dataclass: each row that is read has one.
    """

    subject: SubjectId
    released: frozenset[Field]
    reasons: Mapping[Field, Reason]
    version: int
    grounds: Mapping[GroundId, frozenset[Field]]
    until: str | None = None
    """When time alone changes it (ISO, UTC, milliseconds)."""


class Stored(NamedTuple):
    """An allowance as it lies in a row, before anything of it is believed. Where there is none, `mac` is None."""

    mask: bytes
    reasons: bytes
    grounds: str
    next_change_at: str | None
    version: int
    catalogue: str
    mac: bytes | None
    quarantined: bool


_STORED = len(Stored._fields)


class StandingMoved(Problem):
    """A subject's standing is below what the journal knows: it is being changed this moment, or was rolled back."""

    def __init__(self, subject: SubjectId) -> None:
        self.subject = subject
        super().__init__(
            503,
            "standing_moving",
            "A customer's consent is being changed this moment. Try again.",
            headers={"Retry-After": "1"},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What a passage judges with: lent by the gate, of the version of the catalogue that is in effect.

    `part` is the digest of what that says of the visit's purpose; `mac` makes the MACs of rows compiled under a part.
    `settling`: are customers still being compiled under the version in effect? `suspect` puts somebody under quarantine
    unless the row passes now that nobody is changing it; whether it did.
    """

    reading: Reading
    part: str
    mac: Callable[[str], Callable[..., bytes]]
    settling: Callable[[], bool]
    journal: Journal
    recorder: Recorder
    suspect: Callable[[Visit, SubjectId, Cause, Callable[[Stored], bool]], bool]
    at_home: bool
    to_us: bool
    send_deadline: float


class Passage:
    """The gate held open for one read: shared lock, judging, recording. One thread at a time."""

    __slots__ = (
        "_bench", "_handed_over", "_hold", "_journal", "_mac", "_now", "_part", "_recorded", "_waited_for", "visit",
    )  # fmt: skip

    def __init__(self, visit: Visit, bench: Bench, hold: Hold, at: datetime, waited_for: Collection[SubjectId]) -> None:
        """`at`: when it began, the instant that it judges by; `waited_for`: below the floor for too long already."""
        self.visit = visit
        self._bench, self._hold, self._now, self._waited_for = bench, hold, iso(at), waited_for
        self._part, self._journal, self._mac = bench.part, bench.journal, bench.mac(bench.part)
        self._handed_over = self._recorded = False

    @property
    def send_deadline(self) -> float:
        """Seconds that sending may take before the connection is cut."""
        return self._bench.send_deadline

    def judge(self, row: Row[Any], *, subject: SubjectId | None = None) -> Verdict:
        """The verdict on a row that ends with `gate.columns()`; `subject` defaults to `row.subject`.

        Raises:
            StandingMoved: in a passage of its own (`gate.passage`); `gate.read` catches it and tries again.
        """
        return self.judge_stored(row.subject if subject is None else subject, Stored._make(row[-_STORED:]))

    def judge_stored(self, who: SubjectId, stored: Stored) -> Verdict:
        """The same for the gate's columns alone. Raises the same."""
        if self._good(who, stored):
            return self._read(who, stored)
        if stored.quarantined:
            return self._nothing(who, Reason.NO_GROUND)
        flaw = self._flaw(who, stored)
        if flaw == "missing" and not (self._bench.to_us and self._bench.at_home):
            return self._nothing(who, Reason.JURISDICTION if self._bench.to_us else Reason.RECIPIENT)
        if flaw == "outdated" or (flaw == "missing" and self._bench.settling()):
            # Another version of the catalogue says other things of this purpose: nothing until it has been compiled.
            return self._nothing(who, Reason.NO_GROUND)
        if flaw is not None:
            if not self._bench.suspect(self.visit, who, flaw, lambda now: self._in_order(who, now)):
                raise StandingMoved(who)  # a change was under way, and has committed by now
            return self._nothing(who, Reason.NO_GROUND)
        return self._read(who, stored)

    def record(self, entries: Sequence[tuple[Verdict, frozenset[Field]]], *, query: Mapping[str, Any]) -> str:
        """Make the release durable; (verdict, fields asked for) per subject. Returns the event's id.

        `query` names fields and operators, never an operand.

        Raises:
            Problem: 503 `not_recorded`. Return nothing then.
        """
        visit = self.visit
        header = {
            "reader": visit.reader.did,
            "role": visit.reader.role,
            "purpose": visit.purpose,
            "recipient": visit.recipient,
            "processing": visit.processing,
            "jurisdiction": visit.jurisdiction,
            "query": dict(query),
        }
        telling = Telling()
        records: list[Entry] = [(verdict.subject, telling.of(verdict, asked)) for verdict, asked in entries]
        # A page without rows is a read too: its record names nobody.
        records = records or [(None, {"released": []})]
        event_id = self._bench.recorder.record(event.RELEASE, header=header, records=records)
        self.unlost()
        self._recorded = True
        return event_id

    def written(self, header: str, records: str, count: int) -> Written:
        """The record of a release within the house, as JCS text, for `record_together`. RuntimeError: it is none."""
        if not (self._bench.to_us and self._bench.at_home):
            raise RuntimeError("what leaves the house is disclosed, and goes the long way")
        return Written(type=event.RELEASE, at=self._bench.recorder.now(), header=header, records=records, count=count)

    def hand_over(self) -> None:
        """The response now owns the passage: leaving the `with` no longer releases it. RuntimeError when unrecorded."""
        if not self._recorded:
            raise RuntimeError("a read may only be answered once it is on record")
        self._handed_over = True

    def unlost(self) -> None:
        """Problem 503 `database_unavailable` when no withdrawer waits for this read any more: send nothing then."""
        if not self._hold.held():
            raise Problem(
                503, "database_unavailable", "The database was lost during this read.", headers={"Retry-After": "2"}
            )

    @property
    def handed_over(self) -> bool:
        """Does a response own it?"""
        return self._handed_over

    def release(self) -> None:
        """Let go of the lock; harmless when repeated."""
        self._hold.release()

    def _good(self, who: SubjectId, stored: Stored) -> bool:
        """Is this row what we wrote last, under what is in effect? Whatever is not is looked at more closely."""
        mask, reasons, grounds, change, version, part, mac, quarantined = stored
        if quarantined or mac is None or part != self._part or type(version) is not int:
            return False
        journal = self._journal
        if version < journal.floor(who):
            return False
        try:
            expected = self._mac(who, mask, reasons, grounds, change, version, journal.mark(who))
            return hmac.compare_digest(expected, mac)
        except (TypeError, ValueError, AttributeError):  # values of types that we never write
            return False

    def _flaw(self, subject: SubjectId, stored: Stored) -> Cause | Literal["outdated"] | None:
        """What shows that this row is not what we wrote last; every subject has its rows from its first moment."""
        if stored.mac is None:
            return "missing"
        other = stored.catalogue != self._bench.part
        if self._below(subject, stored):
            return "below_floor"
        if not self._authentic(subject, stored):
            # Perhaps it is of a narrowing that committed after this passage began: the journal knows of it by now.
            self._refresh()
            if self._below(subject, stored):
                return "below_floor"
            if not self._authentic(subject, stored):
                return "catalogue" if other else "bad_mac"
        return "outdated" if other else None

    def _in_order(self, subject: SubjectId, stored: Stored) -> bool:
        """Is this what we wrote last, whatever version of the catalogue it was compiled under?"""
        self._refresh()
        there = stored.mac is not None and type(stored.version) is int
        return there and stored.version >= self._journal.floor(subject) and self._authentic(subject, stored)

    def _below(self, subject: SubjectId, stored: Stored) -> bool:
        """Is the row older than the subject's last narrowing? Raises StandingMoved unless we have waited for it."""
        if type(stored.version) is not int or stored.version >= self._bench.journal.floor(subject):
            return False
        if subject not in self._waited_for:
            raise StandingMoved(subject)
        return True

    def _refresh(self) -> None:
        try:
            self._bench.journal.refresh()
        except JournalError as error:
            raise Problem(503, error.code, "What this rests on cannot be believed now, so nothing is shown.") from error

    def _authentic(self, subject: SubjectId, stored: Stored) -> bool:
        try:
            mac = self._mac if stored.catalogue == self._bench.part else self._bench.mac(stored.catalogue)
            expected = mac(subject, *stored[:5], self._bench.journal.mark(subject))
            return type(stored.version) is int and hmac.compare_digest(expected, stored.mac or b"")
        except (TypeError, ValueError, AttributeError):  # values of types that we never write
            return False

    def _read(self, subject: SubjectId, stored: Stored) -> Verdict:
        if self.visit.processing != USE:
            return self._nothing(subject, Reason.PURPOSE, stored.version)
        reading, journal = self._bench.reading, self._journal
        released, reasons = reading.mask(stored.mask, stored.reasons)
        grounds = reading.grounds(stored.grounds)
        if stored.next_change_at is not None and stored.next_change_at <= self._now:
            # Time has changed the answer and nobody has compiled it yet: deny what was released until then.
            reasons = {**reasons, **dict.fromkeys(released, Reason.EXPIRED)}
            released, grounds = frozenset(), {}
        elif ended := [ground for ground in grounds if journal.ended(ground)]:
            # A ground for many is in the journal before each of them is compiled: it releases nothing from then on.
            lost = frozenset[Field]().union(*(grounds[ground] for ground in ended))
            reasons = {**reasons, **dict.fromkeys(lost, Reason.WITHDRAWN)}
            released, grounds = released - lost, {key: grounds[key] for key in grounds if key not in ended}
        return Verdict(subject, released, reasons, stored.version, grounds, stored.next_change_at)

    def _nothing(self, subject: SubjectId, why: Reason, version: int = 0) -> Verdict:
        reasons = dict.fromkeys(self._bench.reading.fields, why)
        return Verdict(subject=subject, released=frozenset(), reasons=reasons, version=version, grounds={})


def record_together(told: Sequence[tuple[Passage, Written]]) -> Sequence[str]:
    """Make the releases of several passages durable in one commit; their events' ids.

    Raises:
        Problem: 503 `not_recorded`. Then none of them may be answered.
    """
    if not told:
        return []
    ids = told[0][0]._bench.recorder.record_all([written for _, written in told])
    for passage, _ in told:
        passage.unlost()
        passage._recorded = True
    return ids


def told(verdict: Verdict, asked: frozenset[Field]) -> dict[str, Any]:
    """What is on record of one subject's part in a read: names of fields, never a value."""
    return Telling().of(verdict, asked)


class Telling:
    """The same for many subjects: what they have in common, mostly all but the ground's name, is sorted once."""

    __slots__ = ("_fields", "_reasons")

    def __init__(self) -> None:
        self._fields: dict[tuple[frozenset[Field], frozenset[Field]], list[Field]] = {}
        self._reasons: dict[tuple[int, frozenset[Field]], tuple[Mapping[Field, Reason], dict[Field, str]]] = {}

    def of(self, verdict: Verdict, asked: frozenset[Field]) -> dict[str, Any]:
        """What is on record of one of them."""
        return {
            "released": self._both(asked, verdict.released),
            "withheld": self._withheld(verdict, asked),
            "version": verdict.version,
            "grounds": {
                ground: used
                for ground, fields in sorted(verdict.grounds.items())
                if (used := self._both(asked, fields))
            },
        }

    def _both(self, asked: frozenset[Field], fields: frozenset[Field]) -> list[Field]:
        known = self._fields.get((asked, fields))
        if known is None:
            known = self._fields[asked, fields] = sorted(asked & fields)
        return known

    def _withheld(self, verdict: Verdict, asked: frozenset[Field]) -> dict[Field, str]:
        key = (id(verdict.reasons), asked)  # the reasons are kept beside, so that nothing else gets their identity
        known = self._reasons.get(key)
        if known is None:
            why = verdict.reasons
            known = why, {field: why[field].value for field in sorted(asked - verdict.released)}
            self._reasons[key] = known
        return known[1]
