"""One record as an auditor looks at it: what it says, its way to the log's head, and the credentials that it names."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson
from sqlmodel import Session, func, select

from audit import bundle, events, selection
from audit.bundle import Credentials
from audit.log import ORGANISATION, Log, LogRecord
from audit.provenance import mentions
from audit.selection import Paper
from protocol import canonical
from protocol.consent import SubjectId
from protocol.errors import EvidenceError

MOST = 40  # credentials of one record


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """`record` as `events.find` gives it and how many its event has; `file` as a bundle has it, and its checkpoint."""

    record: dict[str, Any]
    records: int
    file: dict[str, Any]
    checkpoint: str
    credentials: list[dict[str, Any]]
    controller: dict[str, Any]


def show(log: Log, session: Session, credentials: Credentials, leaf: int, place: int) -> Exhibit:
    """The record at this leaf and place.

    Raises EvidenceError: `not_in_log`, `body_gone` when the event was destroyed or lost, `body_changed` when what is
    stored is not what was logged.
    """
    found = events.at(session, leaf, place)
    if found is None:
        raise EvidenceError("not_in_log", "the log has no such record", field="leaf")
    told, row = found
    if "event" not in told:
        raise EvidenceError("body_gone", "what this record said is not there any more; its commitment is")
    head, file = bundle.one(log, session, row)
    records = session.exec(select(func.count()).where(LogRecord.leaf_index == leaf)).one()
    # what concerns no customer names grounds, which are everybody's
    owner = SubjectId("*" if row.subject == ORGANISATION else row.subject)
    papers = _named(credentials(session, owner), mentions(told["data"]) | mentions(told["header"]))
    return Exhibit(
        record=told,
        records=records,
        file=orjson.loads(file.write()),
        checkpoint=head.note.decode("utf-8"),
        credentials=[
            {"kind": one.kind, "id": one.id, "digest": one.digest, "document": canonical.parse(one.body)}
            for one in papers[:MOST]
        ],
        controller=dict(log.platform.document),
    )


def _named(credentials: Iterable[tuple[str, bytes]], names: frozenset[str]) -> list[Paper]:
    papers = [selection.paper(kind, body) for kind, body in credentials if kind not in selection.LEFT_OUT]
    return [one for one in papers if one.id in names or one.digest in names]
