"""Giving an answer: made, sealed for its one reader, on record as a release to the subject, only then handed over."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlmodel import Session

from crm_core import normal, writer
from crm_core.origin import SUBJECT, Origin
from crm_core.rights import copies as rights
from crm_core.rights import opening
from crm_core.rights.copies import Beyond
from crm_core.seal import Value
from issuer import credentials, requests, sealing
from issuer.catalogue import Catalogue
from issuer.catalogue.entries import FieldEntry
from issuer.requests import DataRequest
from protocol import canonical, event, sealed, times
from protocol.consent import Field, SubjectId
from protocol.did import Did
from protocol.errors import EvidenceError
from runtime import outbox
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff

LIFE = timedelta(days=7)  # how long after the first time an answer may be fetched again
CITATION: Mapping[str, str] = {
    "access": "GDPR art. 15; PIPL art. 45",
    "portability": "GDPR art. 20; PIPL art. 45(3)",
    "rectification": "GDPR art. 16; PIPL art. 46",
}


@dataclass(frozen=True, slots=True)
class Records:
    """Where answers are made of."""

    platform: Platform
    catalogue: Catalogue
    beyond: Beyond


def for_wallet(house: Records, did: Did, subject: SubjectId, id_: str) -> dict[str, Any]:
    """{"receipt", "sealed"} for the wallet that asked, and for no other.

    Problem 404 `unknown_request`, 409 `no_answer_here`, `request_closed`, `wallet_ended`, 410 `answer_over`;
    EvidenceError `foreign_request`.
    """
    platform = house.platform
    row = _answerable(platform, id_)
    if row.did != did or row.subject != subject:
        raise Problem(404, "unknown_request", "There is no such request.", field="request")
    document = _made(house, row)
    box = sealed.seal_to_wallet(did, orjson.dumps(document))
    receipt = _record(platform, row.id, box, rights.names(document), None)
    return {"receipt": receipt, "sealed": base64.b64encode(box).decode()}


def for_post(house: Records, staff: Staff, id_: str) -> bytes:
    """The answer for a customer without a wallet, as a file under a passphrase that who confirmed gives out.

    Problem 403 `own_confirmation`: whoever can have the passphrase cannot have the file. Others as of `for_wallet`.
    """
    platform = house.platform
    row = _answerable(platform, id_)
    if row.recorded_by is None:
        raise Problem(409, "no_answer_here", "This customer's wallet fetches the answer itself.")
    if staff.account == row.confirmed_by:
        raise Problem(403, "own_confirmation", "You give out the passphrase; somebody else hands over the file.")
    document = _made(house, row)
    file = sealed.seal_file(_passphrase(platform, row), orjson.dumps(document))
    _record(platform, row.id, file, rights.names(document), staff)
    return file


def passphrase(platform: Platform, staff: Staff, id_: str) -> str:
    """What opens the file, for who confirmed the request, to give to the customer. It is on record.

    Problem 403 `not_your_confirmation`, 404 `unknown_request`, 410 `answer_over`.
    """
    row = _answerable(platform, id_)
    if row.confirmed_by is None or staff.account != row.confirmed_by:
        raise Problem(403, "not_your_confirmation", "Who confirmed the request gives out the passphrase.")
    with platform.database.write() as session:
        data = {"request": row.id, "kind": row.kind, "state": row.state, "how": "passphrase"}
        header = {"reader": staff.did, "role": staff.role}
        records: list[tuple[SubjectId | None, dict[str, Any]]] = [(SubjectId(row.subject), data)]
        outbox.emit(session, event.REQUEST_MOVED, at=platform.clock.now(), header=header, records=records)
    return _passphrase(platform, row)


def correct(house: Records, staff: Staff, id_: str) -> dict[str, Any]:
    """Accept a correction: opened in memory, written with the customer as its source, answered; the receipt.

    Problem 404 `unknown_request`, 409 `no_answer_here`, `not_identified`, `request_closed`, `wallet_ended`, `not_held`;
    EvidenceError as of `sealing.open_box` and `normal`.
    """
    platform, catalogue = house.platform, house.catalogue
    with platform.database.write("keeper") as session:
        row = requests.living(session, platform, id_)
        if row.kind != "rectification" or row.box is None or row.box_period is None:
            raise Problem(409, "no_answer_here", "This request corrects nothing.")
        if row.state == "received":
            raise Problem(409, "not_identified", "Somebody else has to confirm first who is asking.")
        _, asked = requests.asked(session, platform, row)
        _refuse_ended(session, platform, row)
        subject, at = SubjectId(row.subject), platform.clock.now()
        proposed = sealing.open_box(platform, row.box, row.box_period, asked, Did(row.did))
        sealing.check(catalogue, proposed)
        values = {Field(name): _normal(catalogue.field(name), value) for name, value in proposed.items()}
        if not frozenset(values) <= opening.stored_fields(platform, subject):
            raise Problem(409, "not_held", "Only what is held can be corrected; new data comes with a ground.")
        source = origin_of(platform, row, at)
        writer.put(session, platform, catalogue, subject, values, origin=source)
        return requests.move(session, platform, row, "answered", staff=staff, citation=CITATION["rectification"])


def origin_of(platform: Platform, row: DataRequest, at: datetime) -> Origin:
    """Where a corrected value came from: the subject."""
    return Origin(source=SUBJECT, source_digest=canonical.digest(row.id.encode()), importer=row.did, at=at)


def _answerable(platform: Platform, id_: str) -> DataRequest:
    """A request for a copy, that may be handed over now."""
    at = platform.clock.now()
    with platform.database.read() as session:
        row = requests.of_id(session, platform, id_)
        if row.kind not in ("access", "portability"):
            raise Problem(409, "no_answer_here", "This request is not answered by a copy.")
        if row.state == "received":
            raise Problem(409, "not_identified", "Somebody else has to confirm first who is asking.")
        if row.state == "refused":
            raise Problem(409, "request_closed", "This request was refused.")
        if row.closed_at is not None and times.parse(row.closed_at, field="closed_at") + LIFE <= at:
            raise Problem(410, "answer_over", "This answer is over; ask again.")
        requests.asked(session, platform, row)
        return row


def _refuse_ended(session: Session, platform: Platform, row: DataRequest) -> None:
    """Problem 409 `wallet_ended`: whoever stole a wallet gets and changes nothing once it was reported lost."""
    if row.recorded_by is None:
        theirs = credentials.living(session, "enrolment", did=Did(row.did), subject=SubjectId(row.subject))
        if all(platform.journal.ended(one.id) for one in theirs):
            raise Problem(409, "wallet_ended", "The wallet that asked for this has ended; a new one asks anew.")


def _made(house: Records, row: DataRequest) -> dict[str, Any]:
    platform, subject = house.platform, SubjectId(row.subject)
    told = rights.about(platform, row, platform.clock.now())
    if row.kind == "portability":
        return rights.portable(platform, house.catalogue, subject, told)
    return rights.access(platform, house.catalogue, house.beyond, subject, told)


def _record(platform: Platform, id_: str, sealed_: bytes, fields: list[str], staff: Staff | None) -> dict[str, Any]:
    """Durable before anything leaves: the release to the subject, the answer's digest in a signed receipt."""
    with platform.database.write() as session:
        row = requests.of_id(session, platform, id_)
        _refuse_ended(session, platform, row)  # making the copy may have taken long
        digest = canonical.digest(sealed_)
        data = {"request": row.id, "credential": row.id, "kind": row.kind, "fields": fields, "digest": digest}
        header = {} if staff is None else {"reader": staff.did, "role": staff.role}
        records: list[tuple[SubjectId | None, dict[str, Any]]] = [(SubjectId(row.subject), data)]
        at = platform.clock.now()
        outbox.emit(session, event.REQUEST_DELIVERED, at=at, header=header, records=records)
        said = {"answer_digest": digest, "citation": CITATION[row.kind]}
        if row.state in requests.OPEN:
            return requests.move(session, platform, row, "answered", staff=staff, **said)
        return _again(session, platform, row, at, said)


def _again(
    session: Session, platform: Platform, row: DataRequest, at: datetime, said: dict[str, Any]
) -> dict[str, Any]:
    if row.state != "answered":
        raise Problem(409, "request_closed", "This request was refused.")
    return requests.receipt(session, platform, row, at=at, **said)


def _passphrase(platform: Platform, row: DataRequest) -> str:
    """128 bits of the key-ring's, in groups: nothing of it is stored, and no row of the database tells it."""
    key = platform.keyring.secret("answer-passphrase")
    raw = hmac.new(key, canonical.jcs([row.id, row.subject]), hashlib.sha256).digest()[:16]
    text = base64.b32encode(raw).decode().rstrip("=").lower()
    return "-".join(text[start : start + 5] for start in range(0, len(text), 5))


def _normal(entry: FieldEntry, value: Any) -> Value:
    """The value in its field's normal form. EvidenceError `bad_correction` and those of `normal`."""
    if entry.item is None and entry.many and isinstance(value, list):
        return normal.many(entry.type, [str(one) for one in value])
    if entry.item is not None or entry.many or isinstance(value, list):
        raise EvidenceError("bad_correction", f"{entry.id} takes another kind of value", field=entry.id)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    found = normal.normal(entry.type, text)
    if found is None:
        raise EvidenceError(
            "bad_correction", "a correction has a value; to have it deleted, ask for that", field=entry.id
        )
    return found
