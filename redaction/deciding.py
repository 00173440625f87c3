"""Deciding: what becomes of each field that lost a ground, as the catalogue says (keep, seal, shred). Pure."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Literal

from issuer.catalogue import Catalogue
from protocol import times
from protocol.consent import Field, GroundId, SubjectId
from redaction import terms
from redaction.fate import Fate
from redaction.lapse import Lapse, fresh

Action = Literal["keep", "seal", "shred"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """The disposition of one field.

    `ground` is the credential that holds a kept field; `legal_ground` is the catalogue's: what an archive rests on.
    """

    field: Field
    action: Action
    causes: tuple[GroundId, ...]
    ground: GroundId | None = None
    legal_ground: str | None = None
    period: str | None = None
    destroy_by: datetime | None = None


def decide(
    found: Lapse, catalogue: Catalogue, told: Mapping[Field, Collection[GroundId]], at: datetime
) -> tuple[Decided, ...]:
    """The disposition of each lapsed field as the catalogue says. Pure.

    `told` holds the ended grounds for which a field was already said to be kept: that is said once. Sealing needs a
    named ground, a period and a destroy-by date, keeping needs a named ground; without them the field is shredded, as
    is one that the catalogue no longer knows (PIPL art. 47).
    """
    decided = [
        Decided(field=item.field, action="keep", causes=item.causes, ground=item.ground)
        for item in fresh(found.held, told)
    ]
    for bare in found.bare:
        one = of_bare(bare.field, bare.causes, catalogue, at)
        if one.action == "keep":
            news = tuple(cause for cause in bare.causes if cause not in told.get(bare.field, ()))
            if not news:
                continue
            one = replace(one, causes=news)
        decided.append(one)
    return tuple(sorted(decided, key=lambda one: one.field))


def of_bare(field: Field, causes: tuple[GroundId, ...], catalogue: Catalogue, at: datetime) -> Decided:
    """What the catalogue says of a field that no living ground covers. Pure."""
    entry = catalogue.fields.get(field)
    if entry is None or entry.disposition == "shred" or entry.legal_ground is None:
        return Decided(field=field, action="shred", causes=causes)
    if entry.disposition == "keep":
        return Decided(field=field, action="keep", causes=causes, legal_ground=entry.legal_ground)
    if entry.period is None or entry.destroy_after is None:
        return Decided(field=field, action="shred", causes=causes)
    return Decided(
        field=field,
        action="seal",
        causes=causes,
        legal_ground=entry.legal_ground,
        period=entry.period,
        destroy_by=_destroy_by(entry.destroy_after, at),
    )


@lru_cache(maxsize=64)
def _instant(at: datetime) -> str:
    return times.iso_ms(at)


@lru_cache(maxsize=64)
def _destroy_by(after: str, at: datetime) -> datetime:
    return terms.end_of_quarter(at + times.duration(after))


@lru_cache(maxsize=256)  # the same for most fields of a customer
def _causes(causes: tuple[GroundId, ...]) -> str:
    return json.dumps(causes)


def new_fates(job: str, subject: SubjectId, decided: Iterable[Decided]) -> list[Fate]:
    """What was decided, as the fates of a job."""
    return [
        Fate(
            job,
            subject,
            one.field,
            one.action,
            _causes(one.causes),
            ground=one.ground,
            legal_ground=one.legal_ground,
            period=one.period,
            destroy_by=None if one.destroy_by is None else _instant(one.destroy_by),
        )
        for one in decided
    ]
