"""Survivors: what of a customer is left after a shred, as it rests in the journal; and how a restore takes it up.

An entry holds the sealed record, its items and its boxes in the archive: ciphertexts all, which the present keys open
and those of before the shred do not. Of a customer the newest entry counts. What the boxes of one envelope share, the
envelope too, stands there once.
"""

import base64
from binascii import b2a_base64
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
_SHARED = ("job", "subject", "period", "generation", "archive_key", "destroy_by", "at")
_OWN = ("field", "ground", "digest")
_shared, _own = itemgetter(*_SHARED), itemgetter(*_OWN)


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
        "archived": _boxed(archived),
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


def archived_of(kept: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of the archive that an entry holds, by their columns; each bears its own MAC, which proves it or not."""
    return [
        {
            **{name: one[name] for name in _SHARED},
            **dict(zip(_OWN, told, strict=True)),
            "box": base64.b64decode(one["envelope"]) + base64.b64decode(box),
            "mac": base64.b64decode(mac),
        }
        for one in kept.get("archived", ())
        for *told, box, mac in one["fields"]
    ]


def put_archived(session: Session, kept: Mapping[str, Any]) -> int:
    """Put boxes back that the database lost; how many. Whose box it is and until when is under its row's own MAC."""
    count = 0
    for one in archived_of(kept):
        known = select(Archived.id).where(
            Archived.subject == one["subject"], Archived.job == one["job"], Archived.field == one["field"]
        )
        if session.exec(known).first() is None:
            session.add(Archived(**one))
            count += 1
    session.flush()
    return count


def put(session: Session, record: Record, sealed: list[Sealed] | None) -> None:
    """Put a record with its items in the place of the present ones. EvidenceError `unknown_subject`."""
    records.put_back(session, record)
    items.put_back(session, record.subject, sealed)


def _boxed(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    together: dict[tuple[Any, ...], list[list[Any]]] = {}
    for row in rows:
        envelope, box = archive.parted(row["box"])
        together.setdefault((*_shared(row), envelope), []).append([*_own(row), _text(box), _text(row["mac"])])
    return [
        dict(zip(_SHARED, shared, strict=True)) | {"envelope": _text(envelope), "fields": boxes}
        for (*shared, envelope), boxes in together.items()
    ]


def _text(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode("ascii")
