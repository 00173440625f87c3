"""Unclaimed: imported values whose time has come and for which no ground ever came are destroyed."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Final

from crm_core import origin
from crm_core.imports import recall
from issuer.catalogue import Catalogue
from protocol.consent import Field, SubjectId
from protocol.errors import EvidenceError
from redaction import disposition, drafting, due, lapse, looking
from redaction.deciding import Decided
from redaction.disposition import PLANNED
from redaction.drafting import UNCLAIMED
from redaction.looking import Proofs
from runtime.platform import Platform

_BATCH: Final = 500  # customers looked at in one pass


def plan(platform: Platform, catalogue: Catalogue, at: datetime) -> int:
    """Imported values whose time has come and for which no ground ever came: destroyed. How many jobs were planned."""
    with platform.database.read() as session:
        waits = due.waiting(session)
        found = [one for one in origin.unclaimed(session, at, _BATCH) if one[0] not in waits]
    planned = 0
    for subject, fields in found:
        with suppress(EvidenceError):  # evidence that cannot be believed: nothing is destroyed on it
            planned += _unclaimed(platform, catalogue, subject, fields)
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
