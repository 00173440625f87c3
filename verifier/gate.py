"""The gate: the one door through which values leave. See DESIGN.md, "The gate, and why it is fast".

A reader of records builds one statement around the gate's columns and lets the gate judge each row:

    visit = gate.visit(reader, "marketing")                     # 403 role, 404 unknown_purpose: recorded

    def work(passage: Passage) -> Page:
        with database.read() as session:                        # the snapshot is taken inside the passage
            rows = session.execute(
                select(Record.subject, Record.cells, *gate.columns())
                .outerjoin(Allowance, gate.join(Record.subject, visit)))
            verdicts = [passage.judge(row) for row in rows]     # needs row.subject, or judge(row, subject=…)
        ...
        release = passage.record([(verdict, asked), …], query={...})   # durable before a value leaves
        return ...

    with gate.read(visit, work) as (passage, page):
        return GatedResponse(orjson.dumps(page), passage)       # takes the passage over, lets go after the last byte

Without GatedResponse the passage ends with the `with`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Row

from issuer.catalogue import Catalogue
from protocol.consent import USE, Field, GroundId, Jurisdiction, Processing, Purpose, SubjectId
from protocol.did import Did
from runtime.platform import Platform
from verifier.drain import Turnstile
from verifier.recorder import Recorder
from verifier.rule import Reason

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who reads on the controller's behalf."""

    did: Did
    role: str
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request's context: who, what for, to whom, how, where, when."""

    reader: Reader
    purpose: Purpose
    recipient: Did
    processing: Processing
    jurisdiction: Jurisdiction
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one subject's allowance says to a visit. Every catalogue field is in exactly one of the two."""

    subject: SubjectId
    released: frozenset[Field]
    reasons: Mapping[Field, Reason]
    version: int
    grounds: Mapping[GroundId, frozenset[Field]]


class Passage:
    """The gate held open for one read: shared lock, judging, recording."""

    def judge(self, row: Row[Any], *, subject: SubjectId | None = None) -> Verdict:
        """Verdict on a row that holds `gate.columns()`; `subject` defaults to `row.subject`. Raises StandingMoved."""
        raise NotImplementedError

    def record(self, entries: Sequence[tuple[Verdict, frozenset[Field]]], *, query: Mapping[str, Any]) -> str:
        """Make the release durable; (verdict, fields asked for) per subject. Returns the event's id.

        `query` names fields and operators, never an operand. Problem 503 `not_recorded`: return nothing then.
        """
        raise NotImplementedError

    def hand_over(self) -> None:
        """The response now owns the passage: leaving the `with` no longer releases it."""
        raise NotImplementedError

    def release(self) -> None:
        """Let go of the lock; harmless when repeated."""
        raise NotImplementedError


class Gate:
    """The one door. One per process and platform; safe for threads."""

    def __init__(self, platform: Platform, catalogue: Catalogue, turnstile: Turnstile, recorder: Recorder) -> None:
        raise NotImplementedError

    def visit(
        self,
        reader: Reader,
        purpose_key: str,
        *,
        recipient: Did | None = None,
        jurisdiction: Jurisdiction | None = None,
        processing: Processing = USE,
    ) -> Visit:
        """Open a request's context. Problem 404 `unknown_purpose`, 403 `role`; both are recorded."""
        raise NotImplementedError

    def passage(self, visit: Visit) -> AbstractContextManager[Passage]:
        """Hold the gate open. `judge` raises StandingMoved (503) while a change is under way: prefer `read`."""
        raise NotImplementedError

    @contextmanager
    def read(self, visit: Visit, work: Callable[[Passage], T]) -> Iterator[tuple[Passage, T]]:
        """Run `work` in a passage; run it anew, in a new passage, while a standing that it met is being changed."""
        raise NotImplementedError

    def columns(self) -> tuple[ColumnElement[Any], ...]:
        """The allowance's columns that `judge` needs, labelled `gate_…`."""
        raise NotImplementedError

    def join(self, subject_column: ColumnElement[Any], visit: Visit) -> ColumnElement[bool]:
        """ON clause for an outer join of `Allowance`: all four key columns bound."""
        raise NotImplementedError

    def attempt(self, reader: Reader, code: str, *, purpose: Purpose | None = None) -> None:
        """Record an attempt that was refused before any decision (an unknown field, a bad cursor); never raises."""
        raise NotImplementedError
