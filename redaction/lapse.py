"""The rule of lapse: which stored fields of a subject lost their last ground? Pure; no I/O.

A field lapses when a ground that once covered it has ended (withdrawn, superseded by a narrower one, expired,
revoked, or a statutory ground that ended) and no living ground covers it any more, whatever the purpose, recipient or
jurisdiction of that ground. A stored field that never had a ground is not a lapse: nothing ended. Grounds come from
`verifier.grounds` (signatures verified), never from columns that whoever writes to the database could set.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from protocol.consent import Field, GroundId


class Ground(Protocol):
    """What the rule needs to know of a `verifier.grant.Grant`."""

    @property
    def ground(self) -> GroundId: ...
    @property
    def fields(self) -> frozenset[Field]: ...
    @property
    def not_before(self) -> datetime: ...
    @property
    def not_after(self) -> datetime | None: ...
    @property
    def ended(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Bare:
    """A field left without any ground: the grounds that it had, in order of their names."""

    field: Field
    causes: tuple[GroundId, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """A field that lost a ground while another one still covers storing it."""

    field: Field
    causes: tuple[GroundId, ...]
    ground: GroundId


@dataclass(frozen=True, slots=True)
class Lapse:
    """What became of the stored fields that ever lost a ground, at one instant.

    `next_at` is when the next of the living grounds runs out by itself: look again then, nobody will tell.
    """

    bare: tuple[Bare, ...]
    held: tuple[Held, ...]
    next_at: datetime | None


def over(ground: Ground, at: datetime) -> bool:
    """Whether the ground has ended: by an act, or because its last instant has passed."""
    return ground.ended is not None or (ground.not_after is not None and ground.not_after <= at)


def lost(grounds: Iterable[Ground], at: datetime) -> dict[Field, tuple[GroundId, ...]]:
    """For each field the grounds that once covered it and have ended, in order of their names."""
    found: dict[Field, set[GroundId]] = {}
    for ground in grounds:
        if over(ground, at):
            for field in ground.fields:
                found.setdefault(field, set()).add(ground.ground)
    return {field: tuple(sorted(causes)) for field, causes in found.items()}


def holder(field: Field, grounds: Iterable[Ground], at: datetime) -> GroundId | None:
    """The ground that lets the field be stored: the one that lasts longest; None when there is none.

    A ground that was given and begins a little later holds too: destruction cannot be undone, and the clock of a
    wallet that is a few seconds ahead must not cost the customer their data.
    """
    fitting = [ground for ground in grounds if field in ground.fields and not over(ground, at)]
    if not fitting:
        return None
    return max(fitting, key=lambda ground: (ground.not_after is None, ground.not_after or at, ground.ground)).ground


def lapse(stored: Collection[Field], grounds: Collection[Ground], at: datetime) -> Lapse:
    """Sort the stored fields that lost a ground into bare and held ones; `at` is an aware UTC instant."""
    bare: list[Bare] = []
    held: list[Held] = []
    causes_of, living = lost(grounds, at), [ground for ground in grounds if not over(ground, at)]
    for field in sorted(causes_of.keys() & stored):
        causes = causes_of[field]
        ground = holder(field, living, at)
        if ground is None:
            bare.append(Bare(field, causes))
        else:
            held.append(Held(field, causes, ground))
    ends = [ground.not_after for ground in living if ground.not_after is not None]
    return Lapse(tuple(bare), tuple(held), min(ends, default=None))


def fresh(held: Iterable[Held], known: Mapping[Field, Collection[GroundId]]) -> tuple[Held, ...]:
    """Only those held fields that lost a ground which has not been told of yet, with just those grounds."""
    news = (
        Held(item.field, tuple(cause for cause in item.causes if cause not in known.get(item.field, ())), item.ground)
        for item in held
    )
    return tuple(item for item in news if item.causes)
