"""What two officers do together with the archive: open a box, or end the keys of a period before their day.

One asks, with a reason and evidence; another person approves; the one who asked then acts, once. Who asked and who
approved stand under a key of the ring: a row that somebody wrote, or an approval that was planted, permits nothing.
That a permission was used stands in the journal: a row that is put back does not permit again. To open is a release:
it is on record before the value leaves, and the customer sees the reason, the legal ground and who approved.
"""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from sqlmodel import Field as Column
from sqlmodel import Session, SQLModel, col, select

from crm_core.archiving import Archivable
from protocol import canonical, event, times
from protocol.consent import Field, SubjectId, fresh_id
from protocol.errors import EvidenceError
from redaction import archive, ending, terms
from redaction.archive import Archived
from redaction.ending import Cause
from runtime import outbox
from runtime.journal import USED
from runtime.keyring import KeyGone
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff

LIFE: Final = timedelta(days=1)  # of a request, and of an approval that was not used
LISTED: Final = 200
Kind = Literal["open", "destroy"]
Reason = Literal["legal_claim", "authority_order", "data_subject_request", "integrity_check", "end_of_purpose"]


class ArchiveRequest(SQLModel, table=True):
    """Table `archive_request`. `reason` and `evidence` name a file, never a person. Instants with milliseconds."""

    __tablename__ = "archive_request"

    id: str = Column(primary_key=True)
    kind: str
    subject: str | None = Column(default=None, index=True)
    field: str | None = None
    digest: str | None = None  # of the box to open; of the names of the keys that are to end
    period: str | None = None  # whose keys are to end
    reason: str
    legal_ground: str
    evidence: str
    requested_by: str
    requested_at: str = Column(index=True)
    approved_by: str | None = None
    approved_at: str | None = None
    used_at: str | None = None
    mac: str
    approval_mac: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What an officer asks for: the archived `field` of a `subject`, or the end of a `period`'s keys."""

    kind: Kind
    subject: SubjectId | None = None
    field: Field | None = None
    period: str | None = None
    reason: Reason
    legal_ground: str
    evidence: str


@dataclass(frozen=True, slots=True)
class Opened:
    """An opened box: the one value that leaves, and the record of it."""

    request: str
    field: Field
    value: Archivable
    event: str


def ask(platform: Platform, staff: Staff, wish: Wish) -> ArchiveRequest:
    """Store a request, which permits nothing yet. Problem 404 `not_archived`, `unknown_period`, 422 `bad_request`."""
    at = platform.clock.now()
    with platform.database.write("keeper") as session:
        row = ArchiveRequest(
            id=fresh_id(),
            kind=wish.kind,
            subject=wish.subject,
            field=wish.field,
            digest=_box(session, platform, wish).digest if wish.kind == "open" else _keys(platform, wish.period),
            period=wish.period if wish.kind == "destroy" else None,
            reason=wish.reason,
            legal_ground=wish.legal_ground,
            evidence=wish.evidence,
            requested_by=staff.account,
            requested_at=times.iso_ms(at),
            mac="",
        )
        if wish.kind == "destroy" and not keys_of(platform, wish.period or ""):
            raise Problem(404, "unknown_period", "There is no key of such a period.", field="period")
        row.mac = _mac(platform, _asked(row))
        session.add(row)
        data = {"request": row.id, "kind": row.kind, "reason": row.reason}
        _emit(session, event.ARCHIVE_REQUESTED, row, staff, data=data, at=at)
    return row


def approve(platform: Platform, staff: Staff, id_: str) -> ArchiveRequest:
    """The second person's word; again by the same one: nothing happens.

    Problem 404 `unknown_request`, 403 `own_request`, 409 `already_used`, `already_approved`, `period_changed`,
    410 `request_over`.
    """
    at = platform.clock.now()
    with platform.database.write("keeper") as session:
        row = _living(session, platform, id_, at)
        if row.requested_by == staff.account:
            raise Problem(403, "own_request", "Somebody else than who asked must approve it.")
        _refuse_other_keys(platform, row)
        if _approved(platform, row):
            if row.approved_by != staff.account:
                raise Problem(409, "already_approved", "Another person approved it already.")
            return row
        row.approved_by, row.approved_at = staff.account, times.iso_ms(at)
        row.approval_mac = _mac(platform, _agreed(row))
        session.add(row)
        _emit(session, event.ARCHIVE_APPROVED, row, staff, data={"request": row.id, "kind": row.kind}, at=at)
    return row


def open_box(platform: Platform, staff: Staff, id_: str) -> Opened:
    """Open the box of an approved request, once; the release is durable when this returns.

    Problem as of `approve` and 403 `not_your_request`, `not_approved`, 404 `not_archived`, 409 `key_gone`, `bad_box`.
    """
    with platform.database.write("keeper") as session:
        at = platform.clock.now()
        row = _permitted(session, platform, staff, id_, "open")
        statement = select(Archived).where(Archived.digest == row.digest, Archived.subject == row.subject)
        box = session.exec(statement.where(Archived.field == row.field)).first()
        if box is None or not archive.authentic(platform, box):
            raise Problem(404, "not_archived", "It is not in the archive any more.")
        try:
            private = platform.keyring.archive.private(box.archive_key)
            value = archive.open_box(private, box.box, box.context(platform.controller))
        except KeyGone:
            raise Problem(409, "key_gone", "The key lies with the data protection officer: bring it first.") from None
        except EvidenceError as error:
            raise Problem(409, error.code, "The box is not what its row says.") from None
        _use(session, platform, row, at)
        told = {"request": row.id, "field": box.field, "digest": box.digest, "reason": row.reason}
        told |= {"legal_ground": row.legal_ground, "approved_by": str(row.approved_by)}
        event_id = _emit(session, event.ARCHIVE_OPENED, row, staff, data=told, at=at)
    return Opened(row.id, box.field_id, value, event_id)


def destroy(platform: Platform, staff: Staff, id_: str) -> tuple[tuple[str, ...], int]:
    """End the keys of an approved request's period: their names, and how many boxes ended. Problem as of `open_box`."""
    with platform.database.write("keeper") as session:
        row = _permitted(session, platform, staff, id_, "destroy")
        _refuse_other_keys(platform, row)
        _use(session, platform, row, platform.clock.now())
        names = keys_of(platform, row.period or "")
    header = (("reader", staff.did), ("role", staff.role), ("approver", str(row.approved_by)))
    for name in names:  # what is left undone by a crash here needs a new request: nothing is destroyed unasked
        ending.end_key(platform, name, Cause(id=row.id, by=header))
    return names, ending.end_due(platform)


def keys_of(platform: Platform, period: str) -> tuple[str, ...]:
    """The living keys of a period, or the one key of that name."""
    return tuple(name for name in platform.keyring.archive.names() if period in (name, terms.period_of(name)))


def _keys(platform: Platform, period: str | None) -> str:
    return canonical.digest(canonical.jcs(sorted(keys_of(platform, period or ""))))


def _refuse_other_keys(platform: Platform, row: ArchiveRequest) -> None:
    """A key that was made since is none that two officers agreed to end. Problem 409 `period_changed`."""
    if row.kind == "destroy" and row.digest != _keys(platform, row.period):
        raise Problem(409, "period_changed", "Keys of this period were made or ended since it was asked; ask anew.")


def listed(session: Session, platform: Platform, at: datetime) -> list[dict[str, str | None]]:
    """The latest requests, newest first, each with its state: asked, approved, used, over, or disputed."""
    statement = select(ArchiveRequest).order_by(col(ArchiveRequest.requested_at).desc()).limit(LISTED)
    hidden = {"mac", "approval_mac"}
    return [
        {name: value for name, value in row.model_dump().items() if name not in hidden}
        | {"state": state(platform, row, at)}
        for row in session.exec(statement)
    ]


def openings(session: Session, platform: Platform, subject: SubjectId) -> list[ArchiveRequest]:
    """The boxes of a customer that were opened, oldest first; by what is under our MAC and in the journal."""
    statement = select(ArchiveRequest).where(ArchiveRequest.subject == subject, ArchiveRequest.kind == "open")
    rows = session.exec(statement.order_by(col(ArchiveRequest.requested_at)))
    return [row for row in rows if platform.journal.used(row.id) and _approved(platform, row)]


def state(platform: Platform, row: ArchiveRequest, at: datetime) -> str:
    """How a request stands, by what nobody can write into the database."""
    if not hmac.compare_digest(row.mac, _mac(platform, _asked(row))):
        return "disputed"
    if platform.journal.used(row.id):
        return "used"
    approved = _approved(platform, row)
    if row.approved_by is not None and not approved:
        return "disputed"
    if at >= _until(platform, row):
        return "over"
    return "approved" if approved else "asked"


def _box(session: Session, platform: Platform, wish: Wish) -> Archived:
    statement = select(Archived).where(Archived.subject == wish.subject, Archived.field == wish.field)
    rows = session.exec(statement.order_by(col(Archived.id).desc())).all()
    ours = [row for row in rows if archive.authentic(platform, row)]
    if not ours:
        raise Problem(404, "not_archived", "The archive holds no such field of this customer.")
    return ours[0]


def _living(session: Session, platform: Platform, id_: str, at: datetime) -> ArchiveRequest:
    platform.journal.refresh()
    row = session.get(ArchiveRequest, id_)
    if row is None or not hmac.compare_digest(row.mac, _mac(platform, _asked(row))):
        raise Problem(404, "unknown_request", "There is no such request.")
    if platform.journal.used(row.id):
        raise Problem(409, "already_used", "It was used already; ask anew.")
    if at >= _until(platform, row):
        raise Problem(410, "request_over", "It was not used in time; ask anew.")
    return row


def _permitted(session: Session, platform: Platform, staff: Staff, id_: str, kind: Kind) -> ArchiveRequest:
    row = _living(session, platform, id_, platform.clock.now())
    if row.kind != kind:
        raise Problem(404, "unknown_request", "There is no such request.")
    if row.requested_by != staff.account:
        raise Problem(403, "not_your_request", "Only who asked for it may act on it.")
    if not _approved(platform, row):
        raise Problem(403, "not_approved", "Another person has to approve it first.")
    return row


def _use(session: Session, platform: Platform, row: ArchiveRequest, at: datetime) -> None:
    row.used_at = times.iso_ms(at)
    session.add(row)
    # In the journal first: if the commit then fails, the permission is gone and nothing left.
    platform.journal.append({"kind": USED, "permission": row.id, "at": row.used_at})


def _approved(platform: Platform, row: ArchiveRequest) -> bool:
    if row.approved_by is None or row.approved_by == row.requested_by or row.approval_mac is None:
        return False
    return hmac.compare_digest(row.approval_mac, _mac(platform, _agreed(row)))


def _until(platform: Platform, row: ArchiveRequest) -> datetime:
    since = row.approved_at if _approved(platform, row) else row.requested_at
    return times.parse(since, field="at") + LIFE


def _asked(row: ArchiveRequest) -> list[str | None]:
    return [
        "asked", row.id, row.kind, row.subject, row.field, row.digest, row.period, row.reason, row.legal_ground,
        row.evidence, row.requested_by, row.requested_at,
    ]  # fmt: skip


def _agreed(row: ArchiveRequest) -> list[str | None]:
    return ["approved", *_asked(row), row.approved_by, row.approved_at]


def _mac(platform: Platform, facts: list[str | None]) -> str:
    key = platform.keyring.secret("archive-request")
    return hashlib.blake2b(canonical.jcs(facts), key=key, digest_size=32).hexdigest()


def _emit(
    session: Session, type_: str, row: ArchiveRequest, staff: Staff, *, data: dict[str, str], at: datetime
) -> str:
    about = None if row.subject is None else SubjectId(row.subject)
    more = data if row.field is None else {"field": row.field} | data
    header = {"reader": staff.did, "role": staff.role}
    return outbox.emit(session, type_, at=at, header=header, records=[(about, more)], key=f"{type_}:{row.id}")
