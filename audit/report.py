"""What a verification came to, check by check."""

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


class IncompleteError(Exception):
    """Nothing is wrong, but something that must follow is not there (yet)."""

    def __init__(self, code: str, detail: str) -> None:
        """`code` is stable, `detail` a sentence."""
        super().__init__(code, detail)
        self.code, self.detail = code, detail
