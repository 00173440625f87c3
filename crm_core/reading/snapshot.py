"""One snapshot of the records behind the gate: rows, the gate's word on each, and what may be opened of them.

The one module on the reading side that reaches sealed records. What the gate withholds is never opened, so it cannot
reach a filter, an order, a page's length or a cursor; to whoever looks, it is not there.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import ColumnElement, Dialect, Row, Select, and_, bindparam, select
from sqlalchemy.sql.compiler import SQLCompiler
from sqlmodel import Session, SQLModel

from crm_core import records
from crm_core.seal import Value
from protocol.consent import Field, SubjectId
from runtime.keyring import KeyGone
from runtime.platform import Platform
from verifier import gate
from verifier.allowance import Allowance
from verifier.gate import Passage, Verdict, Visit
from verifier.passage import Stored

T = TypeVar("T")

BATCH = 500  # rows per statement
_ALLOWANCE = SQLModel.metadata.tables[str(Allowance.__tablename__)]
_RECORD = records.TABLE
_OWN = len(records.Record._fields)  # columns of a row that are the record's
_TRIES = 3  # a bucket that is rotated meanwhile: the next snapshot has the new epoch


def _statement(*both: Callable[[ColumnElement[Any]], ColumnElement[bool]]) -> Select[Any]:
    """Records beside their allowances. Both keys are bounded: PostgreSQL else reads every allowance for a page.

    Built once: to build it for each read costs more than all the rest of the read.
    """
    beside = and_(gate.beside(_RECORD.c.subject), *(bound(_ALLOWANCE.c.subject) for bound in both))
    source = _RECORD.outerjoin(_ALLOWANCE, beside)
    return select(*_RECORD.c, *gate.COLUMNS).select_from(source).where(*(bound(_RECORD.c.subject) for bound in both))


_AFTER = _statement(lambda subject: subject > bindparam("after")).order_by(_RECORD.c.subject).limit(bindparam("step"))
_ONE = _statement(lambda subject: subject == bindparam("one"))
_THESE = _statement(lambda subject: subject.in_(bindparam("these", expanding=True)))


class Seen(NamedTuple):
    """One row behind the gate: the sealed record and what may be opened of it."""

    record: records.Record
    verdict: Verdict

    @property
    def subject(self) -> SubjectId:
        """Whose row it is."""
        return self.record.subject


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One snapshot in one passage."""

    platform: Platform
    passage: Passage
    visit: Visit
    session: Session
    last_try: bool

    def every(self, after: str, step: int = BATCH) -> Iterator[Seen]:
        """All rows after a subject in the order of their references, read `step` at a time."""
        while True:
            rows = self._rows(_AFTER, after=after, step=step)
            yield from map(self._judge, rows)
            if len(rows) < step:
                return
            after = rows[-1].subject

    def these(self, subjects: Collection[SubjectId]) -> dict[SubjectId, Seen]:
        """The rows of given subjects."""
        if len(subjects) == 1:
            rows = self._rows(_ONE, one=next(iter(subjects)))
        else:
            rows = self._rows(_THESE, these=list(subjects))
        return {seen.subject: seen for seen in map(self._judge, rows)}

    def open(self, seen: Seen, fields: Collection[Field]) -> tuple[dict[Field, Value], tuple[Field, ...]]:
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

    def look(self, seen: Seen, fields: Collection[Field]) -> dict[Field, Value]:
        """The values as a query sees them: what is withheld, not stored or unreadable is not there."""
        return self.open(seen, fields)[0]

    def _rows(self, statement: Select[Any], **given: object) -> Sequence[Row[Any]]:
        return self.session.connection().execute(statement, {**gate.place(self.visit), **given}).all()

    def _judge(self, row: Row[Any]) -> Seen:
        return Seen(records.of_row(row), self.passage.judge(row))


class Rows:
    """The rows of one snapshot for the passages of reads that came at the same time, sealed as they rest.

    Past SQLAlchemy's own handling of statements, which costs several times what the database does. A row may hold
    values of types that we never write: what judges and opens it refuses them.
    """

    def __init__(self, platform: Platform, session: Session) -> None:
        self._platform = platform
        connection = session.connection()
        self._dialect, self._cursor = connection.dialect, connection.connection.cursor()

    def after(self, visit: Visit, after: str, step: int) -> Sequence[Any]:
        """At most `step` rows after a subject in the order of their references."""
        return self._rows(_AFTER, visit, after=after, step=step)

    def these(self, visit: Visit, subjects: Sequence[SubjectId]) -> dict[SubjectId, Any]:
        """The rows of some subjects, of those of whom there is one. At least one subject."""
        size = 1 << (len(subjects) - 1).bit_length()  # few statements for all numbers of subjects
        given = {f"one{n}": subjects[min(n, len(subjects) - 1)] for n in range(size)}
        return {row[0]: row for row in self._rows(_some(size), visit, **given)}

    def opened(self, passage: Passage, row: Any, fields: tuple[Field, ...]) -> tuple[Verdict, list[bytes | None]]:
        """The verdict on a row, and the JSON text of each of those fields: None where it is withheld or not stored.

        Raises what `Passage.judge` raises, EvidenceError where a released value does not open, KeyGone.
        """
        verdict = passage.judge_stored(row[0], Stored._make(row[_OWN:]))
        released = verdict.released
        if released.issuperset(fields):
            return verdict, records.open_texts(self._platform, records.Record._make(row[:_OWN]), fields)
        texts: list[bytes | None] = [None] * len(fields)
        shown = tuple(field for field in fields if field in released)
        if shown:  # else not even how many values lie there may cost time
            found = records.open_texts(self._platform, records.Record._make(row[:_OWN]), shown)
            for field, text in zip(shown, found, strict=True):
                texts[fields.index(field)] = text
        return verdict, texts

    def _rows(self, statement: Select[Any], visit: Visit, **given: object) -> Sequence[Any]:
        text, order, always = _raw(statement, self._dialect)
        named = {**always, **gate.place(visit), **given}
        self._cursor.execute(text, named if order is None else [named[name] for name in order])
        return self._cursor.fetchall()


@lru_cache(maxsize=16)
def _some(size: int) -> Select[Any]:
    return _statement(lambda subject: subject.in_([bindparam(f"one{n}") for n in range(size)]))


@lru_cache(maxsize=64)
def _raw(statement: Select[Any], dialect: Dialect) -> tuple[str, Sequence[str] | None, Mapping[str, Any]]:
    compiled = statement.compile(dialect=dialect)
    assert isinstance(compiled, SQLCompiler)  # noqa: S101 - narrows the type for mypy
    return str(compiled), compiled.positiontup, compiled.params


def over(platform: Platform, passage: Passage, visit: Visit, work: Callable[[Snapshot], T]) -> T:
    """Run `work` over one snapshot, and over a newer one when a key that it needs was rotated away meanwhile."""
    for _ in range(_TRIES - 1):
        try:
            with platform.database.read() as session:
                return work(Snapshot(platform, passage, visit, session, last_try=False))
        except KeyGone:
            continue
    with platform.database.read() as session:
        return work(Snapshot(platform, passage, visit, session, last_try=True))
