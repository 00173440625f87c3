"""Fates: what becomes of each lapsed field of a job. They rest packed in the job's own row, one JSON object by field.

A row's word is never believed (`judge`, `oath.sworn`); so what is unreadable here is read as what does no harm:
a field that is still to be shredded, which the evidence then confirms or puts right.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import fields as members
from operator import attrgetter
from typing import Any, Final

import orjson

from protocol.consent import Field, SubjectId

PLANNED: Final = "planned"  # decided, nothing done
DONE: Final = "done"  # carried out
RESTORED: Final = "restored"  # sealed, and the field came back
DESTROYED: Final = "destroyed"  # sealed, and its archive key has ended
_ACTIONS: Final = frozenset({"keep", "seal", "shred"})
_STATES: Final = frozenset({PLANNED, DONE, RESTORED, DESTROYED})
_COUNTED: Final = {"keep": "kept", "seal": "sealed", "shred": "shredded"}


@dataclass(slots=True)
class Fate:
    """One field of a job. Instants are ISO with milliseconds."""

    job: str
    subject: SubjectId
    field: Field
    action: str  # keep | seal | shred
    causes: str  # JSON list of the grounds that ended
    state: str = PLANNED
    ground: str | None = None  # keep: the ground (credential id) that holds the field
    legal_ground: str | None = None  # seal, and keep by catalogue: the law that the catalogue names
    period: str | None = None
    destroy_by: str | None = None
    digest: str | None = None  # of the archived box
    at: str | None = None  # when it was carried out
    event: str | None = None  # the event that told of it, with others of the same step

    @property
    def key(self) -> tuple[str, Field]:
        """Which one it is."""
        return self.job, self.field


_NAMES: Final = frozenset(
    {"action", "state", "causes", "ground", "legal_ground", "period", "destroy_by", "digest", "at", "event"}
)
_MORE: Final = ("ground", "legal_ground", "period", "destroy_by", "digest", "at", "event")
_more: Final = attrgetter(*_MORE)


_all: Final = attrgetter(*(one.name for one in members(Fate)))


def copies(fates: Iterable[Fate]) -> list[Fate]:
    """Others that say the same."""
    return [Fate(*_all(one)) for one in fates]


def pack(fates: Iterable[Fate]) -> str:
    """The fates of a job as they rest."""
    packed: dict[str, dict[str, str]] = {}
    for one in fates:
        told = {"action": one.action, "state": one.state, "causes": one.causes}
        packed[one.field] = told | {
            name: text for name, text in zip(_MORE, _more(one), strict=True) if text is not None
        }
    return orjson.dumps(packed).decode()


def unpack(job: str, subject: SubjectId, packed: Any) -> list[Fate]:
    """The fates that a row holds, in the order of their fields; none where somebody wrote something else there."""
    try:
        found = orjson.loads(packed)
    except (orjson.JSONDecodeError, TypeError):
        return []
    if not isinstance(found, dict):
        return []
    return [_read(job, subject, Field(name), found[name]) for name in sorted(found)]


def _read(job: str, subject: SubjectId, field: Field, told: Any) -> Fate:
    known = told if isinstance(told, dict) else {}
    said = {name: value for name, value in known.items() if name in _NAMES and type(value) is str}
    if said.get("action") not in _ACTIONS:
        said["action"] = "shred"
    if said.get("state") not in _STATES:
        said["state"] = PLANNED
    said.setdefault("causes", "[]")
    return Fate(job, subject, field, **said)


def counts(fates: Iterable[Fate]) -> dict[str, int]:
    """How many were carried out, by action, and how many were not yet: the columns beside the packed ones."""
    found = {"kept": 0, "sealed": 0, "shredded": 0, "planned": 0}
    for one in fates:
        found["planned" if one.state == PLANNED else _COUNTED[one.action]] += 1
    return found


def said(causes: str) -> list[Any]:
    """The grounds that a row names as its causes."""
    try:
        told = json.loads(causes)
    except (ValueError, TypeError):
        return []
    return told if isinstance(told, list) else []
