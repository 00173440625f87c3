"""What of one subject's records a bundle shows: all, those of one field, and of the reads only some. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from protocol import event, times
from protocol.errors import EvidenceError

READS: Final = frozenset({event.RELEASE, event.REFUSAL})
_MEMBERS: Final = {"purpose": "purpose", "from": "since", "to": "until"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """`purpose` (an IRI), `since` and `until` (exclusive) narrow the reads, releases and refusals, and nothing else.

    What gives a ground its life or ends it, and what became of values, is always shown: without it no read could be
    judged. Reads that are left out are there as commitments, so that nobody can say that there were none.
    """

    field: str | None = None
    purpose: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def narrow(self) -> bool:
        """Whether reads are left out that concern the field."""
        return not (self.purpose is None and self.since is None and self.until is None)

    def shows(self, kind: str, at: str, header: Mapping[str, Any], data: Mapping[str, Any]) -> bool:
        """Whether a record of this type and time (ISO 8601) is shown, as far as purpose and time decide."""
        if kind not in READS or not self.narrow:
            return True
        if self.purpose is not None and self.purpose not in (header.get("purpose"), data.get("purpose")):
            return False
        when = times.parse(at, field="time")
        return (self.since is None or when >= self.since) and (self.until is None or when < self.until)

    def told(self) -> dict[str, str]:
        """What narrows the reads, as a bundle's statement has it; empty where nothing does."""
        said = {name: getattr(self, member) for name, member in _MEMBERS.items()}
        return {
            name: value if isinstance(value, str) else times.iso_ms(value)
            for name, value in said.items()
            if value is not None
        }

    @classmethod
    def read(cls, field: str | None, told: Mapping[str, Any]) -> Self:
        """Out of a statement. ValueError for what is no scope; EvidenceError("bad_datetime")."""
        if not told.keys() <= _MEMBERS.keys() or not all(isinstance(value, str) and value for value in told.values()):
            raise ValueError("not a scope")
        moments = {_MEMBERS[name]: times.parse(value, field=name) for name, value in told.items() if name != "purpose"}
        return cls(field=field, purpose=told.get("purpose"), **moments)

    def check(self) -> None:
        """EvidenceError("bad_scope") for a time that ends before it begins."""
        if self.since is not None and self.until is not None and self.until <= self.since:
            raise EvidenceError("bad_scope", "the time ends before it begins", field="to")
