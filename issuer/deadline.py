"""When a data subject's request is to be answered. Pure.

GDPR art. 12(3): within one month of receipt, which two further months may extend. PIPL art. 50 wants it timely and sets
no number; the organisation's setting counts working days (Monday to Friday), and an extension adds as many once more.
"""

import calendar
from datetime import datetime, timedelta

PIPL = "CN"


def due(received: datetime, place: str, working_days: int) -> datetime:
    """The deadline of a request received at this instant, for an organisation at `place` (ISO 3166-1)."""
    return _worked(received, working_days) if place == PIPL else _months(received, 1)


def extended(received: datetime, place: str, working_days: int) -> datetime:
    """The latest deadline that an extension may set."""
    return _worked(received, 2 * working_days) if place == PIPL else _months(received, 3)


def _worked(at: datetime, days: int) -> datetime:
    while days:
        at += timedelta(days=1)
        days -= at.weekday() < calendar.SATURDAY
    return at


def _months(at: datetime, months: int) -> datetime:
    """The same day some months on; the last of the month where it has no such day (Regulation 1182/71, art. 3(2)c)."""
    years, month = divmod(at.month - 1 + months, 12)
    year, month = at.year + years, month + 1
    return at.replace(year=year, month=month, day=min(at.day, calendar.monthrange(year, month)[1]))
