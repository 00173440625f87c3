from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import times
from protocol.errors import EvidenceError

instants = st.datetimes(min_value=datetime(1000, 1, 2), max_value=datetime(9998, 1, 1), timezones=st.just(UTC))


def test_an_instant_is_written_in_utc_and_cut() -> None:
    at = datetime(2026, 11, 22, 16, 0, 1, 999999, tzinfo=timezone(timedelta(hours=8)))
    assert times.iso(at) == "2026-11-22T08:00:01Z"
    assert times.iso_ms(at) == "2026-11-22T08:00:01.999Z"


@pytest.mark.parametrize("write", [times.iso, times.iso_ms])
def test_a_naive_datetime_is_never_written(write) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match="time zone"):
        write(datetime(2026, 11, 22))


@given(instants)
def test_what_is_written_is_read_back(at: datetime) -> None:
    assert times.parse(times.iso(at), field="x") == at.replace(microsecond=0)
    assert times.parse(times.iso_ms(at), field="x") == at.replace(microsecond=at.microsecond // 1000 * 1000)


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2026-11-22T08:00:00Z", 8),
        ("2026-11-22T08:00:00.123456789Z", 8),
        ("2026-11-22T16:00:00+08:00", 8),
        ("2026-11-22T02:30:00-05:30", 8),
    ],
)
def test_zones_and_fractions_are_understood(text: str, hour: int) -> None:
    assert times.parse(text, field="x").hour == hour


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T08:00:00",
        "2026-11-22",
        "2026-02-30T08:00:00Z",
        "2026-11-22T24:00:00Z",
        "2026-11-22T08:00:60Z",
        "2026-11-22t08:00:00z",
        "2026-11-22T08:00:00+15:00",
        "2026-11-22T08:00:00+08:60",
        "0001-01-01T00:00:00+08:00",
        "2026-11-22T08:00:00Z\n",
        "２０２６-11-22T08:00:00Z",
        "",
        None,
        17,
        ["2026-11-22T08:00:00Z"],
    ],
)
def test_anything_else_is_a_bad_datetime(text: object) -> None:
    with pytest.raises(EvidenceError) as caught:
        times.parse(text, field="validFrom")
    assert (caught.value.code, caught.value.field) == ("bad_datetime", "validFrom")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("P180D", timedelta(days=180)),
        ("P6M", timedelta(days=180)),
        ("P3Y", timedelta(days=1095)),
        ("P2W", timedelta(days=14)),
        ("PT12H", timedelta(hours=12)),
        ("P1DT1H1M1S", timedelta(days=1, hours=1, minutes=1, seconds=1)),
        ("P0D", timedelta()),
    ],
)
def test_durations_are_understood(text: str, expected: timedelta) -> None:
    assert times.duration(text) == expected


@pytest.mark.parametrize("text", ["P", "PT", "P1DT", "180D", "P-1D", "P1.5D", "P1D ", "p1d", "P999999D", "", None, 5])
def test_anything_else_is_a_bad_duration(text: object) -> None:
    with pytest.raises(EvidenceError) as caught:
        times.duration(text)
    assert caught.value.code == "bad_duration"
