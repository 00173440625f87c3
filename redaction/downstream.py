"""Downstream: who received a field is told, by signed notice, when nothing covers their having it any more.

A notice is planned by state, as a disposition is: a disclosure that no living ground covers (for that recipient and
purpose) and that the recipient was not told the end of. Where it is to be delivered stands in the signed catalogue
alone; that it was acknowledged counts by the recipient's signature alone. Copies that stay in the house (an export that
a member of staff took) are told the data protection officer in the same way, who confirms that they are gone.
"""

import hashlib
import hmac
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Final, Literal

from sqlalchemy import Column as SaColumn
from sqlalchemy import LargeBinary
from sqlmodel import Field as Column
from sqlmodel import Session, SQLModel, col, select

from protocol import canonical, certificate, credential, event, proof, redaction, times
from protocol.consent import Field, SubjectId, fresh_id
from protocol.errors import EvidenceError
from protocol.redaction import RedactionNotice
from redaction import lapse
from runtime import bulk, outbox
from runtime.platform import Platform
from verifier import disclosure
from verifier.disclosure import Disclosure
from verifier.grant import Grant

DEADLINE: Final = timedelta(days=7)
LISTED: Final = 500
State = Literal["open", "delivered", "acknowledged", "kept", "overdue", "disputed"]


class NoticeRow(SQLModel, table=True):
    """Table `redaction_notice`: one notice to one recipient about one customer. Instants are ISO with milliseconds.

    The columns beside the signed `body` are for finding it; what they say is never believed.
    """

    __tablename__ = "redaction_notice"

    id: str = Column(primary_key=True)
    subject: str = Column(index=True)
    recipient: str = Column(index=True)
    body: bytes = Column(sa_column=SaColumn(LargeBinary, nullable=False))
    at: str
    deadline: str
    attempts: int = 0
    next_try_at: str | None = None
    error: str | None = None  # stable code of the last failure, never a text
    delivered_at: str | None = None
    answer: bytes | None = Column(default=None, sa_column=SaColumn(LargeBinary, nullable=True))
    answer_mac: bytes | None = Column(default=None, sa_column=SaColumn(LargeBinary, nullable=True))
    closed_at: str | None = Column(default=None, index=True)
    certificate: str | None = Column(default=None, index=True)  # the one that names it as still open


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a notice stands: `kept` is an answer too, with the law that the recipient names."""

    notice: RedactionNotice
    state: State
    acknowledged_at: datetime | None
    citation: str | None
    delivered_at: str | None
    attempts: int
    error: str | None

    @property
    def settled(self) -> bool:
        """Whether the recipient has answered."""
        return self.state in {"acknowledged", "kept"}


def due(session: Session, subject: SubjectId, grants: Sequence[Grant], at: datetime) -> list[Disclosure]:
    """The disclosures that no living ground covers and whose end nobody was told."""
    return [one for one in disclosure.of_subject(session, subject, untold=True) if not _covered(one, grants, at)]


def _covered(one: Disclosure, grants: Iterable[Grant], at: datetime) -> bool:
    return any(
        one.field in grant.fields
        and one.recipient in grant.recipients
        and (not one.purpose or grant.purpose == one.purpose)
        and not lapse.over(grant, at)
        for grant in grants
    )


def tell(
    session: Session, platform: Platform, subject: SubjectId, disclosed: Sequence[Disclosure], at: datetime
) -> list[str]:
    """Make a notice per recipient, in the caller's transaction; their ids. `delivery` carries them out."""
    by_recipient = groupby(sorted(disclosed, key=attrgetter("recipient")), key=attrgetter("recipient"))
    return [_notice(session, platform, subject, list(ones), at) for _, ones in by_recipient]


def _notice(session: Session, platform: Platform, subject: SubjectId, ones: list[Disclosure], at: datetime) -> str:
    id_, deadline, recipient = fresh_id(), at + DEADLINE, ones[0].recipient
    fields = sorted({one.field for one in ones})
    document = redaction.build_notice(
        id=id_,
        controller=platform.controller,
        recipient=recipient,
        subject=subject,
        fields=fields,
        exports={one.export for one in ones if one.export},
        at=at,
        deadline=deadline,
    )
    body = canonical.jcs(proof.sign(document, platform.signer, created=at))
    session.add(
        NoticeRow(
            id=id_,
            subject=subject,
            recipient=recipient,
            body=body,
            at=times.iso_ms(at),
            deadline=times.iso_ms(deadline),
        )
    )
    disclosure.told(session, subject, ones, id_)
    data = {"notice": id_, "digest": canonical.digest(body), "fields": fields, "recipient": recipient}
    outbox.emit(session, event.NOTICE_ISSUED, at=at, records=[(subject, data)], key=f"notice:{id_}")
    return id_


def read(platform: Platform, row: NoticeRow) -> RedactionNotice:
    """The notice of a row, our signature checked. EvidenceError, also `foreign_notice`: the row is another's."""
    notice = signed(platform, row.body)
    if (notice.id, notice.recipient, notice.subject) != (row.id, row.recipient, row.subject):
        raise EvidenceError("foreign_notice", "the row of a notice is not as we wrote it")
    return notice


def signed(platform: Platform, body: bytes) -> RedactionNotice:
    """The notice that these bytes are, if we signed it. EvidenceError."""
    verified = credential.verify(
        body,
        platform.keys,
        at=platform.clock.now(),
        expected_type=redaction.NOTICE_TYPE,
        expected_issuer=platform.controller,
        check_dates=False,
    )
    return redaction.parse_notice(verified)


def standing(platform: Platform, row: NoticeRow, at: datetime) -> Standing | None:
    """How a notice stands, by what is signed; None for a row that holds no notice of ours."""
    try:
        notice = read(platform, row)
    except EvidenceError:
        return None
    answer = None
    if row.answer is not None and hmac.compare_digest(row.answer_mac or b"", answer_mac(platform, row.id, row.answer)):
        node = json.loads(row.answer)["credentialSubject"]["acknowledgesRedaction"]
        answer = (node["actionTaken"], times.parse(node["acknowledgedAt"], field="at"), node.get("actionCitation"))
    state: State = "overdue" if notice.deadline <= at else "delivered" if row.delivered_at is not None else "open"
    if answer is not None:
        state = "kept" if answer[0] == "kept" else "acknowledged"
    elif row.answer is not None:
        state = "disputed"  # somebody wrote an answer there: it is none
    return Standing(
        notice=notice,
        state=state,
        acknowledged_at=None if answer is None else answer[1],
        citation=None if answer is None else answer[2],
        delivered_at=row.delivered_at,
        attempts=row.attempts,
        error=row.error,
    )


def answer_mac(platform: Platform, notice: str, answer: bytes) -> bytes:
    """Over an answer that we verified when it came: later nobody needs the recipient's key to believe it."""
    key = platform.keyring.secret("redaction-answer")
    return hashlib.blake2b(canonical.jcs([notice, canonical.digest(answer)]), key=key, digest_size=32).digest()


def of_subject(session: Session, platform: Platform, subject: SubjectId, at: datetime) -> list[Standing]:
    """The notices about a customer, oldest first; rows that are not ours are left out."""
    rows = session.exec(select(NoticeRow).where(NoticeRow.subject == subject).order_by(col(NoticeRow.at)))
    return [found for row in rows if (found := standing(platform, row, at)) is not None]


def every(session: Session, platform: Platform, at: datetime, *, open_only: bool = False) -> list[Standing]:
    """The latest notices, newest first."""
    statement = select(NoticeRow).order_by(col(NoticeRow.at).desc(), col(NoticeRow.id)).limit(LISTED)
    found = (standing(platform, row, at) for row in session.exec(statement))
    return [one for one in found if one is not None and not (open_only and one.settled)]


_UNNAMED: Final = select(NoticeRow.subject).where(
    col(NoticeRow.subject).in_(bulk.these()), bulk.beside(col(NoticeRow.certificate)).is_(None)
)


def unnamed(session: Session, subjects: Collection[SubjectId]) -> frozenset[str]:
    """Those of the customers about whom there are notices that no certificate names yet."""
    return frozenset(subject for (subject,) in bulk.rows(session, _UNNAMED, subjects))


def told(
    session: Session, platform: Platform, subject: SubjectId, fields: frozenset[Field], *, certificate_id: str
) -> list[certificate.Told]:
    """What a certificate about these fields says of others who had them; what is still open is noted, to be closed."""
    statement = select(NoticeRow).where(NoticeRow.subject == subject, col(NoticeRow.certificate).is_(None))
    listed = []
    for row in session.exec(statement.order_by(col(NoticeRow.at))):
        found = standing(platform, row, platform.clock.now())
        if found is None or not found.notice.fields & fields:
            continue
        row.certificate = certificate_id
        session.add(row)
        listed.append(as_told(found))
    return listed


def as_told(found: Standing) -> certificate.Told:
    """A notice as a certificate names it."""
    return certificate.Told(
        recipient=found.notice.recipient,
        notice=found.notice.reference,
        fields=found.notice.fields,
        deadline=found.notice.deadline,
        acknowledged=found.acknowledged_at,
    )
