"""The history of one value: where it came from, when it was corrected, what grounds it was read under, what became of
it. Names, references and times, never a value, an old one neither.

A visit sees it of a field that is granted to it and of which a value is there; a withheld one answers exactly as an
absent one does. Overseers (data protection officer, auditor) see the same of any field: it holds no value.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlmodel import Session, SQLModel

from crm_core import origin as origins
from crm_core.reading import feed
from crm_core.reading.planner import Planner
from crm_core.reading.snapshot import Seen, Snapshot
from issuer import credentials
from issuer.catalogue import Catalogue
from protocol import event
from protocol.consent import Field, SubjectId
from runtime import outbox
from runtime.problem import Problem
from verifier.gate import Passage, Visit

OVERSEERS = frozenset({"dpo", "auditor"})
DISPOSED = (
    event.VALUE_KEPT,
    event.VALUE_SEALED,
    event.VALUE_SHREDDED,
    event.VALUE_RESTORED,
    event.VALUE_DESTROYED,
    event.VALUE_DELETED,
)
_OF_DISPOSITION = ("ground", "legal_ground", "period", "destroy_by", "generation", "epoch", "job", "digest")
_OUTBOX = SQLModel.metadata.tables[str(outbox.Outbox.__tablename__)]

Told = Callable[[Session, SubjectId, Field, str], Sequence[Mapping[str, Any]]]
"""What the log has of a customer's field, of one type of event: maps with `time`, `event`, `header` and `data`."""


def untold(_session: Session, _subject: SubjectId, _field: Field, _type: str) -> Sequence[Mapping[str, Any]]:
    """Nothing, for an app that runs without the audit."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Steps in the order of time; the grounds under which the value was read (`since`, `until`: first and last read).

    For a visit the grounds are those that release it to this visit now.
    """

    steps: tuple[Mapping[str, Any], ...] = ()
    grounds: tuple[Mapping[str, Any], ...] = ()
    release: str | None = None


def of_any(session: Session, subject: SubjectId, field: Field, told: Told) -> History:
    """For overseers. Problem 404 `unknown_subject`."""
    if credentials.version(session, subject) == 0:
        raise Problem(404, "unknown_subject", "there is no such customer", field="subject")
    return History(steps=_steps(session, subject, field, told), grounds=_grounds(session, subject, field, told))


@contextmanager
def of_granted(
    planner: Planner, catalogue: Catalogue, visit: Visit, subject: SubjectId, *, field: Field, told: Told
) -> Iterator[tuple[Passage, History]]:
    """For a visit, on record as a read of the field. Problem 404 `unknown_subject`, and what the gate raises."""

    def work(read: Snapshot) -> History:
        seen = read.these([subject]).get(subject)
        if seen is None:
            raise Problem(404, "unknown_subject", "there is no such customer", field="subject")
        release = read.passage.record([(seen.verdict, frozenset({field}))], query={"history": field})
        if not _there(read, catalogue, seen, field):
            return History(release=release)
        grounds = tuple({"ground": ground} for ground, fields in seen.verdict.grounds.items() if field in fields)
        return History(steps=_steps(read.session, subject, field, told), grounds=grounds, release=release)

    with planner.reading(visit, work) as answered:
        yield answered


def _there(read: Snapshot, catalogue: Catalogue, seen: Seen, field: Field) -> bool:
    """Is the field granted, and a value of it there for this visit?"""
    if catalogue.fields[field].item is None:
        return field in read.look(seen, (field,))
    return any(field in entry.fields for entry in feed.entries(read, catalogue, seen, (field,)))


def _steps(session: Session, subject: SubjectId, field: Field, told: Told) -> tuple[Mapping[str, Any], ...]:
    brought = [one for one in origins.of_subject(session, subject) if one.field == field]
    kinds = _kinds(session, [one.event_id for one in brought])
    steps: list[Mapping[str, Any]] = [
        {
            "at": one.at,
            "kind": kinds.get(one.event_id, event.VALUE_COLLECTED),
            "event": one.event_id,
            "source": one.source,
            "digest": one.source_digest,
            "importer": one.importer,
            **({"row": one.row} if one.row else {}),
            **({"destroy_by": one.destroy_by} if one.destroy_by else {}),
        }
        for one in brought
    ]
    for kind in DISPOSED:
        for item in told(session, subject, field, kind):
            data = {name: item["data"][name] for name in _OF_DISPOSITION if name in item["data"]}
            steps.append({"at": item["time"], "kind": kind, "event": item["event"], **data})
    return tuple(sorted(steps, key=lambda step: (step["at"], step["kind"])))


def _grounds(session: Session, subject: SubjectId, field: Field, told: Told) -> tuple[Mapping[str, Any], ...]:
    times: dict[str, list[str]] = {}
    for item in told(session, subject, field, event.RELEASE):
        for ground, fields in item["data"].get("grounds", {}).items():
            if field in fields:
                times.setdefault(ground, []).append(item["time"])
    return tuple({"ground": ground, "since": min(at), "until": max(at)} for ground, at in sorted(times.items()))


def _kinds(session: Session, events: Sequence[str]) -> dict[str, str]:
    statement = select(_OUTBOX.c.event_id, _OUTBOX.c.type).where(_OUTBOX.c.event_id.in_(events))
    return {row.event_id: row.type for row in session.connection().execute(statement)}
