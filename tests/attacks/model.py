"""What must be seen of customers, whatever happened: all of the promise in a hundred lines, to hold us against.

Nothing of the platform is used here but the names of fields.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

SEALED = {"contact.email", "contact.given_name"}  # of the fields in play; the others are shredded
HOME = {"contact.given_name", "contact.family_name"}  # a ground of law lets the contract's purpose store them


@dataclass(slots=True)
class Given:
    """A consent that was given."""

    purpose: str
    fields: frozenset[str]
    ends: datetime
    over: bool = False

    def lives(self, at: datetime) -> bool:
        return not self.over and at < self.ends


@dataclass(slots=True)
class Person:
    """One customer: what is stored in the open part, what is in the archive, what they agreed to."""

    stored: dict[str, object]
    archive: dict[str, object] = field(default_factory=dict)
    back: set[str] = field(default_factory=set)  # what came back from the archive, ever
    awaited: set[str] = field(default_factory=set)  # what of it may lie there again until redaction has run
    given: dict[str, Given] = field(default_factory=dict)

    def sees(self, purpose: str, asked: frozenset[str], at: datetime) -> dict[str, object]:
        """What staff who read for a purpose get: granted fields, None where nothing is stored (any more)."""
        living = [one.fields for one in self.given.values() if one.purpose == purpose and one.lives(at)]
        return {name: self.stored.get(name) for name in asked.intersection(*[frozenset().union(*living)])}

    def give(self, id_: str, purpose: str, fields: frozenset[str], ends: datetime) -> None:
        self.given[id_] = Given(purpose, fields, ends)

    def end(self, id_: str) -> None:
        self.given[id_].over = True

    def narrow(self, id_: str, smaller: str, fields: frozenset[str], ends: datetime) -> None:
        old = self.given[id_]
        old.over = True
        self.give(smaller, old.purpose, fields, ends)

    def redact(self, at: datetime) -> None:
        """What lost its last ground goes, to the archive or for good; what got a new one comes back from there."""
        living = frozenset().union(*[one.fields for one in self.given.values() if one.lives(at)])
        ever = frozenset().union(*[one.fields for one in self.given.values()])
        for name in [name for name in self.stored if name in ever - living - HOME]:
            value = self.stored.pop(name)
            if name in SEALED:
                self.archive[name] = value
        for name in [name for name in self.archive if name in living]:
            self.stored[name] = self.archive.pop(name)
            self.back.add(name)
        self.awaited.clear()

    def restore(self) -> None:
        """An older database took the present one's place: what came back from the archive since comes back again."""
        self.awaited |= self.back
