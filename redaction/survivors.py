"""Survivors: what of a customer is left after a shred, as it rests in the journal; and how a restore takes it up.

An entry holds the sealed record, its items and its boxes in the archive: ciphertexts all, which the present keys open
and those of before the shred do not. Of a customer the newest entry counts.
"""

import base64
from collections.abc import Iterable, Mapping
from datetime import datetime
from operator import itemgetter
from typing import Any

from sqlmodel import Session, select

from crm_core import items, records
from crm_core.items import ItemId, Sealed
from crm_core.records import Record
from protocol import times
from protocol.consent import SubjectId
from redaction import archive
from redaction.archive import Archived
from runtime.platform import Platform

KIND = "survivors"
_NOT_KEPT = {"id", "wanted_by", "wanted_at", "waiting"}
_KEPT = tuple(name for name in archive.COLUMNS if name not in _NOT_KEPT)
_kept = itemgetter(*_KEPT)


def entry(record: Record, own: Iterable[Sealed], archived: Iterable[Mapping[str, Any]], at: datetime) -> dict[str, Any]:
    """The journal's entry of a record with its items and its boxes in the archive (their columns), as they rest."""
    return {
        "kind": KIND,
        "subject": record.subject,
        "created_at": record.created_at,
        "generation": record.generation,
        "cells": _text(record.cells),
        "wrapped": _text(record.wrapped),
        "bucket": record.bucket,
        "epoch": record.epoch,
        "items": [
            {"item": one.item, "generation": one.generation, "head": _text(one.head), "cells": _text(one.cells)}
            for one in own
        ],
        "archived": [_boxed(row) for row in archived],
        "at": times.iso_ms(at),
    }


def newest(platform: Platform) -> dict[SubjectId, Mapping[str, Any]]:
    """The newest entry of each customer. Raises JournalError."""
    platform.journal.refresh()
    return {
        SubjectId(str(one.body["subject"])): one.body
        for one in platform.journal.entries()
        if one.body.get("kind") == KIND and "cells" in one.body
    }


def record_of(kept: Mapping[str, Any], created_at: str) -> Record:
    """The record that an entry holds."""
    return Record(
        subject=SubjectId(str(kept["subject"])),
        created_at=created_at,
        bucket=int(kept["bucket"]),
        epoch=int(kept["epoch"]),
        generation=int(kept["generation"]),
        wrapped=base64.b64decode(kept["wrapped"]),
        cells=base64.b64decode(kept["cells"]),
    )


def items_of(kept: Mapping[str, Any]) -> list[Sealed]:
    """The items that an entry holds."""
    return [
        Sealed(
            subject=SubjectId(str(kept["subject"])),
            item=ItemId(one["item"]),
            generation=int(one["generation"]),
            head=base64.b64decode(one["head"]),
            cells=base64.b64decode(one["cells"]),
        )
        for one in kept.get("items", ())
    ]


def put_archived(session: Session, kept: Mapping[str, Any]) -> int:
    """Put boxes back that the database lost; how many. Whose box it is and until when is under its row's own MAC."""
    count = 0
    for one in kept.get("archived", ()):
        known = select(Archived.id).where(Archived.job == one["job"], Archived.field == one["field"])
        if session.exec(known).first() is None:
            binary = {name: base64.b64decode(one[name]) for name in _binary()}
            session.add(Archived(**{**one, **binary}))
            count += 1
    session.flush()
    return count


def put(session: Session, record: Record, sealed: list[Sealed] | None) -> None:
    """Put a record with its items in the place of the present ones. EvidenceError `unknown_subject`."""
    records.put_back(session, record)
    items.put_back(session, record.subject, sealed)


def _boxed(row: Mapping[str, Any]) -> dict[str, Any]:
    values = zip(_KEPT, _kept(row), strict=True)
    return {name: _text(value) if type(value) is bytes else value for name, value in values}


def _binary() -> set[str]:
    return {column.name for column in Archived.__table__.columns if column.type.python_type is bytes}  # type: ignore[attr-defined]


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
