"""Delivery of notices to recipients, and their answers.

Where a notice goes is read off the signed catalogue at each try, never off a row. Only https, or http on this very
machine; no redirects, no proxy, bounded time and size. An answer counts by the recipient's own signature over this very
notice. What fails is tried again with growing pauses; what nobody answers by the deadline is overdue, and still tried.
"""

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from sqlmodel import Session, col, or_, select

from issuer.catalogue import Catalogue
from protocol import canonical, credential, did, event, proof, redaction, times
from protocol.consent import SubjectId, fresh_id
from protocol.did import Did, Keys
from protocol.errors import EvidenceError
from protocol.redaction import Acknowledgement, RedactionNotice
from redaction import certificate, downstream
from redaction.downstream import NoticeRow
from runtime import outbox
from runtime.clock import ClockError
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff

LOG: Final = logging.getLogger(__name__)
POLL: Final = 2.0  # seconds between two looks for notices to deliver
AT_ONCE: Final = 20
FIRST_PAUSE: Final = timedelta(seconds=30)
LONGEST_PAUSE: Final = timedelta(hours=6)
REMINDER: Final = timedelta(days=1)  # after a delivery that was taken without an answer
PATIENCE: Final = 10.0  # seconds for a whole exchange
MAX_ANSWER: Final = 64 * 1024
MEDIA_TYPE: Final = "application/vc"
_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class DeliveryError(Exception):
    """A try that failed. Codes: no_endpoint, bad_endpoint, unreachable, redirected, refused, answer_too_large."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def endpoint(catalogue: Catalogue, recipient: Did) -> str:
    """Where notices to a recipient go, as the signed catalogue says. DeliveryError `no_endpoint`, `bad_endpoint`."""
    known = (one.notice_endpoint for one in catalogue.recipients.values() if one.did == recipient)
    url = next((one for one in known if one), None)
    if url is None:
        raise DeliveryError("no_endpoint")
    return _safe(url)


def deliver_due(
    platform: Platform, catalogue: Catalogue, *, transport: httpx.BaseTransport | None = None
) -> tuple[int, int]:
    """Try the notices that are due; how many were taken, and how many failed. `transport` replaces the network."""
    at = platform.clock.now()
    statement = select(NoticeRow).where(
        col(NoticeRow.closed_at).is_(None),
        NoticeRow.recipient != platform.controller,  # copies in the house: an officer confirms those
        or_(col(NoticeRow.next_try_at).is_(None), col(NoticeRow.next_try_at) <= times.iso_ms(at)),
    )
    with platform.database.read() as session:
        rows = session.exec(statement.order_by(col(NoticeRow.at)).limit(AT_ONCE)).all()
    if not rows:
        return 0, 0
    # an environment's proxy would learn whom we tell what
    with httpx.Client(transport=transport, timeout=PATIENCE / 2, follow_redirects=False, trust_env=False) as client:
        failed = sum(_deliver(platform, catalogue, client, row) for row in rows)
    return len(rows) - failed, failed


def run(platform: Platform, catalogue: Catalogue, stop: threading.Event) -> None:
    """Deliver every 2 s until `stop` is set: beside the worker, so that no slow recipient holds up a destruction."""
    while not stop.wait(POLL):
        try:
            deliver_due(platform, catalogue)
        except ClockError:
            LOG.warning("deliveries pause: the clock cannot be believed")
        except Exception as error:  # noqa: BLE001 - the loop must outlive whatever one pass meets
            LOG.error("a delivery pass failed: %s", type(error).__name__)


def accept(platform: Platform, body: bytes, *, keys: Callable[[Did], Keys] | None = None) -> NoticeRow:
    """Take a recipient's answer; the notice that it closes. Again: nothing happens.

    Raises EvidenceError: `unknown_notice`, `foreign_answer` (not by its recipient, or over another notice), what
    `credential.verify` and `parse_acknowledgement` raise; DeliveryError when a recipient's keys cannot be fetched.
    """
    claimed = _claimed(body)
    with platform.database.read() as session:
        row = session.get(NoticeRow, claimed)
    if row is None:
        raise EvidenceError("unknown_notice", "there is no such notice", field="redactionNotice")
    notice = downstream.read(platform, row)
    if notice.recipient == platform.controller:
        raise EvidenceError("foreign_answer", "a copy in the house is confirmed by an officer", field="issuer")
    verified = credential.verify(
        body,
        (keys or keys_of)(notice.recipient),
        at=platform.clock.now(),
        expected_type=redaction.ACKNOWLEDGEMENT_TYPE,
        expected_issuer=notice.recipient,
    )
    answer = redaction.parse_acknowledgement(verified)
    if answer.notice != notice.reference or answer.controller != platform.controller or answer.at < notice.at:
        raise EvidenceError("foreign_answer", "this does not answer that notice", field="redactionNotice")
    return _close(platform, row.id, notice, answer, body)


def confirm(platform: Platform, staff: Staff, id_: str, action: str, citation: str | None) -> NoticeRow:
    """An officer's word that a copy in the house is gone, signed by them and by us.

    Problem 404 `unknown_notice`, 403 `not_ours` (only the recipient may answer), 422 `bad_request`.
    """
    with platform.database.read() as session:
        row = session.get(NoticeRow, id_)
    if row is None:
        raise Problem(404, "unknown_notice", "There is no such notice.")
    notice = downstream.read(platform, row)
    if notice.recipient != platform.controller:
        raise Problem(403, "not_ours", "Only the recipient itself may answer this.")
    if action == "kept" and citation is None:
        raise Problem(422, "bad_request", "Who keeps it names the law that says so.", field="citation")
    at = platform.clock.now()
    document = redaction.build_acknowledgement(
        notice.reference,
        id=fresh_id(),
        recipient=staff.did,
        controller=platform.controller,
        action=action,
        citation=citation,
        at=at,
    )
    for signer in (platform.keyring.signer(f"staff/{staff.account}"), platform.signer):
        document = proof.sign(document, signer, created=at)
    body = canonical.jcs(document)
    verified = credential.verify(body, platform.keys, at=at, expected_type=redaction.ACKNOWLEDGEMENT_TYPE)
    return _close(platform, row.id, notice, redaction.parse_acknowledgement(verified), body)


def keys_of(recipient: Did, *, transport: httpx.BaseTransport | None = None) -> Keys:
    """A recipient's keys: a did:key is its own; a did:web's document is fetched. DeliveryError, EvidenceError."""
    if not recipient.startswith("did:web:"):
        return Keys()
    with httpx.Client(transport=transport, timeout=PATIENCE / 2, follow_redirects=False, trust_env=False) as client:
        _, body = _exchange(client, client.build_request("GET", _safe(did.web_document_url(recipient))))
    document = canonical.parse(body)
    if document.get("id") != recipient:
        raise EvidenceError("bad_did_document", "the document is another's")
    return Keys([document])


def _deliver(platform: Platform, catalogue: Catalogue, client: httpx.Client, row: NoticeRow) -> bool:
    """One try; True when it failed."""
    try:
        notice = downstream.read(platform, row)
        url = endpoint(catalogue, notice.recipient)
        headers = {"Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE}
        status, body = _exchange(client, client.build_request("POST", url, content=row.body, headers=headers))
        _note(platform, row.id, None)
        if status in {200, 201} and body:
            accept(platform, body)
    except (DeliveryError, EvidenceError) as error:
        LOG.warning("a notice was not delivered or not answered: %s", error.code)
        _note(platform, row.id, error.code)
        return True
    return False


def _note(platform: Platform, id_: str, error: str | None) -> None:
    with platform.database.write("keeper") as session:
        row = session.get_one(NoticeRow, id_)
        at = platform.clock.now()
        row.attempts, row.error = row.attempts + 1, error
        pause = REMINDER if error is None else min(FIRST_PAUSE * 2 ** min(row.attempts - 1, 16), LONGEST_PAUSE)
        row.next_try_at = times.iso_ms(at + pause)
        if error is None:
            row.delivered_at = row.delivered_at or times.iso_ms(at)
        session.add(row)


def _close(platform: Platform, id_: str, notice: RedactionNotice, answer: Acknowledgement, body: bytes) -> NoticeRow:
    with platform.database.write("keeper") as session:
        at = platform.clock.now()
        row = session.get_one(NoticeRow, id_)
        standing = downstream.standing(platform, row, at)
        if standing is not None and standing.settled:
            return row
        row.answer, row.answer_mac = body, downstream.answer_mac(platform, id_, body)
        row.closed_at, row.error, row.next_try_at = times.iso_ms(at), None, None
        session.add(row)
        session.flush()
        _emit(session, notice, answer, at)
        if row.certificate is not None:
            certificate.supplement(session, platform, row.certificate, at)
    return row


def _emit(session: Session, notice: RedactionNotice, answer: Acknowledgement, at: datetime) -> None:
    data: dict[str, Any] = {
        "notice": notice.id,
        "acknowledgement": answer.id,
        "digest": answer.digest,
        "action": answer.action,
        "recipient": notice.recipient,
        "fields": sorted(notice.fields),
    }
    subject: SubjectId = notice.subject
    key = f"acknowledged:{notice.id}"
    outbox.emit(session, event.NOTICE_ACKNOWLEDGED, at=at, records=[(subject, data)], key=key)


def _claimed(body: bytes) -> str:
    """Which notice an answer says that it answers; EvidenceError `bad_credential`."""
    document = canonical.parse(body)
    node: Any = document
    for name in ("credentialSubject", "acknowledgesRedaction", "redactionNotice", "id"):
        node = node.get(name) if isinstance(node, dict) else None
    if not isinstance(node, str):
        raise EvidenceError("bad_credential", "this is no acknowledgement of a notice", field="redactionNotice")
    return node


def _safe(url: str) -> str:
    try:
        parts = urlsplit(url)
        _port = parts.port  # ValueError for one that is none
    except ValueError:
        raise DeliveryError("bad_endpoint") from None
    secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOCAL)
    if not (secure and parts.hostname) or parts.username or parts.password or parts.fragment:
        raise DeliveryError("bad_endpoint")
    return url


def _exchange(client: httpx.Client, request: httpx.Request) -> tuple[int, bytes]:
    """Status and bounded body of a success. DeliveryError."""
    until = time.monotonic() + PATIENCE
    received = bytearray()
    try:
        response = client.send(request, stream=True)
        try:
            for piece in response.iter_bytes():
                received += piece
                if len(received) > MAX_ANSWER:
                    raise DeliveryError("answer_too_large")
                if time.monotonic() > until:
                    raise DeliveryError("unreachable")
        finally:
            response.close()
    except (httpx.HTTPError, httpx.InvalidURL):
        raise DeliveryError("unreachable") from None
    if response.is_redirect:
        raise DeliveryError("redirected")
    if not response.is_success:
        raise DeliveryError("refused")
    return response.status_code, bytes(received)
