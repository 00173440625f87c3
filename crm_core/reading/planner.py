"""The one way to read records: gate first, then open only what it released, then filter, search and sort in memory.

First only the fields that decide are opened, in one go per row; what is selected, only for the customers on the page.
A withheld value is never decrypted (`snapshot`): to a query it is an absent one. A released value that does not open
(its cell was moved or changed) is absent too, and is named `unreadable`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, TypeVar

from crm_core.reading import cursor, snapshot
from crm_core.reading.cursor import Place
from crm_core.reading.folding import SortKey, sort_key
from crm_core.reading.query import Query, Values, Where
from crm_core.reading.search import Rank
from crm_core.reading.snapshot import BATCH, Seen, Snapshot
from crm_core.seal import Value
from protocol.consent import Field, SubjectId
from runtime.platform import Platform
from runtime.problem import Problem
from verifier.gate import Gate, Passage, Visit

T = TypeVar("T")
NOBODY = SubjectId("")  # in front of everybody


class Item(NamedTuple):
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
class Found:
    """A customer who meets the conditions, with the values that decided."""

    seen: Seen
    values: Values
    rank: Rank


@dataclass(slots=True)
class Scan:
    """Goes through the customers and keeps count: `seen` those it met, `examined` whose granted values it looked at.

    `last` is the customer it met last.
    """

    read: Snapshot
    seen: int = 0
    examined: int = 0
    last: SubjectId = NOBODY

    def found(
        self, where: Where, fields: Sequence[Field], after: str = "", step: int = BATCH, *, most: int | None = None
    ) -> Iterator[Found]:
        """Those who meet the conditions, in the order of their references; it meets at most `most`.

        `fields` are opened, and must hold the deciding ones.
        """
        accepts = where.accepts()
        for seen in islice(self.read.every(after, step), most):
            self.seen += 1
            self.last = seen.subject
            values = self.read.look(seen, fields) if fields else {}
            self.examined += bool(fields)
            rank = accepts(values)
            if rank is not None:
                yield Found(seen, values, rank)


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
        with self.reading(visit, lambda read: _page(read, query, place, secret)) as answered:
            yield answered

    @contextmanager
    def one(self, visit: Visit, subject: SubjectId, fields: tuple[Field, ...]) -> Iterator[tuple[Passage, Page]]:
        """The same for one customer: a page of one item. Raises Problem 404 `unknown_subject`."""
        query = Query(select=fields, limit=1)
        with self.reading(visit, lambda read: _point(read, subject, query)) as answered:
            yield answered

    @contextmanager
    def reading(self, visit: Visit, work: Callable[[Snapshot], T]) -> Iterator[tuple[Passage, T]]:
        """Run `work`, which must put its release on record, over one snapshot in one passage, and keep the passage.

        Raises what the gate and `work` raise.
        """

        def over(passage: Passage) -> T:
            return snapshot.over(self.platform, passage, visit, work)

        with self.gate.read(visit, over) as (passage, result):
            yield passage, result


def answer(
    read: Snapshot, query: Query, rows: Sequence[Seen], *, following: str | None = None, examined: int = 0
) -> Page:
    """Open what is selected, put the release on record, and only then let the page go."""
    items = [item_of(read, query.select, seen) for seen in rows]
    entries = [
        (seen.verdict, query.asked - set(item.unreadable)) for seen, item in zip(rows, items, strict=True)
    ]  # a value that nobody could read was not released
    told = query.told() | ({"examined": examined} if examined else {})
    release = read.passage.record(entries, query=told)
    return Page(items=tuple(items), next=following, release=release)


def item_of(read: Snapshot, fields: Sequence[Field], seen: Seen) -> Item:
    """What one row answers to a selection."""
    values, unreadable = read.open(seen, fields)
    released, reasons = seen.verdict.released, seen.verdict.reasons
    return Item(
        subject=seen.subject,
        fields={field: values.get(field) for field in fields if field in released and field not in unreadable},
        withheld={field: reasons[field].value for field in fields if field not in released},
        unreadable=unreadable,
    )


def _point(read: Snapshot, subject: SubjectId, query: Query) -> Page:
    seen = read.these([subject])
    if not seen:
        raise Problem(404, "unknown_subject", "there is no such customer", field="subject")
    return answer(read, query, list(seen.values()))


def _page(read: Snapshot, query: Query, place: Place | None, secret: bytes) -> Page:
    scan = Scan(read)
    if query.sort or query.where.search:
        rows, state, more = _ordered_rows(scan, query, place)
    else:
        (rows, more), state = _keyset_rows(scan, query, place), 0
    following = None
    if more and rows:
        passed = (place.passed if place else 0) + len(rows)
        following = cursor.seal(secret, Place(rows[-1].subject, state, passed), read.visit, query)
    return answer(read, query, rows, following=following, examined=scan.examined)


def _keyset_rows(scan: Scan, query: Query, place: Place | None) -> tuple[list[Seen], bool]:
    """The next rows in the order of their references; without a condition no more is read than the page holds."""
    rows: list[Seen] = []
    step = BATCH if query.deciding else query.limit + 1
    for found in scan.found(query.where, query.deciding, place.subject if place else "", step):
        rows.append(found.seen)
        if len(rows) > query.limit:
            break
    return rows[: query.limit], len(rows) > query.limit


@dataclass(frozen=True, slots=True)
class _Placed:
    """One customer's place in an order: the key of each field sorted by, None where they have none of it."""

    keys: tuple[SortKey | None, ...]
    rank: Rank
    subject: SubjectId

    @property
    def state(self) -> int:
        """In which class they stand (see cursor.Place)."""
        return sum((key is not None) << at for at, key in enumerate(self.keys)) if self.keys else int(self.rank)


def _ordered_rows(scan: Scan, query: Query, place: Place | None) -> tuple[list[Seen], int, bool]:
    """Order all matching customers and read the rows of the page again; the state of the last; whether more follow."""
    ordered = _ordered(scan, query)
    start = _start(ordered, place) if place else 0
    wanted = ordered[start : start + query.limit]
    rows = scan.read.these([each.subject for each in wanted])
    state = wanted[-1].state if wanted else 0
    return [rows[each.subject] for each in wanted if each.subject in rows], state, start + query.limit < len(ordered)


def _ordered(scan: Scan, query: Query) -> list[_Placed]:
    """By the fields sorted by, those without one last; without such fields by rank. Equal ones by their references."""
    fields = tuple(sort.field for sort in query.sort)
    ordered = [
        _Placed(tuple(_key(found.values.get(field)) for field in fields), found.rank, found.seen.subject)
        for found in scan.found(query.where, query.deciding)
    ]
    if not fields:
        ordered.sort(key=lambda each: each.rank)
    # Rows come in the order of their references and each sort is stable: equal keys stay so, falling or rising.
    for at, sort in reversed(list(enumerate(query.sort))):
        present = [each for each in ordered if each.keys[at] is not None]
        absent = [each for each in ordered if each.keys[at] is None]
        present.sort(key=lambda each, at=at: each.keys[at], reverse=sort.descending)  # type: ignore[misc]
        ordered = present + absent
    return ordered


def _key(value: Value | None) -> SortKey | None:
    return None if value is None else sort_key(value)


def _start(ordered: Sequence[_Placed], place: Place) -> int:
    """Where to go on: behind the last customer shown, wherever a corrected value has put them.

    When they changed their class meanwhile (a consent, a withdrawal), behind as many as were shown; one less when they
    left their place for a later one, or for good: then everybody behind them has moved up.
    """
    at = next((index for index, each in enumerate(ordered) if each.subject == place.subject), None)
    if at is None:
        return place.passed - 1
    if ordered[at].state == place.state:
        return at + 1
    return place.passed if at < place.passed else place.passed - 1
