"""What was exported: one row per export, for the list of the data protection officer. No value, no operand.

The truth of what left is the releases on record, each naming its export; this table is their index.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import uuid4

from sqlalchemy import Table, select, update
from sqlmodel import Field as Column
from sqlmodel import Session, SQLModel

from protocol.consent import Field
from protocol.times import iso_ms

Format = Literal["csv", "jsonl", "vcard"]
State = Literal["running", "complete", "broken"]
MAX_LISTED = 200


class ExportRow(SQLModel, table=True):
    """Table `export`."""

    __tablename__ = "export"

    id: str = Column(primary_key=True)
    at: str = Column(index=True)
    account: str
    role: str
    purpose: str  # IRI
    recipient: str
    jurisdiction: str
    format: str
    fields: str  # JSON list of the fields that the file may hold or that its rows depend on
    rows: int
    state: str
    finished_at: str | None = None


TABLE: Table = SQLModel.metadata.tables["export"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """One export. `rows`: customers whose values were sent so far; `broken`: it did not reach its end."""

    id: str
    at: str
    account: str
    role: str
    purpose: str
    recipient: str
    jurisdiction: str
    format: Format
    fields: tuple[Field, ...]
    rows: int = 0
    state: State = "running"
    finished_at: str | None = None

    def told(self) -> dict[str, Any]:
        """As the list shows it."""
        return {**asdict(self), "fields": list(self.fields)}


def new_id() -> str:
    """A fresh id, `urn:uuid:…`."""
    return f"urn:uuid:{uuid4()}"


def begin(session: Session, export: Export) -> None:
    """Put an export on the list before its first row leaves."""
    row = {**asdict(export), "fields": json.dumps(list(export.fields))}
    session.connection().execute(TABLE.insert(), row)


def end(session: Session, id: str, *, rows: int, state: State, at: datetime) -> None:
    """What became of it."""
    done = update(TABLE).where(TABLE.c.id == id).values(rows=rows, state=state, finished_at=iso_ms(at))
    session.connection().execute(done)


def listed(session: Session, limit: int = MAX_LISTED) -> Sequence[Export]:
    """The newest exports first."""
    newest = select(TABLE).order_by(TABLE.c.at.desc(), TABLE.c.id).limit(limit)
    rows = session.connection().execute(newest).mappings()
    return [Export(**{**row, "fields": tuple(map(Field, json.loads(row["fields"])))}) for row in rows]
