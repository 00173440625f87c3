"""The copies that we made ourselves, each with its disposition. Nothing else holds a value: no cache, no index."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from sqlmodel import Session, col, select

from crm_core.reading.exports import ExportRow
from redaction import downstream
from redaction.downstream import NoticeRow
from runtime.platform import Platform
from verifier import disclosure

LISTED: Final = 200
NONE_MADE: Final = (
    {"kind": "cache", "disposition": "none_made"},  # every read is decided and opened anew
    {"kind": "search_index", "disposition": "none_made"},  # searches run over what the gate released, in memory
    {"kind": "backup", "disposition": "ends_with_keys"},  # an older copy opens nothing whose key was destroyed
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One export. `disposition`: living (grounds cover all of it), partly_ended, open, overdue, acknowledged."""

    id: str
    at: str
    account: str
    recipient: str
    purpose: str
    format: str
    rows: int
    fields_disclosed: int
    fields_ended: int
    disposition: str


def exports(session: Session, platform: Platform, at: datetime) -> list[Copy]:
    """The latest exports, newest first, with what became of what they hold."""
    rows = session.exec(select(ExportRow).order_by(col(ExportRow.at).desc()).limit(LISTED)).all()
    held = disclosure.of_exports(session, [row.id for row in rows])
    return [_copy(session, platform, row, held.get(row.id, (0, 0, frozenset())), at) for row in rows]


def listed(session: Session, platform: Platform, at: datetime) -> list[dict[str, Any]]:
    """Everything that could hold a copy of a value, exports one by one."""
    return [*NONE_MADE, *({"kind": "export"} | asdict(one) for one in exports(session, platform, at))]


def _copy(
    session: Session, platform: Platform, row: ExportRow, held: tuple[int, int, frozenset[str]], at: datetime
) -> Copy:
    disclosed, ended, notices = held
    states: set[str] = set()
    for notice in session.exec(select(NoticeRow).where(col(NoticeRow.id).in_(sorted(notices)))):
        found = downstream.standing(platform, notice, at)
        states.add("disputed" if found is None else found.state)
    return Copy(
        id=row.id,
        at=row.at,
        account=row.account,
        recipient=row.recipient,
        purpose=row.purpose,
        format=row.format,
        rows=row.rows,
        fields_disclosed=disclosed,
        fields_ended=ended,
        disposition=_disposition(states, whole=ended == disclosed),
    )


def _disposition(states: set[str], *, whole: bool) -> str:
    if not states:
        return "living"
    for state in ("disputed", "overdue"):
        if state in states:
            return state
    if states & {"open", "delivered"}:
        return "open"
    return "acknowledged" if whole else "partly_ended"
