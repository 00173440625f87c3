"""The journal: every narrowing of a standing, durable outside the database before it is acknowledged (DESIGN, 7)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol.consent import SubjectId


class JournalError(Exception):
    """The journal cannot be trusted or written. Codes: journal_missing, journal_broken, journal_shrunk, journal_failed."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: its sequence number (from 1) and what was appended."""

    seq: int
    body: Mapping[str, Any]


class Journal:
    """An append-only, hash-chained file, shared by processes. What it says about floors and ends is held in memory."""

    def __init__(self, directory: Path, *, create: bool = False) -> None:
        """Read and verify the whole chain. Raises JournalError(journal_missing, journal_broken)."""
        raise NotImplementedError

    def append(self, entry: Mapping[str, Any]) -> int:
        """Append one entry, durable on return; its sequence number. Raises JournalError."""
        raise NotImplementedError

    def entries(self, since: int = 0) -> Iterator[Entry]:
        """Entries with a sequence number above `since`, in order, the chain verified."""
        raise NotImplementedError

    def refresh(self) -> None:
        """Take in what other processes appended. Costs one stat when there is nothing new. Raises JournalError."""
        raise NotImplementedError

    def head(self) -> tuple[int, str]:
        """Sequence number and digest of the last line; (0, "") when empty."""
        raise NotImplementedError

    def floor(self, subject: SubjectId) -> int:
        """The lowest version of the subject's standing that may be believed; 0 when never narrowed."""
        raise NotImplementedError

    def ended(self, ground: str) -> bool:
        """Has this consent or ground been ended?"""
        raise NotImplementedError
