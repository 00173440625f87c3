"""The loop behind the gateway: what is held is taken in or destroyed, and what need not be remembered is forgotten."""

import logging
import threading
from datetime import datetime
from typing import Final

from sqlmodel import Session, col, func, or_, select

from crm_core.gateway import held, lot, remembered, touchpoints
from crm_core.gateway.collecting import Collecting, judge
from crm_core.gateway.held import HeldUpload
from crm_core.gateway.lot import Lot
from crm_core.gateway.uploader import Uploader
from issuer import asks, credentials, signed, wallet_auth
from issuer.catalogue import Catalogue
from issuer.credentials import Credential, Standing
from protocol import answers, times
from protocol.consent import SubjectId
from protocol.errors import EvidenceError
from protocol.touchpoint import Registration
from runtime.clock import ClockError
from runtime.keyring import KeyGone
from runtime.platform import Platform

LOG: Final = logging.getLogger(__name__)
POLL: Final = 0.5  # seconds
_BATCH: Final = 50  # customers in one round


def run_once(platform: Platform, catalogue: Catalogue) -> int:
    """One round; how many held uploads came to their end. Idempotent. Raises ClockError, JournalError."""
    at = platform.clock.now()
    with platform.database.read() as session:
        due = _due(session, platform, at)
        old = remembered.forgettable(session, at) or wallet_auth.forgettable(session, at)
    ended = 0
    for id_ in due:
        with platform.database.write("keeper") as session:
            ended += _look(session, platform, catalogue.current(), id_)
    held.sweep(platform)
    if old:
        with platform.database.write() as session:
            remembered.forget(session, at)
            wallet_auth.forget(session, at)
    if ended:
        platform.database.checkpoint()
    return ended


def run(platform: Platform, catalogue: Catalogue, stop: threading.Event, *, every: float = POLL) -> None:
    """Go round until told to stop; a round that fails is told and taken up again."""
    while not stop.wait(every):
        try:
            run_once(platform, catalogue)
        except ClockError:
            LOG.warning("the hold pauses: the clock cannot be believed")
        except Exception as error:  # noqa: BLE001 - a worker's loop; the kind of error is told, never its text
            LOG.error("a round of the hold failed: %s", type(error).__name__)


def _due(session: Session, platform: Platform, at: datetime) -> list[str]:
    """Uploads whose customer's grounds moved since the last look, whose time is over, or whose touchpoint ended.

    All those of one customer, oldest first. The customers are drawn by lot: there may be more than one round takes
    who wait for what is still to begin, and nobody's end may wait behind them.
    """
    moved = or_(
        col(Standing.version).is_(None),
        col(Standing.version) != col(HeldUpload.looked),
        col(HeldUpload.destroy_by) <= times.iso_ms(at),
        col(HeldUpload.touchpoint).in_(_gone(session, platform, at)),
    )
    theirs = col(Standing.subject) == col(HeldUpload.subject)
    waiting = select(HeldUpload.subject).distinct().join(Standing, theirs, isouter=True).where(moved).subquery()
    subjects = session.exec(select(waiting.c.subject).order_by(func.random()).limit(_BATCH)).all()
    statement = (
        select(HeldUpload.id)
        .join(Standing, theirs, isouter=True)
        .where(moved, col(HeldUpload.subject).in_(subjects))
        .order_by(col(HeldUpload.at), col(HeldUpload.id))
    )
    return list(session.exec(statement))


def _gone(session: Session, platform: Platform, at: datetime) -> list[str]:
    known = session.exec(select(HeldUpload.touchpoint).distinct()).all()
    return [one for one in known if touchpoints.by_id(session, platform, one, at) is None]


def _look(session: Session, platform: Platform, catalogue: Catalogue, id_: str) -> bool:
    """Decide on one held upload inside the write transaction; True when it came to its end."""
    at = platform.clock.now()
    row = session.get(HeldUpload, id_)
    if row is None:
        return False
    how = _end_of(session, platform, catalogue, row, at)
    if how is None:
        return False
    period = row.period
    held.end(session, row, how, at)
    held.renew(session, platform, period, at)
    return True


def _end_of(session: Session, platform: Platform, catalogue: Catalogue, row: HeldUpload, at: datetime) -> str | None:
    """How it ends now; what is to be taken in is taken in. None: it is held on."""
    registration = touchpoints.by_id(session, platform, row.touchpoint, at)
    if registration is None:
        return "touchpoint_ended"
    if row.destroy_by <= times.iso_ms(at):
        return "expired"
    if _refused_since(session, platform, row):
        return "refused"
    try:
        kept = held.open_lot(platform, row)
    except (EvidenceError, KeyGone):
        return "unreadable"
    return _by_grounds(session, platform, catalogue, row, kept, registration, at)


def _by_grounds(  # noqa: PLR0917 - one place calls it
    session: Session,
    platform: Platform,
    catalogue: Catalogue,
    row: HeldUpload,
    kept: Lot,
    registration: Registration,
    at: datetime,
) -> str | None:
    bench = Collecting(session, platform, catalogue, Uploader(registration=registration), at)
    subject = SubjectId(row.subject)
    granted = bench.granted(subject)
    if granted is None:
        return None  # it is being changed this moment
    ruling = judge(bench.request(subject, kept.purpose, kept.values), granted, granted, hold=True)
    if not ruling.refused:
        try:
            lot.store(
                session, platform, catalogue, lot=kept, registration=registration, grounds=ruling.grounds, at=at
            )  # fmt: skip
        except EvidenceError:
            return "unreadable"  # its record does not open, or is full: it must not hold up the others
        return "taken"
    if not ruling.may_be_held:
        return "withdrawn"
    if not any(grant.not_before > at for grant in granted):  # else it may become living with nobody telling
        row.looked = credentials.version(session, subject)
        session.add(row)
    return None


def _refused_since(session: Session, platform: Platform, row: HeldUpload) -> bool:
    """Did the customer say no to an ask for this purpose while the upload was waiting?"""
    for refusal in credentials.of_kind(session, "refusal", subject=SubjectId(row.subject)):
        asked = session.get(Credential, refusal.ask_id) if refusal.ask_id else None
        if refusal.at < row.at or asked is None:
            continue
        try:
            answers.parse_refusal(signed.reverify(refusal, platform, answers.REFUSAL_TYPE))
            if any(process.purpose == row.purpose for process in asks.parse(asked, platform).processes):
                return True
        except EvidenceError:
            continue
    return False
