"""The fold's calendar in whole numbers, against datetime, zoneinfo and dateutil."""

from __future__ import annotations

import calendar as months
from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dateutil.relativedelta import relativedelta
from hypothesis import example, given, settings
from hypothesis import strategies as st
from plain_reading import instant, later, new_year, period_end, wall, window_end
from plain_values import EPOCH, MICROSECOND, at

from projections.fold import calendar
from projections.fold.facts import LAST, NEVER, NONE
from retake_policies.durations import DAYS, MONTHS, TIME, Duration, format_duration
from retake_policies.rules import compile_rules
from retake_policies.schema import parse_policy
from retake_policies.zones import zone_table

laws = settings(deadline=None)  # the first look at a zone takes its time
DAY = 86_400_000_000
ORDINAL_OF_1970 = date(1970, 1, 1).toordinal()
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/Havana",  # its clocks change at midnight, both ways
    "America/Sao_Paulo",
    "Africa/Cairo",
    "Asia/Gaza",
    "Pacific/Apia",  # had no 30 December 2011
    "Pacific/Kwajalein",  # had 30 September 1969 twice, and no 21 August 1993
    "Australia/Lord_Howe",  # half an hour
    "Antarctica/Troll",  # two hours
    "Asia/Kathmandu",
    "America/Phoenix",  # had the last hour of 1943 twice
    "Africa/Monrovia",  # 44 minutes and 30 seconds
)
days = st.dates()
amounts = st.integers(1, 1_200)
periods = st.one_of(
    st.builds(Duration, st.just(MONTHS), st.integers(1, 36)),
    st.builds(Duration, st.just(DAYS), st.integers(1, 400)),
)
IN_TABLES = (at("1900-01-02"), at("2190-01-01"))


def number(day: date) -> int:
    """Count the days since 1970 with the standard library."""
    return day.toordinal() - ORDINAL_OF_1970


def shown_before(moment: int, zone: str) -> bool:
    """Return whether a zone's clocks show at an instant what they have shown already."""
    return bool((EPOCH + moment * MICROSECOND).astimezone(ZoneInfo(zone)).fold)


@st.composite
def zoned(draw: st.DrawFn) -> tuple[str, int]:
    """Draw a zone and an instant, often within hours of a change of its offset.

    Some years from where a table ends, since what is asked of it lies some years further on.
    """
    zone = draw(st.sampled_from(ZONES))
    first, last = IN_TABLES
    changes = [change for change in zone_table(zone)[0] if first <= change <= last]
    if changes and draw(st.booleans()):
        around = draw(st.integers(-50 * 60, 50 * 60)) * 60_000_000
        return zone, draw(st.sampled_from(changes)) + around + draw(st.integers(-1, 1))
    return zone, draw(st.integers(*IN_TABLES))


@laws
@given(days)
@example(date(2000, 2, 29))
@example(date(1900, 2, 28))
@example(date(1, 1, 1))
@example(date(9999, 12, 31))
def test_a_date_is_a_number_and_back(day: date) -> None:
    """Every date of the years 1 to 9999, as datetime counts it."""
    assert calendar.day_number(day.year, day.month, day.day) == number(day)
    assert calendar.civil(number(day)) == (day.year, day.month, day.day)


@laws
@given(st.integers(-1_000_000, 5_000_000))
def test_a_number_is_a_date_and_back(day: int) -> None:
    """Beyond the years that datetime knows too: the year before 1, the year after 9999."""
    assert calendar.day_number(*calendar.civil(day)) == day


@pytest.mark.parametrize("year", [1, 1900, 1999, 2000, 2023, 2024, 2100, 2400, 9999])
def test_a_month_has_its_days(year: int) -> None:
    """Leap years by the rule of four, of a hundred, of four hundred."""
    for month in range(1, 13):
        assert calendar.month_length(year, month) == months.monthrange(year, month)[1]


@laws
@given(st.dates(max_value=date(9899, 12, 31)), amounts)
@example(date(2024, 2, 29), 12)
@example(date(2023, 2, 28), 12)
@example(date(2024, 1, 31), 1)
@example(date(2023, 12, 31), 2)
@example(date(2023, 10, 31), 1)
def test_months_are_added_as_dateutil_adds_them(day: date, amount: int) -> None:
    """Clamped to the month's end: 29 February and twelve months are 28 February."""
    assert calendar.add_months(number(day), amount) == number(day + relativedelta(months=amount))


@laws
@given(zoned())
def test_a_wall_clock_shows_what_zoneinfo_shows(zone_and_instant: tuple[str, int]) -> None:
    """At any instant, the microseconds around each change among them."""
    zone, moment = zone_and_instant
    shown = EPOCH.replace(tzinfo=None) + calendar.wall(moment, *zone_table(zone)) * MICROSECOND
    assert shown == wall(moment, zone)


@laws
@given(zoned())
def test_a_wall_time_is_the_instant_zoneinfo_takes_it_for(zone_and_time: tuple[str, int]) -> None:
    """Skipped, it moves forward by the gap; of two the first is meant."""
    zone, time = zone_and_time
    clock = EPOCH.replace(tzinfo=None) + time * MICROSECOND
    assert calendar.of_wall(time, *zone_table(zone)) == instant(clock, zone)


@pytest.mark.parametrize("zone", ZONES)
def test_the_entry_of_a_zone_is_the_one_that_bisecting_finds(zone: str) -> None:
    """Around each change, far from them all, and at both ends of time; the guess is only a guess.

    Zones whose rules changed, or ended, lead the counting of half years astray.
    """
    begins, _ = zone_table(zone)
    near = [change + d for change in begins[1:] for d in (-1, 0, 1, 40 * DAY)]
    for moment in (*near, at("0001-01-01"), LAST):
        assert calendar.entry_at(moment, begins) == bisect_right(begins, moment) - 1


@laws
@given(zoned(), periods, st.sampled_from(("elapsed", "calendar", "clear")))
@example(("Pacific/Apia", at("2011-12-29T09:00Z")), Duration(DAYS, 1), "clear")
@example(("America/Phoenix", at("1944-01-01T06:01Z")), Duration(DAYS, 1), "calendar")
def test_no_wait_outlasts_the_longest(
    zone_and_instant: tuple[str, int], period: Duration, days: str
) -> None:
    """So a wait that began longer ago than that is over, without reckoning which it was.

    Where a midnight of which the first is meant came before, a wait is over as it begins.
    """
    zone, start = zone_and_instant
    text = f"""
        id = "test"
        effective_from = 2021-01-01T00:00:00Z
        [wait]
        after = ["{format_duration(period)}"]
        days = "{days}"
        zone = "{zone}"
    """
    rules = compile_rules(parse_policy(text, "test"))
    end = calendar.wait_end(start, *period, rules.wait_days, *zone_table(zone))
    assert end <= start + rules.wait_longest
    assert start <= end or shown_before(start, zone)


@laws
@given(zoned())
def test_a_wall_time_is_skipped_by_no_more_than_the_gap(zone_and_time: tuple[str, int]) -> None:
    """The clock shows the time meant, or, where it was skipped, a time later by the gap."""
    zone, time = zone_and_time
    table = zone_table(zone)
    shown = calendar.wall(calendar.of_wall(time, *table), *table)
    assert shown >= time
    if shown > time:  # both offsets around the gap lead elsewhere: nobody ever saw that time
        assert calendar.wall(time - (shown - time), *table) != time
        clock = EPOCH.replace(tzinfo=None) + time * MICROSECOND
        before = clock.replace(tzinfo=ZoneInfo(zone), fold=0).utcoffset()
        after = clock.replace(tzinfo=ZoneInfo(zone), fold=1).utcoffset()
        assert before is not None
        assert after is not None
        assert shown - time == (after - before) // MICROSECOND


@laws
@given(zoned())
def test_an_instant_comes_back_but_for_the_second_of_two(zone_and_instant: tuple[str, int]) -> None:
    """From an instant to its wall time and back, unless that time had been shown before."""
    zone, moment = zone_and_instant
    table = zone_table(zone)
    back = calendar.of_wall(calendar.wall(moment, *table), *table)
    assert (back < moment) if shown_before(moment, zone) else (back == moment)


@laws
@given(zoned(), periods)
def test_a_period_ends_at_the_midnight_of_its_date(
    zone_and_instant: tuple[str, int], period: Duration
) -> None:
    """00:00 of that date plus the period, in the zone.

    That is after its beginning, but where a midnight of which the first is meant came before.
    """
    zone, start = zone_and_instant
    end = calendar.midnight_after(start, *period, *zone_table(zone))
    assert end == period_end(start, period, zone)
    assert end > start or shown_before(start, zone)


@laws
@given(zoned(), periods)
def test_a_window_ends_at_the_same_time_of_day(
    zone_and_instant: tuple[str, int], period: Duration
) -> None:
    """The same time of day of that date plus the period, in the zone; always after its start."""
    zone, start = zone_and_instant
    end = calendar.same_time_after(start, *period, *zone_table(zone))
    assert end == window_end(start, period, zone)
    assert end == calendar.on_from(start, *period, *zone_table(zone))
    assert end > start


@laws
@given(zoned(), st.integers(0, 400 * DAY))
def test_time_is_elapsed_time(zone_and_instant: tuple[str, int], amount: int) -> None:
    """Hours, minutes and seconds are the same by any clock, whatever is said of days."""
    zone, start = zone_and_instant
    table = zone_table(zone)
    assert calendar.on_from(start, TIME, amount, *table) == start + amount
    for kind in (calendar.ELAPSED, calendar.CALENDAR, calendar.CLEAR):
        assert calendar.wait_end(start, TIME, amount, kind, *table) == start + amount


@laws
@given(zoned(), st.integers(0, 400))
def test_days_of_a_wait_are_of_three_kinds(zone_and_instant: tuple[str, int], count: int) -> None:
    """24 hours each; or that date at 00:00; or that many whole days in between."""
    zone, start = zone_and_instant
    table = zone_table(zone)
    elapsed, by_date, clear = (
        calendar.wait_end(start, DAYS, count, kind, *table)
        for kind in (calendar.ELAPSED, calendar.CALENDAR, calendar.CLEAR)
    )
    assert elapsed == start + count * DAY
    midnight = datetime.combine(wall(start, zone).date(), datetime.min.time())
    assert by_date == instant(midnight + timedelta(days=count), zone)
    assert clear == instant(midnight + timedelta(days=count + 1), zone)
    assert clear > start or shown_before(start, zone)


@laws
@given(zoned())
@example(("America/Phoenix", at("1944-01-01T05:59:59.999999Z")))
@example(("America/Phoenix", at("1944-01-01T06:00Z")))
@example(("America/Phoenix", at("1944-01-01T06:01Z")))
@example(("America/Phoenix", at("1944-01-01T06:30Z")))
@example(("America/Phoenix", at("1944-01-01T07:00Z")))
def test_a_year_is_the_zones(zone_and_instant: tuple[str, int]) -> None:
    """From 00:00 of 1 January to 00:00 of the next, of two the first, and the instant in it."""
    zone, moment = zone_and_instant
    table = zone_table(zone)
    number = calendar.period_around([101], False, moment, *table)
    first, following = (
        calendar.period_begins([101], False, each, *table) for each in (number, number + 1)
    )
    year = wall(first, zone).year
    assert (first, following) == (new_year(year, zone), new_year(year + 1, zone))
    assert first <= moment < following


def begins(start: str, zone: str) -> int:
    """Return 00:00 of a date with zoneinfo."""
    return instant(datetime.fromisoformat(start), zone)


of_year = st.lists(
    st.dates(date(2001, 1, 1), date(2001, 12, 31)), min_size=1, max_size=5, unique=True
)


@laws
@given(zoned(), of_year)
@example(("America/Havana", at("2021-03-14T05:00Z")), [date(2001, 3, 14)])
@example(("Pacific/Apia", at("2011-12-30T10:00Z")), [date(2001, 12, 30), date(2001, 12, 31)])
def test_periods_begin_on_days_of_each_year(
    zone_and_instant: tuple[str, int], starts: list[date]
) -> None:
    """The one around an instant begins at the last of these midnights that is not after it."""
    zone, moment = zone_and_instant
    starts, table = sorted(starts), zone_table(zone)
    codes = [start.month * 100 + start.day for start in starts]
    year = wall(moment, zone).year
    every = [
        begins(f"{y:04}-{start:%m-%d}", zone) for y in range(year - 2, year + 3) for start in starts
    ]
    last = max(i for i, begin in enumerate(every) if begin <= moment)
    around = calendar.period_around(codes, False, moment, *table)
    for shift in range(-1, 2):
        found = calendar.period_begins(codes, False, around + shift, *table)
        assert 0 <= last + shift < len(every)
        assert found == every[last + shift]


@laws
@given(zoned(), st.lists(st.integers(-400, 400), min_size=1, max_size=5, unique=True))
@example(("UTC", at("2021-07-01")), [0])
def test_periods_begin_on_whole_dates(zone_and_instant: tuple[str, int], around: list[int]) -> None:
    """Before the first lies one period, and after the last another without end."""
    zone, moment = zone_and_instant
    table, day = zone_table(zone), calendar.wall(moment, *zone_table(zone)) // DAY
    starts = [day + shift for shift in sorted(around)]
    every = [begins((date(1970, 1, 1) + timedelta(start)).isoformat(), zone) for start in starts]
    number = calendar.period_around(starts, True, moment, *table)
    assert number == sum(begin <= moment for begin in every) - 1
    assert calendar.period_begins(starts, True, -1, *table) == NONE
    assert calendar.period_begins(starts, True, len(starts), *table) == NEVER
    for i, begin in enumerate(every):
        assert calendar.period_begins(starts, True, i, *table) == begin


@laws
@given(zoned(), st.integers(0, 36))
@example(("UTC", at("2021-08-31T09:00Z")), 6)
@example(("America/Havana", at("2021-02-14T05:30Z")), 1)
def test_months_of_a_wait_end_by_its_kind_of_days(
    zone_and_instant: tuple[str, int], count: int
) -> None:
    """At the same time of day; or 00:00 of that date; or of the day after it; all clamped."""
    zone, start = zone_and_instant
    table, clock = zone_table(zone), wall(start, zone)
    later_on = clock + relativedelta(months=count)
    midnight = datetime.combine(later_on.date(), datetime.min.time())
    assert [
        calendar.wait_end(start, MONTHS, count, kind, *table)
        for kind in (calendar.ELAPSED, calendar.CALENDAR, calendar.CLEAR)
    ] == [instant(each, zone) for each in (later_on, midnight, midnight + timedelta(days=1))]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("midnight_after", (DAYS, 1)),
        ("midnight_after", (MONTHS, 1)),
        ("same_time_after", (DAYS, 1)),
        ("same_time_after", (MONTHS, 1_200)),
        ("on_from", (TIME, 1)),
        ("wait_end", (TIME, 1, calendar.ELAPSED)),
        ("wait_end", (DAYS, 1, calendar.ELAPSED)),
        ("wait_end", (DAYS, 0, calendar.CLEAR)),
        ("wait_end", (MONTHS, 1, calendar.ELAPSED)),
        ("wait_end", (MONTHS, 1, calendar.CALENDAR)),
        ("wait_end", (MONTHS, 0, calendar.CLEAR)),
    ],
)
def test_what_ends_after_the_year_9999_never_ends(name: str, arguments: tuple[Any, ...]) -> None:
    """The last microsecond that can be written is the last that anything can end at."""
    function = getattr(calendar, name)
    assert function(LAST, *arguments, *zone_table("UTC")) == NEVER
    number = calendar.period_around([101], False, LAST, *zone_table("UTC"))
    assert calendar.period_begins([101], False, number + 1, *zone_table("UTC")) == NEVER
    assert calendar.within_time(LAST) == LAST


def test_what_never_begins_never_ends() -> None:
    """Without a live date nothing after it can be expected."""
    for unit in (TIME, DAYS, MONTHS):
        assert calendar.on_from(NEVER, unit, 1, *zone_table("UTC")) == NEVER


@laws
@given(st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9000, 1, 1)), periods)  # noqa: DTZ001
def test_in_utc_any_year_will_do(clock: datetime, period: Duration) -> None:
    """Ages before and after the tables of the zones, and without one."""
    start = at(clock.replace(tzinfo=UTC))
    ends = at(later(clock, period).replace(tzinfo=UTC))
    assert calendar.same_time_after(start, *period, *zone_table("UTC")) == ends
    assert calendar.midnight_after(start, *period, *zone_table("UTC")) == ends // DAY * DAY
