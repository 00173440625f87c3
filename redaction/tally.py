"""A tally of the last hour's events, minute by minute: what the board shows, kept by looking only at what is new.

Cost: the database groups events by their key, once each (measured: 4 µs for one with twenty records); a later look
takes only what came since (none new: 0.3 ms). The first look of a process goes back an hour, at most `FIRST_LOOK`
events. No value is in an event, and of events only types, instants and ids of touchpoints and certificates are read.
"""

import json
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import and_, func, or_
from sqlmodel import Session, col, select

from protocol import event, times
from runtime.outbox import Outbox

WINDOW: Final = timedelta(hours=1)
FIRST_LOOK: Final = 500_000
PER_MINUTE: Final = 1_000  # delays kept per link and minute
COUNTED: Final = {
    event.RELEASE: "releases",
    event.REFUSAL: "refusals",
    event.ATTEMPT_REFUSED: "attempts",
    event.CONSENT_WITHDRAWN: "withdrawals",
    event.CONSENT_NARROWED: "withdrawals",
    event.CONSENT_REVOKED: "withdrawals",
}
_AT_ONCE: Final = 20_000  # events that are read one by one, per look: the newest ones


@dataclass(slots=True)
class Link:
    """What a touchpoint brought in one minute. Delays in seconds, from the collecting to the storing."""

    stored: int = 0
    held: int = 0
    refused: int = 0
    delays: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Minute:
    """One minute's events."""

    counts: Counter[str] = field(default_factory=Counter)
    links: defaultdict[str, Link] = field(default_factory=lambda: defaultdict(Link))
    certificates: list[str] = field(default_factory=list)


class Tally:
    """One process's tally. `look` brings it up to date; several threads may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._after: int | None = None
        self._minutes: dict[str, Minute] = {}

    def look(self, session: Session, at: datetime) -> dict[str, Minute]:
        """Each minute of the last hour in which something happened, by `YYYY-MM-DDTHH:MM`."""
        since = times.iso_ms(at - WINDOW)
        with self._lock:
            newest = session.exec(select(func.max(Outbox.id))).one() or 0
            if self._after is None or newest < self._after:  # the first look, or a restored database
                self._minutes, self._after = {}, _first(session, since, newest)
            if newest > self._after:
                self._count(session, self._after, newest)
                self._read(session, self._after, newest)
                self._after = newest
            self._minutes = {minute: one for minute, one in self._minutes.items() if minute >= since[:16]}
            return dict(sorted(self._minutes.items()))

    def _minute(self, at: str) -> Minute:
        return self._minutes.setdefault(at[:16], Minute())

    def _count(self, session: Session, after: int, newest: int) -> None:
        minute = func.substr(Outbox.at, 1, 16)
        rows = session.exec(
            select(Outbox.type, minute, func.count())
            .where(col(Outbox.id) > after, col(Outbox.id) <= newest, col(Outbox.type).in_(COUNTED))
            .group_by(col(Outbox.type), minute)
        )
        for type_, at, count in rows:
            self._minute(at).counts[COUNTED[type_]] += count

    def _read(self, session: Session, after: int, newest: int) -> None:
        marked = '"touchpoint":'
        telling = or_(
            col(Outbox.type) == event.CERTIFICATE_ISSUED,
            and_(col(Outbox.type) == event.VALUE_COLLECTED, col(Outbox.header).contains(marked)),
            and_(col(Outbox.type).in_((event.VALUE_HELD, event.ATTEMPT_REFUSED)), col(Outbox.records).contains(marked)),
        )
        rows = session.exec(
            select(Outbox.type, Outbox.at, Outbox.header, Outbox.records)
            .where(col(Outbox.id) > after, col(Outbox.id) <= newest, telling)
            .order_by(col(Outbox.id).desc())
            .limit(_AT_ONCE)
        )
        for type_, at, header, records in rows:
            self._take(type_, at, json.loads(header), [record["data"] for record in json.loads(records)])

    def _take(self, type_: str, at: str, header: dict[str, Any], told: list[dict[str, Any]]) -> None:
        here = self._minute(at)
        if type_ == event.CERTIFICATE_ISSUED:
            here.certificates += [str(data["certificate"]) for data in told]
        elif type_ == event.VALUE_COLLECTED:
            link = here.links[str(header["touchpoint"])]
            link.stored += len(told)
            collected = header.get("collected_at")
            if isinstance(collected, str) and len(link.delays) < PER_MINUTE:
                link.delays.append(max(0.0, between(collected, at)))
        else:
            for id_ in _touchpoints(told):
                link = here.links[id_]
                link.held += type_ == event.VALUE_HELD
                link.refused += type_ == event.ATTEMPT_REFUSED


def between(first: str, last: str) -> float:
    """Seconds from one stored instant to another."""
    return (times.parse(last, field="at") - times.parse(first, field="at")).total_seconds()


def _touchpoints(told: list[dict[str, Any]]) -> Iterator[str]:
    return (data["touchpoint"] for data in told if isinstance(data.get("touchpoint"), str))


def _first(session: Session, since: str, newest: int) -> int:
    """The place before the first event of the window: instants rise with the key, so it is found by halving."""
    low, high = max(0, newest - FIRST_LOOK), newest
    while low < high:
        middle = (low + high) // 2
        at = session.exec(select(Outbox.at).where(col(Outbox.id) > middle).order_by(col(Outbox.id)).limit(1)).first()
        if at is not None and at < since:
            low = middle + 1
        else:
            high = middle
    return low
