"""Plain reads that came at the same time, answered together: one place at the gate, one snapshot, one commit.

Each is decided by itself and has a passage of its own, which ends when its last byte is out. Whatever is not an
ordinary answer (somebody is not signed in, a consent is being changed, a value does not open) is answered by nobody
here: the route then does it all again, says what is wrong and puts that on record.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson
from sqlmodel import Session

from crm_core.reading import app, cursor, token, writing
from crm_core.reading.cursor import Place
from crm_core.reading.plain import Plan, Plans
from crm_core.reading.scan import NOBODY
from crm_core.reading.snapshot import Rows
from issuer.catalogue import Catalogue
from protocol.consent import SubjectId
from protocol.errors import EvidenceError
from runtime import staff
from runtime.keyring import KeyGone
from runtime.limits import RateLimit
from runtime.outbox import Written
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff_session import Ticket
from verifier import passage as passages
from verifier import wording
from verifier.door import Door
from verifier.gate import Gate, Passage, Reader
from verifier.response import GatedResponse
from verifier.wording import Wording


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: who holds what ticket, the query string, and of whom it asks where it is one customer."""

    ticket: Ticket
    text: bytes
    subject: SubjectId | None


Answer = GatedResponse | Problem | None
"""None: the route is to answer."""


class _Begun(NamedTuple):
    place: int
    passage: Passage
    plan: Plan
    subject: SubjectId | None


class _Made(NamedTuple):
    begun: _Begun
    items: Sequence[bytes]
    following: str | None
    version: str | None
    told: Written


@dataclass(slots=True)
class _Round:
    """What the reads of one round have in common."""

    door: Door
    session: Session
    rows: Rows
    plans: Plans
    wording: Wording = field(default_factory=Wording)
    readers: dict[Ticket, Reader | Problem | None] = field(default_factory=dict)


class Together:
    """Answers plain reads. For threads."""

    def __init__(self, platform: Platform, gate: Gate, headers: Mapping[str, str]) -> None:
        """`headers` go out with each answer."""
        self._platform, self._gate, self._headers = platform, gate, dict(headers)
        self._limit = RateLimit(platform.settings.token_rate)
        self._plans: Plans | None = None

    def answer(self, asked: Sequence[Asked]) -> list[Answer]:
        """An answer, a refusal that must not be asked again, or None for each. Problem 503: none was answered."""
        answers: list[Answer] = [None] * len(asked)
        begun: list[_Begun] = []
        try:
            with self._gate.door() as door:
                made = self._round(door, asked, answers, begun)
                try:
                    ids = passages.record_together([(each.begun.passage, each.told) for each in made])
                except Problem as refused:
                    for each in made:
                        answers[each.begun.place] = refused
                    return answers
                for each, release in zip(made, ids, strict=True):
                    answers[each.begun.place] = self._response(each, release)
        finally:
            for one in begun:
                if not one.passage.handed_over:
                    one.passage.release()
        return answers

    def _round(self, door: Door, asked: Sequence[Asked], answers: list[Answer], begun: list[_Begun]) -> list[_Made]:
        """Read for each: what it is answered with. Those that were `begun` hold a passage, whatever comes of them."""
        made: list[_Made] = []
        with self._platform.database.read() as session:
            now = _Round(door, session, Rows(self._platform, session), self._plans_of(door.edition))
            for place, one in enumerate(asked):
                found = self._begun(now, one, place)
                if isinstance(found, _Begun):
                    begun.append(found)
                else:
                    answers[place] = found
            known = _known(now, begun)
            for each in begun:
                try:
                    read = self._read(now, each, known)
                except (Problem, EvidenceError, KeyGone):  # a standing that moves among them
                    continue
                if read is not None:
                    made.append(read)
        return made

    def _plans_of(self, edition: Catalogue) -> Plans:
        plans = self._plans
        if plans is None or plans.catalogue is not edition:
            self._plans = plans = Plans(edition)
        return plans

    def _begun(self, now: _Round, asked: Asked, place: int) -> _Begun | Problem | None:
        """A passage for it; a refusal that must not be asked again; None: the route is to answer."""
        plan = now.plans.of(asked.text, one=asked.subject is not None)
        if plan is None:
            return None
        reader = self._reader(now, asked.ticket)
        if not isinstance(reader, Reader):
            return reader
        passage = now.door.passage(reader, plan.purpose)
        return None if passage is None else _Begun(place, passage, plan, asked.subject)

    def _reader(self, now: _Round, ticket: Ticket) -> Reader | Problem | None:
        if ticket not in now.readers:
            try:
                found = app.reader(staff.staff_of(now.session, self._platform, ticket, now.door.at))
            except Problem:
                found = None
            now.readers[ticket] = found
        reader = now.readers[ticket]
        if isinstance(reader, Reader):
            try:
                self._limit.hit(ticket.text)
            except Problem as refused:
                return refused
        return reader

    def _read(self, now: _Round, begun: _Begun, known: Mapping[tuple[str, SubjectId], Any]) -> _Made | None:
        passage, plan, visit = begun.passage, begun.plan, begun.passage.visit
        query = plan.query
        if begun.subject is None:
            rows = now.rows.after(visit, NOBODY, query.limit + 1)
        elif (visit.purpose, begun.subject) in known:
            rows = [known[visit.purpose, begun.subject]]
        else:
            return None
        items, told = [], []
        for row in rows[: query.limit]:
            verdict, texts = now.rows.opened(passage, row, query.select)
            items.append(writing.item(verdict, query.select, texts))
            told.append(now.wording.of(verdict, plan.asked))
        version = following = None
        if plan.whole:
            values = {name: orjson.loads(text) for name, text in zip(query.select, texts, strict=True) if text}
            version = token.of(self._platform, visit, rows[0][0], values)
        if len(rows) > query.limit:
            last = Place(rows[query.limit - 1][0], 0, query.limit)
            following = cursor.seal(self._platform.keyring.secret("cursor"), last, visit, query)
        records = f"[{','.join(told)}]" if told else wording.NOBODY
        written = passage.written(wording.header(visit, plan.told), records, max(1, len(told)))
        return _Made(begun, items, following, version, written)

    def _response(self, made: _Made, release: str) -> GatedResponse:
        passage = made.begun.passage
        end = writing.tail(passage.visit.purpose, release)
        if made.begun.subject is None:
            content = writing.page(made.items, end, made.following)
        else:
            content = writing.one(made.items[0], end, made.version)
        return GatedResponse(content, passage, headers=self._headers)


def _known(now: _Round, begun: Sequence[_Begun]) -> dict[tuple[str, SubjectId], Any]:
    """The rows of all customers who are asked for by themselves, by purpose: in one statement for each purpose."""
    wanted: dict[str, dict[SubjectId, Passage]] = {}
    for one in begun:
        if one.subject is not None:
            wanted.setdefault(one.passage.visit.purpose, {})[one.subject] = one.passage
    return {
        (purpose, subject): row
        for purpose, subjects in wanted.items()
        for subject, row in now.rows.these(next(iter(subjects.values())).visit, list(subjects)).items()
    }
