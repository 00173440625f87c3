"""When to look: a cheap sign that some standing may have moved, so that an idle worker does not scan all customers.

Each change of a standing commits together with an event in the outbox: a new event, other than those of reads, means to
look. The sign only spares work: every `AT_LEAST` seconds the worker looks without it.
"""

import time
from typing import Final

from sqlmodel import col, func, select

from protocol import event
from runtime.outbox import Outbox
from runtime.platform import Platform

AT_LEAST: Final = 5.0  # seconds
READS: Final = (event.RELEASE, event.REFUSAL, event.ATTEMPT_REFUSED)


class Watch:
    """One worker's memory of what it has seen."""

    def __init__(self) -> None:
        self._seen = 0
        self._looked_at = float("-inf")
        self._again = True

    def stirred(self, platform: Platform) -> bool:
        """Whether to look at the standings now."""
        with platform.database.read() as session:
            newest = session.exec(select(func.max(Outbox.id))).one() or 0
            told = select(Outbox.id).where(col(Outbox.id) > self._seen, col(Outbox.type).not_in(READS)).limit(1)
            news = session.exec(told).first() is not None
        self._seen = newest
        return news or self._again or time.monotonic() - self._looked_at >= AT_LEAST

    def looked(self, *, more: bool) -> None:
        """A look was completed; `more` when it did not get through all that was due."""
        self._looked_at, self._again = time.monotonic(), more

    def failed(self) -> None:
        """A pass failed: look again, whatever the signs say."""
        self._again = True
