"""The gate: the one door through which values leave. See DESIGN.md, "The gate, and why it is fast".

A reader of records builds one statement around the gate's columns, once, and lets the gate judge each row:

    statement = select(record.c.subject, record.c.cells, *gate.COLUMNS).select_from(
        record.outerjoin(allowance, gate.beside(record.c.subject)))

    visit = the_gate.visit(reader, "marketing")                 # 403 role, 404 unknown_purpose: recorded

    def work(passage: Passage) -> Page:
        with database.read() as session:                        # the snapshot is taken inside the passage
            rows = session.connection().execute(statement, gate.place(visit)).all()
            verdicts = [passage.judge(row) for row in rows]     # needs row.subject, or judge(row, subject=…)
        ...
        release = passage.record([(verdict, asked), …], query={...})   # durable before a value leaves
        return ...

    with the_gate.read(visit, work) as (passage, page):
        return GatedResponse(orjson.dumps(page), passage)       # takes the passage over, lets go after the last byte

Without GatedResponse the passage ends with the `with`.
"""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Boolean, ColumnElement, SQLColumnExpression, String, and_, bindparam, literal_column, select
from sqlmodel import SQLModel

from issuer import publication
from issuer.catalogue import Catalogue, PurposeEntry
from issuer.credentials import version
from issuer.transfers import Home
from protocol import event
from protocol.consent import USE, Field, Jurisdiction, Processing, Purpose, SubjectId
from protocol.did import Did
from protocol.errors import EvidenceError
from runtime.clock import ClockError
from runtime.journal import JournalError
from runtime.platform import Platform
from runtime.problem import Problem
from verifier import admission, quarantine, turnstiles
from verifier.admission import Bar
from verifier.allowance import Allowance
from verifier.door import Admitted, Door
from verifier.drain import Turnstile
from verifier.passage import Bench, Passage, Reader, StandingMoved, Stored, Verdict, Visit
from verifier.quarantine import Cause
from verifier.reading import Reading
from verifier.recorder import Recorder
from verifier.rule import Reason
from verifier.seal import Key, Seal
from verifier.sharing import Common

__all__ = [
    "COLUMNS", "Allowance", "Field", "Gate", "Passage", "Reader", "Reason", "StandingMoved", "Verdict", "Visit",
    "beside", "place",
]  # fmt: skip

T = TypeVar("T")
PATIENCE = 2.0  # seconds that a standing below the journal's floor may be a change in progress
LONGEST = 10.0  # seconds after which a read that keeps meeting such changes gives up
_PAUSE = 0.02

_ALLOWANCE = SQLModel.metadata.tables[str(Allowance.__tablename__)]
_QUARANTINED: ColumnElement[bool] = literal_column(
    "EXISTS (SELECT 1 FROM quarantine WHERE quarantine.subject = allowance.subject)", Boolean
)
_STORED = ("mask", "reasons", "grounds", "next_change_at", "version", "catalogue", "mac")
COLUMNS: tuple[ColumnElement[Any], ...] = (
    *(_ALLOWANCE.c[name].label(f"gate_{name}") for name in _STORED),
    _QUARANTINED.label("gate_quarantined"),
)
"""What `judge` needs, in the order of `passage.Stored`; the last columns of a statement."""


def beside(subject_column: SQLColumnExpression[Any]) -> ColumnElement[bool]:
    """ON clause for an outer join of the table `allowance`: all four key columns bound, to what `place` says.

    For a statement that is built once: to build it anew for each read costs many times what it costs the database.
    """
    return and_(
        _ALLOWANCE.c.subject == subject_column,
        _ALLOWANCE.c.purpose == bindparam("gate_purpose"),
        _ALLOWANCE.c.recipient == bindparam("gate_recipient"),
        _ALLOWANCE.c.jurisdiction == bindparam("gate_jurisdiction"),
    )


def place(visit: Visit) -> dict[str, str]:
    """The parameters of `beside` for a visit."""
    return {
        "gate_purpose": visit.purpose,
        "gate_recipient": visit.recipient,
        "gate_jurisdiction": visit.jurisdiction,
    }


_ROW = select(*COLUMNS).where(beside(bindparam("gate_subject", type_=String)))


class Gate:
    """The one door. One per process and platform; safe for threads."""

    def __init__(self, platform: Platform, catalogue: Catalogue, turnstile: Turnstile, recorder: Recorder) -> None:
        self._platform, self._catalogue = platform, catalogue
        self._turnstile, self._recorder = turnstile, recorder
        self._reading: Reading | None = None
        self._seal = Seal(platform.keyring.secret("allowance-mac"))
        self._home = Jurisdiction(platform.settings.home_jurisdiction)
        self._us = Home(platform.controller, self._home)

    @classmethod
    def open(cls, platform: Platform, catalogue: Catalogue) -> "Gate":
        """The gate of a platform, at the turnstile that all its processes share (`gate.turnstile.drain`)."""
        return cls(platform, catalogue, turnstiles.of(platform), Recorder(platform))

    @property
    def turnstile(self) -> Turnstile:
        """Where readers pass and withdrawers wait."""
        return self._turnstile

    def visit(
        self,
        reader: Reader,
        purpose_key: str,
        *,
        recipient: Did | None = None,
        jurisdiction: Jurisdiction | None = None,
        processing: Processing = USE,
        about: SubjectId | None = None,
    ) -> Visit:
        """Open a request's context; recipient and jurisdiction default to the controller, at home.

        `about` is the customer whose record is to be read, where it is one: a refusal then enters their history.

        Raises:
            Problem: 404 `unknown_purpose`, 403 `role`, `transfer_not_allowed`, all recorded; 503 `clock_implausible`,
                `not_recorded`, `catalogue_missing`.
        """
        edition = self._catalogue.current()
        try:
            purpose = edition.purpose(purpose_key)
        except EvidenceError as error:
            self.attempt(reader, error.code)
            raise Problem(404, error.code, "The catalogue has no such purpose.", field="purpose") from None
        try:
            at = self._platform.clock.now()
        except ClockError as error:
            raise Problem(503, error.code, "The clock cannot be believed, so nothing is shown.") from None
        visit = Visit(
            reader=reader,
            purpose=Purpose(purpose.iri),
            recipient=recipient or self._platform.controller,
            processing=processing,
            jurisdiction=jurisdiction or self._home,
            at=at,
        )
        bar = admission.bar(edition, visit, self._us, at)
        if bar is not None:
            raise self._refused(visit, bar, self._known(about))
        return visit

    @contextmanager
    def passage(self, visit: Visit) -> Iterator[Passage]:
        """Hold the gate open. `judge` raises StandingMoved (503) while a change is under way: prefer `read`."""
        passage = self._enter(visit, ())
        try:
            yield passage
        finally:
            if not passage.handed_over:
                passage.release()

    @contextmanager
    def read(self, visit: Visit, work: Callable[[Passage], T]) -> Iterator[tuple[Passage, T]]:
        """Run `work` in a passage; run it anew, in a new passage, while a standing that it met is being changed.

        The journal knows of a narrowing an instant before the database does. The lock is let go between the tries, so
        that whoever is changing the standing can drain; only what stays below the floor is a rollback.

        Raises:
            Problem: 503 `clock_implausible`, a JournalError's code, `not_recorded`; and what `work` raises.
        """
        passage, result = self._try(visit, work)
        try:
            yield passage, result
        finally:
            if not passage.handed_over:
                passage.release()

    @contextmanager
    def door(self) -> Iterator[Door]:
        """Hold the gate open for reads that came at the same time; their passages go on after the `with`.

        Raises:
            Problem: 503 `clock_implausible`, a JournalError's code, `catalogue_missing`.
        """
        common = Common(self._turnstile.passage())
        ours = common.share()
        try:
            edition, at = self._now()
            yield Door(self._admitted, common, edition, at)
        finally:
            ours.release()

    def attempt(self, reader: Reader, code: str, *, purpose: Purpose | None = None) -> None:
        """Record an attempt that was refused before any decision (an unknown field, a bad cursor).

        Raises:
            Problem: 503 `not_recorded`.
        """
        header = {"reader": reader.did, "role": reader.role, **({"purpose": purpose} if purpose else {})}
        self._recorder.record(event.ATTEMPT_REFUSED, header=header, records=[(None, {"code": code})])

    def _known(self, about: SubjectId | None) -> SubjectId | None:
        """The customer, if it is one: what staff typed in that place may be anything, even an address."""
        if about is None:
            return None
        with self._platform.database.read() as session:
            return about if version(session, about) else None

    def _try(self, visit: Visit, work: Callable[[Passage], T]) -> tuple[Passage, T]:
        begun = time.monotonic()
        met: dict[SubjectId, float] = {}
        while True:
            now = time.monotonic()
            passage = self._enter(visit, {subject for subject, since in met.items() if now - since >= PATIENCE})
            try:
                return passage, work(passage)
            except StandingMoved as moved:
                passage.release()
                met.setdefault(moved.subject, time.monotonic())  # to wait at the turnstile was no patience
                if now - begun > LONGEST:
                    raise
                time.sleep(_PAUSE)
            except BaseException:
                passage.release()
                raise

    def _refused(self, visit: Visit, bar: Bar, about: SubjectId | None) -> Problem:
        """The refusal, once it is on record."""
        header = {
            "reader": visit.reader.did, "role": visit.reader.role, "purpose": visit.purpose, "code": bar.code,
            **bar.named,
        }  # fmt: skip
        self._recorder.record(event.REFUSAL, header=header, records=[(about, {"code": bar.code})])
        return Problem(bar.status, bar.code, bar.detail, field=bar.field)

    def _enter(self, visit: Visit, waited_for: Collection[SubjectId]) -> Passage:
        hold = self._turnstile.passage()
        try:
            edition, at = self._now()
            self._refuse_ended(visit.reader)
            bar = admission.bar(edition, visit, self._us, at)
            if bar is None:
                return Passage(visit, self._bench(edition, visit), hold, at, waited_for)
        except BaseException:
            hold.release()
            raise
        hold.release()  # what the visit rested on ended since it was opened
        raise self._refused(visit, bar, None)

    def _refuse_ended(self, reader: Reader) -> None:
        """Problem 401 `not_signed_in`: the account ended since its sign-in was looked at. Whoever ended it waits.

        Not asked of the reads of a door: their sign-in is looked at inside.
        """
        if self._platform.journal.staff_ended(reader.account, reader.since):
            raise Problem(401, "not_signed_in", "sign in first", headers={"www-authenticate": "Bearer"})

    def _now(self) -> tuple[Catalogue, datetime]:
        # Inside the lock: what is ended from here on waits for us; what ended before is in the journal by now.
        try:
            self._platform.journal.refresh()
            return self._catalogue.current(), self._platform.clock.now()
        except (ClockError, JournalError) as error:
            raise Problem(503, error.code, "What this rests on cannot be believed now, so nothing is shown.") from error

    def _admitted(self, edition: Catalogue, at: datetime, reader: Reader, purpose: PurposeEntry) -> Admitted | None:
        visit = Visit(
            reader=reader,
            purpose=Purpose(purpose.iri),
            recipient=self._platform.controller,
            processing=USE,
            jurisdiction=self._home,
            at=at,
        )
        return None if admission.bar(edition, visit, self._us, at) else (visit, self._bench(edition, visit))

    def _bench(self, edition: Catalogue, visit: Visit) -> Bench:
        reading = self._reading
        if reading is None or reading.version != edition.digest:
            self._reading = reading = Reading(edition)
        return Bench(
            reading=reading,
            part=reading.parts[visit.purpose],
            mac=lambda part: self._seal.under(Key(visit.purpose, visit.recipient, visit.jurisdiction, part)),
            settling=self._settling,
            journal=self._platform.journal,
            recorder=self._recorder,
            suspect=self._suspect,
            at_home=visit.jurisdiction == self._home,
            to_us=visit.recipient == self._platform.controller,
            send_deadline=self._platform.settings.send_deadline,
        )

    def _settling(self) -> bool:
        with self._platform.database.read() as session:
            return bool(publication.unfinished(session))

    def _suspect(self, visit: Visit, subject: SubjectId, cause: Cause, in_order: Callable[[Stored], bool]) -> bool:
        # To get the lock may take longer than the change that was met: whoever is in order by now is not put anywhere.
        with self._platform.database.write() as session:
            row = session.connection().execute(_ROW, {"gate_subject": subject, **place(visit)}).first()
            if row is not None and in_order(Stored._make(row)):
                return False
            quarantine.put(session, subject, cause, self._platform.clock.now())
            return True
