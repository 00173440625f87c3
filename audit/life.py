"""One ground's life as the log tells it, and what it can release. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from protocol.consent import Process

UNDER_WAY = timedelta(seconds=10)
"""A read is judged when it comes in and recorded a little later; so much may lie between the two."""


@dataclass(slots=True)
class Life:
    """One ground's life as the log tells it. `ended` is the standing's version at its end."""

    processes: tuple[Process, ...]
    valid_from: datetime
    valid_until: datetime
    roles: frozenset[str] | None = None
    until_enrolled: bool = False
    ended: int | None = None

    def fields(self) -> set[str]:
        """All fields that it names, for whatever purpose."""
        return {str(name) for process in self.processes for name in process.fields}

    def covers(self, wanted: "Wanted") -> bool:
        """Whether it is about this field, purpose, recipient, processing, jurisdiction and role at all."""
        if self.roles is not None and wanted.role not in self.roles:
            return False
        return any(
            wanted.field in one.fields
            and wanted.purpose == one.purpose
            and wanted.processing in one.processing
            and wanted.recipient in one.recipients
            and wanted.jurisdiction in one.jurisdictions
            for one in self.processes
        )

    def lives(self, at: datetime, version: int) -> bool:
        """Whether it could release at this instant, under this version of the standing."""
        if self.ended is not None and version >= self.ended:
            return False
        return self.valid_from - UNDER_WAY <= at < self.valid_until + UNDER_WAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What one release let out of one field."""

    field: str
    purpose: Any
    recipient: Any
    processing: Any
    jurisdiction: Any
    role: Any
