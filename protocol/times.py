"""Instants and durations on the wire: xsd:dateTimeStamp (VCDM 2.0 §4.9) and ISO 8601 durations."""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from protocol.errors import EvidenceError

_STAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?!24)[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?"
    r"(?:Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9])"
)
_STAMPED, _STAMPED_MS = len("2026-11-22T08:00:00"), len("2026-11-22T08:00:00.000")
_DURATION = re.compile(
    r"P(?=[0-9T])(?:([0-9]{1,4})Y)?(?:([0-9]{1,4})M)?(?:([0-9]{1,4})W)?(?:([0-9]{1,5})D)?"
    r"(?:T(?=[0-9])(?:([0-9]{1,5})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,8})S)?)?"
)


@lru_cache(maxsize=256)  # one instant is told of many things
def iso(at: datetime) -> str:
    """Write an aware datetime as `YYYY-MM-DDTHH:MM:SSZ`, cut to the second. ValueError for a naive one."""
    return _utc(at).isoformat(timespec="seconds")[:_STAMPED] + "Z"


@lru_cache(maxsize=256)
def iso_ms(at: datetime) -> str:
    """Write an aware datetime as `YYYY-MM-DDTHH:MM:SS.mmmZ`, cut to the millisecond. ValueError for a naive one."""
    return _utc(at).isoformat(timespec="milliseconds")[:_STAMPED_MS] + "Z"


def parse(text: object, *, field: str) -> datetime:
    """Read an xsd:dateTimeStamp as an aware UTC datetime; EvidenceError `bad_datetime`, also without a zone."""
    if not isinstance(text, str) or _STAMP.fullmatch(text) is None:
        raise EvidenceError("bad_datetime", "not a date and time with a time zone (RFC 3339)", field=field)
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise EvidenceError("bad_datetime", "no such date and time", field=field) from None


def duration(text: object) -> timedelta:
    """Read an ISO 8601 duration (a month counts 30 days, a year 365); EvidenceError `bad_duration`."""
    if not isinstance(text, str):
        raise _no_duration()
    return _duration(text)


@lru_cache(maxsize=256)  # a catalogue has few
def _duration(text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise _no_duration()
    years, months, weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=365 * years + 30 * months + 7 * weeks + days, hours=hours, minutes=minutes, seconds=seconds)


def _no_duration() -> EvidenceError:
    return EvidenceError("bad_duration", "not an ISO 8601 duration such as P180D, P6M, P3Y or PT12H")


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a datetime without a time zone")
    return at.astimezone(UTC)
