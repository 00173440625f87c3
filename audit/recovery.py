"""The log goes on after a restore: what was signed is the truth, and the database is brought up to it. Never a fork.

The signed head decides. Whichever of tiles and database makes its root is the source from which the other is written
anew. Leaves whose event the restored database still holds are matched with it; those whose event is gone are marked
lost: their records keep their places in their subjects' chains (from `chains`), their bodies are gone, and the log
says so with an event of its own.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import func, insert, text, update
from sqlmodel import Session, col, delete, select

from audit import drain, files
from audit.chains import Line
from audit.log import Head, Log, LogCheckpoint, LogEntry, LogRecord, latest, leaf_count
from audit.tiles import WIDTH
from protocol import event, note, times
from protocol import log as rfc6962
from protocol.errors import EvidenceError
from runtime import crash, dialect, outbox
from runtime.outbox import Outbox, OutboxEvent

BATCH = WIDTH
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What the log needed: `size` leaves are signed, of which the database held `known`.

    `matched` leaves belong to events that the database holds, the events of `lost` are gone, and of `unknown` nobody
    can tell whose records they were. `rewritten`: the tiles were written anew from the database.
    """

    size: int
    known: int
    matched: int = 0
    lost: int = 0
    unknown: int = 0
    rewritten: bool = False
    gone: Mapping[str, int] = field(default_factory=dict)  # how many events of each type are lost

    @property
    def nothing(self) -> bool:
        """Whether database and log agreed."""
        return not (self.matched or self.lost or self.unknown or self.rewritten)


def compare(log: Log) -> None:
    """Compare the heads of log and database, without reading every leaf (the drain does that when it starts).

    Raises EvidenceError: `log_ahead_of_database` (an older database was restored), `log_behind_database` (an older log
    was, or its checkpoint is gone), `log_forked` (what is on disk is not what was signed).
    """
    head = log.head()
    with log.platform.database.read() as session:
        size, known = leaf_count(session), latest(session)
    if known is not None and known.size > head.size:
        detail = f"the database knows a head of {known.size} leaves, the log's directory one of {head.size}"
        raise EvidenceError("log_behind_database", detail)
    if head.size > size:
        detail = f"{head.size} leaves are signed, the database holds {size}"
        raise EvidenceError("log_ahead_of_database", detail)
    if known is not None and known.size == head.size and known.root != head.root:
        raise EvidenceError("log_forked", f"disk and database hold two different heads of {head.size} leaves")
    if log.merkle(head.size).root() != head.root:
        raise EvidenceError("log_forked", "the signed root is not that of the tiles")


def recover(
    log: Log, *, dry_run: bool = False, accept_gaps: bool = False, progress: Progress = lambda _done, _of: None
) -> Recovered:
    """Bring tiles and database up to the newest signed head. Again: nothing. A kill in the middle is taken up.

    With `dry_run` nothing is written. Raises EvidenceError `log_forked` when neither tiles nor database make the root
    that was signed, `chains_missing` when nobody can tell whose records the lost leaves hold (then `accept_gaps` goes
    on, and the log says how many).
    """
    with log.locked():
        head, stored = _newest(log)
        whole = _whole(log, head)
        if not whole:
            with log.platform.database.read() as session:
                if not _made_by_database(session, head):
                    raise EvidenceError(
                        "log_forked", "neither the tiles nor the database make the root that was signed"
                    )
            if not dry_run:
                _rewrite(log, head, progress)
            return Recovered(size=head.size, known=head.size, rewritten=True)
        if stored is not None and not dry_run:
            files.write(log.directory / "checkpoint", stored)
        return _Recovery(log, head, accept_gaps).run(dry_run=dry_run, progress=progress)


def _newest(log: Log) -> tuple[Head, bytes | None]:
    """The larger of the heads that disk and database hold, both signed with our key; and the note, if not on disk."""
    try:
        head = log.head()
    except EvidenceError:
        head = Head(0, rfc6962.root([]), b"")  # edited: the database may know the one that we signed
    with log.platform.database.read() as session:
        rows = session.exec(select(LogCheckpoint).order_by(col(LogCheckpoint.size).desc()).limit(8)).all()
    for row in rows:
        if row.size <= head.size:
            break
        try:
            found = note.parse_checkpoint(note.open_note(row.note, log.vkey))
        except EvidenceError:
            continue  # not ours: somebody wrote it into the database
        if (found.origin, found.size) == (log.origin, row.size):
            return Head(found.size, found.root, row.note), row.note
    if not head.note and log.checkpoint() is not None:
        raise EvidenceError("log_forked", "the checkpoint on disk is not ours, and the database knows none that is")
    return head, None


def _whole(log: Log, head: Head) -> bool:
    """Whether the tiles on disk are those of the signed head: entries and hashes."""
    try:
        leaves = [leaf for n in range(-(-head.size // WIDTH)) for leaf in log.tiles.leaves(head.size, n)]
        log.tiles.compare(leaves)
        return rfc6962.root([rfc6962.leaf_hash(leaf) for leaf in leaves]) == head.root
    except EvidenceError:
        return False


def _made_by_database(session: Session, head: Head) -> bool:
    index = col(LogEntry.leaf_index)
    leaves = session.exec(select(LogEntry.leaf).where(index < head.size).order_by(index)).all()
    if len(leaves) != head.size or not all(isinstance(leaf, bytes) for leaf in leaves):
        return False
    return rfc6962.root([rfc6962.leaf_hash(leaf) for leaf in leaves]) == head.root


def _rewrite(log: Log, head: Head, progress: Progress) -> None:
    """Write all tiles of a head anew from the database; the head comes last."""
    shutil.rmtree(log.directory / "tile", ignore_errors=True)
    log.tiles.forget(0)
    index = col(LogEntry.leaf_index)
    for start in range(0, head.size, WIDTH * 64):
        until = min(start + WIDTH * 64, head.size)
        with log.platform.database.read() as session:
            leaves = session.exec(select(LogEntry.leaf).where(index >= start, index < until).order_by(index)).all()
        log.tiles.extend(start, leaves)
        crash.point("rebuild.before")
        progress(until, head.size)
    files.write(log.directory / "checkpoint", head.note)


class _Recovery:
    """One walk over the leaves that the database does not hold."""

    def __init__(self, log: Log, head: Head, accept_gaps: bool) -> None:
        self._log, self._head, self._accept_gaps = log, head, accept_gaps
        self._database = log.platform.database
        self._gone: Counter[str] = Counter()
        self._matched = self._lost = self._unknown = 0

    def run(self, *, dry_run: bool, progress: Progress) -> Recovered:
        with self._database.read() as session:
            known = self._agreed(session)
            beyond = leaf_count(session) > known
        if known == self._head.size:
            if not dry_run:
                self._finish()  # a crash may have come just before that
            return Recovered(size=known, known=known)  # what the database holds beyond the head will be published
        if dry_run:
            self._look(known)
            return self._result(known)
        if beyond:
            with self._database.write("owner") as session:
                _cut(session, known)
        with self._database.read() as session:
            lines = self._proved(session, known)
        self._log.tiles.forget(self._head.size)
        self._log.chains.forget(self._head.size)
        for start in range(known, self._head.size, BATCH):
            self._take_in(start, min(start + BATCH, self._head.size), lines)
            progress(min(start + BATCH, self._head.size), self._head.size)
        self._finish()
        return self._result(known)

    def _result(self, known: int) -> Recovered:
        return Recovered(
            size=self._head.size,
            known=known,
            matched=self._matched,
            lost=self._lost,
            unknown=self._unknown,
            gone=dict(sorted(self._gone.items())),
        )

    def _leaves(self, start: int, until: int) -> Iterator[tuple[int, bytes]]:
        for n in range(start // WIDTH, -(-until // WIDTH)):
            for place, leaf in enumerate(self._log.tiles.leaves(self._head.size, n)):
                if start <= n * WIDTH + place < until:
                    yield n * WIDTH + place, leaf

    def _agreed(self, session: Session) -> int:
        """How many leaves, from the first, the database holds as they were signed."""
        index = col(LogEntry.leaf_index)
        for start in range(0, self._head.size, BATCH):
            until = min(start + BATCH, self._head.size)
            rows = session.exec(select(LogEntry.leaf).where(index >= start, index < until).order_by(index)).all()
            for (place, leaf), stored in zip(self._leaves(start, until), rows, strict=False):
                if leaf != stored:
                    return place
            if len(rows) < until - start:
                return start + len(rows)
        return self._head.size

    def _proved(self, session: Session, known: int) -> dict[int, Line]:
        """The lines of the leaves from `known` on that make their leaf and stand in their places.

        A line's subject is not in its links: that it continues this subject's chain is what shows whose it is.
        Raises EvidenceError `chains_missing`.
        """
        lines = {line.leaf_index: line for line in self._log.chains.lines(known, self._head.size)}
        entries, records = drain.absorb(session, self._waiting(session, self._head.size - known))
        first = known + self._matching(known, entries)
        heads = {one["subject"]: (one["seq"], one["link"]) for one in records if one["leaf_index"] < first}
        proved: dict[int, Line] = {}
        for index, leaf in self._leaves(first, self._head.size):
            line = lines.get(index)
            if line is not None and line.leaf() == leaf and self._continues(session, line, heads):
                proved[index] = line
        gaps = self._head.size - first - len(proved)
        if gaps and not self._accept_gaps:
            detail = (
                f"nobody can tell whose records {gaps} leaves hold: bring back chains.jsonl beside the journal, "
                "or go on without it with --accept-gaps"
            )
            raise EvidenceError("chains_missing", detail)
        return proved

    def _matching(self, start: int, entries: Sequence[Mapping[str, Any]]) -> int:
        """How many of these are the signed leaves from `start` on."""
        count = 0
        for (_, leaf), entry in zip(self._leaves(start, self._head.size), entries, strict=False):
            if leaf != entry["leaf"]:
                break
            count += 1
        return count

    def _continues(self, session: Session, line: Line, heads: dict[str, tuple[int, bytes]]) -> bool:
        for one in line.records:
            owner = one["subject"]
            if owner not in heads:
                seq, link = drain.chain_head(session, owner)
                heads[owner] = (seq - 1, link)
            seq, link = heads[owner]
            follows = one["seq"] == seq + 1 and one["prev"] == link
            if not follows and not (self._accept_gaps and one["seq"] > seq + 1):
                return False
            heads[owner] = (one["seq"], one["link"])
        return True

    def _waiting(self, session: Session, limit: int) -> list[OutboxEvent]:
        return outbox.inspected(session, drain.drained_until(session), limit)[0]

    def _look(self, known: int) -> None:
        """Do it all but keep nothing."""
        with suppress(_Undone), self._database.write("owner") as session:
            _cut(session, known)
            lines = self._proved(session, known)
            entries, _ = drain.absorb(session, self._waiting(session, self._head.size - known))
            first = known + self._matching(known, entries)
            self._matched = first - known
            for index, leaf in self._leaves(first, self._head.size):
                self._count(lines.get(index), leaf)
            raise _Undone

    def _count(self, line: Line | None, leaf: bytes) -> None:
        self._gone[orjson.loads(leaf)["type"]] += 1
        if line is not None:
            self._lost += 1
        else:
            self._unknown += 1

    def _take_in(self, start: int, until: int, lines: dict[int, Line]) -> None:
        crash.point("rebuild.within")
        with self._database.write("owner") as session:
            leaves = list(self._leaves(start, until))
            events = self._waiting(session, len(leaves))
            entries, records = drain.absorb(session, events)
            matched = min(self._matching(start, entries), len(leaves))
            self._matched += matched
            entries = entries[:matched]
            records = [one for one in records if one["leaf_index"] < start + matched]
            lost = leaves[matched:]
            if lost:
                first = self._reserve(session, max((one["outbox_id"] for one in entries), default=0), len(lost))
                for place, (index, leaf) in enumerate(lost):
                    line = lines.get(index)
                    self._count(line, leaf)
                    entries.append(_entry(index, leaf, line, first + place))
                    records += line.records if line is not None else ()
            session.execute(insert(LogEntry), entries)
            if records:
                session.execute(insert(LogRecord), records)
        crash.point("rebuild.after")

    def _reserve(self, session: Session, matched: int, count: int) -> int:
        """Numbers of the outbox for lost events: above all that are there; what is still to be logged moves behind."""
        after = max(matched, drain.drained_until(session))
        waiting = session.exec(select(Outbox.id).where(col(Outbox.id) > after).order_by(col(Outbox.id).desc())).all()
        for id_ in waiting:  # from the last on, so that no number is there twice
            session.execute(update(Outbox).where(col(Outbox.id) == id_).values(id=(id_ or 0) + count))
        top = {"top": max([after, *(id_ or 0 for id_ in waiting)]) + count}
        if dialect.is_sqlite(session):  # the next event comes behind them
            done = session.execute(text("UPDATE sqlite_sequence SET seq = max(seq, :top) WHERE name = 'outbox'"), top)
            if done.rowcount == 0:  # type: ignore[attr-defined]
                session.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES ('outbox', :top)"), top)
        else:
            session.execute(text("SELECT setval('outbox_id_seq', GREATEST(nextval('outbox_id_seq'), :top))"), top)
        return after + 1

    def _finish(self) -> None:
        """The head that the database now reaches, and the event that says what was lost since the one before it."""
        at = self._log.platform.clock.now()
        index = col(LogEntry.leaf_index)
        with self._database.read() as session:
            if session.get(LogCheckpoint, self._head.size) is not None:
                return
            before = session.exec(select(func.max(LogCheckpoint.size))).one() or 0
            gone = session.exec(select(LogEntry.event_id).where(col(LogEntry.lost), index >= before)).all()
        if not gone:
            return  # the drain will note the head
        unknown = sum(event_id.startswith("lost:") for event_id in gone)
        data = {"from": before, "size": self._head.size, "lost": len(gone) - unknown, "unknown": unknown}
        with self._database.write("owner") as session:
            told = times.iso_ms(at)
            session.add(LogCheckpoint(size=self._head.size, root=self._head.root, note=self._head.note, at=told))
            key = f"{event.LOG_RECOVERED}:{self._head.size}:{self._head.root.hex()}"
            outbox.emit(session, event.LOG_RECOVERED, at=at, records=[(None, data)], key=key)


class _Undone(Exception):  # noqa: N818 - rolls a look back
    """Nothing of it is kept."""


def _cut(session: Session, known: int) -> None:
    """Take out of the database what was signed otherwise."""
    for table in (LogEntry, LogRecord):
        session.exec(delete(table).where(col(table.leaf_index) >= known))
    session.exec(delete(LogCheckpoint).where(col(LogCheckpoint.size) > known))


def _entry(index: int, leaf: bytes, line: Line | None, outbox_id: int) -> dict[str, Any]:
    return {
        "leaf_index": index,
        "outbox_id": outbox_id,
        "event_id": f"lost:{index}" if line is None else line.event_id,
        "leaf": leaf,
        "leaf_hash": rfc6962.leaf_hash(leaf),
        "lost": True,
    }
