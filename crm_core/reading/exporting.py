"""One export under way: chunks of at most 500 customers, each decided anew, on record before its first byte is sent.

Between two chunks the gate is free, so a withdrawal waits for one chunk at most; whoever withdrew is not in the next.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from crm_core.reading import export, exports
from crm_core.reading.exports import Export, State
from crm_core.reading.planner import Planner, item_of
from crm_core.reading.query import Where
from crm_core.reading.scan import Scan
from crm_core.reading.snapshot import BATCH, Snapshot
from issuer.catalogue import Catalogue
from protocol.consent import Field, SubjectId
from protocol.times import iso_ms
from verifier.gate import Passage, Visit

CHUNK = BATCH  # customers looked at per lock
MAX_BYTES = 256 * 1024  # after which a chunk ends: a slow line shall take it within the deadline


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be exported; `types` has each selected field with its type, in the order of the file."""

    types: dict[Field, str]
    where: Where
    format: exports.Format

    @property
    def asked(self) -> frozenset[Field]:
        """Every field whose value the file depends on."""
        return frozenset((*self.types, *self.where.fields))


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A part of the file: its bytes, how many customers it has, behind whom the next begins (None: it is the last)."""

    content: bytes
    rows: int
    after: SubjectId | None


def order(catalogue: Catalogue, select: tuple[Field, ...], where: Where, format_: exports.Format) -> Order:
    """An order with the types that the catalogue gives the selected fields."""
    return Order(types={each: catalogue.fields[each].type for each in select}, where=where, format=format_)


@dataclass(slots=True)
class Run:
    """One export, from its entry on the list to its end. `visit` opens the context of each chunk anew."""

    planner: Planner
    order: Order
    visit: Callable[[], Visit]
    id: str = field(default_factory=exports.new_id)
    rows: int = 0
    parts: int = 0

    def begin(self, visit: Visit) -> None:
        """Put it on the list."""
        entry = Export(
            id=self.id,
            at=iso_ms(visit.at),
            account=visit.reader.account,
            role=visit.reader.role,
            purpose=visit.purpose,
            recipient=visit.recipient,
            jurisdiction=visit.jurisdiction,
            format=self.order.format,
            fields=tuple(sorted(self.order.asked)),
        )
        with self.planner.platform.database.write() as session:
            exports.begin(session, entry)

    def end(self, state: State) -> None:
        """Put on the list how it ended."""
        platform = self.planner.platform
        with platform.database.write() as session:
            exports.end(session, self.id, rows=self.rows, state=state, at=platform.clock.now())

    def chunk(self, after: SubjectId) -> tuple[Passage, Chunk]:
        """The part behind a customer (NOBODY for the first), on record; the passage is the caller's to release.

        Raises what the gate raises.
        """
        self.parts += 1
        with self.planner.reading(self.visit(), lambda read: self._read(read, after)) as (passage, chunk):
            passage.hand_over()
            return passage, chunk

    def _read(self, read: Snapshot, after: SubjectId) -> Chunk:
        form, select = export.FORMS[self.order.format], tuple(self.order.types)
        scan, entries = Scan(read), []
        content = bytearray(form.head(select) if self.parts == 1 else b"")
        where = self.order.where
        for found in scan.found(where, where.fields, after, CHUNK, most=CHUNK):
            item = item_of(read, select, found.seen)
            if not item.fields:  # nothing that was selected is released: they do not appear at all
                continue
            content += form.row(item.subject, item.fields, self.order.types)
            entries.append((found.seen.verdict, self.order.asked - set(item.unreadable)))
            if len(content) >= MAX_BYTES:
                break
        full = scan.seen >= CHUNK or len(content) >= MAX_BYTES
        told = {"export": self.id, "part": self.parts, "format": self.order.format, "select": list(select)}
        read.passage.record(entries, query={**told, "examined": scan.seen, **where.told()})
        return Chunk(content=bytes(content), rows=len(entries), after=scan.last if full else None)
