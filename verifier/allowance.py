"""Allowances: what a (subject, purpose, recipient, jurisdiction) releases now, compiled from verified grounds.

A row carries a mask of released fields, the reason byte of each withheld one, the grounds, the next change, the
standing's version, the digest of what the catalogue says of the purpose and a MAC over all of that and its key columns.
The key is in the key-ring: whoever writes to the database can neither make a row nor move one.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import orjson
from sqlalchemy import ColumnElement, and_, delete, insert, or_
from sqlmodel import Field, Session, SQLModel, col, select

from issuer import credentials
from issuer.catalogue import Catalogue
from issuer.catalogue.entries import PurposeEntry
from issuer.evidence import Evidence
from protocol import consent, event
from protocol.consent import Jurisdiction, Purpose, SubjectId
from protocol.did import Did
from runtime import bulk, dialect, outbox
from runtime.clock import iso
from runtime.platform import Platform
from verifier import grounds, quarantine, rule, seal
from verifier.grant import Grant, ReadRequest
from verifier.likeness import Likeness
from verifier.seal import Key, Seal

BATCH = 500  # subjects: bounds the statements' parameters and the memory
MASK_BYTES = 16
REASONS = tuple(rule.Reason)


class Allowance(SQLModel, table=True):
    """One compiled decision."""

    __tablename__ = "allowance"

    subject: str = Field(primary_key=True)
    purpose: str = Field(primary_key=True)
    recipient: str = Field(primary_key=True)
    jurisdiction: str = Field(primary_key=True)
    mask: bytes  # 16 bytes, little endian; the catalogue's bit per field
    reasons: bytes  # one byte per bit up to the highest: 0 where released or no field, else 1 + index in Reason
    grounds: str  # JSON {ground id: mask in hexadecimal}
    next_change_at: str | None = Field(default=None, index=True)
    version: int
    catalogue: str  # `Catalogue.part` of the purpose
    mac: bytes


_TABLE = SQLModel.metadata.tables["allowance"]
_COLUMNS = tuple(_TABLE.c.keys())
_INSERT = insert(_TABLE)
_GONE = delete(_TABLE).where(_TABLE.c.subject.in_(bulk.these()))
Row = tuple[Any, ...]
"""A row of the table in the order of its columns: each new customer has one for every purpose."""


def compile(session: Session, platform: Platform, catalogue: Catalogue, subject: SubjectId) -> None:
    """Write the subject's allowances from its evidence, in the caller's transaction.

    Leaves a quarantined subject, and one whose standing is below the journal's floor, as they are. Raises ClockError.
    """
    compile_many(session, platform, catalogue, [subject])


def compile_many(session: Session, platform: Platform, catalogue: Catalogue, subjects: Iterable[SubjectId]) -> int:
    """The same for many subjects, in batches; returns how many were compiled."""
    platform.journal.refresh()
    compiler = _Compiler(platform, catalogue.current(), platform.clock.now())
    remaining = iter(subjects)
    compiled = 0
    while batch := list(islice(remaining, BATCH)):
        compiled += compiler.write(session, batch)
    return compiled


def compile_due(platform: Platform, catalogue: Catalogue) -> int:
    """Compile each subject that has an allowance past its `next_change_at`; returns how many were compiled."""
    return _compile_where(platform, catalogue, col(Allowance.next_change_at) <= iso(platform.clock.now()))


def compile_stale(platform: Platform, catalogue: Catalogue) -> int:
    """Compile each subject that has an allowance under which the catalogue says other things of its purpose."""
    now = catalogue.current()
    parts = {one.iri: now.part(one) for one in now.purposes.values()}
    other = [and_(col(Allowance.purpose) == iri, col(Allowance.catalogue) != part) for iri, part in parts.items()]
    return _compile_where(platform, catalogue, or_(*other, col(Allowance.purpose).not_in(parts)))


def compile_all(platform: Platform, catalogue: Catalogue) -> int:
    """Compile every subject, one transaction per batch: after a change of catalogue or of a ground for everyone."""
    compiled, after = 0, ""
    while True:
        with platform.database.write() as session:
            batch = credentials.subjects_after(session, after, BATCH)
            if not batch:
                return compiled
            compiled += compile_many(session, platform, catalogue, batch)
            after = batch[-1]


def _compile_where(platform: Platform, catalogue: Catalogue, condition: ColumnElement[bool]) -> int:
    with platform.database.read() as session:  # nobody waits for the write lock while there is nothing to do
        if session.exec(select(Allowance.subject).where(condition).limit(1)).first() is None:
            return 0
    compiled, after = 0, ""
    while True:
        with platform.database.write() as session:
            statement = (
                select(Allowance.subject)
                .where(condition, col(Allowance.subject) > after, dialect.ours(session, col(Allowance.subject)))
                .distinct()
                .order_by(col(Allowance.subject))
                .limit(BATCH)
            )
            batch = [SubjectId(subject) for subject in session.exec(statement)]
            if not batch:
                return compiled
            compiled += compile_many(session, platform, catalogue, batch)
            after = batch[-1]


_LATEST: list[tuple[Catalogue, Mapping[Purpose, str]]] = []  # a compiler is made for every answer of a wallet


def _parts(catalogue: Catalogue) -> Mapping[Purpose, str]:
    """The digest of what this version says of each purpose, made once as long as the version stays the same."""
    for known, parts in _LATEST:
        if known is catalogue:
            return parts
    found = {Purpose(one.iri): catalogue.part(one) for one in catalogue.purposes.values()}
    _LATEST[:] = [(catalogue, found)]
    return found


class _Compiler:
    """Rows of allowances for one catalogue at one instant."""

    def __init__(self, platform: Platform, catalogue: Catalogue, at: datetime) -> None:
        self._platform, self._catalogue, self._at = platform, catalogue, at
        self._seal = Seal(platform.keyring.secret("allowance-mac"))
        self._bits = {consent.Field(entry.id): entry.bit for entry in catalogue.fields.values()}
        self._fields = frozenset(self._bits)
        self._parts = _parts(catalogue)
        self._nothing = bytearray(max(self._bits.values()) + 1)
        for bit in self._bits.values():
            self._nothing[bit] = 1 + REASONS.index(rule.Reason.NO_GROUND)
        self._home = Jurisdiction(platform.settings.home_jurisdiction)

    def write(self, session: Session, batch: Sequence[SubjectId]) -> int:
        floor = self._platform.journal.floor
        shut = quarantine.among(session, list(batch))
        # Nothing is compiled on suspicion: it would launder a rollback.
        known = grounds.collect(session, [subject for subject in batch if subject not in shut])
        for evidence in known:
            if evidence.version < 0:  # no number that we ever wrote
                quarantine.put(session, evidence.subject, "below_floor", self._at)
        trusted = [evidence for evidence in known if evidence.version >= floor(evidence.subject)]
        if not trusted:
            return 0
        # In the order of the primary key: neighbours in its index are written together.
        trusted.sort(key=lambda evidence: evidence.subject)
        bulk.remove(session, _GONE, [evidence.subject for evidence in trusted])
        alone: list[Row] = []
        kinds: dict[Hashable, _Alike] = {}
        likeness, journal = Likeness(self._platform, self._at), self._platform.journal
        for evidence in trusted:
            # what the same evidence proves is found out once, and sealed for each subject
            same, mark = likeness.of(evidence), journal.mark(evidence.subject)
            if same is None:
                alone += self._rows(session, evidence)
            elif (same, mark) in kinds:
                kinds[same, mark].add(evidence.subject)
            else:
                rows = sorted(self._rows(session, evidence))
                kinds[same, mark] = _Alike(self._seal, rows, mark)
                alone += rows
        bulk.each(session, _INSERT, _COLUMNS, alone)
        for kind in kinds.values():
            bulk.alike(session, _TABLE, kind.shared, kind.own, seal.SIZE)
        return len(trusted)

    def _rows(self, session: Session, evidence: Evidence) -> Iterator[Row]:
        findings = grounds.examine(self._platform, self._catalogue, evidence, self._at)
        for complaint in findings.complaints:
            self._tell(session, evidence.subject, complaint)
        # of a field that no ground names there is nothing to find out
        named = self._fields & frozenset[consent.Field]().union(*(grant.fields for grant in findings.grants))
        for purpose in self._catalogue.purposes.values():
            for recipient, jurisdiction in self._places(purpose, findings.grants):
                request = ReadRequest(
                    reader=self._platform.controller,
                    recipient=recipient,
                    subject=evidence.subject,
                    fields=named,
                    purpose=Purpose(purpose.iri),
                    processing=consent.USE,
                    jurisdiction=jurisdiction,
                    roles=purpose.roles,
                    at=self._at,
                )
                yield self._row(request, findings.grants, evidence.version)

    def _places(self, purpose: PurposeEntry, grants: Iterable[Grant]) -> set[tuple[Did, Jurisdiction]]:
        """Where this purpose may be granted: at home for ourselves, and every pair that a grant for it names."""
        places = {(self._platform.controller, self._home)}
        for grant in grants:
            if grant.purpose == purpose.iri:
                places.update((recipient, place) for recipient in grant.recipients for place in grant.jurisdictions)
        return places

    def _row(self, request: ReadRequest, grants: Sequence[Grant], version: int) -> Row:
        released = rule.decide(request, grants).grounds
        masks: dict[str, int] = {}
        for field, ground in released.items():
            masks[ground] = masks.get(ground, 0) | 1 << self._bits[field]
        reasons = bytearray(self._nothing)
        for field in request.fields:
            why = None if field in released else rule.reason(request, field, grants)
            reasons[self._bits[field]] = 0 if why is None else 1 + REASONS.index(why)
        change = rule.next_change(request, grants)
        content = (
            sum(1 << self._bits[field] for field in released).to_bytes(MASK_BYTES, "little"),
            bytes(reasons),
            orjson.dumps({key: f"{mask:x}" for key, mask in sorted(masks.items())}).decode(),
            None if change is None else iso(change),
            version,
        )
        part = self._parts[request.purpose]
        key = Key(request.purpose, request.recipient, request.jurisdiction, part)
        mac = self._seal.under(key)(request.subject, *content, self._platform.journal.mark(request.subject))
        return (request.subject, *key[:3], *content, part, mac)

    def _tell(self, session: Session, subject: SubjectId, complaint: grounds.Complaint) -> None:
        """Evidence that proves nothing is on record once: whoever planted it shall not go unnoticed."""
        data = {"code": complaint.code, "credential": complaint.credential}
        key = f"evidence:{complaint.credential}:{complaint.code}"
        outbox.emit(session, event.ATTEMPT_REFUSED, at=self._at, records=[(subject, data)], key=key)


class _Alike:
    """Subjects whose rows differ in the subject and in the MAC alone: what they share, and each with its MACs."""

    def __init__(self, by: Seal, rows: Sequence[Row], mark: int) -> None:
        """`rows`: those of the first of them."""
        self.shared = [row[1:-1] for row in rows]
        self.own: list[tuple[str, bytes]] = []
        self._macs = [by.alike(Key(row[1], row[2], row[3], row[9]), row[4:9], mark) for row in rows]

    def add(self, subject: SubjectId) -> None:
        """One more of them."""
        whose = seal.whose(subject)
        self.own.append((subject, b"".join([mac(whose) for mac in self._macs])))
