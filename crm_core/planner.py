"""The one way to read records: gate first, then open only what it released, then filter and sort in memory.

A withheld value is never decrypted, so it cannot reach a filter, an order, a page's length or a cursor: to a query it
is an absent one. A released value that does not open (its cell was moved or changed) is absent too, and is named
`unreadable`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Row, Select, and_, select
from sqlmodel import Session, SQLModel

from crm_core import cursor, records
from crm_core.cursor import Place
from crm_core.query import Query, Sort, SortKey, sort_key
from crm_core.seal import Value
from protocol.consent import Field, SubjectId
from runtime.keyring import KeyGone
from runtime.platform import Platform
from runtime.problem import Problem
from verifier.allowance import Allowance
from verifier.gate import Gate, Passage, Verdict, Visit

T = TypeVar("T")
_Keyed = tuple[SortKey | None, SubjectId]

_ALLOWANCE = SQLModel.metadata.tables[str(Allowance.__tablename__)]
_RECORD = records.TABLE
_NO_KEY: SortKey = (0, "")
_BATCH = 500
_TRIES = 3  # a bucket that is rotated meanwhile: the next snapshot has the new epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What one customer's record answers: released values (None: nothing stored) and a reason per withheld field."""

    subject: SubjectId
    fields: Mapping[Field, Value | None]
    withheld: Mapping[Field, str]
    unreadable: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page, the id of its release on record, and the cursor of the next page or None when this is the last."""

    items: tuple[Item, ...]
    next: str | None
    release: str


@dataclass(frozen=True, slots=True)
class _Seen:
    """One row behind the gate: the sealed record and what may be opened of it."""

    record: records.Record
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Planner:
    """Plans reads over one platform's records behind its gate."""

    platform: Platform
    gate: Gate

    @contextmanager
    def page(self, visit: Visit, query: Query) -> Iterator[tuple[Passage, Page]]:
        """One page, its release on record, the passage still held: hand it to GatedResponse.

        Raises Problem 400 `bad_cursor` and what the gate raises.
        """
        secret = self.platform.keyring.secret("cursor")
        place = cursor.unseal(secret, query.cursor, visit, query) if query.cursor else None

        def work(passage: Passage) -> Page:
            return self._snapshot(passage, visit, lambda read: _page(read, query, place, secret))

        with self.gate.read(visit, work) as (passage, page):
            yield passage, page

    @contextmanager
    def one(self, visit: Visit, subject: SubjectId, fields: tuple[Field, ...]) -> Iterator[tuple[Passage, Page]]:
        """The same for one customer: a page of one item. Raises Problem 404 `unknown_subject`."""
        query = Query(select=fields, limit=1)

        def work(passage: Passage) -> Page:
            return self._snapshot(passage, visit, lambda read: _point(read, subject, query))

        with self.gate.read(visit, work) as (passage, page):
            yield passage, page

    def _snapshot(self, passage: Passage, visit: Visit, work: Callable[["_Read"], T]) -> T:
        """Run `work` over one snapshot, and over a newer one when a key that it needs was rotated away meanwhile."""
        for _ in range(_TRIES - 1):
            try:
                with self.platform.database.read() as session:
                    return work(_Read(self.platform, self.gate, passage, visit, session, last_try=False))
            except KeyGone:
                continue
        with self.platform.database.read() as session:
            return work(_Read(self.platform, self.gate, passage, visit, session, last_try=True))


@dataclass(frozen=True, slots=True)
class _Read:
    """One snapshot in one passage."""

    platform: Platform
    gate: Gate
    passage: Passage
    visit: Visit
    session: Session
    last_try: bool

    def statement(self, after: str) -> Select[Any]:
        """Records beside their allowances. Both keys are bounded: PostgreSQL else reads every allowance for a page."""
        beside = and_(self.gate.join(_RECORD.c.subject, self.visit), _ALLOWANCE.c.subject > after)
        source = _RECORD.outerjoin(_ALLOWANCE, beside)
        return select(*_RECORD.c, *self.gate.columns()).select_from(source).where(_RECORD.c.subject > after)

    def every(self, after: str, step: int) -> Iterator[_Seen]:
        """All rows after a subject, read `step` at a time."""
        while True:
            statement = self.statement(after).order_by(_RECORD.c.subject).limit(step)
            rows = self.session.connection().execute(statement).all()
            yield from map(self.judge, rows)
            if len(rows) < step:
                return
            after = rows[-1].subject

    def these(self, subjects: Collection[SubjectId]) -> dict[SubjectId, _Seen]:
        """The rows of given subjects."""
        rows = self.session.connection().execute(self.statement("").where(_RECORD.c.subject.in_(subjects))).all()
        return {seen.record.subject: seen for seen in map(self.judge, rows)}

    def judge(self, row: Row[Any]) -> _Seen:
        """The gate's word on a row."""
        return _Seen(records.of_row(row), self.passage.judge(row))

    def open(self, seen: _Seen, fields: Collection[Field]) -> tuple[dict[Field, Value], tuple[Field, ...]]:
        """The values of those fields that are released and stored; and the released ones that do not open."""
        released = [field for field in fields if field in seen.verdict.released]
        if not released:  # not even how many values lie there may cost time
            return {}, ()
        try:
            return records.open_readable(self.platform, seen.record, released)
        except KeyGone:
            if not self.last_try:
                raise
            return {}, tuple(released)  # not a rotation, then: the row names an epoch that never was, or is gone

    def value(self, seen: _Seen, field: Field) -> Value | None:
        """One value as a query sees it: None when withheld, not stored or unreadable."""
        return self.open(seen, (field,))[0].get(field)


def _point(read: _Read, subject: SubjectId, query: Query) -> Page:
    seen = read.these([subject])
    if not seen:
        raise Problem(404, "unknown_subject", "there is no such customer", field="subject")
    return _answer(read, query, list(seen.values()), None)


def _page(read: _Read, query: Query, place: Place | None, secret: bytes) -> Page:
    if query.sort:
        rows, more = _sorted_rows(read, query, query.sort, place)
    else:
        rows, more = _keyset_rows(read, query, place)
    following = None
    if more and rows:
        last = rows[-1]
        present = query.sort is not None and read.value(last, query.sort.field) is not None
        passed = (place.passed if place else 0) + len(rows)
        following = cursor.seal(secret, Place(last.record.subject, present, passed), read.visit, query)
    return _answer(read, query, rows, following)


def _keyset_rows(read: _Read, query: Query, place: Place | None) -> tuple[list[_Seen], bool]:
    """The next rows in the order of their references; without a filter no more is read than the page holds."""
    rows: list[_Seen] = []
    step = _BATCH if query.filter else query.limit + 1
    for seen in read.every(place.subject if place else "", step):
        if _matches(read, query, seen):
            rows.append(seen)
        if len(rows) > query.limit:
            break
    return rows[: query.limit], len(rows) > query.limit


def _sorted_rows(read: _Read, query: Query, sort: Sort, place: Place | None) -> tuple[list[_Seen], bool]:
    """Order all matching rows, those without the field last, and read the ones of the page again."""
    present: list[_Keyed] = []
    absent: list[_Keyed] = []
    for seen in read.every("", _BATCH):
        if _matches(read, query, seen):
            value = read.value(seen, sort.field)
            keyed = (None if value is None else sort_key(value), seen.record.subject)
            (absent if value is None else present).append(keyed)
    # Rows come in the order of their references and the sort is stable: equal keys stay so, falling or rising.
    present.sort(key=lambda keyed: keyed[0] or _NO_KEY, reverse=sort.descending)
    ordered = present + absent
    start = _start(ordered, place) if place else 0
    wanted = [subject for _, subject in ordered[start : start + query.limit]]
    rows = read.these(wanted)
    return [rows[subject] for subject in wanted if subject in rows], start + query.limit < len(ordered)


def _start(ordered: list[_Keyed], place: Place) -> int:
    """Where to go on: behind the last customer shown, wherever a corrected value has put them.

    When they gained or lost the field meanwhile (a consent, a withdrawal), behind as many as were shown; one less when
    they left their place for the end, for then everybody behind them has moved up.
    """
    for index, (key, subject) in enumerate(ordered):
        if subject == place.subject and (key is not None) == place.present:
            return index + 1
    return max(place.passed - place.present, 0)


def _matches(read: _Read, query: Query, seen: _Seen) -> bool:
    return query.filter is None or query.filter.matches(read.value(seen, query.filter.field))


def _answer(read: _Read, query: Query, rows: list[_Seen], following: str | None) -> Page:
    """Open what is selected, put the release on record, and only then let the page go."""
    items = []
    entries = []
    for seen in rows:
        values, unreadable = read.open(seen, query.select)
        shown = [field for field in query.select if field in seen.verdict.released and field not in unreadable]
        withheld = [field for field in query.select if field not in seen.verdict.released]
        items.append(
            Item(
                subject=seen.record.subject,
                fields={field: values.get(field) for field in shown},
                withheld={field: seen.verdict.reasons[field].value for field in withheld},
                unreadable=unreadable,
            )
        )
        entries.append((seen.verdict, query.asked - set(unreadable)))
    release = read.passage.record(entries, query=query.told())
    return Page(items=tuple(items), next=following, release=release)
