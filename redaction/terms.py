"""How long the archive keeps: destroy-by dates fall on the end of a quarter, and each has a key pair of its own. Pure.

To delete a row destroys no older copy of it; to end a key does. So all boxes of a period that are due on the same day
share one key, and nothing else is under it. The retention period is counted to the end of its quarter, as retention
periods commonly are: what a certificate names as `destroyBy` is the day on which every copy ends, not only ours.
"""

from datetime import UTC, datetime
from typing import Final

_MONTHS: Final = (1, 4, 7, 10)


def end_of_quarter(at: datetime) -> datetime:
    """The first instant at which the quarter that holds `at` is over; `at` itself on that very instant (UTC)."""
    at = at.astimezone(UTC)
    begin = datetime(at.year, _MONTHS[(at.month - 1) // 3], 1, tzinfo=UTC)
    if at == begin:
        return at
    return (
        datetime(at.year + 1, 1, 1, tzinfo=UTC) if begin.month == _MONTHS[-1] else begin.replace(month=begin.month + 3)
    )


def key_name(period: str, destroy_by: datetime) -> str:
    """The archive key of the boxes of a period that are due at `destroy_by` (the end of a quarter)."""
    return f"{period}~{destroy_by.astimezone(UTC):%Y-%m-%d}"


def period_of(name: str) -> str:
    """The retention period of an archive key."""
    return name.partition("~")[0]


def due_at(name: str) -> datetime | None:
    """When an archive key is to be destroyed; None for one that bears no date."""
    day = name.partition("~")[2]
    return datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC) if day else None
