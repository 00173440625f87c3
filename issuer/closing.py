"""Asks that end without their answer: with a consent, a wallet, or all that a customer ended.

An answer is in the journal before its commit, and a commit can fail. So the end of an ask is there too: after such a
line that answer counts no more, and nobody waits for it or puts it back.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import Session, select

from issuer import asks, credentials, settling
from issuer.credentials import Credential
from protocol.consent import Ask
from protocol.times import iso_ms
from runtime.journal import CLOSED
from runtime.platform import Platform


def line(row: Credential, at: datetime) -> dict[str, Any]:
    """The journal's line of an ask that can no longer be answered."""
    return {"kind": CLOSED, "id": row.id, "subject": row.subject, "at": iso_ms(at)}


def supersede(
    session: Session, platform: Platform, rows: Iterable[Credential], *, by: str, at: datetime
) -> list[dict[str, Any]]:
    """End these asks; the journal's lines of it, which go before those of the narrowing that ended them.

    None of a row that is no ask of ours, for a line ends what bears its id. None of an ask whose answer we have: a row
    alone says that it is open, and its consent is to be missed if it goes.
    """
    platform.journal.refresh()
    lines = []
    for row in rows:
        credentials.end(session, row, "superseded", by=by, at=at)
        consents = select(Credential.id).where(Credential.kind == "consent", Credential.subject == row.subject)
        answered = platform.journal.answered(row.subject, row.id, session.exec(consents).all())
        if not answered and proved(row, platform) is not None:
            lines.append(line(row, at))
    return lines


def proved(row: Credential, platform: Platform) -> Ask | None:
    """The ask that a row holds; None when it proves nothing, or is another than the row says."""
    try:
        ask = asks.parse(row, platform)
    except settling.SPOILED:
        return None
    return ask if (ask.id, ask.subject_did) == (row.id, row.did) else None


def write(platform: Platform, lines: Sequence[Mapping[str, Any]]) -> None:
    """Append such lines, if there are any, with one fsync."""
    if lines:
        platform.journal.append_all(lines)
