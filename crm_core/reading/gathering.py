"""Who meets a query, found out in many short passages: nobody who withdraws waits until everybody was looked at.

What was seen in an early passage may not count any more when the answer goes out. So the last passage, in which the
answer is made, looks anew at everybody whose standing was narrowed meanwhile (each narrowing is in the journal before
it is acknowledged) and at everybody whose grounds time has changed, whether they had met the query or not. When what
holds for all has changed (the catalogue, a ground for everybody), the gathering does not count, and is begun again.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from crm_core.reading.folding import SortKey, sort_key
from crm_core.reading.query import Query
from crm_core.reading.scan import Found, Scan
from crm_core.reading.search import Rank
from crm_core.reading.snapshot import BATCH, Snapshot
from crm_core.seal import Value
from protocol.consent import SubjectId
from runtime.clock import iso
from runtime.platform import Platform

CHUNK = BATCH  # customers looked at in one passage
_LONGEST = timedelta(minutes=1)
_EVERYBODY = "*"  # the journal's subject for a ground that covers all


class ChangedError(Exception):
    """What holds for all has changed since the gathering began: it does not count."""


class Placed(NamedTuple):
    """One customer's place in an order: the key of each field sorted by, None where they have none of it."""

    keys: tuple[SortKey | None, ...]
    rank: Rank
    subject: SubjectId

    @property
    def state(self) -> int:
        """In which class they stand (see cursor.Place)."""
        return sum((key is not None) << at for at, key in enumerate(self.keys)) if self.keys else int(self.rank)


@dataclass(slots=True)
class Gathered:
    """Those who met a query, part by part. `most`: as many are enough, of those who come first; 0: all."""

    first: SubjectId  # behind whom it begins
    most: int
    since: int
    catalogue: tuple[int, str] | None
    until: datetime
    after: SubjectId  # behind whom it goes on
    placed: dict[SubjectId, Placed] = field(default_factory=dict)
    soon: list[tuple[str, SubjectId]] = field(default_factory=list)
    examined: int = 0
    whole: bool = False  # everybody was looked at

    @classmethod
    def begun(cls, platform: Platform, after: SubjectId, most: int) -> "Gathered":
        """Nobody yet; what we learn of the journal from here on counts as a change. Raises ClockError."""
        journal = platform.journal
        since, catalogue = journal.head()[0], journal.catalogue
        return cls(after, most, since, catalogue, platform.clock.now() + _LONGEST, after)

    @classmethod
    def at_once(cls, read: Snapshot, query: Query, after: SubjectId) -> "Gathered":
        """All of them in the passage of the answer itself."""
        made = cls.begun(read.platform, after, 0)
        while not made.enough:
            made.more(read, query)
        return made

    @property
    def enough(self) -> bool:
        """Is there no need to look further?"""
        return self.whole or 0 < self.most <= len(self.placed)

    def more(self, read: Snapshot, query: Query) -> None:
        """Look at the next customers; done again for the same ones it comes to the same."""
        scan = Scan(read, horizon=iso(self.until))
        found = [_placed(one, query) for one in scan.found(query.where, query.deciding, self.after, CHUNK, most=CHUNK)]
        self.placed |= {one.subject: one for one in found}
        self.soon += scan.soon
        self.examined += scan.examined
        self.whole = scan.seen < CHUNK
        self.after = scan.last or self.after

    def now(self, read: Snapshot, query: Query) -> Collection[Placed]:
        """Those who meet it in this passage. Raises ChangedError."""
        journal, at = read.platform.journal, read.platform.clock.now()
        narrowed = journal.narrowed(self.since)
        if at >= self.until or journal.catalogue != self.catalogue or _EVERYBODY in narrowed:
            raise ChangedError
        stamp = iso(at)
        stale = {SubjectId(each) for each in narrowed} | {who for until, who in self.soon if until <= stamp}
        self._anew(read, query, (each for each in stale if self.first < each and (self.whole or each <= self.after)))
        if not self.enough:
            raise ChangedError  # of those who come first there are too few now: nobody has looked at the next ones
        return self.placed.values()

    def _anew(self, read: Snapshot, query: Query, stale: Iterable[SubjectId]) -> None:
        accepts, left = query.where.accepts(), sorted(stale)
        for start in range(0, len(left), BATCH):
            part = left[start : start + BATCH]
            for each in part:
                self.placed.pop(each, None)
            for seen in read.these(part).values():
                values = read.look(seen, query.deciding)
                if (rank := accepts(values)) is not None:
                    self.placed[seen.subject] = _placed(Found(seen, values, rank), query)


def _placed(found: Found, query: Query) -> Placed:
    keys = tuple(_key(found.values.get(sort.field)) for sort in query.sort)
    return Placed(keys, found.rank, found.seen.subject)


def _key(value: Value | None) -> SortKey | None:
    return None if value is None else sort_key(value)
