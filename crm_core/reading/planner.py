"""The one way to read records: gate first, then open only what it released, then filter, search and sort in memory.

First only the fields that decide are opened, in one go per row; what is selected, only for the customers on the page.
A withheld value is never decrypted (`snapshot`): to a query it is an absent one. A released value that does not open
(its cell was moved or changed) is absent too, and is named `unreadable`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import NamedTuple, TypeVar

from crm_core.reading import cursor, snapshot
from crm_core.reading.cursor import Place
from crm_core.reading.gathering import ChangedError, Gathered, Placed
from crm_core.reading.query import Query
from crm_core.reading.scan import NOBODY
from crm_core.reading.snapshot import Seen, Snapshot
from crm_core.seal import Value
from protocol.consent import Field, SubjectId
from runtime.platform import Platform
from runtime.problem import Problem
from verifier.gate import Gate, Passage, Visit

T = TypeVar("T")
_TRIES = 3  # with short passages; then everybody is looked at in one


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
        if not query.deciding:
            with self.reading(visit, lambda read: _plain(read, query, place, secret)) as answered:
                yield answered
            return
        after = place.subject if place and query.keyset else NOBODY
        for gathered in self._gathered(visit, query, after):
            with ExitStack() as stack:
                made = partial(_decided, query=query, place=place, secret=secret, after=after, gathered=gathered)
                try:
                    answered = stack.enter_context(self.reading(visit, made))
                except ChangedError:
                    continue
                yield answered
                return

    def _gathered(self, visit: Visit, query: Query, after: SubjectId) -> Iterator[Gathered | None]:
        """Those who meet a query, as often as it has to be found out anew; at last None: in the answer's passage."""
        for _ in range(_TRIES):
            gathered = Gathered.begun(self.platform, after, query.limit + 1 if query.keyset else 0)
            while not gathered.enough:
                with self.reading(visit, partial(gathered.more, query=query)):
                    pass  # no passage is held from one part to the next
            yield gathered
        yield None

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


def _plain(read: Snapshot, query: Query, place: Place | None, secret: bytes) -> Page:
    """The next rows in the order of their references: no more is read than the page holds."""
    after = place.subject if place else NOBODY
    rows = list(islice(read.every(after, query.limit + 1), query.limit + 1))
    return _answered(read, query, place, secret, _Rows(rows[: query.limit], 0, len(rows) > query.limit))


class _Rows(NamedTuple):
    """The rows of a page, in which class the last one stands (see cursor.Place), and whether more follow."""

    rows: Sequence[Seen]
    state: int
    more: bool


def _decided(  # noqa: PLR0917 - all that makes a page
    read: Snapshot, query: Query, place: Place | None, secret: bytes, after: SubjectId, gathered: Gathered | None
) -> Page:
    """The page out of those who meet the query now: what changed since they were gathered is looked at anew."""
    if gathered is None:
        gathered = Gathered.at_once(read, query, after)
        ordered = _in_order(gathered.placed.values(), query)
    else:
        ordered = _in_order(gathered.now(read, query), query)
    start = _start(ordered, place) if place and not query.keyset else 0
    wanted = ordered[start : start + query.limit]
    rows = read.these([each.subject for each in wanted]) if wanted else {}
    state = wanted[-1].state if wanted and not query.keyset else 0
    more = start + query.limit < len(ordered)
    chosen = _Rows([rows[each.subject] for each in wanted if each.subject in rows], state, more)
    return _answered(read, query, place, secret, chosen, examined=gathered.examined)


def _answered(
    read: Snapshot, query: Query, place: Place | None, secret: bytes, chosen: _Rows, *, examined: int = 0
) -> Page:
    following = None
    if chosen.more and chosen.rows:
        passed = (place.passed if place else 0) + len(chosen.rows)
        following = cursor.seal(secret, Place(chosen.rows[-1].subject, chosen.state, passed), read.visit, query)
    return answer(read, query, chosen.rows, following=following, examined=examined)


def _in_order(found: Iterable[Placed], query: Query) -> list[Placed]:
    """By the fields sorted by, those without one last; else by the rank of a hit. Equal ones by their references."""
    ordered = sorted(found, key=lambda each: each.subject)
    if query.where.search and not query.sort:
        ordered.sort(key=lambda each: each.rank)
    # Each sort is stable: equal keys stay in the order of their references, falling or rising.
    for at, sort in reversed(list(enumerate(query.sort))):
        present = [each for each in ordered if each.keys[at] is not None]
        absent = [each for each in ordered if each.keys[at] is None]
        present.sort(key=lambda each, at=at: each.keys[at], reverse=sort.descending)  # type: ignore[misc]
        ordered = present + absent
    return ordered


def _start(ordered: Sequence[Placed], place: Place) -> int:
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
