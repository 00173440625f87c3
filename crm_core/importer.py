"""A CRM export (CSV) becomes sealed records; nothing of it is kept in clear."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from issuer.catalogue import Catalogue
from protocol.consent import Field
from runtime.platform import Platform


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was not taken: its number (1 is the first after the headings), the column, a reason code. No value."""

    row: int
    column: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """How many rows were read and what came of them: `read` is the sum of the other four."""

    read: int
    created: int
    updated: int
    unchanged: int
    rejected: int
    rejects: tuple[Reject, ...] = ()


def run(
    platform: Platform,
    catalogue: Catalogue,
    data: bytes,
    *,
    source: str,
    importer: str,
    mapping: Mapping[str, Field] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Import the bytes of a CSV file in one change: all of it or, when it breaks, nothing.

    `progress(done, total)` is called in between. Raises EvidenceError `bad_csv`, `no_headings`, `no_known_columns`,
    `unknown_field`, `unknown_column`, `too_many_rows`.
    """
    raise NotImplementedError
