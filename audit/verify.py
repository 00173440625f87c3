"""Does a bundle prove what it claims? Offline: needs the bundle, the log's key, and nothing that belongs to the organisation."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What one check came to."""

    OK = "ok"
    FAILED = "failed"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, what it came to, the stable code when it did not hold, and what was looked at."""

    name: str
    outcome: Outcome
    code: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class Report:
    """All checks in the order made."""

    checks: tuple[Check, ...]

    @property
    def status(self) -> int:
        """Exit status: 0 valid, 1 invalid, 2 incomplete."""
        outcomes = {check.outcome for check in self.checks}
        if Outcome.FAILED in outcomes:
            return 1
        return 2 if Outcome.INCOMPLETE in outcomes else 0


def verify(bundle: bytes, log_key: str) -> Report:
    """Check `bundle` (the zip's bytes) under the log's verifier key (C2SP signed-note vkey). Never raises on bad input."""
    raise NotImplementedError
