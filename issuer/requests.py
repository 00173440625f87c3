"""Requests of data subjects: where each stands, until when it is to be answered, and the receipt for every step.

What was asked is a signed credential, verified anew whenever something is done about it. Where it stands is a row under
a key of the ring: whoever writes to the database can neither invent a request nor move one.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, LargeBinary
from sqlmodel import Field, Session, SQLModel, col, func, select

from issuer import asks, credentials, deadline, proved, signed
from issuer.credentials import Credential
from protocol import canonical, consent, event, request
from protocol.consent import Reference, SubjectId
from protocol.did import Did
from protocol.errors import EvidenceError
from protocol.request import DataSubjectRequest
from protocol.times import iso_ms, parse
from runtime import outbox
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff

KIND, DRAFT, RECEIPT = "request", "request-draft", "request-receipt"
OPEN = frozenset({"received", "identified", "in_work", "extended"})
PER_DAY = 20  # requests of one customer: GDPR art. 12(5), and a wallet that somebody runs wild with
_NEXT: Mapping[str, frozenset[str]] = {
    "received": frozenset({"identified", "refused"}),
    "identified": frozenset({"in_work", "extended", "answered", "refused"}),
    "in_work": frozenset({"extended", "answered", "refused"}),
    "extended": frozenset({"answered", "refused"}),
}
_STEPS = ("received", "identified", "in_work", "extended", "answered", "refused")
_EVENTS = {"answered": event.REQUEST_ANSWERED, "refused": event.REQUEST_REFUSED}


class DataRequest(SQLModel, table=True):
    """One request. `waiting` is for whom or what: second, wallet, dpo, drain; None once it is closed."""

    __tablename__ = "data_request"

    id: str = Field(primary_key=True)  # the credential's
    subject: str = Field(index=True)
    did: str  # of the wallet; the controller's for a customer without one
    kind: str
    state: str = Field(index=True)
    waiting: str | None = Field(default=None, index=True)
    recorded_by: str | None = None  # account at the desk, and who confirmed
    confirmed_by: str | None = None
    taken_by: str | None = None
    received_at: str
    due_at: str = Field(index=True)
    closed_at: str | None = None
    box: bytes | None = Field(default=None, sa_column=Column(LargeBinary, nullable=True))
    box_period: str | None = None
    mac: bytes = b""


def open_(
    session: Session, platform: Platform, row: Credential, asked: DataSubjectRequest, subject: SubjectId, **columns: Any
) -> DataRequest:
    """Note a request whose credential is stored; it is `received`. Problem 429 `too_many_requests`."""
    at = platform.clock.now()
    _refuse_flood(session, subject, at)
    made = DataRequest(
        id=row.id, subject=subject, did=row.did, kind=asked.kind, state="received", received_at=iso_ms(at),
        due_at=iso_ms(deadline.due(at, *_frame(platform))), **columns,
    )  # fmt: skip
    _save(session, platform, made)
    data: dict[str, Any] = {"request": row.id, "credential": row.id, "digest": row.digest, "kind": asked.kind}
    data |= {"fields": sorted(asked.fields)} if asked.fields else {}
    data |= {"read": asked.event} if asked.event else {}
    outbox.emit(session, event.REQUEST_RECEIVED, at=at, records=[(subject, data)], key=f"request:{row.id}")
    return made


def of_id(session: Session, platform: Platform, id_: str) -> DataRequest:
    """One request; Problem 404 `unknown_request`, 409 `request_disputed` for a row that we did not write."""
    row = session.get(DataRequest, id_)
    if row is None:
        raise Problem(404, "unknown_request", "There is no such request.", field="id")
    if not true(platform, row):
        raise Problem(409, "request_disputed", "What the database says of this request is not what we wrote.")
    return row


def living(session: Session, platform: Platform, id_: str) -> DataRequest:
    """One request that is not closed; Problem 409 `request_closed` besides."""
    row = of_id(session, platform, id_)
    if row.state not in OPEN:
        raise Problem(409, "request_closed", "This request was answered or refused already.")
    return row


def true(platform: Platform, row: DataRequest) -> bool:
    """Did we write this row?"""
    return hmac.compare_digest(row.mac, _mac(platform, row))


def asked(session: Session, platform: Platform, row: DataRequest) -> tuple[Credential, DataSubjectRequest]:
    """What was asked, proved anew: by the enrolled wallet, or by two of our staff and the controller.

    Raises EvidenceError `foreign_request` and those of `protocol.credential.verify`.
    """
    stored = session.get(Credential, row.id)
    if stored is None or stored.kind not in (KIND, DRAFT):
        raise EvidenceError("foreign_request", "what was asked is not there")
    read = request.parse_request(signed.reverify(stored, platform, request.REQUEST_TYPE))
    if read.kind != row.kind or read.controller != platform.controller:
        raise EvidenceError("foreign_request", "this is not what was asked")
    if read.subject is None:
        if read.issuer != row.did or not _enrolled(session, platform, Did(row.did), SubjectId(row.subject)):
            raise EvidenceError("foreign_request", "no wallet of this customer asked for it", field="issuer")
    elif read.subject != row.subject or (stored.kind == KIND and not _seconded(platform, read)):
        raise EvidenceError("foreign_request", "nobody of us confirmed it", field="proof")
    return stored, read


def move(
    session: Session, platform: Platform, row: DataRequest, state: str, *, staff: Staff | None = None, **said: Any
) -> dict[str, Any]:
    """Take the next step: row, event and signed receipt; `said` goes into the receipt. Problem 409 `request_closed`."""
    if state not in _NEXT.get(row.state, frozenset()):
        raise Problem(409, "request_closed", f"A request that is {row.state} cannot become {state}.")
    at = platform.clock.now()
    row.state = state
    if state not in OPEN:
        row.closed_at, row.waiting, row.box = iso_ms(at), None, None
    _save(session, platform, row)
    data = {"request": row.id, "credential": row.id, "kind": row.kind, "state": state}
    header = {} if staff is None else asks.by(staff)
    type_ = _EVENTS.get(state, event.REQUEST_MOVED)
    records: list[tuple[SubjectId | None, Mapping[str, Any]]] = [(SubjectId(row.subject), data)]
    outbox.emit(session, type_, at=at, header=header, records=records, key=f"request:{row.id}:{state}")
    return receipt(session, platform, row, at=at, **said)


def receipt(session: Session, platform: Platform, row: DataRequest, *, at: datetime, **said: Any) -> dict[str, Any]:
    """Sign and store where the request stands, for the customer."""
    stored = session.get_one(Credential, row.id)
    unsigned = request.build_receipt(
        id=consent.fresh_id(), controller=platform.controller, subject_did=Did(row.did),
        request=Reference(stored.id, stored.digest), kind=row.kind, state=row.state, at=at,
        due=parse(row.due_at, field="due_at"), **said,
    )  # fmt: skip
    made = signed.issue(
        session, unsigned, RECEIPT, signers=(platform.signer,), subject=row.subject, did=Did(row.did), at=at,
        about=row.id,
    )  # fmt: skip
    return signed.document(made)


def wait(session: Session, platform: Platform, row: DataRequest, waiting: str | None, **columns: Any) -> None:
    """Note for whom the request waits, and other columns of it."""
    row.waiting = waiting
    for name, value in columns.items():
        setattr(row, name, value)
    _save(session, platform, row)


def extend(session: Session, platform: Platform, row: DataRequest) -> None:
    """Put the deadline to the latest that the law allows."""
    row.due_at = iso_ms(deadline.extended(parse(row.received_at, field="received_at"), *_frame(platform)))
    _save(session, platform, row)


def listed(
    session: Session, platform: Platform, *, state: str | None = None, subject: str | None = None
) -> list[dict[str, Any]]:
    """Requests for staff, those that are due first in front; `state` is one of them, or `open`. Never a value."""
    statement = select(DataRequest)
    if state is not None:
        statement = statement.where(col(DataRequest.state).in_(OPEN if state == "open" else (state,)))
    if subject is not None:
        statement = statement.where(DataRequest.subject == subject)
    rows = session.exec(statement.order_by(col(DataRequest.due_at), col(DataRequest.id))).all()
    at = platform.clock.now()
    return sorted((shown(platform, row, at) for row in rows), key=lambda one: (not one["overdue"], one["due_at"]))


def shown(platform: Platform, row: DataRequest, at: datetime) -> dict[str, Any]:
    """A request as staff and its wallet see it."""
    alive = row.state in OPEN
    return {
        "id": row.id, "subject": row.subject, "kind": row.kind, "state": row.state, "waiting_for": row.waiting,
        "desk": row.recorded_by is not None, "taken_by": row.taken_by, "received_at": row.received_at,
        "due_at": row.due_at, "overdue": alive and row.due_at <= iso_ms(at), "closed_at": row.closed_at,
        "disputed": not true(platform, row),
    }  # fmt: skip


def receipts_of(session: Session, id_: str) -> list[dict[str, Any]]:
    """The signed receipts for a request, in the order of its steps."""
    statement = select(Credential).where(Credential.kind == RECEIPT, col(Credential.about) == id_)
    rows = [(row.at, signed.document(row)) for row in session.exec(statement)]
    return [document for _, document in sorted(rows, key=lambda one: (one[0], _STEPS.index(_state(one[1]))))]


def _state(document: Mapping[str, Any]) -> str:
    return str(document["credentialSubject"]["hasRequestReceipt"]["requestState"])


def _save(session: Session, platform: Platform, row: DataRequest) -> None:
    row.mac = _mac(platform, row)
    session.add(row)
    session.flush()


def _mac(platform: Platform, row: DataRequest) -> bytes:
    """Over all that is said of the request but the box (its digest is in the request itself) and its key's name."""
    columns = row.model_dump(exclude={"mac", "box", "box_period"})
    key = platform.keyring.secret("data-request")
    return hmac.new(key, canonical.jcs(columns), hashlib.sha256).digest()


def _frame(platform: Platform) -> tuple[str, int]:
    return platform.settings.home_jurisdiction, platform.settings.answer_days


def _refuse_flood(session: Session, subject: SubjectId, at: datetime) -> None:
    since = iso_ms(at - timedelta(days=1))
    statement = select(func.count()).where(DataRequest.subject == subject, col(DataRequest.received_at) > since)
    if session.exec(statement).one() >= PER_DAY:
        raise Problem(429, "too_many_requests", "These are more requests than one day takes; try again tomorrow.")


def _enrolled(session: Session, platform: Platform, did: Did, subject: SubjectId) -> bool:
    """Did our own key ever bind this wallet to this customer? (A request outlives the wallet.)"""
    for row in credentials.of_kind(session, "enrolment", did=did, subject=subject):
        if proved.binds(platform, row):
            return True
    return False


def _seconded(platform: Platform, read: DataSubjectRequest) -> bool:
    ours = {platform.keyring.signer(name).did for name in platform.keyring.signers() if name.startswith("staff/")}
    return platform.controller in read.signers and len(read.signers & ours) >= 2 and read.issuer in ours
