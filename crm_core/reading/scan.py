"""Going through the customers: who meets the conditions, and with which values."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from crm_core.reading.query import Values, Where
from crm_core.reading.search import Rank
from crm_core.reading.snapshot import BATCH, Seen, Snapshot
from protocol.consent import Field, SubjectId

NOBODY = SubjectId("")  # in front of everybody


@dataclass(frozen=True, slots=True)
class Found:
    """A customer who meets the conditions, with the values that decided."""

    seen: Seen
    values: Values
    rank: Rank


@dataclass(slots=True)
class Scan:
    """Goes through the customers and keeps count: `seen` those it met, `examined` whose granted values it looked at.

    `last` is the customer it met last. `soon`: whose grounds time changes before `horizon` (as `Verdict.until`).
    """

    read: Snapshot
    seen: int = 0
    examined: int = 0
    last: SubjectId = NOBODY
    horizon: str = ""
    soon: list[tuple[str, SubjectId]] = field(default_factory=list)

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
            until = seen.verdict.until
            if until is not None and until < self.horizon:
                self.soon.append((until, seen.subject))
            values = self.read.look(seen, fields) if fields else {}
            self.examined += bool(fields)
            rank = accepts(values)
            if rank is not None:
                yield Found(seen, values, rank)
