"""Disclosure: which fields of a customer went to whom, so that a recipient can be told when their ground ends.

A row is written in the transaction of the release itself, when the recipient is not the controller or when the release
is part of an export (a copy that leaves the gate, even where it stays in the house). The releases on record are the
truth, this table is their index: `again` writes it anew from them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Table, select, update
from sqlmodel import Field as Column
from sqlmodel import Session, SQLModel

from protocol import event
from protocol.consent import Field, Purpose, SubjectId
from protocol.did import Did
from protocol.times import iso_ms
from runtime import bulk, dialect, outbox

NO_EXPORT: Final = ""
_AT_ONCE: Final = 200


class DisclosureRow(SQLModel, table=True):
    """Table `disclosure`. `told_by` is the notice that told the recipient since the last disclosure."""

    __tablename__ = "disclosure"

    subject: str = Column(primary_key=True)
    field: str = Column(primary_key=True)
    recipient: str = Column(primary_key=True)
    purpose: str = Column(primary_key=True)
    export_id: str = Column(default=NO_EXPORT, primary_key=True)
    first_at: str
    last_at: str
    event_id: str  # of the latest release
    told_by: str | None = Column(default=None, index=True)


TABLE: Table = SQLModel.metadata.tables["disclosure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    """One field of a customer that went to a recipient, by itself or within an export."""

    field: Field
    recipient: Did
    purpose: Purpose
    export: str | None
    first_at: str
    last_at: str
    event: str
    told_by: str | None


def note(
    session: Session,
    *,
    controller: Did,
    header: Mapping[str, Any],
    records: Sequence[tuple[SubjectId | None, Mapping[str, Any]]],
    event_id: str,
    at: datetime,
) -> None:
    """Remember what a release disclosed, in the release's own transaction; reads within the house leave nothing."""
    recipient, export = header.get("recipient"), dict(header.get("query") or {}).get("export")
    if not isinstance(recipient, str) or (recipient == controller and not export):
        return
    stamp = iso_ms(at)
    rows = [
        {
            "subject": subject,
            "field": field,
            "recipient": recipient,
            "purpose": str(header.get("purpose", "")),
            "export_id": str(export) if export else NO_EXPORT,
            "first_at": stamp,
            "last_at": stamp,
            "event_id": event_id,
            "told_by": None,
        }
        for subject, data in records
        if subject is not None
        for field in data.get("released", ())
    ]
    if rows:
        _upsert(session, rows)


def of_subject(session: Session, subject: SubjectId, *, untold: bool = False) -> list[Disclosure]:
    """Everything that was disclosed of a customer; `untold`: only what the recipient was not told the end of."""
    statement = select(TABLE).where(TABLE.c.subject == subject)
    if untold:
        statement = statement.where(TABLE.c.told_by.is_(None))
    rows = session.connection().execute(statement.order_by(TABLE.c.recipient, TABLE.c.field, TABLE.c.export_id))
    return [
        Disclosure(
            field=Field(row.field),
            recipient=Did(row.recipient),
            purpose=Purpose(row.purpose),
            export=row.export_id or None,
            first_at=row.first_at,
            last_at=row.last_at,
            event=row.event_id,
            told_by=row.told_by,
        )
        for row in rows
    ]


_NOBODY = bulk.beside(TABLE.c.told_by).is_(None)
_UNTOLD = select(TABLE.c.subject).where(TABLE.c.subject.in_(bulk.these()), _NOBODY).distinct()


def untold(session: Session, subjects: Sequence[SubjectId]) -> frozenset[str]:
    """Those of the customers (at most 500) of whom something was disclosed whose end nobody was told."""
    return frozenset(subject for (subject,) in bulk.rows(session, _UNTOLD, subjects))


def of_exports(session: Session, exports: Iterable[str]) -> dict[str, tuple[int, int, frozenset[str]]]:
    """Per export: disclosed fields of customers in all, those whose end was told, and the notices that told it."""
    statement = select(TABLE.c.export_id, TABLE.c.told_by).where(TABLE.c.export_id.in_(list(exports)))
    found: dict[str, tuple[int, int, frozenset[str]]] = {}
    for row in session.connection().execute(statement):
        count, ended, notices = found.get(row.export_id, (0, 0, frozenset()))
        told = frozenset() if row.told_by is None else frozenset({str(row.told_by)})
        found[row.export_id] = (count + 1, ended + len(told), notices | told)
    return found


def told(session: Session, subject: SubjectId, disclosed: Iterable[Disclosure], notice: str) -> None:
    """Note that this notice tells the recipients of these disclosures."""
    for one in disclosed:
        session.connection().execute(
            update(TABLE)
            .where(
                TABLE.c.subject == subject,
                TABLE.c.field == one.field,
                TABLE.c.recipient == one.recipient,
                TABLE.c.purpose == one.purpose,
                TABLE.c.export_id == (one.export or NO_EXPORT),
            )
            .values(told_by=notice)
        )


def again(session: Session, controller: Did, after: int, limit: int = _AT_ONCE) -> tuple[int, int]:
    """Write the index anew from the releases on record, from the outbox id `after` on.

    Returns the last id that was read (unchanged at the end) and how many disclosures were missing. For whoever removed
    rows of this table so that a recipient would never be told.
    """
    missing = 0
    events, _ = outbox.inspected(session, after, limit)  # a release that we did not write discloses nothing
    for one in events:
        if one.type != event.RELEASE:
            continue
        recipient, export = one.header.get("recipient"), dict(one.header.get("query") or {}).get("export")
        if recipient == controller and not export:
            continue
        subjects = [subject for subject, _ in one.records if subject is not None]
        known = _known(session, subjects, one.header, str(export) if export else NO_EXPORT, since=iso_ms(one.at))
        lost = [
            (subject, {"released": [field for field in data.get("released", ()) if (subject, field) not in known]})
            for subject, data in one.records
        ]
        missing += sum(len(data["released"]) for subject, data in lost if subject is not None)
        note(session, controller=controller, header=one.header, records=lost, event_id=one.event_id, at=one.at)
    return (events[-1].id if events else after), missing


def _known(
    session: Session, subjects: list[SubjectId], header: Mapping[str, Any], export: str, *, since: str
) -> set[tuple[str, str]]:
    statement = select(TABLE.c.subject, TABLE.c.field).where(
        TABLE.c.subject.in_(subjects),
        TABLE.c.recipient == header.get("recipient"),
        TABLE.c.purpose == str(header.get("purpose", "")),
        TABLE.c.export_id == export,
        TABLE.c.last_at >= since,
    )
    return {(row.subject, row.field) for row in session.connection().execute(statement)}


def _upsert(session: Session, rows: list[dict[str, Any]]) -> None:
    insert = dialect.insert(session, TABLE)
    changed = {name: insert.excluded[name] for name in ("last_at", "event_id", "told_by")}
    keys = ["subject", "field", "recipient", "purpose", "export_id"]
    session.connection().execute(insert.on_conflict_do_update(index_elements=keys, set_=changed), rows)
