"""A customer lost the wallet: one identifies them, another confirms, the old DID ends, every channel is told.

Nobody takes over a customer in this way. It only ends; a new wallet needs an invitation to the e-mail address on file
and the code to the phone on file, or two people at the desk. Whoever did not lose a wallet learns of it at once.
"""

import hashlib
import hmac
from typing import Any

from sqlmodel import Field, Session, SQLModel

from issuer import asks, attempts, credentials, enrolment, settling
from issuer.invite import Inviting
from issuer.mail import MailError
from issuer.registry import Registry
from issuer.request_desk import METHODS
from protocol import canonical, consent, event
from protocol.consent import SubjectId
from protocol.errors import EvidenceError
from protocol.times import iso_ms
from runtime import outbox
from runtime.platform import Platform
from runtime.problem import Problem
from runtime.staff import Staff

ROLES = ("dpo", "admin", "service")
TITLE = "Your wallet was reported lost / 您的钱包已被挂失"
TEXT = """\
Hello,

somebody reported your Fieldgrant wallet as lost, and our staff identified them as you. The wallet has ended:
it speaks for you no longer, and every consent that it gave has ended as well. Nothing new was allowed.

If this was not you, object at once: come to us or call us on a number that you know, and ask for the data protection
officer. Until then open no invitation and give no code to anybody.

您好，

有人挂失了您的 Fieldgrant 钱包，我们的员工认定该人就是您。原钱包已终止：它不再代表您，由它作出的全部同意也已终止。
没有任何新的授权。

如果不是您本人操作，请立即提出异议：请到店或拨打您已知的我们的电话，要求与个人信息保护负责人联系。
在此之前，请勿打开任何邀请，也不要把验证码告诉任何人。
"""


class LostWallet(SQLModel, table=True):
    """One report, about the wallet of that `enrolment` and no other. `evidence` says where the proof of identity lies,
    never what it says.
    """

    __tablename__ = "lost_wallet"

    id: str = Field(primary_key=True)
    subject: str = Field(index=True)
    enrolment: str
    method: str
    evidence: str
    reported_by: str
    reporter_role: str
    reported_at: str
    confirmed_by: str | None = None
    told_at: str | None = None
    mac: bytes = b""


def report(registry: Registry, staff: Staff, subject: SubjectId, *, method: str, evidence: str) -> LostWallet:
    """Record how the customer was identified; nothing ends until another member of staff has confirmed it.

    Problem 403 `role`, 404 `unknown_subject`, 409 `not_enrolled`, 422 `bad_method`.
    """
    platform = registry.platform
    with attempts.recorded(platform, "loss-report", did=staff.did, subject=subject):
        _allowed(staff)
        if method not in METHODS:
            raise Problem(422, "bad_method", f"Must be one of {', '.join(sorted(METHODS))}.", field="method")
        with platform.database.write() as session:
            if credentials.version(session, subject) == 0:
                raise Problem(404, "unknown_subject", "There is no such customer.", field="subject")
            lost = enrolment.living(session, platform, subject)
            at = platform.clock.now()
            row = LostWallet(
                id=consent.fresh_id(), subject=subject, enrolment=lost.id, method=method, evidence=evidence,
                reported_by=staff.account, reporter_role=staff.role, reported_at=iso_ms(at),
            )  # fmt: skip
            _save(session, platform, row)
            data = {"loss": row.id, "method": method, "digest": canonical.digest(evidence.encode())}
            header, key = asks.by(staff), f"lost:{row.id}"
            outbox.emit(session, event.LOSS_REPORTED, at=at, header=header, records=[(subject, data)], key=key)
            return row


def confirm(registry: Registry, inviting: Inviting, staff: Staff, id_: str) -> dict[str, Any]:
    """As the second person: end the wallet and tell the channels. {"enrolment", "revoked", "told"}.

    One of the two is the data protection officer. Again by the same person, it tells the channels that were not told.
    It ends the wallet that was reported; one that the customer has enrolled since stays.
    Problem 403 `role`, `own_report`, `no_officer`, 404 `unknown_loss`, 409 `already_confirmed`, `not_enrolled`.
    """
    platform = registry.platform
    with attempts.recorded(platform, "loss-confirmation", did=staff.did):
        _allowed(staff)
        with platform.database.write() as session:
            row = _row(session, platform, id_)
            again = row.confirmed_by == staff.account and row.told_at is None
            if row.confirmed_by is not None and not again:
                raise Problem(409, "already_confirmed", "This loss was confirmed before.")
            if row.reported_by == staff.account:
                raise Problem(403, "own_report", "Somebody else has to confirm whom you have identified.")
            if "dpo" not in (staff.role, row.reporter_role):
                raise Problem(403, "no_officer", "One of the two has to be the data protection officer.")
            row.confirmed_by = staff.account
            _save(session, platform, row)
            subject = SubjectId(row.subject)
            data = {"loss": row.id}
            header, key, at = asks.by(staff), f"loss-confirmed:{row.id}", platform.clock.now()
            outbox.emit(session, event.LOSS_CONFIRMED, at=at, header=header, records=[(subject, data)], key=key)
        ended: dict[str, Any] = {"enrolment": None, "revoked": []}
        try:
            ended = enrolment.end_lost(registry, subject, staff, row.enrolment)
        except Problem as problem:
            if problem.code != "not_enrolled" or not again:
                raise
            settling.settle_again(registry, subject)
    told = tell(inviting, subject, id_)
    with platform.database.write() as session:
        row = _row(session, platform, id_)
        row.told_at = iso_ms(platform.clock.now())
        _save(session, platform, row)
    return {**ended, "told": told}


def tell(inviting: Inviting, subject: SubjectId, loss: str) -> list[str]:
    """Tell every channel on file that a wallet ended, and how to object; the kinds of channel that took the message.

    That a channel cannot be reached keeps nothing from ending.
    """
    platform, told = inviting.platform, []
    try:
        held = inviting.channels(subject)
    except (Problem, EvidenceError):
        held = None
    carriers = (("email", inviting.post.email), ("phone", inviting.post.phone))
    for name, carrier in carriers if held is not None else ():
        address = getattr(held, name)
        if address:
            try:
                carrier.send("lost", address, TITLE, TEXT)
            except MailError:
                continue
            told.append(name)
    with platform.database.write() as session:
        data = {"loss": loss, "channels": told}
        at, key = platform.clock.now(), f"told:{loss}:{len(told)}"
        outbox.emit(session, event.CHANNELS_TOLD, at=at, records=[(subject, data)], key=key)
    return told


def _allowed(staff: Staff) -> None:
    if staff.role not in ROLES:
        raise Problem(403, "role", "Your role may not deal with lost wallets.")


def _row(session: Session, platform: Platform, id_: str) -> LostWallet:
    row = session.get(LostWallet, id_)
    if row is None or not hmac.compare_digest(row.mac, _mac(platform, row)):
        raise Problem(404, "unknown_loss", "There is no such report.", field="id")
    return row


def _save(session: Session, platform: Platform, row: LostWallet) -> None:
    row.mac = _mac(platform, row)
    session.add(row)
    session.flush()


def _mac(platform: Platform, row: LostWallet) -> bytes:
    """Who reported and who confirmed, under a key of the ring: a row that somebody rewrote says nothing."""
    key = platform.keyring.secret("lost-wallet")
    return hmac.new(key, canonical.jcs(row.model_dump(exclude={"mac"})), hashlib.sha256).digest()
