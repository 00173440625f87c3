"""Notices that somebody's hand hid: a recipient who was to be told is told, and who has not answered is still awaited.

A notice counts by our signature, an answer by its MAC. A disclosure that says it was told by a notice which is not
there, or which does not speak of it, was not told; columns that keep a notice from being tried again are put right.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session, col, select

from protocol import times
from protocol.consent import SubjectId
from protocol.errors import EvidenceError
from protocol.redaction import RedactionNotice
from redaction import delivery, downstream
from redaction.downstream import NoticeRow
from runtime.platform import Platform
from verifier.disclosure import NO_EXPORT, DisclosureRow


def retell(platform: Platform, subjects: Sequence[SubjectId]) -> int:
    """Put right what is hidden of these customers' notices; how many rows that were."""
    with platform.database.read() as session:
        at = platform.clock.now()
        told, rows = _of(session, subjects)
        wrong = any(_mended(platform, row, at) for row in rows) or any(_untold(platform, one, rows) for one in told)
        session.rollback()  # nothing of the look is kept
    if not wrong:
        return 0
    with platform.database.write("keeper") as session:
        told, rows = _of(session, subjects)
        mended = [row for row in rows if _mended(platform, row, at)]
        hidden = [one for one in told if _untold(platform, one, rows)]
        for one in hidden:
            one.told_by = None
        session.add_all([*mended, *hidden])
        return len(mended) + len(hidden)


def _of(session: Session, subjects: Sequence[SubjectId]) -> tuple[list[DisclosureRow], list[NoticeRow]]:
    disclosed = select(DisclosureRow).where(
        col(DisclosureRow.subject).in_(subjects), col(DisclosureRow.told_by).is_not(None)
    )
    told = list(session.exec(disclosed))
    named = {one.told_by for one in told}
    mine = select(NoticeRow.id).where(col(NoticeRow.subject).in_(subjects))
    ids = sorted({str(one) for one in (*named, *session.exec(mine))})
    rows = [row for id_ in ids if (row := session.get(NoticeRow, id_)) is not None]
    return told, rows


def _mended(platform: Platform, row: NoticeRow, at: datetime) -> bool:
    """Whether the columns beside a notice of ours were wrong; they are right then."""
    notice = _signed(platform, row)
    if notice is None:
        return False
    before = row.model_dump()
    row.subject, row.recipient = notice.subject, notice.recipient
    found = downstream.standing(platform, row, at)
    if found is not None and not found.settled:
        row.answer = row.answer_mac = row.closed_at = None
        latest = times.iso_ms(at + max(delivery.LONGEST_PAUSE, delivery.REMINDER))
        if row.next_try_at is not None and row.next_try_at > latest:
            row.next_try_at = None
    return row.model_dump() != before


def _untold(platform: Platform, one: DisclosureRow, rows: Sequence[NoticeRow]) -> bool:
    """Whether the notice that a disclosure names does not speak of it, or is not there."""
    row = next((row for row in rows if row.id == one.told_by), None)
    notice = None if row is None else _signed(platform, row)
    if notice is None:
        return True
    export = one.export_id == NO_EXPORT or one.export_id in notice.exports
    speaks = (notice.subject, notice.recipient) == (one.subject, one.recipient) and one.field in notice.fields
    return not speaks or not export or times.iso_ms(notice.at) < one.last_at[:19]


def _signed(platform: Platform, row: NoticeRow) -> RedactionNotice | None:
    try:
        notice = downstream.signed(platform, row.body)
    except EvidenceError:
        return None
    return notice if notice.id == row.id else None
