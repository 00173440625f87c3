"""The outbox drained into the log: events become leaves, leaves tiles, and tiles get a signed head, in that order."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, update
from sqlmodel import Session, SQLModel, col, func, select

from audit import agreement, chain
from audit.log import ORGANISATION, Head, Log, LogCheckpoint, LogEntry, LogRecord, leaf_count
from audit.provenance import fields_of
from audit.tiles import AHEAD, WIDTH
from protocol import log as rfc6962
from protocol import times
from protocol.event import ATTEMPT_REFUSED
from runtime import bulk, crash, outbox
from runtime.outbox import Outbox, OutboxEvent
from runtime.outbox_chain import Flaw
from runtime.platform import Platform

RECORDS = 500  # per transaction
_ENTRIES = insert(SQLModel.metadata.tables["log_entry"])
_RECORDS = insert(SQLModel.metadata.tables["log_record"])
_KNOWN = select(LogEntry.event_id).where(col(LogEntry.event_id).in_(bulk.these()))
_LAST = (
    select(LogRecord.seq, LogRecord.link)
    .where(col(LogRecord.subject) == bindparam("subject"))
    .order_by(col(LogRecord.seq).desc())
    .limit(1)
)


def drain(log: Log, *, limit: int = RECORDS, leaves: int = 0) -> int:
    """Log what the outbox holds and was not logged yet, oldest first; returns how many events that were.

    One transaction, and while more wait others up to about `leaves` leaves, where a tile ends; then one head for all. A
    transaction is of at most `limit` events, and no more than about `limit` records: nobody else can write meanwhile,
    and withdrawals wait for nobody. One drain at a time across processes; after a kill at any step the next drain
    reaches the same tree. Rows that somebody else wrote, changed or took out are not logged: that they were there is
    put on record.
    Raises EvidenceError `log_forked`, `log_ahead_of_database` when disk and database differ.
    """
    database = log.platform.database
    with log.locked():
        with database.read() as session:
            head, size = log.check(session), leaf_count(session)
        if size > head.size:  # what a drain left that was killed: no more than one may leave is ever without a head
            head = _publish(log, head)
        until = (size + leaves) // WIDTH * WIDTH
        done, size, more = _take(log, limit)
        while more and size < until:
            taken, size, more = _take(log, min(limit, until - size))
            done += taken
        _publish(log, head)
    return done


def drain_all(log: Log) -> int:
    """Drain until the outbox has nothing more; returns how many events that were."""
    total = 0
    while done := drain(log, leaves=AHEAD * WIDTH):
        total += done
    return total


def _take(log: Log, limit: int) -> tuple[int, int, bool]:
    """One transaction: how many events it logged, how many leaves there are now, and whether more may wait."""
    database = log.platform.database
    with database.read() as session:  # only a drain appends, and ours has the lock: what is read here stays true
        after = drained_until(session)
        displaced = _displaced(session, after)
        found, flaws = outbox.inspected(session, after, limit)
        known = _logged(session, [one.event_id for one in found])
        flaws += [Flaw(one.id, one.event_id, "event_repeated") for one in found if one.event_id in known]
        events = _few([one for one in found if one.event_id not in known], limit)
        size = leaf_count(session)
        entries, records = absorb(session, events)
    at = log.platform.clock.now()
    crash.point("drain.before")
    if entries or flaws or displaced:
        with database.write() as session:
            if displaced:
                _number_anew(session, after, at)
            if entries:
                bulk.execute(session, _ENTRIES, entries)
                bulk.execute(session, _RECORDS, records)
            outbox.tell(session, flaws, at=at)
            crash.point("drain.within")
    crash.point("drain.after")
    done = len(events) + displaced  # what was numbered anew waits for the next turn
    more = done > 0 and (bool(flaws) or displaced or len(events) < len(found) or len(found) >= limit)
    return done, size + len(entries), more


def newest(log: Log) -> int:
    """The outbox id of the newest event, 0 before the first."""
    with log.platform.database.read() as session:
        return session.exec(select(func.max(Outbox.id))).one() or 0


def drained_until(session: Session) -> int:
    """The outbox id of the last event in the log, 0 before the first.

    SQLite has one writer at a time, so ids become visible in their order and nothing can appear below this one.
    """
    return session.exec(select(func.max(LogEntry.outbox_id))).one() or 0


def waiting_flaws(platform: Platform) -> list[Flaw]:
    """What is wrong with the rows of the outbox that were not logged yet; the drain will put it on record."""
    found: list[Flaw] = []
    with platform.database.read() as session:
        after = drained_until(session)
        while True:
            events, flaws = outbox.inspected(session, after, RECORDS)
            found += flaws
            if not events:
                return found
            after = events[-1].id


def absorb(session: Session, events: Iterable[OutboxEvent]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Give each event its leaf and each of its records its place in its subject's chain: rows of both tables."""
    index = leaf_count(session)
    heads: dict[str, tuple[int, bytes]] = {}
    entries: list[dict[str, Any]] = []
    records: list[dict[str, Any]] = []
    for event in events:
        links: list[bytes] = []
        at = times.iso_ms(event.at)
        for place, body in enumerate(event.bodies()):
            subject, data = event.records[place]
            owner = subject or ORGANISATION
            seq, prev = heads.get(owner) or chain_head(session, owner)
            commitment = rfc6962.record_commitment(event.salts[place], body)
            link = rfc6962.chain_link(seq, prev, commitment)
            heads[owner] = (seq + 1, link)
            links.append(link)
            records.append(
                {
                    "subject": owner,
                    "seq": seq,
                    "leaf_index": index,
                    "place": place,
                    "commitment": commitment,
                    "prev": prev,
                    "link": link,
                    "type": event.type,
                    "at": at,
                    "fields": " ".join(["", *sorted(fields_of(data)), ""]),
                }
            )
        leaf = rfc6962.leaf_bytes(event.type, at, rfc6962.tree(links))
        entries.append(
            {
                "leaf_index": index,
                "outbox_id": event.id,
                "event_id": event.event_id,
                "leaf": leaf,
                "leaf_hash": rfc6962.leaf_hash(leaf),
                "lost": False,
            }
        )
        index += 1
    return entries, records


def _displaced(session: Session, after: int) -> bool:
    """Whether the row that was logged last is not there: somebody took logged rows out, and numbers may come again."""
    if after <= 0:
        return False
    logged = session.exec(select(LogEntry).where(LogEntry.outbox_id == after)).one()
    found = session.exec(select(Outbox.event_id).where(Outbox.id == after)).first()
    return found != logged.event_id and not (logged.lost and found is None)


def _number_anew(session: Session, after: int, at: datetime) -> None:
    """Move the rows that would be passed over, because their numbers were given before, behind all others."""
    passed = select(Outbox.id, Outbox.event_id).where(col(Outbox.id) <= after, col(Outbox.id) > after - RECORDS)
    rows = session.exec(passed.order_by(col(Outbox.id))).all()
    known = _logged(session, [event_id for _, event_id in rows])
    newest = max(after, session.exec(select(func.max(Outbox.id))).one() or 0)
    for id_, event_id in rows:
        if event_id not in known:
            newest += 1
            session.execute(update(Outbox).where(col(Outbox.id) == id_).values(id=newest))
    data = {"action": "outbox", "code": "event_missing", "row": after}
    outbox.emit(session, ATTEMPT_REFUSED, at=at, records=[(None, data)], key=f"outbox:displaced:{after}")


def _logged(session: Session, events: Collection[str]) -> frozenset[str]:
    """Those of the events that are in the log."""
    return frozenset(event_id for (event_id,) in bulk.rows(session, _KNOWN, events))


def _few(events: Iterable[OutboxEvent], limit: int) -> list[OutboxEvent]:
    """The first events, until they hold `limit` records; at least one."""
    few: list[OutboxEvent] = []
    count = 0
    for event in events:
        few.append(event)
        count += len(event.records)
        if count >= limit:
            break
    return few


def _publish(log: Log, head: Head) -> Head:
    """Tiles, then the head that covers them, then the note of it: whoever sees a head finds its tiles.

    Before them, whose records the leaves are: no leaf is published of which nobody could tell that any more.
    """
    database = log.platform.database
    crash.point("publish.before")
    with database.read() as session:
        log.chains.extend(session, leaf_count(session))
        known = session.get(LogCheckpoint, head.size) if head.size else None
        leaves = session.exec(
            select(LogEntry.leaf).where(col(LogEntry.leaf_index) >= head.size).order_by(col(LogEntry.leaf_index))
        ).all()
    if leaves:
        log.tiles.extend(head.size, leaves)
        crash.point("publish.within")
        head = log.sign(head.size + len(leaves))
        crash.point("publish.after")
    elif known is not None or not head.size:
        return head
    with database.write() as session:
        at = times.iso_ms(log.platform.clock.now())
        session.add(LogCheckpoint(size=head.size, root=head.root, note=head.note, at=at))
        reached = agreement.reached(log, session, head)
    crash.point("agree.before")
    if reached is not None:
        agreement.advance(log, reached)
    crash.point("agree.after")
    return head


def chain_head(session: Session, subject: str) -> tuple[int, bytes]:
    """(next seq, last link) of a subject's chain."""
    for seq, link in bulk.asked(session, _LAST, subject=subject):
        return seq + 1, link
    return 0, chain.GENESIS
