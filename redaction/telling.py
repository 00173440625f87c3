"""Telling the log: one event tells of a field for many customers, each in a salted record of their own.

So many dispositions share an event, and nobody's record shows anything of the others. A step tells in the transaction
that marks what it tells of, and each field of a job is marked once (`disposition.carry_out`).
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session

from protocol.consent import Field
from redaction.disposition import Fate
from runtime import outbox

Told = tuple[Fate, Mapping[str, Any]]


def tell(session: Session, kind: str, told: Sequence[Told], at: datetime) -> None:
    """Tell what became of these fields; of a customer at most one job is among them. Each is given its event."""
    by_field: dict[Field, list[Told]] = {}
    for fate, data in told:
        by_field.setdefault(fate.field, []).append((fate, data))
    fields = sorted(by_field)
    events = []
    for field in fields:
        ones = by_field[field]
        records = [
            (fate.subject, {"field": field, "job": fate.job} | {n: v for n, v in data.items() if v is not None})
            for fate, data in ones
        ]
        events.append(outbox.Told(kind, records, f"{kind}:{name([fate.job for fate, _ in ones])}:{field}"))
    for field, event in zip(fields, outbox.emit_all(session, events, at=at), strict=True):
        for fate, _ in by_field[field]:
            fate.event = event


def name(jobs: Collection[str]) -> str:
    """What an event about these jobs is known by: the one job, or a digest of all."""
    known = sorted(jobs)
    return known[0] if len(known) == 1 else hashlib.sha256(" ".join(known).encode("ascii")).hexdigest()
