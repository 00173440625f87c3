"""Invitations: a link over one channel, a code over another, both single-use;
nobody but the customer ever sees them.
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from sqlmodel import Field, Session, SQLModel, col, select

from issuer import attempts, challenges, credentials
from issuer.mail import Channels, MailError, Post
from protocol import canonical, event
from protocol.consent import SubjectId, fresh_id
from protocol.times import iso_ms, parse
from runtime import outbox
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff

LIFE = timedelta(hours=24)
CHALLENGE_LIFE = timedelta(minutes=10)
MAX_CODES = 5
MAX_TRIES = 5
CHANNEL = "contact.email"
AT_THE_DESK = "the desk / 柜台"
ROLES = ("service", "marketing", "sales", "admin")

LINK_TITLE = "Your data, your decision / 您的数据，由您决定"
LINK_TEXT = """\
Hello,

you can now decide yourself what we may do with your data. Open this link with your Fieldgrant wallet:

{link}

It works once and ends after 24 hours. The wallet will ask for a code, which we send to your phone.
We will never ask you for the code in any other way. If you do not want this, do nothing.

您好，

现在您可以自己决定我们如何使用您的数据。请用您的 Fieldgrant 钱包打开以上链接。
链接只能使用一次，24 小时后失效。钱包会要求输入验证码，我们会将验证码发送到您的手机。
我们不会以其他任何方式向您索要验证码。如果您不需要，请忽略此邮件。
"""
CODE_TITLE = "Code / 验证码"
CODE_TEXT = """\
{code}
is the code for your wallet. Type it into the wallet only, and give it to nobody, not to our staff either.
这是您的钱包验证码。请只在钱包中输入，不要告诉任何人，包括我们的员工。
"""


class Invitation(SQLModel, table=True):
    """Only the hash of the link's token and a keyed hash of the code are kept."""

    __tablename__ = "invitation"

    id: str = Field(primary_key=True)
    subject: str = Field(index=True)
    token_hash: str = Field(unique=True)
    code_hash: str | None = None
    challenge: str | None = None
    codes: int = 0  # how often a code was sent
    tries: int = 0  # wrong codes
    created_by: str
    in_person: bool = False  # at the desk: see issuer.in_person
    confirmed_by: str | None = None
    created_at: str
    expires_at: str
    ended_at: str | None = None
    ended_kind: str | None = None  # used | tries | superseded | failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What the wallet gets for its token: what to sign over, until when, and where the code went (masked)."""

    challenge: str
    domain: str
    expires: datetime
    code_channel: str


def invite(
    platform: Platform, channels: Callable[[SubjectId], Channels], post: Post, staff: Staff, subject: SubjectId
) -> Invitation:
    """Send an invitation to the channel on file. What comes back holds neither link nor code.

    Problem 404 `unknown_subject`, 409 `already_enrolled`, `no_channel`, `no_second_channel`, `channels_replaced`, 502
    `mail_failed`.
    """
    with attempts.recorded(platform, "invitation", did=staff.did, subject=subject):
        with platform.database.read() as session:
            _may_enrol(session, subject)
        # outside our transaction: the mailer reads through the gate, which writes a record of it
        held = channels(subject)
        if not held.email:
            raise Problem(409, "no_channel", "There is no e-mail address on file to invite to.")
        if not held.phone:
            raise Problem(409, "no_second_channel", "There is no second channel on file for the code.")
        _refuse_replaced(held)
        at, token = platform.clock.now(), secrets.token_urlsafe(32)
        with platform.database.write() as session:
            row = create(session, staff, subject, token, at)
        try:
            post.email.send("invitation", held.email, LINK_TITLE, LINK_TEXT.format(link=link(platform, token)))
        except MailError as error:
            with platform.database.write() as session:
                end(session, session.get_one(Invitation, row.id), "failed", at)
            raise Problem(502, error.code, "The invitation could not be sent.") from None
        return row


def link(platform: Platform, token: str) -> str:
    """The link of an invitation. It pins the controller: its DID and the digest of its document."""
    query = {
        "issuer": platform.settings.base_url,
        "token": token,
        "did": platform.controller,
        "document": canonical.digest(canonical.jcs(dict(platform.document))),
    }
    return f"fieldgrant://enrol?{urlencode(query)}"


def open_(platform: Platform, channels: Callable[[SubjectId], Channels], post: Post, token: str) -> Opened:
    """Give a challenge for the token and send a new code over the second channel.

    Problem 404 `unknown_invitation`, 410 `invitation_used`, `invitation_expired`, `invitation_ended`, 429
    `too_many_codes`, 409 `no_second_channel`, `channels_replaced`, 502 `mail_failed`.
    """
    with attempts.recorded(platform, "enrolment-challenge"):
        at = platform.clock.now()
        with platform.database.read() as session:
            found = living(session, token, at)
            subject, in_person = SubjectId(found.subject), found.in_person
            _may_enrol(session, subject)
        held = None if in_person else channels(subject)
        phone = held.phone if held is not None else None
        if held is not None:
            if not phone:
                raise Problem(409, "no_second_channel", "There is no second channel on file for the code.")
            _refuse_replaced(held)
        with platform.database.write() as session:
            row = living(session, token, at)
            expires = min(at + CHALLENGE_LIFE, parse(row.expires_at, field="expires_at"))
            code = None if in_person else new_code(session, platform, row)
            row.challenge = challenge = challenges.give(session, "enrolment", row.id, expires=expires)
            session.add(row)
        if phone and code:
            _send_code(post, phone, code)
        return Opened(
            challenge=challenge,
            domain=platform.settings.base_url,
            expires=expires,
            code_channel=masked(phone) if phone else AT_THE_DESK,
        )


def _refuse_replaced(held: Channels) -> None:
    """Whoever of us put both channels there, by hand or in a file, would get link and code, and with them a wallet."""
    if held.replaced:
        detail = "Both channels were replaced since this customer came to us: enrol them in person, which takes two."
        raise Problem(409, "channels_replaced", detail)


def new_code(session: Session, platform: Platform, row: Invitation) -> str:
    """A fresh code in place of any before; Problem 429 `too_many_codes`."""
    if row.codes >= MAX_CODES:
        raise Problem(429, "too_many_codes", "No further codes for this invitation; ask for a new one.")
    code = f"{secrets.randbelow(10**8):08d}"
    row.codes += 1
    row.code_hash = code_hash(platform, row.id, row.subject, code)
    session.add(row)
    session.flush()
    return code


def _send_code(post: Post, phone: str, code: str) -> None:
    try:
        post.phone.send("code", phone, CODE_TITLE, CODE_TEXT.format(code=code))
    except MailError as error:
        raise Problem(502, error.code, "The code could not be sent.") from None


def living(session: Session, token: str, at: datetime) -> Invitation:
    """The invitation of a token, if it can still be used; Problem 404 or 410, see `open_`."""
    row = session.exec(select(Invitation).where(Invitation.token_hash == token_hash(token))).first()
    if row is None:
        raise Problem(404, "unknown_invitation", "There is no such invitation.", field="token")
    refuse_ended(row, at)
    return row


def refuse_ended(row: Invitation, at: datetime) -> None:
    """Problem 410 `invitation_used`, `invitation_ended`, `invitation_expired`."""
    if row.ended_kind == "used":
        raise Problem(410, "invitation_used", "This invitation was used.", field="token")
    if row.ended_at is not None:
        raise Problem(410, "invitation_ended", "This invitation has ended; ask for a new one.", field="token")
    if iso_ms(at) >= row.expires_at:
        raise Problem(410, "invitation_expired", "This invitation is over; ask for a new one.", field="token")


def end(session: Session, row: Invitation, ending: str, at: datetime) -> None:
    """No use of this invitation any more."""
    row.ended_at, row.ended_kind = iso_ms(at), ending
    session.add(row)
    session.flush()


def token_hash(token: str) -> str:
    """What is kept of a token: it has 256 random bits, so a plain hash will do."""
    return hashlib.sha256(token.encode()).hexdigest()


def code_hash(platform: Platform, invitation_id: str, subject: str, code: str) -> str:
    """What is kept of a code: eight digits are guessed from a plain hash, so it is keyed by the key-ring.

    It binds the customer to whose channel the code went: a row that somebody turned to another one enrols nobody.
    """
    key = platform.keyring.secret("invitation-code")
    return hmac.new(key, canonical.jcs([invitation_id, subject, code]), hashlib.sha256).hexdigest()


def masked(phone: str) -> str:
    """A phone number as a hint to its owner: the last two digits."""
    digits = [one for one in phone if one.isdecimal()]
    return "•••• " + "".join(digits[-2:])


def _may_enrol(session: Session, subject: SubjectId) -> None:
    if credentials.version(session, subject) == 0:
        raise Problem(404, "unknown_subject", "There is no such customer.", field="subject")
    if credentials.living(session, "enrolment", subject=subject):
        raise Problem(
            409,
            "already_enrolled",
            "This customer has a wallet; only the data protection officer may end it.",
            field="subject",
        )


def create(
    session: Session,
    staff: Staff,
    subject: SubjectId,
    token: str,
    at: datetime,
    *,
    life: timedelta = LIFE,
    in_person: bool = False,
) -> Invitation:
    """Store an invitation, which ends any before it; Problem 404 `unknown_subject`, 409 `already_enrolled`."""
    _may_enrol(session, subject)
    older = select(Invitation).where(Invitation.subject == subject, col(Invitation.ended_at).is_(None))
    for row in session.exec(older).all():
        end(session, row, "superseded", at)
    row = Invitation(
        id=fresh_id(), subject=subject, token_hash=token_hash(token), created_by=staff.account,
        created_at=iso_ms(at), expires_at=iso_ms(at + life), in_person=in_person,
    )  # fmt: skip
    session.add(row)
    session.flush()
    data = {"invitation": row.id, "in_person": True} if in_person else {"invitation": row.id, "fields": [CHANNEL]}
    header = {"reader": staff.did, "role": staff.role}
    outbox.emit(
        session, event.INVITATION_SENT, at=at, header=header, records=[(subject, data)], key=f"invited:{row.id}"
    )
    return row
