"""The outbox: an event commits with the change it tells of; the audit drains it into the log."""

import secrets
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Column, Integer, LargeBinary, Row, Text, bindparam, insert
from sqlmodel import Field, Session, SQLModel, col, func, select

from protocol import canonical, event
from protocol.consent import SubjectId
from runtime import bulk, dialect
from runtime.clock import instant, iso
from runtime.outbox_chain import AFTER_COMMIT, INFO, START, Chain, Flaw, Link

SALT = 32  # bytes per record


class Outbox(SQLModel, table=True):
    """One event. Bodies name fields, never values."""

    __tablename__ = "outbox"
    __table_args__ = {"sqlite_autoincrement": True}

    id: int | None = Field(default=None, sa_column=Column(Integer, primary_key=True, autoincrement=True))
    event_id: str = Field(sa_column=Column(Text, nullable=False, unique=True))
    type: str = Field(sa_column=Column(Text, nullable=False))
    at: str = Field(sa_column=Column(Text, nullable=False))
    header: str = Field(sa_column=Column(Text, nullable=False))
    records: str = Field(sa_column=Column(Text, nullable=False))
    salts: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    key: str | None = Field(default=None, sa_column=Column(Text, nullable=True, unique=True))
    prev: bytes = Field(sa_column=Column(LargeBinary, nullable=False))  # `mac` of the row before
    mac: bytes = Field(sa_column=Column(LargeBinary, nullable=False))  # see runtime.outbox_chain


_TABLE = SQLModel.metadata.tables["outbox"]
_NAMES = tuple(_TABLE.c.keys())
_LINK = "outbox-link"  # in a session: the newest row, as its transaction sees it
_INSERT = insert(_TABLE).inline()
_NUMBERED = insert(_TABLE).returning(_TABLE.c.id)
_KNOWN = _TABLE.select().where(_TABLE.c.key.in_(bulk.these()))
_LAST = select(func.last_insert_rowid())
_NEWEST = select(Outbox.id, Outbox.mac).order_by(col(Outbox.id).desc()).limit(1)
_MAC = select(Outbox.mac).where(col(Outbox.id) == bindparam("id"))
_UNTIL = select(Outbox.mac).where(col(Outbox.id) <= bindparam("id")).order_by(col(Outbox.id).desc()).limit(1)
_UNKEYED = Chain(b"")  # for a database that was opened without a key-ring: order alone


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEvent:
    """One event as it was emitted: `records` are (subject or None, data), each with its own 32-byte salt."""

    id: int
    event_id: str
    type: str
    at: datetime
    header: Mapping[str, Any]
    records: tuple[tuple[SubjectId | None, Mapping[str, Any]], ...]
    salts: tuple[bytes, ...]

    def bodies(self) -> list[bytes]:
        """Per record the JCS bytes of {"id","type","time","subject","header","data"}: what a commitment is over."""
        common = {"id": self.event_id, "type": self.type, "time": iso(self.at), "header": dict(self.header)}
        return [canonical.jcs({**common, "subject": subject, "data": dict(data)}) for subject, data in self.records]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """An event to be emitted whose header and records (`count` of them) are JCS text already."""

    type: str
    at: datetime
    header: str
    records: str
    count: int


class Told(NamedTuple):
    """An event to be emitted, as `emit` takes it."""

    type: str
    records: Sequence[tuple[SubjectId | None, Mapping[str, Any]]]
    key: str | None = None
    header: Mapping[str, Any] = {}


def emit(
    session: Session,
    type: str,
    *,
    at: datetime,
    header: Mapping[str, Any] | None = None,
    records: Sequence[tuple[SubjectId | None, Mapping[str, Any]]] = (),
    key: str | None = None,
) -> str:
    """Add an event to the session's transaction; its id (`urn:uuid:…`).

    With a `key`, only the first emission counts and later ones return its id. ValueError for an unknown type.

    A row that somebody else put under the key counts for nothing: the event comes under another one.
    """
    return emit_all(session, [Told(type, records, key, header or {})], at=at)[0]


def emit_all(session: Session, events: Sequence[Told], *, at: datetime) -> list[str]:
    """Add several events to the session's transaction, as `emit` does each; their ids."""
    # The writing session holds the write lock: nobody can put the same key in between.
    chain: Chain | None = session.info.get(INFO)
    known, taken = _known(session, chain, [one.key for one in events if one.key is not None])
    session.flush()  # what the events tell of comes first: an error there must not look like one of an event
    rows: list[dict[str, Any]] = []
    ids: list[str] = []
    for one in events:
        if one.type not in event.TYPES:
            raise ValueError(f"unknown type of event: {one.type}")
        if one.key in known:
            ids.append(known[one.key])
            continue
        row: dict[str, Any] = {
            "event_id": f"urn:uuid:{uuid.uuid4()}",
            "type": one.type,
            "at": iso(at),
            "header": canonical.jcs(dict(one.header)).decode(),
            "records": canonical.jcs([{"subject": whose, "data": dict(data)} for whose, data in one.records]).decode(),
            "salts": secrets.token_bytes(SALT * len(one.records)),
            "key": taken.get(one.key, one.key),
            "prev": rows[-1]["mac"] if rows else _before(session, chain, at).mac,
        }
        row["mac"] = (chain or _UNKEYED).mac(row)
        rows.append(row)
        ids.append(row["event_id"])
        if one.key is not None:
            known[one.key] = row["event_id"]
    if rows:
        session.info[_LINK] = Link(_add_all(session, rows), rows[-1]["mac"])
    return ids


def _known(
    session: Session, chain: Chain | None, keys: Collection[str]
) -> tuple[dict[str | None, str], dict[str | None, str]]:
    """The events under these keys, and of each key under which another's row is the one to use in its place."""
    known: dict[str | None, str] = {}
    taken: dict[str | None, str] = {}
    asked = {key: key for key in keys}  # by the key to look under
    while asked:
        found = _TABLE.c.keys()
        rows = [dict(zip(found, row, strict=True)) for row in bulk.rows(session, _KNOWN, asked)]
        foreign = {}
        for row in rows:
            key = asked[row["key"]]
            if chain is None or chain.genuine(row):
                known[key] = row["event_id"]
            else:
                taken[key] = f"{row['key']}'"
                foreign[taken[key]] = key
        asked = foreign
    return known, taken


def _add_all(session: Session, rows: Sequence[Mapping[str, Any]]) -> int:
    """The last one's number."""
    if not dialect.is_sqlite(session):
        return [_add(session, row) for row in rows][-1]
    if bulk.execute(session, _INSERT, rows) != len(rows):
        raise RuntimeError("the outbox took not every event")
    ((number,),) = bulk.asked(session, _LAST)
    return int(number)


def _add(session: Session, row: Mapping[str, Any]) -> int:
    """Its number. No object: every read writes one of these."""
    number: int | None
    if dialect.is_sqlite(session):
        added = session.connection().execute(_INSERT, row)
        number = added.lastrowid if added.rowcount == 1 else None
    else:
        number = session.connection().execute(_NUMBERED, row).scalar()
    if number is None:
        raise RuntimeError("the outbox took no event")
    return number


def _before(session: Session, chain: Chain | None, at: datetime) -> Link:
    """The newest row. The first look of a transaction also finds out whether our last one is still there."""
    known: Link | None = session.info.get(_LINK)
    if known is not None:
        return known
    newest = bulk.asked(session, _NEWEST)
    link = Link(*newest[0]) if newest else START
    session.info[_LINK] = link
    if chain is None:
        return link
    gone = _lost(session, chain, link)

    remember = chain.committed if gone is None else chain.replaced
    session.info[AFTER_COMMIT] = lambda: remember(session.info[_LINK])
    if gone is not None:
        # by its digest: whoever cut off the newest rows may have given their numbers anew
        tell(session, [Flaw(gone.id, gone.mac.hex()[:32], "event_missing")], at=at)
        told: Link = session.info[_LINK]
        return told
    return link


def _lost(session: Session, chain: Chain, newest: Link) -> Link | None:
    """The newest row that this process committed, when it is not there any more."""
    head = chain.head
    if head in (START, newest):
        return None
    return None if list(bulk.asked(session, _MAC, id=head.id)) == [(head.mac,)] else head


def lost(session: Session) -> bool:
    """Whether the newest event that this process committed has gone from the database since."""
    chain: Chain | None = session.info.get(INFO)
    if chain is None:
        return False
    newest = session.connection().execute(_NEWEST).first()
    return _lost(session, chain, START if newest is None else Link(newest.id, newest.mac)) is not None


def miss(session: Session, *, at: datetime) -> None:
    """Put it on record when `lost`, as the next event would."""
    _before(session, session.info.get(INFO), at)


def tell(session: Session, flaws: Sequence[Flaw], *, at: datetime) -> None:
    """Put on record that somebody else wrote to the outbox: once for each flaw."""
    for flaw in flaws:
        data = {"action": "outbox", "code": flaw.code, "event": flaw.event_id, "row": flaw.outbox_id}
        key = f"outbox:{flaw.code}:{flaw.outbox_id}:{flaw.event_id}"
        emit(session, event.ATTEMPT_REFUSED, at=at, records=[(None, data)], key=key)


def inspected(session: Session, after: int, limit: int) -> tuple[list[OutboxEvent], list[Flaw]]:
    """As `pending`, without the rows that we did not write; and what is wrong with the chain there."""
    chain: Chain | None = session.info.get(INFO)
    if chain is None:
        return pending(session, after, limit), []
    before = session.connection().execute(_UNTIL, {"id": after}).scalar() or START.mac
    events: list[OutboxEvent] = []
    flaws: list[Flaw] = []
    while not events:  # past as many rows as somebody else may have put in between
        statement = _TABLE.select().where(_TABLE.c.id > after).order_by(_TABLE.c.id).limit(limit)
        rows = session.connection().execute(statement).all()
        if not rows:
            break
        genuine, found = chain.inspect([dict(zip(_NAMES, row, strict=True)) for row in rows], before)
        flaws += found
        events += [read(row) for row, fits in zip(rows, genuine, strict=True) if fits]
        after = rows[-1].id
    return events, flaws


def told(session: Session, event_id: str) -> OutboxEvent | None:
    """The event of this id, if it is there and as we wrote it."""
    chain: Chain | None = session.info.get(INFO)
    found = session.connection().execute(_TABLE.select().where(_TABLE.c.event_id == event_id)).first()
    if found is None or (chain is not None and not chain.genuine(found._asdict())):
        return None
    return read(found)


def under(session: Session, key: str) -> OutboxEvent | None:
    """The event that we emitted with this key; None when there is none, whatever somebody else put there."""
    known, _ = _known(session, session.info.get(INFO), [key])
    return told(session, known[key]) if key in known else None


def of_rows(session: Session, ids: Collection[int]) -> dict[int, OutboxEvent]:
    """The events of these outbox ids (at most 500) that are there, whoever wrote them."""
    rows = session.connection().execute(_TABLE.select().where(_TABLE.c.id.in_(ids)))
    return {row.id: read(row) for row in rows}


def pending(session: Session, after: int, limit: int) -> list[OutboxEvent]:
    """At most `limit` events with an outbox id above `after`, in order of commit.

    Writers follow each other, so ids commit in order and none can appear below `after` later.
    """
    query = select(Outbox).where(col(Outbox.id) > after).order_by(col(Outbox.id)).limit(limit)
    return [read(row) for row in session.exec(query)]


def read(row: Outbox | Row[Any]) -> OutboxEvent:
    """The event of a row; whether we wrote it is for `inspected` to say."""
    records = orjson.loads(row.records)
    return OutboxEvent(
        id=row.id or 0,
        event_id=row.event_id,
        type=row.type,
        at=instant(row.at),
        header=orjson.loads(row.header),
        records=tuple((record["subject"], record["data"]) for record in records),
        salts=tuple(row.salts[start : start + SALT] for start in range(0, len(row.salts), SALT)),
    )


def emit_written(session: Session, events: Sequence[Written]) -> list[str]:
    """Add several events to the session's transaction; their ids. ValueError for an unknown type."""
    chain: Chain | None = session.info.get(INFO)
    session.flush()  # as in `emit`
    rows: list[dict[str, Any]] = []
    for one in events:
        if one.type not in event.TYPES:
            raise ValueError(f"unknown type of event: {one.type}")
        before = rows[-1]["mac"] if rows else _before(session, chain, one.at).mac
        row: dict[str, Any] = {
            "event_id": f"urn:uuid:{uuid.uuid4()}",
            "type": one.type,
            "at": iso(one.at),
            "header": one.header,
            "records": one.records,
            "salts": secrets.token_bytes(SALT * one.count),
            "key": None,
            "prev": before,
        }
        row["mac"] = (chain or _UNKEYED).mac(row)
        rows.append(row)
    first, last = rows[:-1], rows[-1]
    if first and dialect.is_sqlite(session):
        if session.connection().execute(_INSERT, first).rowcount != len(first):
            raise RuntimeError("the outbox took not every event")
    else:
        for row in first:
            _add(session, row)
    session.info[_LINK] = Link(_add(session, last), last["mac"])  # alone: the chain remembers its number
    return [str(row["event_id"]) for row in rows]
