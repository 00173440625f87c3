"""Runs of the import: how far each came, what it takes to undo it, and which rows it merged. No value is ever here.

What undoes a run are the old sealed boxes themselves: under the customer's own data key, so that whatever destroys
that key makes them mute too. They rest under a key of the key-ring and bound to run and batch: the database alone
cannot make the platform undo anything. They are kept for `KEPT` after the run.
"""

import base64
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, Literal

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Table, delete, func, select
from sqlmodel import Field as Column
from sqlmodel import Session, SQLModel, col
from sqlmodel import select as choose

from crm_core.changes import Change
from protocol import canonical, times
from protocol.consent import Field, SubjectId
from protocol.errors import EvidenceError
from runtime.platform import Platform

State = Literal["running", "done", "undoing", "undone"]
UNFINISHED = ("running", "undoing")
KEPT = timedelta(days=7)
_NONCE = 12


class RunRow(SQLModel, table=True):
    """Table `import_run`: one import. `counts` is the report's five numbers as JSON, once it is done."""

    __tablename__ = "import_run"

    id: str = Column(primary_key=True)
    at: str
    importer: str
    source: str
    source_digest: str
    state: str = Column(index=True)
    batches: int
    finished_at: str | None
    counts: str | None
    mac: bytes


class UndoRow(SQLModel, table=True):
    """Table `import_undo`: what takes one batch of a run back, sealed."""

    __tablename__ = "import_undo"

    run: str = Column(primary_key=True)
    batch: int = Column(primary_key=True)
    box: bytes


class MergeRow(SQLModel, table=True):
    """Table `import_merge`: rows of one run that were taken for one customer; names fields, never values."""

    __tablename__ = "import_merge"

    run: str = Column(primary_key=True)
    row: int = Column(primary_key=True)
    subject: str
    rows: str
    rule: str
    differing: str


UNDO: Table = SQLModel.metadata.tables["import_undo"]
MERGES: Table = SQLModel.metadata.tables["import_merge"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """Rows (1 is the first) taken for one customer by a rule; `differing` fields had several values: the first won."""

    subject: SubjectId
    rows: tuple[int, ...]
    rule: str
    differing: tuple[Field, ...]


def new_id() -> str:
    """A fresh id of a run: `imp_` and 80 random bits in lower-case base32."""
    return "imp_" + base64.b32encode(secrets.token_bytes(10)).decode("ascii").lower()


def begin(session: Session, platform: Platform, row: RunRow) -> None:
    """Store a new run."""
    row.mac = _mac(platform, row)
    session.add(row)
    session.flush()


def find(session: Session, platform: Platform, run: str) -> RunRow:
    """A run. EvidenceError `unknown_run`; `bad_run` when somebody else wrote it."""
    row = session.get(RunRow, run)
    if row is None:
        raise EvidenceError("unknown_run", "there is no such import")
    if not hmac.compare_digest(row.mac, _mac(platform, row)):
        raise EvidenceError("bad_run", "the record of this import was changed by somebody else")
    return row


def move(session: Session, platform: Platform, row: RunRow, **columns: Any) -> None:
    """Change a run's columns."""
    for name, value in columns.items():
        setattr(row, name, value)
    row.mac = _mac(platform, row)
    session.add(row)
    session.flush()


def unfinished(session: Session, platform: Platform) -> list[str]:
    """The ids of runs that broke off, or go on just now; those that somebody else wrote are left out."""
    rows = session.exec(choose(RunRow).where(col(RunRow.state).in_(UNFINISHED)).order_by(col(RunRow.at)))
    return [row.id for row in rows if hmac.compare_digest(row.mac, _mac(platform, row))]


def latest(session: Session, limit: int) -> list[RunRow]:
    """The newest runs, newest first."""
    return list(session.exec(choose(RunRow).order_by(col(RunRow.at).desc(), col(RunRow.id)).limit(limit)))


def undoable(session: Session, row: RunRow, at: datetime) -> bool:
    """Is everything there that takes a finished run back, and was it `KEPT` ago at most?"""
    if row.finished_at is None or row.finished_at <= times.iso_ms(at - KEPT):
        return False
    there = session.connection().execute(select(func.count()).select_from(UNDO).where(UNDO.c.run == row.id)).scalar()
    return there == row.batches


def keep(
    session: Session, platform: Platform, row: RunRow, *, changes: Sequence[Change], events: Sequence[str]
) -> None:
    """One batch more: store what takes it back, in the transaction that makes it."""
    run, batch = row.id, row.batches + 1
    told = [
        {
            "subject": each.subject,
            "generation": each.generation,
            "wrote": {field: digest.hex() for field, digest in each.wrote.items()},
            "before": None if each.before is None else {field: _b64(box) for field, box in each.before.items()},
        }
        for each in changes
    ]
    nonce = secrets.token_bytes(_NONCE)
    box = nonce + _key(platform).encrypt(nonce, orjson.dumps([told, events]), _bound(platform, run, batch))
    session.connection().execute(UNDO.insert(), {"run": run, "batch": batch, "box": box})
    move(session, platform, row, batches=batch)


def kept(session: Session, platform: Platform, run: str, batch: int) -> tuple[list[Change], tuple[str, ...]] | None:
    """What takes a batch back, and its events; None when it is gone. EvidenceError `bad_undo` when it was changed."""
    found = session.connection().execute(select(UNDO.c.box).where(UNDO.c.run == run, UNDO.c.batch == batch)).scalar()
    if found is None:
        return None
    try:
        plain = _key(platform).decrypt(found[:_NONCE], found[_NONCE:], _bound(platform, run, batch))
    except (InvalidTag, ValueError):
        raise EvidenceError("bad_undo", "what takes this import back was changed by somebody else") from None
    told, events = orjson.loads(plain)
    changes = [
        Change(
            subject=SubjectId(each["subject"]),
            generation=each["generation"],
            wrote={Field(field): bytes.fromhex(digest) for field, digest in each["wrote"].items()},
            before=None
            if each["before"] is None
            else {Field(field): base64.b64decode(box) for field, box in each["before"].items()},
        )
        for each in told
    ]
    return changes, tuple(events)


def drop(session: Session, run: str, batch: int) -> None:
    """Forget what takes a batch back: it was, or may not be any more."""
    session.connection().execute(delete(UNDO).where(UNDO.c.run == run, UNDO.c.batch == batch))


def prune(session: Session, at: datetime) -> None:
    """Forget what takes finished runs back once `KEPT` has gone by."""
    session.connection().execute(delete(UNDO).where(UNDO.c.run.in_(_over(at))))


def prunable(session: Session, at: datetime) -> bool:
    """Is there something to forget?"""
    return (
        session.connection().execute(select(UNDO.c.run).where(UNDO.c.run.in_(_over(at))).limit(1)).first() is not None
    )


def note_merges(session: Session, run: str, merges: Sequence[Merge]) -> None:
    """Remember which rows were merged."""
    rows = [
        {
            "run": run,
            "row": each.rows[0],
            "subject": each.subject,
            "rows": orjson.dumps(each.rows).decode(),
            "rule": each.rule,
            "differing": orjson.dumps(each.differing).decode(),
        }
        for each in merges
    ]
    if rows:
        session.connection().execute(MERGES.insert(), rows)


def merges(session: Session, run: str, after: int = 0, limit: int = 500) -> list[Merge]:
    """The merges of a run whose first row is above `after`, in order of it."""
    statement = select(MERGES).where(MERGES.c.run == run, MERGES.c.row > after).order_by(MERGES.c.row).limit(limit)
    return [
        Merge(
            subject=SubjectId(row.subject),
            rows=tuple(orjson.loads(row.rows)),
            rule=row.rule,
            differing=tuple(Field(field) for field in orjson.loads(row.differing)),
        )
        for row in session.connection().execute(statement)
    ]


def forget_merges(session: Session, run: str) -> None:
    """Remove the merges of a run that was undone: their customers are no more, or as before."""
    session.connection().execute(delete(MERGES).where(MERGES.c.run == run))


def _over(at: datetime) -> Any:
    return choose(RunRow.id).where(RunRow.state == "done", col(RunRow.finished_at) <= times.iso_ms(at - KEPT))


def _key(platform: Platform) -> AESGCM:
    return AESGCM(platform.keyring.secret("import-undo"))


def _bound(platform: Platform, run: str, batch: int) -> bytes:
    return canonical.jcs(["import-undo", platform.controller, run, batch])


def _mac(platform: Platform, row: RunRow) -> bytes:
    facts = [row.id, row.at, row.importer, row.source, row.source_digest, row.state, row.batches]
    text = orjson.dumps([*facts, row.finished_at, row.counts])
    return blake2b(text, key=platform.keyring.secret("import-run"), digest_size=32).digest()


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
