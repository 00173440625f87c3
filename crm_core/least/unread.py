"""Fields that were collected and that nobody ever read: the first that need not be asked for (GDPR art. 5(1)(c))."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from sqlmodel import Session

from crm_core import origin
from issuer.catalogue import Catalogue
from protocol import event, times
from protocol.consent import Field
from runtime import outbox

_BATCH = 500
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Use:
    """One field: for how many customers it was ever collected, how often it was read since, and when last (UTC)."""

    field: Field
    collected: int
    reads: int
    last: str | None


def use(session: Session, catalogue: Catalogue, progress: Progress = lambda _: None) -> list[Use]:
    """The use of every field that was collected, the unread ones first; `progress` is told each event's number.

    A read is one customer's value released to one reader; what our own mailer takes to write to a customer counts too.
    """
    collected = origin.counted(session)
    reads, last = _reads(session, progress)
    found = [
        Use(field, collected[field], reads[field], last.get(field)) for field in collected if field in catalogue.fields
    ]
    return sorted(found, key=lambda one: (one.reads, -one.collected, one.field))


def unread(session: Session, catalogue: Catalogue, *, least: int) -> list[Use]:
    """The fields that were collected of `least` customers or more and that nobody ever read.

    Whoever measures for one purpose learns of nobody what a few told somebody else.
    """
    return [each for each in use(session, catalogue) if not each.reads and each.collected >= least]


def _reads(session: Session, progress: Progress) -> tuple[Counter[Field], dict[Field, str]]:
    reads: Counter[Field] = Counter()
    last: dict[Field, str] = {}
    after = 0
    while events := outbox.pending(session, after, _BATCH):
        for one in events:
            if one.type == event.RELEASE:
                for _, data in one.records:
                    released = [Field(field) for field in data.get("released", ())]
                    reads.update(released)
                    last |= dict.fromkeys(released, times.iso(one.at))
        after = events[-1].id
        progress(after)
    return reads, last
