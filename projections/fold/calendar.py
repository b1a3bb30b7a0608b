"""Dates and durations on a policy's wall clock, in whole numbers.

Everything here takes and returns microseconds since 1970-01-01T00:00Z (an
instant) or since 1970-01-01T00:00 of a wall clock (a wall time). A zone is two
parallel sequences: the instants from which an offset holds, the first NONE,
and the offsets (microseconds east of UTC).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from projections.fold.facts import LAST, NEVER, NONE
from retake_policies.durations import MONTHS, TIME

DAY: Final = 86_400_000_000
HALF_YEAR: Final = 15_778_476_000_000
"""Half of a mean Gregorian year."""

ELAPSED: Final = 0
CALENDAR: Final = 1
CLEAR: Final = 2


def day_number(year: int, month: int, day: int) -> int:
    """Count the days from 1970-01-01 to a date of the proleptic Gregorian calendar."""
    y = year - 1 if month <= 2 else year
    era = y // 400
    of_era = y - era * 400
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


def civil(number: int) -> tuple[int, int, int]:
    """Return (year, month, day) of a day number; the inverse of `day_number`."""
    z = number + 719_468
    era = z // 146_097
    of_era = z - era * 146_097
    year_of_era = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    mp = (5 * of_year + 2) // 153
    day = of_year - (153 * mp + 2) // 5 + 1
    month = mp + 3 if mp < 10 else mp - 9
    year = year_of_era + era * 400
    return (year + 1 if month <= 2 else year), month, day


def month_length(year: int, month: int) -> int:
    """Count the days of a month."""
    if month == 2:
        return 29 if (year % 4 == 0 and year % 100 != 0) or year % 400 == 0 else 28
    return 30 if month in (4, 6, 9, 11) else 31


def add_months(number: int, months: int) -> int:
    """Move a day number by calendar months, clamped to the month's end (29 Feb + P12M = 28 Feb)."""
    year, month, day = civil(number)
    total = year * 12 + (month - 1) + months
    year = total // 12
    month = total - year * 12 + 1
    longest = month_length(year, month)
    return day_number(year, month, day if day < longest else longest)


def entry_at(instant: int, zone_from: Sequence[int]) -> int:
    """Return the entry of a zone's table that holds at an instant.

    Where a zone follows a rule it changes twice a year up to the end of the table: so counting half
    years back from there comes near. Elsewhere the whole table is bisected.
    """
    last = len(zone_from) - 1
    if last == 0:
        return 0  # a zone whose clock was never set
    low, high = 0, last
    near = last - 2 - (zone_from[last] - instant) // HALF_YEAR
    for entry in range(max(near, 1), min(near + 4, last + 1)):
        if zone_from[entry] <= instant:
            low = entry
        else:
            high = min(high, entry - 1)
    while low < high:
        middle = (low + high + 1) // 2
        if zone_from[middle] <= instant:
            low = middle
        else:
            high = middle - 1
    return low


def wall(instant: int, zone_from: Sequence[int], zone_offset: Sequence[int]) -> int:
    """Return the wall time of an instant."""
    return instant + zone_offset[entry_at(instant, zone_from)]


def of_wall(time: int, zone_from: Sequence[int], zone_offset: Sequence[int]) -> int:
    """Return the instant of a wall time.

    A wall time that the zone skips is moved forward by the gap; of one that
    comes twice the first is meant (spec section 3). Both are the offset in
    force before the change.
    """
    entry, last = entry_at(time - DAY, zone_from), len(zone_from) - 1  # no offset is a day
    while entry < last:
        before, after = zone_offset[entry], zone_offset[entry + 1]
        if time < zone_from[entry + 1] + (before if before > after else after):
            break
        entry += 1
    return time - zone_offset[entry]


def within_time(instant: int) -> int:
    """Return an instant back, or NEVER when it lies beyond the year 9999."""
    return instant if instant <= LAST else NEVER


def moved(number: int, unit: int, amount: int) -> int:
    """Move a day number by a period of days or months."""
    return add_months(number, amount) if unit == MONTHS else number + amount


def midnight_after(
    start: int, unit: int, amount: int, zone_from: Sequence[int], zone_offset: Sequence[int]
) -> int:
    """Return 00:00 of the date that lies a period of days or months after the date of `start`."""
    date = wall(start, zone_from, zone_offset) // DAY
    return within_time(of_wall(moved(date, unit, amount) * DAY, zone_from, zone_offset))


def same_time_after(
    start: int, unit: int, amount: int, zone_from: Sequence[int], zone_offset: Sequence[int]
) -> int:
    """Return the same time of day, a period of days or months later on the wall clock."""
    time = wall(start, zone_from, zone_offset)
    date = time // DAY
    later = moved(date, unit, amount) * DAY + (time - date * DAY)
    return within_time(of_wall(later, zone_from, zone_offset))


def wait_end(
    base: int,
    unit: int,
    amount: int,
    days: int,
    zone_from: Sequence[int],
    zone_offset: Sequence[int],
) -> int:
    """Return the end of a wait that runs from `base`.

    Time is elapsed time. A number of days is, by the policy's `wait.days`, that many times 24
    hours; or 00:00 of the date that many days on; or that many whole days in between. "Months end,
    under elapsed, at the same time of day on the policy zone's wall clock so many months on; under
    calendar at 00:00 of that date; under clear at 00:00 of the day after it" (spec section 4).
    """
    if unit == TIME:
        return within_time(base + amount)
    if days == ELAPSED:
        if unit == MONTHS:
            return same_time_after(base, unit, amount, zone_from, zone_offset)
        return within_time(base + amount * DAY)
    date = moved(wall(base, zone_from, zone_offset) // DAY, unit, amount)
    if days == CLEAR:
        date += 1
    return within_time(of_wall(date * DAY, zone_from, zone_offset))


def on_from(
    base: int, unit: int, amount: int, zone_from: Sequence[int], zone_offset: Sequence[int]
) -> int:
    """Return the end of a duration: days and months on the wall clock, time elapsed."""
    if base == NEVER:
        return NEVER
    if unit == TIME:
        return within_time(base + amount)
    return same_time_after(base, unit, amount, zone_from, zone_offset)


def period_begins(
    starts: Sequence[int],
    dated: bool,
    number: int,
    zone_from: Sequence[int],
    zone_offset: Sequence[int],
) -> int:
    """Return the first instant of a period, by its number: 00:00 of one of the starts.

    `dated` starts are day numbers, and period i begins at starts[i]: the one before the first is -1
    and has no beginning (NONE), none comes after the last (NEVER). Others are days of the year,
    month * 100 + day, and periods are counted on through all years.
    """
    count = len(starts)
    if dated:
        if not 0 <= number < count:
            return NONE if number < 0 else NEVER
        day = starts[number]
    else:
        year = number // count
        start = starts[number - year * count]
        month = start // 100
        day = day_number(year, month, start - month * 100)
    return within_time(of_wall(day * DAY, zone_from, zone_offset))


def period_around(
    starts: Sequence[int],
    dated: bool,
    instant: int,
    zone_from: Sequence[int],
    zone_offset: Sequence[int],
) -> int:
    """Return the number of the period in which an instant lies; see `period_begins`.

    A day begins at 00:00, of two the first. (So the hour of New Year's Eve that America/Phoenix had
    again after it, in 1944, is in the new year.)
    """
    date = wall(instant, zone_from, zone_offset) // DAY
    number = -1
    if not dated:
        year, month, day = civil(date)
        date = month * 100 + day
        number = year * len(starts) - 1
    low, high = 0, len(starts)
    while low < high:
        middle = (low + high) // 2
        if starts[middle] <= date:
            low = middle + 1
        else:
            high = middle
    number += low
    while period_begins(starts, dated, number + 1, zone_from, zone_offset) <= instant:
        number += 1
    return number
