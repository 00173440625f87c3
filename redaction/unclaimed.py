"""Unclaimed: imported values whose time has come and for which no ground ever came are destroyed."""

from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final

from sqlmodel import select

from crm_core import origin
from crm_core.imports import recall
from issuer.catalogue import Catalogue
from issuer.credentials import Standing
from protocol.consent import Field, SubjectId
from redaction import attempt, disposition, drafting, due, lapse, looking
from redaction.attempt import Failed
from redaction.deciding import Decided
from redaction.disposition import PLANNED
from redaction.drafting import UNCLAIMED
from redaction.looking import Proofs
from runtime.platform import Platform

_BATCH: Final = 500  # customers looked at in one pass


def plan(platform: Platform, catalogue: Catalogue, at: datetime) -> int:
    """Imported values whose time has come and for which no ground ever came: destroyed. How many jobs were planned."""
    whose = origin.TABLE.c.subject
    only = [whose.not_in(waits) for waits in due.WAITING] + [whose.in_(select(Standing.subject))]
    with platform.database.read() as session:
        found = origin.unclaimed(session, at, _BATCH, *only)
    planned = 0
    for subject, fields in found:
        done = attempt.tried(partial(_unclaimed, platform, catalogue, subject, fields))
        planned += 0 if isinstance(done, Failed) else done  # evidence not to be believed: nothing is destroyed on it
    return planned


def _unclaimed(platform: Platform, catalogue: Catalogue, subject: SubjectId, fields: frozenset[Field]) -> bool:
    with platform.database.write("keeper") as session:
        if not drafting.free_of(session, [subject]):
            return False
        at = platform.clock.now()
        proof = Proofs(platform, catalogue).of(session, [subject], at)[subject]
        seen = looking.view(session, [subject])
        found = looking.look(session, platform, catalogue, proof, at, seen=seen)
        lapsed = {one.field for one in found.decided}  # those had a ground: they go the way of a lapse
        really = fields & recall.due(session, subject, at)
        gone = [
            Decided(field=name, action="shred", causes=(UNCLAIMED,))
            for name in sorted(really & seen.rest[subject].fields(platform) - lapsed)
            if lapse.holder(name, found.grants, at) is None
        ]
        if gone:
            draft = replace(found, decided=tuple(gone))
            task = drafting.task(platform, draft, seen.rest[subject], (at, UNCLAIMED, UNCLAIMED), at)
            disposition.add(session, drafting.numbered(session, platform, [task], seen.rest), PLANNED)
        recall.put_right(session, subject, at)
        origin.settle(session, subject, at)
    return bool(gone)
