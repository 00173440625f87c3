"""Uploads without a ground that a touchpoint may leave with us: held sealed, for seven days, opened by nobody.

A held upload is a libsodium sealed box to the public key of a short period; the private half is the key-ring's. When
a ground comes that covers all of it, it is taken in; when the customer says no, the touchpoint ends or the time is
over, it is destroyed. Either way its row goes, what else lay under the same key is sealed anew, and the key is
destroyed: an older copy of the database opens nothing that is not held still.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from nacl.exceptions import CryptoError
from nacl.public import PublicKey, SealedBox
from sqlalchemy import Column as SaColumn
from sqlalchemy import LargeBinary, func
from sqlmodel import Field as Column
from sqlmodel import Session, SQLModel, col, select

from crm_core.gateway.lot import Lot
from issuer import credentials
from protocol import canonical, event, times
from protocol.consent import Field, Purpose, SubjectId, fresh_id
from protocol.errors import EvidenceError
from runtime import outbox
from runtime.keyring import KeyGone
from runtime.platform import Platform

KEPT: Final = timedelta(days=7)
PREFIX: Final = "held-"
PER_PERIOD: Final = 200  # uploads under one key: so many are sealed anew when one of them goes
PER_TOUCHPOINT: Final = 5_000
PER_CUSTOMER: Final = 50
_PAD: Final = 256


class HeldUpload(SQLModel, table=True):
    """Table `held_upload`: names of fields, and a box."""

    __tablename__ = "held_upload"

    id: str = Column(primary_key=True)
    subject: str = Column(index=True)
    touchpoint: str = Column(index=True)
    purpose: str
    fields: str  # JSON
    period: str = Column(index=True)
    box: bytes = Column(sa_column=SaColumn(LargeBinary, nullable=False))
    at: str
    destroy_by: str = Column(index=True)
    looked: int  # the standing version under which its grounds were looked at last


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What may be seen of a held upload: that it is there."""

    id: str
    subject: str
    touchpoint: str
    purpose: str
    fields: tuple[str, ...]
    at: str
    destroy_by: str


def hold(session: Session, platform: Platform, lot: Lot, touchpoint: str, at: datetime) -> str | None:
    """Seal a lot away in the caller's write transaction; the event's id, or None where too much is held already."""
    if lot.subject is None or _full(session, lot.subject, touchpoint):
        return None
    destroy_by = at + KEPT
    row = HeldUpload(
        id=fresh_id(),
        subject=lot.subject,
        touchpoint=touchpoint,
        purpose=lot.purpose,
        fields=orjson.dumps(sorted(lot.values)).decode(),
        period=_period(session, platform, destroy_by),
        box=b"",
        at=times.iso_ms(at),
        destroy_by=times.iso_ms(destroy_by),
        looked=credentials.version(session, lot.subject),
    )
    inside = {
        "context": _context(platform, row),
        "upload": lot.upload,
        "values": dict(lot.values),
        "digest": lot.digest,
        "collected_at": times.iso_ms(lot.collected_at),
    }
    row.box = _seal(platform, row.period, canonical.jcs(inside))
    session.add(row)
    session.flush()
    data = {"upload": row.id, "fields": sorted(lot.values), "touchpoint": touchpoint, "purpose": lot.purpose}
    records = [(lot.subject, {**data, "destroy_by": row.destroy_by})]
    return outbox.emit(session, event.VALUE_HELD, at=at, records=records)


def open_lot(platform: Platform, row: HeldUpload) -> Lot:
    """What a row holds. EvidenceError `bad_box` for one that was changed or moved; KeyGone after its destruction."""
    inside = _opened(platform, row)
    return Lot(
        upload=inside["upload"],
        subject=SubjectId(row.subject),
        purpose=Purpose(row.purpose),
        values={Field(name): value for name, value in inside["values"].items()},
        digest=inside["digest"],
        collected_at=times.parse(inside["collected_at"], field="collected_at"),
    )


def end(session: Session, row: HeldUpload, how: str, at: datetime) -> None:
    """Remove a row and tell it. `renew` what lay beside it in the same transaction, and `sweep` after the commit."""
    data = {"upload": row.id, "fields": orjson.loads(row.fields), "touchpoint": row.touchpoint, "how": how}
    session.delete(row)
    session.flush()
    outbox.emit(session, event.HELD_ENDED, at=at, records=[(SubjectId(row.subject), data)], key=f"held:{row.id}")


def renew(session: Session, platform: Platform, period: str, at: datetime) -> None:
    """Seal what is left under a period's key to another one, so that the key can go."""
    for row in session.exec(select(HeldUpload).where(HeldUpload.period == period)).all():
        try:
            inside = _opened(platform, row)
        except (EvidenceError, KeyGone):
            end(session, row, "unreadable", at)
            continue
        row.period = _period(session, platform, times.parse(row.destroy_by, field="destroy_by"), but=period)
        row.box = _seal(platform, row.period, canonical.jcs(inside))
        session.add(row)
        session.flush()


def sweep(platform: Platform) -> int:
    """Destroy the keys of periods under which nothing is held any more; how many."""
    with platform.database.read() as session:
        idle = _idle(session, platform)
    if not idle:
        return 0
    with platform.database.write("keeper") as session:  # nobody seals to one of them meanwhile
        gone = _idle(session, platform)
        for period in gone:
            platform.keyring.archive.destroy(period)
    return len(gone)


def listed(session: Session, subject: SubjectId | None = None, limit: int = 500) -> list[Shown]:
    """What is held of one customer, or of all, oldest first."""
    statement = select(HeldUpload).order_by(col(HeldUpload.at), col(HeldUpload.id)).limit(limit)
    if subject is not None:
        statement = statement.where(HeldUpload.subject == subject)
    return [
        Shown(
            id=row.id,
            subject=row.subject,
            touchpoint=row.touchpoint,
            purpose=row.purpose,
            fields=tuple(orjson.loads(row.fields)),
            at=row.at,
            destroy_by=row.destroy_by,
        )
        for row in session.exec(statement)
    ]


def _full(session: Session, subject: SubjectId, touchpoint: str) -> bool:
    count = select(func.count()).select_from(HeldUpload)
    of_them = session.exec(count.where(HeldUpload.touchpoint == touchpoint)).one()
    of_theirs = session.exec(count.where(HeldUpload.subject == subject)).one()
    return of_them >= PER_TOUCHPOINT or of_theirs >= PER_CUSTOMER


def _period(session: Session, platform: Platform, destroy_by: datetime, *, but: str | None = None) -> str:
    """A key for what is to be destroyed on that day: one with room that is here, or a new one."""
    day = f"~{destroy_by + timedelta(days=1):%Y-%m-%d}"
    for period in _periods(platform, day):
        held = select(func.count()).select_from(HeldUpload).where(HeldUpload.period == period)
        if period != but and session.exec(held).one() < PER_PERIOD:
            return period
    return f"{PREFIX}{secrets.token_hex(8)}{day}"


def _periods(platform: Platform, day: str = "") -> list[str]:
    return [name for name in platform.keyring.archive.names() if name.startswith(PREFIX) and name.endswith(day)]


def _idle(session: Session, platform: Platform) -> Sequence[str]:
    used = set(session.exec(select(HeldUpload.period).distinct()))
    return [period for period in _periods(platform) if period not in used]


def _seal(platform: Platform, period: str, plain: bytes) -> bytes:
    return SealedBox(PublicKey(platform.keyring.archive.public(period))).encrypt(plain + b" " * (-len(plain) % _PAD))


def _opened(platform: Platform, row: HeldUpload) -> dict[str, Any]:
    try:
        inside: dict[str, Any] = orjson.loads(SealedBox(platform.keyring.archive.private(row.period)).decrypt(row.box))
    except (CryptoError, ValueError):
        raise EvidenceError("bad_box", "what is held does not open") from None
    if inside["context"] != _context(platform, row):
        raise EvidenceError("bad_box", "what is held belongs elsewhere")
    return inside


def _context(platform: Platform, row: HeldUpload) -> list[str]:
    """What a box says of its row: not its period, which changes."""
    return [platform.controller, row.id, row.subject, row.touchpoint, row.purpose, row.fields, row.at, row.destroy_by]
