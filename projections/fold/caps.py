"""Caps: how many sittings one allows, which of them it counts, and until when it is used up."""

from typing import Final, NamedTuple

from projections.fold.calendar import (
    DAY,
    midnight_after,
    period_around,
    period_begins,
    same_time_after,
)
from projections.fold.facts import NEVER, NONE, Sittings
from projections.fold.walk import Walked
from retake_policies.rules import (
    CALENDAR_DATES,
    CALENDAR_DAYS,
    FIRST_SITTING,
    FOR_LIFE,
    LAST_SITTING,
    ROLLING,
    ROLLING_DATES,
    Rules,
    first_after,
)


class Capped(NamedTuple):
    """The used cap that ends last, and the first instant at which it counts others."""

    until: int
    cap: int
    """-1 when none is used up."""
    next_change: int


NOT_CAPPED: Final = Capped(NONE, -1, NEVER)

FAR_APART: Final = 6 * DAY
"""Of two sittings so far apart the later never leaves a window before the other.

Months are clamped by three days at most, and a clock is set by a day at most.
"""


def is_anchored(rules: Rules, c: int) -> bool:
    """Return whether a cap is one of the series: first-sitting or last-sitting."""
    return rules.cap_anchor[c] in (FIRST_SITTING, LAST_SITTING)


def leaves_window(rules: Rules, c: int, start: int) -> int:
    """Return when a sitting begun at `start` leaves the window of a cap that is not anchored.

    Rolling: "start + period (same time of day, months clamped); with by = "date": 00:00 of their
    date + period". Calendar: when the period of the sitting is no more among "the period that holds
    A and the periods - 1 before it". For life: never. NONE before `since`: it is not counted.
    """
    if start < rules.cap_since[c]:
        return NONE
    anchor, zone_from, zone_offset = rules.cap_anchor[c], rules.zone_from, rules.zone_offset
    unit, amount = rules.cap_unit[c], rules.cap_amount[c]
    if anchor == ROLLING:
        return same_time_after(start, unit, amount, zone_from, zone_offset)
    if anchor == ROLLING_DATES:
        return midnight_after(start, unit, amount, zone_from, zone_offset)
    if anchor == FOR_LIFE:
        return NEVER
    starts = rules.start[rules.cap_start_lo[c] : rules.cap_start_hi[c]]
    dated = anchor == CALENDAR_DATES
    number = period_around(starts, dated, start, zone_from, zone_offset)
    return period_begins(starts, dated, number + rules.cap_periods[c], zone_from, zone_offset)


def window_begins(rules: Rules, c: int, t: int) -> int:
    """Return when the first of the periods began that a calendar's cap counts at `t`.

    NONE where that has no beginning, and for a cap that goes by no calendar.
    """
    if rules.cap_anchor[c] not in (CALENDAR_DAYS, CALENDAR_DATES):
        return NONE
    starts = rules.start[rules.cap_start_lo[c] : rules.cap_start_hi[c]]
    dated = rules.cap_anchor[c] == CALENDAR_DATES
    number = period_around(starts, dated, t, rules.zone_from, rules.zone_offset)
    first = number + 1 - rules.cap_periods[c]
    return period_begins(starts, dated, first, rules.zone_from, rules.zone_offset)


def counted_from(sittings: Sittings, n: int, since: int, number: int) -> int:
    """Return the place of a counted sitting by its number, from 1 for the last of all.

    -1 where so many did not begin at an instant or later.
    """
    count, i = 0, n - 1
    while i >= 0 and sittings.start[i] >= since:
        if sittings.ordinal[i] > 0:
            count += 1
            if count == number:
                return i
        i -= 1
    return -1


def window_cap(rules: Rules, sittings: Sittings, n: int, c: int, t: int) -> Capped:
    """Judge a cap over a window: used up while as many counted sittings or more are inside.

    It ends when enough have left: when all but as many as are allowed, less one, have. Ends do not
    always rise with starts (30 and 31 January both leave on 28 February, at their own times of
    day), but for those `FAR_APART` they do. So of the last sittings, as many as are allowed, only
    those near the first of them are sorted.
    """
    allowed, since = rules.cap_sittings[c], rules.cap_since[c]
    begins = max(since, window_begins(rules, c, t))
    last = counted_from(sittings, n, begins, allowed)
    if last < 0:
        return NOT_CAPPED  # when each of so few leaves need not be reckoned
    near = sittings.start[last] - FAR_APART, sittings.start[last] + FAR_APART
    inside, later, i = 0, 0, n - 1
    while i >= 0 and sittings.start[i] >= near[0]:
        if sittings.ordinal[i] > 0:
            if sittings.start[i] > near[1]:
                later += 1  # it leaves after all that are near
            else:
                leaves = leaves_window(rules, c, sittings.start[i])
                j = inside
                while j > 0 and sittings.window[j - 1] < leaves:
                    sittings.window[j] = sittings.window[j - 1]
                    j -= 1
                sittings.window[j] = leaves
                inside += 1
        i -= 1
    until = sittings.window[allowed - later - 1]
    if until <= t:
        return NOT_CAPPED
    return Capped(until, c, first_to_leave(rules, sittings, n, c, t))


def first_to_leave(rules: Rules, sittings: Sittings, n: int, c: int, t: int) -> int:
    """Return when the first of the counted sittings leaves that are inside a cap's window at `t`.

    NEVER if none is.
    """
    lo, hi = 0, n
    while lo < hi:
        middle = (lo + hi) // 2
        if leaves_window(rules, c, sittings.start[middle]) <= t:
            lo = middle + 1
        else:
            hi = middle
    if lo < n:
        lo = first_after(sittings.start, 0, lo, sittings.start[lo] - FAR_APART)
    first, i, end = NEVER, lo, NEVER
    while i < n and sittings.start[i] <= end:
        if sittings.ordinal[i] > 0:
            leaves = leaves_window(rules, c, sittings.start[i])
            if leaves > t:
                first = min(first, leaves)
                end = min(end, sittings.start[i] + FAR_APART)
        i += 1
    return first


def series_cap(rules: Rules, walked: Walked, in_series: int, c: int, t: int) -> Capped:
    """Judge a first-sitting or last-sitting cap.

    Used up while "sittings_in_series >= sittings and A < the period's end".
    """
    if in_series >= rules.cap_sittings[c] and t < walked.period_end:
        return Capped(walked.period_end, c, NEVER)
    return NOT_CAPPED


def cap_reached(
    rules: Rules, sittings: Sittings, n: int, walked: Walked, in_series: int, t: int
) -> Capped:
    """Block while a cap is used up; of several used caps the one that ends last."""
    capped = NOT_CAPPED
    for c in range(len(rules.cap_anchor)):
        if walked.counted < rules.cap_sittings[c]:
            continue  # mostly so
        if is_anchored(rules, c):
            used = series_cap(rules, walked, in_series, c, t)
        else:
            used = window_cap(rules, sittings, n, c, t)
        if used.until > capped.until:
            capped = used
    return capped


def uses_cap(rules: Rules, sittings: Sittings, i: int, walked: Walked, c: int, t: int) -> bool:
    """Return whether a sitting is one of those that a cap counts at `t`."""
    if sittings.ordinal[i] == 0:
        return False
    if is_anchored(rules, c):
        return i >= walked.first
    return leaves_window(rules, c, sittings.start[i]) > t
