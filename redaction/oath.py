"""The oath: what a job that drops a data key is to certify, told to the journal before anything of it is committed.

Rows are only a copy of it: what a row says counts where the journal says the same.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

import orjson
from sqlmodel import Session, func, select

from protocol.consent import Field, SubjectId
from redaction import disposition
from redaction.disposition import RESEALED, Job, Task
from redaction.fate import DONE, PLANNED, Fate
from runtime.journal import Dropped

_by_field: Final = attrgetter("field")


def facts(task: Task | Job, rows: Iterable[Fate]) -> dict[str, Any]:
    """What the certificate of a job that drops a data key is to say, as the journal keeps it: rows are only a copy.

    An empty text stands for what there is not.
    """
    items = [
        [
            one.field, one.action, _listed(one.causes),
            one.ground or "", one.legal_ground or "", one.period or "", one.destroy_by or "", one.digest or "",
        ]
        for one in sorted(rows, key=_by_field)
    ]  # fmt: skip
    return {"cause": task.cause, "cause_id": task.cause_id, "items": items}


@lru_cache(maxsize=256)  # the same for most fields of a customer
def _listed(causes: str) -> tuple[str, ...]:
    """As a list: a text inside of a text would be read, and written, character by character."""
    try:
        found = orjson.loads(causes)
    except orjson.JSONDecodeError:
        return ()
    return tuple(found) if isinstance(found, list) and all(type(one) is str for one in found) else ()


def digest_of(told: Mapping[str, Any]) -> str:
    """The digest of what a job's certificate is to say (SHA-256 in hex: it leaves neither journal nor memory)."""
    return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()


def sworn(task: Task | Job, rows: Iterable[Fate], dropped: Sequence[Dropped]) -> Dropped | None:
    """Which of what the journal knows of the job the rows say, the newest first; None: none of it."""
    if not dropped:
        return None
    said = digest_of(facts(task, rows))
    return next((one for one in dropped if (one.subject, one.facts) == (task.subject, said)), None)


def put_back(session: Session, claim: Mapping[str, Any]) -> None:
    """A job with its dispositions as the journal's entry of what it dropped has them; resealed, no further."""
    version = int(claim["version"])
    taken = select(func.max(Job.round)).where(Job.subject == claim["subject"], Job.version == version)
    last = session.exec(taken).one()
    job = Job(
        id=claim["job"],
        subject=claim["subject"],
        version=version,
        round=0 if last is None else last + 1,
        step=RESEALED,
        cause=claim["told"]["cause"],
        cause_id=claim["told"]["cause_id"],
        ended_at=claim["ended_at"],
        planned_at=claim["planned_at"],
        bucket=claim["bucket"],
        generation=claim["generation"],
        epoch=claim["epoch"],
        fates="{}",
    )
    fates = [
        Fate(
            job.id,
            SubjectId(job.subject),
            Field(field),
            action,
            json.dumps(causes),
            PLANNED if action == "shred" else DONE,
            *(text or None for text in more),
        )
        for field, action, causes, *more in claim["told"]["items"]
    ]
    disposition.rewrite(session, job, fates)
    session.flush()
