"""A CRM export (CSV, vCard, JSON Lines) becomes sealed records; nothing of it is kept in clear.

Two halves. The first reads the file as a stream and gathers its rows by customer, on the disk only sealed; whatever is
wrong with the file is found there, and nothing is changed. The second writes in short transactions between which
others read and write; if it breaks off, or is killed, `import_undo` takes all of it back.
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from crm_core import joining, normal, origin, writer
from crm_core.imports import encoding
from crm_core.imports import run as import_run
from crm_core.imports import source as sources
from crm_core.imports import undo as import_undo
from crm_core.imports.intake import Intake, Plan, Reject, Tally, Values, values_of
from crm_core.imports.mapping import Headings
from crm_core.imports.run import Merge, RunRow
from crm_core.imports.scratch import Group, Scratch
from crm_core.imports.source import Known, Source
from crm_core.origin import Origin
from issuer.catalogue import Catalogue
from protocol import event, times
from protocol.consent import Field
from protocol.errors import EvidenceError
from runtime import outbox
from runtime.keyring import BUCKETS
from runtime.platform import Platform

BATCH = 250  # customers in one transaction
_ROWS = 500  # rows in one transaction, but for a customer with more
_NAMED = 1000  # rows that a merge names
_PRIMARY = {other: primary for primary, other in joining.SPILL.items()}

__all__ = ["Merge", "Plan", "Reject", "Report", "rows_of", "run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How many rows were read and what came of them: `read` is the sum of the other four.

    A row that adds nothing to what the rows above it said of the same customer is `unchanged`. `left_out` are the
    headings of columns that nobody knows: nothing of them was imported. `rejects` are the first of them.
    """

    read: int
    created: int
    updated: int
    unchanged: int
    rejected: int
    rejects: tuple[Reject, ...] = ()
    left_out: tuple[str, ...] = ()
    run: str = ""
    format: str = ""
    encoding: str = ""
    merged: int = 0

    def counts(self) -> dict[str, int]:
        """The five numbers."""
        names = ("read", "created", "updated", "unchanged", "rejected")
        return {name: getattr(self, name) for name in names}


def run(
    platform: Platform,
    catalogue: Catalogue,
    data: bytes | Source,
    *,
    source: str,
    importer: str,
    plan: Plan | None = None,
    merged: Callable[[Merge], None] = lambda _: None,
) -> Report:
    """Import a file: all of it or, when it breaks, nothing.

    `source` names the touchpoint (never a path), `importer` is a DID; `merged` is told of each merge. Raises OSError
    and EvidenceError: `bad_encoding`, `bad_csv`, `bad_vcard`, `bad_jsonl`, `no_headings`, `no_known_columns`,
    `unknown_field`, `unknown_column`, `too_many_columns`, `file_changed`, `import_running`.
    """
    given = data if isinstance(data, Source) else sources.of_bytes(data)
    plan = plan or Plan()
    catalogue.refresh()
    with import_undo.alone(platform):
        import_undo.sweep(platform)
        known = sources.examine(given, lambda: origin.digester(platform))
        intake = Intake(platform, catalogue.current(), plan)
        scratch = Scratch(platform.settings.data_dir / "spool")
        try:
            intake.read(scratch, given, known)
            intake.hold(scratch, known)
            place = _place(platform, source, importer, known)
            return _Run(platform, catalogue, place, intake, plan, merged).write(scratch, known)
        finally:
            scratch.close()


def rows_of(data: bytes, catalogue: Catalogue, columns: Mapping[str, str] | None = None) -> list[Values]:
    """The rows that an import of this file would take, in their normal form, one by one. Raises what `run` raises."""
    headings = Headings(catalogue, columns or {})
    given = sources.of_bytes(data)
    known = sources.examine(given, hashlib.blake2b)
    found = []
    for row in sources.rows(given, known, hashlib.blake2b):
        here = headings.columns(row.headings)
        if row.number == 0:
            headings.check()
        elif row.fault is None:
            with suppress(EvidenceError):
                found.append(values_of(here, row.cells))
    headings.check()
    return found


class _Merged(NamedTuple):
    """What the rows of one customer say: each value, the rows that gave it, and the fields that had several."""

    values: Values
    gave: dict[Field, list[int]]
    differing: frozenset[Field]

    def first(self) -> dict[Field, int]:
        """The row in which each value stands first."""
        return {name: rows[0] for name, rows in self.gave.items()}

    def rows(self, fields: Collection[Field]) -> set[int]:
        """The rows that gave these fields' values, or the one in whose place an old value became a further one."""
        return {row for name in fields for row in self.gave.get(name, self.gave.get(_PRIMARY.get(name, name), ()))}


@dataclass(slots=True)
class _Run:
    """The second half of one import."""

    platform: Platform
    catalogue: Catalogue
    origin: Origin
    intake: Intake
    plan: Plan
    told: Callable[[Merge], None]
    id: str = field(default_factory=import_run.new_id)
    merges: int = 0

    @property
    def tally(self) -> Tally:
        return self.intake.tally

    def write(self, scratch: Scratch, known: Known) -> Report:
        total = scratch.count()
        for bucket in range(min(total, BUCKETS)):
            self.platform.keyring.current(bucket)  # made now, where it keeps nobody waiting for the write lock
        with self.platform.database.write("keeper") as session:
            import_run.prune(session, self.origin.at)
            import_run.begin(session, self.platform, self._row())
        try:
            done = 0
            for groups in _batches(scratch.customers()):
                self._batch(groups)
                done += len(groups)
                self.plan.progress("Sealing customers", done, total)
            return self._end(known)
        except BaseException:
            import_undo.undo(self.platform, self.id)
            raise

    def _row(self) -> RunRow:
        place = self.origin
        return RunRow(
            id=self.id,
            at=times.iso_ms(place.at),
            importer=place.importer,
            source=place.source,
            source_digest=place.source_digest,
            state="running",
            batches=0,
            finished_at=None,
            counts=None,
            mac=b"",
        )

    def _batch(self, groups: list[Group]) -> None:
        catalogue = self.catalogue.current()
        merged = [_merge(group, catalogue.fields) for group in groups]
        merges: list[Merge] = []
        with self.platform.database.write("keeper") as session:
            batch = writer.Batch(session, self.platform, catalogue, self.origin)
            batch.load([group.subject for group in groups if group.subject is not None])
            for group, one in zip(groups, merged, strict=True):
                merge = self._write(batch, group, one)
                if merge is not None:
                    merges.append(merge)
            events = batch.close()
            if batch.changes or merges:
                row = import_run.find(session, self.platform, self.id)
                import_run.keep(session, self.platform, row, changes=batch.changes, events=events)
                import_run.note_merges(session, self.id, merges)
        self.merges += len(merges)
        for merge in merges:
            self.told(merge)

    def _write(self, batch: writer.Batch, group: Group, merged: _Merged) -> Merge | None:
        rows, subject, differing = group.rows, group.subject, merged.differing
        if subject is None:
            subject = batch.create(merged.values, merged.first())
            self.tally.created += 1
            changed = merged.rows(merged.gave.keys()) - {rows[0].number} if rows[1:] else set()
        else:
            try:
                fields = batch.put(subject, merged.values, merged.first(), revive=False, extend=True)
            except EvidenceError as error:
                for row in rows:
                    self.tally.reject(Reject(row.number, None, error.code))
                return None
            changed = merged.rows(fields)
            if fields:
                differing |= frozenset(batch.changes[-1].before or ())
        self.tally.updated += len(changed)
        self.tally.unchanged += len(rows) - len(changed) - (group.subject is None)
        if len(rows) == 1 and not differing:
            return None
        rule = next((row.rule for row in rows if row.rule is not None), "")
        numbers = tuple(row.number for row in rows[:_NAMED])
        return Merge(subject=subject, rows=numbers, rule=rule, differing=tuple(sorted(differing)))

    def _end(self, known: Known) -> Report:
        tally = self.tally
        taken = tally.created + tally.updated + tally.unchanged
        report = Report(
            read=taken + tally.rejected,
            created=tally.created,
            updated=tally.updated,
            unchanged=tally.unchanged,
            rejected=tally.rejected,
            rejects=tuple(sorted(tally.rejects, key=lambda reject: reject.row)),
            left_out=self.intake.headings.left_out(),
            run=self.id,
            format=known.format,
            encoding=encoding.shown(known.encoding),
            merged=self.merges,
        )
        counts = report.counts()
        with self.platform.database.write("keeper") as session:
            row = import_run.find(session, self.platform, self.id)
            now = self.platform.clock.now()
            finished = {"finished_at": times.iso_ms(now), "counts": orjson.dumps(counts).decode()}
            import_run.move(session, self.platform, row, state="done", **finished)
            told = [(None, {**counts, "run": self.id})]
            outbox.emit(session, event.IMPORT_COMPLETED, at=now, header=self.origin.told(), records=told)
        return report


def _place(platform: Platform, source: str, importer: str, known: Known) -> Origin:
    at = platform.clock.now()
    life = times.duration(platform.settings.unclaimed_after)
    return Origin(source=source, source_digest=known.digest, importer=importer, at=at, destroy_by=at + life)


def _batches(groups: Iterator[Group]) -> Iterator[list[Group]]:
    batch: list[Group] = []
    rows = 0
    for group in groups:
        if batch and (len(batch) == BATCH or rows + len(group.rows) > _ROWS):
            yield batch
            batch, rows = [], 0
        batch.append(group)
        rows += len(group.rows)
    if batch:
        yield batch


def _merge(group: Group, fields: Collection[str]) -> _Merged:
    """The first row that has a value gives it; what a customer may have several of is gathered from all rows."""
    (number, _, said), *more = group.rows
    if not more:  # by itself it says nothing twice
        return _Merged(said, {name: [number] for name in said}, frozenset())
    values: Values = {}
    gave: dict[Field, list[int]] = {}
    differing: set[Field] = set()
    several: dict[Field, dict[str, int]] = {}
    for row in group.rows:
        for name, value in row.values.items():
            if isinstance(value, list):
                for text in value:
                    several.setdefault(name, {}).setdefault(text, row.number)
            elif name not in values:
                values[name], gave[name] = value, [row.number]
            elif values[name] != value:
                differing.add(name)
                other = joining.SPILL.get(name)
                if other is not None and other in fields:
                    several.setdefault(other, {}).setdefault(str(value), row.number)
    for primary, other in joining.SPILL.items():
        several.get(other, {}).pop(str(values.get(primary)), None)
    for name, texts in several.items():
        if texts:
            values[name] = list(texts)[: normal.MAX_MANY]
            gave[name] = list(dict.fromkeys(texts.values()))
    return _Merged(values, gave, frozenset(differing))
