"""Instants: RFC 3339 at the doors, whole microseconds within."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.instants import MAX_INSTANT, MIN_INSTANT, SECOND, format_instant, parse_instant
from ledger.problems import LedgerProblem

NINE = 1_614_589_200 * SECOND

READ = [
    ("2021-03-01T09:00:00Z", NINE),
    ("2021-03-01t09:00:00z", NINE),
    ("2021-03-01 09:00:00Z", NINE),
    ("2021-03-01T10:30:00+01:30", NINE),
    ("2021-03-01T00:00:00-09:00", NINE),
    ("2021-03-01T09:00:00-00:00", NINE),
    ("2021-03-01T09:00:00.000001Z", NINE + 1),
    ("2021-03-01T09:00:00.5+00:00", NINE + SECOND // 2),
    ("2021-03-01T09:00:00.123456000Z", NINE + 123_456),
    ("1969-12-31T23:59:59.999999Z", -1),
    ("0001-01-01T00:00:00Z", MIN_INSTANT),
    ("9999-12-31T23:59:59.999999Z", MAX_INSTANT),
    ("9999-12-31T23:59:59.999999+00:01", MAX_INSTANT - 60 * SECOND),
]

REFUSED = [
    ("2021-03-01T09:00:00", "without a zone"),
    ("2021-03-01 09:00:00.5", "without a zone"),
    ("2021-03-01T09:00:00.1234567Z", "finer than a microsecond"),
    ("2021-03-01", "RFC 3339"),
    ("2021-03-01T09:00Z", "RFC 3339"),
    ("20210301T090000Z", "RFC 3339"),
    ("2021-W09-1T09:00:00Z", "RFC 3339"),
    ("2021-02-29T09:00:00Z", "is no day: 2021 is no leap year, its February has 28 days"),
    ("2021-03-01T24:00:00Z", "RFC 3339"),
    ("2021-03-01T24:00:00+01:00", "RFC 3339"),
    ("2021-03-01T23:59:60Z", "is a leap second"),
    ("2021-03-01T09:00:00+24:00", "RFC 3339"),
    ("2021-03-01T09:00:00+01:60", "RFC 3339"),
    ("2021-03-01T09:00:00+0100", "RFC 3339"),
    ("2021-03-01T09:00:00.Z", "RFC 3339"),
    ("2021-03-01X09:00:00Z", "RFC 3339"),
    ("٢٠٢١-03-01T09:00:00Z", "RFC 3339"),
    ("٢٠٢١-03-01T09:00:00+00:00", "RFC 3339"),
    ("0000-01-01T00:00:00Z", "RFC 3339"),
    ("0001-01-01T00:00:00+00:01", "years 1 to 9999"),
    ("9999-12-31T23:59:59-00:01", "years 1 to 9999"),
    ("now", "RFC 3339"),
    ("", "RFC 3339"),
]

NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(("text", "instant"), READ)
def test_rfc_3339_is_read_as_microseconds(text: str, instant: int) -> None:
    """Every form of RFC 3339 names one instant, whatever its offset."""
    assert parse_instant(text) == instant


@pytest.mark.parametrize(("text", "words"), REFUSED)
def test_anything_else_is_refused_by_its_words(text: str, words: str) -> None:
    """A naive time, a finer one, and what is no RFC 3339 is refused, and shown."""
    with pytest.raises(ValueError, match=words) as refusal:
        parse_instant(text)
    assert repr(text) in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("wall", "utc"),
    [
        ("2021-03-14T01:59:59", "2021-03-14T06:59:59Z"),
        ("2021-03-14T02:30:00", "2021-03-14T07:30:00Z"),  # skipped: moved forward by the gap
        ("2021-03-14T03:00:00", "2021-03-14T07:00:00Z"),
        ("2021-11-07T01:30:00", "2021-11-07T05:30:00Z"),  # comes twice: the first
        ("2021-11-07T01:30:00-05:00", "2021-11-07T06:30:00Z"),  # its own offset stands
    ],
)
def test_a_wall_clock_time_is_read_in_the_zone_given(wall: str, utc: str) -> None:
    """With a zone, a naive time is its wall clock's; an offset in the text still rules."""
    assert format_instant(parse_instant(wall, zone=NEW_YORK)) == utc


def test_a_wall_clock_time_outside_of_utc_years_is_refused() -> None:
    """The first hours of year 1 in Tokyo lie before year 1 in UTC."""
    with pytest.raises(ValueError, match=r"0001-01-01T00:00:00"):
        parse_instant("0001-01-01T00:00:00", zone=ZoneInfo("Asia/Tokyo"))


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.000001Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (500_000, "1970-01-01T00:00:00.500000Z"),
        (MIN_INSTANT, "0001-01-01T00:00:00Z"),
        (MAX_INSTANT, "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_decimals_are_written_only_when_there_are_any(instant: int, text: str) -> None:
    """Six decimals, or none."""
    assert format_instant(instant) == text


@pytest.mark.parametrize("instant", [MIN_INSTANT - 1, MAX_INSTANT + 1])
def test_no_instant_outside_of_the_years_is_written(instant: int) -> None:
    """Years 1 to 9999, no further."""
    with pytest.raises(LedgerProblem, match="outside the years 1 to 9999"):
        format_instant(instant)


@given(st.integers(MIN_INSTANT, MAX_INSTANT))
def test_what_is_written_reads_back(instant: int) -> None:
    """Text and microseconds are two names of the same instant."""
    assert parse_instant(format_instant(instant)) == instant


@given(st.datetimes(timezones=st.just(UTC)))
def test_the_calendar_is_pythons_own(moment: datetime) -> None:
    """The cached date and the table of minutes give what isoformat gives."""
    assert parse_instant(moment.isoformat()) == parse_instant(
        format_instant(parse_instant(moment.isoformat()))
    )
    assert format_instant(parse_instant(moment.isoformat())) == moment.isoformat().replace(
        "+00:00", "Z"
    )
