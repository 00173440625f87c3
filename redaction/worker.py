"""The worker: looks for lapses and carries every disposition to its end, resuming wherever it was killed."""

import threading
from dataclasses import dataclass

from issuer.catalogue import Catalogue
from runtime.platform import Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What one pass did: jobs planned and finished, fields restored; `left` is what is still under way."""

    planned: int
    finished: int
    restored: int
    left: int


def run_once(platform: Platform, catalogue: Catalogue) -> Pass:
    """One pass over all subjects whose standing changed and all jobs under way. Raises ClockError."""
    raise NotImplementedError


def run(platform: Platform, catalogue: Catalogue, stop: threading.Event) -> None:
    """Pass after pass, every 0.2 s, until `stop` is set; after an error with growing pauses."""
    raise NotImplementedError
