"""Enrolling a customer who stands at the desk: one member of staff begins, another confirms, and it takes both.

Who confirms has seen the person and shows them the link as a QR code; who began reads out the code. Neither has both,
so that nobody on the staff can enrol a wallet of their own as somebody else's.
"""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from sqlmodel import Session

from issuer import attempts, invitation
from issuer.invitation import Invitation
from protocol import canonical, event
from protocol.consent import SubjectId
from runtime import outbox
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff

LIFE = timedelta(minutes=15)


def begin(platform: Platform, staff: Staff, subject: SubjectId) -> Invitation:
    """Begin; nothing can be opened yet. Problem 404 `unknown_subject`, 409 `already_enrolled`."""
    with attempts.recorded(platform, "invitation", did=staff.did, subject=subject):
        at, nobody_has_it = platform.clock.now(), secrets.token_urlsafe(32)
        with platform.database.write() as session:
            row = invitation.create(session, staff, subject, nobody_has_it, at, life=LIFE, in_person=True)
            row.token_hash = _word(platform, row)
            session.add(row)
            return row


def confirm(platform: Platform, staff: Staff, id_: str) -> str:
    """Another member of staff has seen the person: the link, given once, to be shown as a QR code.

    Problem 404 `unknown_invitation`, 403 `own_invitation`, 409 `already_confirmed`, 410 as of `invitation.living`.
    """
    with attempts.recorded(platform, "invitation-confirmation", did=staff.did):
        at, token = platform.clock.now(), secrets.token_urlsafe(32)
        with platform.database.write() as session:
            row = _living(session, id_, at)
            if row.created_by == staff.account:
                raise Problem(403, "own_invitation", "Somebody else has to confirm whom you have before you.")
            if row.confirmed_by is not None or not hmac.compare_digest(row.token_hash, _word(platform, row)):
                raise Problem(409, "already_confirmed", "Its link was shown already; begin anew.")
            row.confirmed_by, row.token_hash = _word(platform, row, staff.account), invitation.token_hash(token)
            session.add(row)
            data = {"invitation": row.id, "confirmed": True}
            header = {"reader": staff.did, "role": staff.role}
            records: list[tuple[SubjectId | None, dict[str, object]]] = [(SubjectId(row.subject), data)]
            key = f"confirmed:{row.id}"
            outbox.emit(session, event.INVITATION_SENT, at=at, header=header, records=records, key=key)
        return invitation.link(platform, token)


def code(platform: Platform, staff: Staff, id_: str) -> str:
    """The code that who began reads out, once the wallet has opened the link; each call makes a new one.

    Problem 404 `unknown_invitation`, 403 `not_your_invitation`, 409 `not_opened`, 429 `too_many_codes`, 410 likewise.
    """
    with attempts.recorded(platform, "invitation-code", did=staff.did), platform.database.write() as session:
        row = _living(session, id_, platform.clock.now())
        if row.created_by != staff.account:
            raise Problem(403, "not_your_invitation", "Who began reads out the code.")
        if row.challenge is None:
            raise Problem(409, "not_opened", "The customer's wallet has not opened the link yet.")
        if not _truly_confirmed(platform, row):
            raise Problem(403, "not_your_invitation", "Who began reads out the code.")
        return invitation.new_code(session, platform, row)


def _truly_confirmed(platform: Platform, row: Invitation) -> bool:
    account = (row.confirmed_by or "").rpartition(" ")[0]
    return hmac.compare_digest((row.confirmed_by or "").encode(), _word(platform, row, account).encode())


def _word(platform: Platform, row: Invitation, confirmed: str | None = None) -> str:
    """Who began, and who confirmed, under a key of the ring: a row that somebody rewrote says nothing."""
    facts = canonical.jcs([row.id, row.subject, row.created_by, confirmed])
    mac = hmac.new(platform.keyring.secret("invitation-desk"), facts, hashlib.sha256).hexdigest()
    return mac if confirmed is None else f"{confirmed} {mac}"


def _living(session: Session, id_: str, at: datetime) -> Invitation:
    row = session.get(Invitation, id_)
    if row is None or not row.in_person:
        raise Problem(404, "unknown_invitation", "There is no such invitation in person.", field="id")
    invitation.refuse_ended(row, at)
    return row
