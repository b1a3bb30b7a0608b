"""Dates and durations on a policy's wall clock, in whole numbers.

Everything here takes and returns microseconds since 1970-01-01T00:00Z (an
instant) or since 1970-01-01T00:00 of a wall clock (a wall time). A zone is two
parallel sequences: the instants from which an offset holds, the first NONE,
and the offsets (microseconds east of UTC).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from projections.fold.facts import LAST, NEVER
from retake_policies.durations import MONTHS, TIME

DAY: Final = 86_400_000_000

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


def wall(instant: int, zone_from: Sequence[int], zone_offset: Sequence[int]) -> int:
    """Return the wall time of an instant."""
    low, high = 0, len(zone_from) - 1
    while low < high:
        middle = (low + high + 1) // 2
        if zone_from[middle] <= instant:
            low = middle
        else:
            high = middle - 1
    return instant + zone_offset[low]


def of_wall(time: int, zone_from: Sequence[int], zone_offset: Sequence[int]) -> int:
    """Return the instant of a wall time.

    A wall time that the zone skips is moved forward by the gap; of one that
    comes twice the first is meant (spec section 3). Both are the offset in
    force before the change.
    """
    low, high = 0, len(zone_from) - 1
    while low < high:
        middle = (low + high) // 2
        before, after = zone_offset[middle], zone_offset[middle + 1]
        if time < zone_from[middle + 1] + (before if before > after else after):
            high = middle
        else:
            low = middle + 1
    return time - zone_offset[low]


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

    Time is elapsed time. A number of days is, by the policy's `wait.days`,
    that many times 24 hours; or 00:00 of the date that many days on; or that
    many whole days in between (spec section 3).
    """
    if unit == TIME:
        return within_time(base + amount)
    if days == ELAPSED:
        return within_time(base + amount * DAY)
    return midnight_after(
        base, unit, amount + 1 if days == CLEAR else amount, zone_from, zone_offset
    )


def on_from(
    base: int, unit: int, amount: int, zone_from: Sequence[int], zone_offset: Sequence[int]
) -> int:
    """Return the end of a duration: days and months on the wall clock, time elapsed."""
    if base == NEVER:
        return NEVER
    if unit == TIME:
        return within_time(base + amount)
    return same_time_after(base, unit, amount, zone_from, zone_offset)


def year_around(
    instant: int, zone_from: Sequence[int], zone_offset: Sequence[int]
) -> tuple[int, int]:
    """Return the first instant of the year of `instant` in a zone, and of the next one.

    A year begins at 00:00 of 1 January, of two the first. (So the hour of New
    Year's Eve that America/Phoenix had again after it, in 1944, is in the new year.)
    """
    year, _, _ = civil(wall(instant, zone_from, zone_offset) // DAY)
    first = of_wall(day_number(year, 1, 1) * DAY, zone_from, zone_offset)
    following = of_wall(day_number(year + 1, 1, 1) * DAY, zone_from, zone_offset)
    if following <= instant:
        first = following
        following = of_wall(day_number(year + 2, 1, 1) * DAY, zone_from, zone_offset)
    return first, within_time(following)
