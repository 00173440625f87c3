"""The evidence bundle: everything that proves what became of one subject's data, or of one field, in one zip."""

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlmodel import Session, col, select

from audit import container, drain, readme, selection, statement
from audit.event_file import EventFile
from audit.log import ORGANISATION, Head, Log, LogEntry, LogRecord
from audit.provenance import mentions
from audit.scope import Scope
from audit.selection import Paper
from audit.statement import Claim
from audit.tree import Merkle
from protocol import canonical, event
from protocol import log as rfc6962
from protocol.consent import Field, SubjectId
from protocol.errors import EvidenceError
from runtime import outbox
from runtime.outbox import OutboxEvent

Credentials = Callable[[Session, SubjectId], Iterable[tuple[str, bytes]]]
"""Composition's answer to: which signed credentials (kind, exact bytes) concern this subject?"""
Told = Callable[[str, int, int], None]
"""Hears how far an export is: `reading` or `proving`, how many of how many records; `packing` at the end."""
NOBODY = {"field": ""}  # in the place of a record that was lost: it concerns no field
_PAGE = 500  # leaves in one statement
GROUNDS = (event.GROUND_APPROVED, event.GROUND_ENDED, event.CONSENT_SHUT)


def export(
    log: Log,
    credentials: Credentials,
    *,
    subject: SubjectId,
    field: Field | None,
    by: str,
    role: str,
    scope: Scope | None = None,
) -> bytes:
    """Record the export, drain, and return the zip: the same bytes for the same record of the export and head.

    Raises EvidenceError: those of `begin` and `write`.
    """
    wanted = scope or Scope(field=field)
    name = begin(log, subject=subject, scope=wanted, by=by, role=role)
    with log.platform.database.read() as session:
        return write(log, session, credentials, subject=subject, scope=wanted, export_id=name)


def begin(log: Log, *, subject: SubjectId, scope: Scope, by: str, role: str, key: str | None = None) -> str:
    """Put an export on record, in the log too; its event's id. With a `key` once, however often it is begun.

    Raises EvidenceError: `unknown_subject` and `unknown_field` when the log has nothing about them, those of `drain`.
    """
    log.introduce()
    drain.drain_all(log)
    platform = log.platform
    with platform.database.write() as session:
        known = select(LogRecord.seq).where(LogRecord.subject == subject).limit(1)
        if session.exec(known).first() is None:
            raise EvidenceError("unknown_subject", "the log holds nothing about this subject", field="subject")
        about = known.where(col(LogRecord.fields).contains(f" {scope.field} ", autoescape=True))
        if scope.field is not None and session.exec(about).first() is None:
            raise EvidenceError("unknown_field", "the log holds nothing about this field of the subject", field="field")
        data: dict[str, object] = {"fields": [scope.field]} if scope.field is not None else {}
        if told := scope.told():
            data["scope"] = told
        header = {"reader": by, "role": role}
        at = platform.clock.now()
        records = [(subject, data)]
        name = outbox.emit(session, event.BUNDLE_EXPORTED, at=at, header=header, records=records, key=key)
    drain.drain_all(log)
    return name


def write(
    log: Log,
    session: Session,
    credentials: Credentials,
    *,
    subject: SubjectId,
    scope: Scope,
    export_id: str,
    told: Told = lambda *_: None,
) -> bytes:
    """The zip as of the export with this event id, which is in the log; `told` hears how far it is, and may raise.

    Raises EvidenceError: `body_changed` when a stored record is not the one that was logged, `too_large` and
    `too_many_files` (then ask for one field, or less of the reads).
    """
    last = session.exec(select(LogEntry).where(LogEntry.event_id == export_id)).one()
    rows = session.exec(
        select(LogRecord)
        .where(LogRecord.subject == subject, col(LogRecord.leaf_index) <= last.leaf_index)
        .order_by(col(LogRecord.seq))
    ).all()
    shelf = _Shelf(log, session)
    shelf.fetch(rows)
    lost = {place for place, row in enumerate(rows) if shelf.lost(row)}
    records: list[tuple[str, Mapping[str, object]]] = []
    hidden = set(lost)
    for place, row in enumerate(rows):
        told("reading", place, len(rows))
        records.append((row.type, NOBODY if place in lost else shelf.data(row)))
        if place not in lost and not scope.shows(row.type, row.at, shelf.header(row), records[-1][1]):
            hidden.add(place)
    shown, papers = selection.select(records, credentials(session, subject), subject=subject, field=scope.field)
    shown -= hidden
    files = _papers(papers)
    proved = [*(rows[place] for place in sorted(shown)), *_organisation(session, shelf, papers, last.leaf_index)]
    for count, row in enumerate(proved):
        told("proving", count, len(proved))
        one = shelf.file(row)
        files[one.name()] = one.write()
    told("packing", len(proved), len(proved))
    files |= {
        "checkpoint": shelf.head.note,
        "controller.json": canonical.jcs(log.platform.document),
        "chain.json": canonical.jcs({"commitments": [base64.b64encode(row.commitment).decode() for row in rows]}),
        "README.txt": readme.TEXT.encode(),
    }
    listed = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    contents: dict[str, object] = {"v": 1, "subject": subject, "field": scope.field, "files": listed}
    if missing := [rows[place].seq for place in sorted(lost) if _may_concern(rows[place], scope.field)]:
        contents["lost"] = missing
    manifest = canonical.jcs(contents)
    claim = Claim(
        subject=subject,
        scope=scope,
        exported=rows[-1].at,
        origin=log.origin,
        size=shelf.head.size,
        root=shelf.head.root,
        length=len(rows),
        head=rows[-1].link,
    )
    files["manifest.json"] = manifest
    files["statement.dsse.json"] = statement.sign(claim, manifest, log.vkey, log.signer)
    return container.pack(files)


def one(log: Log, session: Session, row: LogRecord) -> tuple[Head, EventFile]:
    """One record with its way to the root, under the present head. Raises EvidenceError `body_changed`."""
    shelf = _Shelf(log, session)
    if row.leaf_index >= shelf.head.size:
        raise EvidenceError("not_in_log", "the signed head does not cover it yet")
    return shelf.head, shelf.file(row)


def _may_concern(row: LogRecord, field: str | None) -> bool:
    """A record whose event is gone: as far as the log's index still tells what it was about."""
    return field is None or not row.fields.strip() or f" {field} " in row.fields


@dataclass(slots=True)
class _Shelf:
    """Where a bundle's records are fetched from: index, outbox and tiles under one head."""

    log: Log
    session: Session
    head: Head
    tree: Merkle
    entries: dict[int, LogEntry]
    events: dict[int, OutboxEvent]
    links: dict[int, list[bytes]]

    def __init__(self, log: Log, session: Session) -> None:
        self.log, self.session = log, session
        self.head = log.head()
        self.tree = log.merkle(self.head.size)
        self.entries, self.events, self.links = {}, {}, {}

    def fetch(self, rows: Iterable[LogRecord]) -> None:
        """Fetch what these records need, many at once."""
        wanted = sorted({row.leaf_index for row in rows if row.leaf_index not in self.entries})
        for start in range(0, len(wanted), _PAGE):
            page = wanted[start : start + _PAGE]
            found = self.session.exec(select(LogEntry).where(col(LogEntry.leaf_index).in_(page))).all()
            self.entries |= {entry.leaf_index: entry for entry in found}
            events = outbox.of_rows(self.session, [entry.outbox_id for entry in found])
            self.events |= {one.leaf_index: events[one.outbox_id] for one in found if one.outbox_id in events}
            links = select(LogRecord.leaf_index, LogRecord.link).where(col(LogRecord.leaf_index).in_(page))
            for index, link in self.session.exec(links.order_by(col(LogRecord.leaf_index), col(LogRecord.place))):
                self.links.setdefault(index, []).append(link)

    def entry(self, row: LogRecord) -> LogEntry:
        """The leaf of a record."""
        self.fetch([row])
        return self.entries[row.leaf_index]

    def event(self, row: LogRecord) -> OutboxEvent:
        """The event of a record."""
        self.fetch([row])
        if row.leaf_index not in self.events:
            raise EvidenceError("body_changed", f"the event of leaf {row.leaf_index} is gone")
        return self.events[row.leaf_index]

    def lost(self, row: LogRecord) -> bool:
        """Whether its event was lost with a database that was restored: its place in the chain is all there is."""
        return self.entry(row).lost

    def data(self, row: LogRecord) -> dict[str, object]:
        """What the record says."""
        found = self.event(row)
        self._there(found, row)
        return dict(found.records[row.place][1])

    def _there(self, event_: OutboxEvent, row: LogRecord) -> None:
        if row.place >= min(len(event_.records), len(event_.salts)):
            raise EvidenceError("body_changed", f"the record of leaf {row.leaf_index} is gone from its event")

    def header(self, row: LogRecord) -> Mapping[str, object]:
        """What its event says for all of its records."""
        return self.event(row).header

    def file(self, row: LogRecord) -> EventFile:
        """The record with its way to the root."""
        entry, event_, links = self.entry(row), self.event(row), self.links[row.leaf_index]
        self._there(event_, row)
        body, salt = event_.bodies()[row.place], event_.salts[row.place]
        if rfc6962.record_commitment(salt, body) != row.commitment:
            raise EvidenceError("body_changed", f"the record of leaf {row.leaf_index} is not the one that was logged")
        return EventFile(
            sequence=row.seq,
            previous=row.prev,
            salt=salt,
            body=body,
            place=row.place,
            records=len(links),
            path=tuple(rfc6962.path(links, row.place)),
            index=row.leaf_index,
            leaf=entry.leaf,
            proof=tuple(self.tree.inclusion(row.leaf_index)),
        )


def _organisation(session: Session, shelf: _Shelf, papers: Sequence[Paper], until: int) -> list[LogRecord]:
    """The organisation's own records on which the bundle rests: its document, and the grounds that it names."""
    rows = session.exec(
        select(LogRecord)
        .where(
            LogRecord.subject == ORGANISATION,
            col(LogRecord.leaf_index) <= until,
            col(LogRecord.type).in_([event.CONTROLLER_PUBLISHED, *GROUNDS]),
        )
        .order_by(col(LogRecord.seq))
    ).all()
    shelf.fetch(rows)
    grounds = {one.id for one in papers if one.kind == "ground"}
    told = [row for row in rows if not shelf.lost(row)]
    return [row for row in told if row.type not in GROUNDS or mentions(shelf.data(row)) & grounds]


def _papers(papers: Iterable[Paper]) -> dict[str, bytes]:
    return {f"credentials/{one.kind}-{hashlib.sha256(one.body).hexdigest()[:32]}.json": one.body for one in papers}
