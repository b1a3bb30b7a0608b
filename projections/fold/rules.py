"""The reasons that block a sitting, one function each, in order of precedence.

Each gives when the reason ends: an instant after `t` while it blocks, NEVER
while it is open-ended, NONE when it does not hold (spec section 4, "Reasons").
"""

from __future__ import annotations

from typing import Final, NamedTuple

from projections.fold.calendar import on_from, same_time_after, wait_end, year_around
from projections.fold.catalogue import Dates
from projections.fold.certifications import Cover, free_again
from projections.fold.facts import CLOSED, IN_BETA, NEVER, NONE, PASSED, PENDING, Sittings
from projections.fold.walk import (
    CALENDAR_YEAR,
    FOR_LIFE,
    ROLLING,
    Walked,
)
from retake_policies.rules import NO_OVERDUE, Rules

# Statuses: eligible, then the reasons in order of precedence (spec section 4, "Reasons").
ELIGIBLE: Final = 0
UNKNOWN_EXAM: Final = 1
RETIRED: Final = 2
NOT_OPEN: Final = 3
PASS_STANDS: Final = 4
BETA_TAKEN: Final = 5
RESULT_PENDING: Final = 6
CAP_REACHED: Final = 7
WAITING: Final = 8
STATUSES: Final = (
    "eligible",
    "unknown-exam",
    "retired",
    "not-open",
    "passed",
    "beta-taken",
    "result-pending",
    "cap-reached",
    "waiting",
)


class Capped(NamedTuple):
    """The used cap that ends last, and the first instant at which any cap may change."""

    until: int
    cap: int
    next_change: int


def retired(dates: Dates, t: int) -> int:
    """Hold, open-ended, from retires_at on."""
    return NEVER if dates.retires_at <= t else NONE


def not_open(dates: Dates, phase: int) -> int:
    """Hold until the earlier of the known dates while the exam is neither in beta nor live."""
    if phase != CLOSED:
        return NONE
    return dates.live_at if dates.live_at < dates.beta_opens_at else dates.beta_opens_at


def passed(rules: Rules, sittings: Sittings, n: int, cover: Cover) -> int:
    """Hold while a sitting, beta or live, is passed and not free again.

    Until "the latest end of the covering certifications running at A, null if
    none runs or one never ends".
    """
    for i in range(n):
        if sittings.outcome[i] == PASSED and not free_again(sittings.start[i], cover, rules.retake):
            return NEVER if cover.running_until == NONE else cover.running_until
    return NONE


def beta_taken(rules: Rules, sittings: Sittings, n: int, dates: Dates, phase: int) -> int:
    """Hold until live_at while X is in beta and the beta sittings allowed are used."""
    if phase != IN_BETA:
        return NONE
    taken = 0
    for i in range(n):
        taken += sittings.beta[i]
    return dates.live_at if taken >= rules.beta_sittings else NONE


def overdue_from(rules: Rules, dates: Dates) -> int:
    """Return from when a beta result that has not come blocks no longer."""
    if rules.overdue_amount == NO_OVERDUE:
        return NEVER
    return on_from(
        dates.live_at, rules.overdue_unit, rules.overdue_amount, rules.zone_from, rules.zone_offset
    )


def result_pending(
    rules: Rules, sittings: Sittings, n: int, dates: Dates, phase: int, t: int
) -> int:
    """Hold while a live sitting has no result, or a beta sitting has none and X is not in beta.

    Open-ended; for a beta sitting until live_at plus overdue_after_live. Of
    several the latest.
    """
    until = NONE
    for i in range(n):
        if sittings.outcome[i] != PENDING:
            continue
        if sittings.beta[i] == 0:
            ends = NEVER
        elif phase == IN_BETA:
            continue
        else:
            ends = overdue_from(rules, dates)
        if ends > t and ends > until:
            until = ends
    return until


def window_cap(rules: Rules, sittings: Sittings, n: int, c: int, t: int) -> Capped:
    """Judge a cap that looks at a window or a life rather than at the series.

    Rolling: "as many or more counted sittings have start + period (same time
    of day, months clamped) > A; when enough have left the window".
    Calendar-year: "as many or more lie in A's year; 1 January, 00:00 policy
    zone". For life: "as many or more in all; null".
    """
    allowed, anchor = rules.cap_sittings[c], rules.cap_anchor[c]
    if anchor == ROLLING:
        return rolling_cap(rules, sittings, n, c, t)
    first, following = NONE, NEVER
    if anchor == CALENDAR_YEAR:
        first, following = year_around(t, rules.zone_from, rules.zone_offset)
    inside = 0
    for i in range(n):
        if sittings.ordinal[i] > 0 and sittings.start[i] >= first:
            inside += 1
    next_change = following if inside > 0 else NEVER
    if inside < allowed:
        return Capped(NONE, -1, next_change)
    return Capped(following, c, next_change)


def rolling_cap(rules: Rules, sittings: Sittings, n: int, c: int, t: int) -> Capped:
    """Judge a rolling cap: it ends when enough sittings have left the window.

    Ends do not always rise with starts (30 and 31 January both leave on 28
    February, at their own times of day), so those still inside are sorted.
    """
    inside = 0
    for i in range(n):
        if sittings.ordinal[i] == 0:
            continue
        ends = same_time_after(
            sittings.start[i],
            rules.cap_unit[c],
            rules.cap_amount[c],
            rules.zone_from,
            rules.zone_offset,
        )
        if ends <= t:
            continue
        j = inside
        while j > 0 and sittings.window[j - 1] > ends:
            sittings.window[j] = sittings.window[j - 1]
            j -= 1
        sittings.window[j] = ends
        inside += 1
    next_change = sittings.window[0] if inside > 0 else NEVER
    allowed = rules.cap_sittings[c]
    if inside < allowed:
        return Capped(NONE, -1, next_change)
    return Capped(sittings.window[inside - allowed], c, next_change)


def cap_reached(
    rules: Rules, sittings: Sittings, n: int, walked: Walked, in_series: int, t: int
) -> Capped:
    """Hold while a cap is used up; of several used caps the one that ends last.

    First-sitting or last-sitting: "sittings_in_series >= sittings and A < the
    period's end".
    """
    until, cap, next_change = NONE, -1, NEVER
    for c in range(len(rules.cap_anchor)):
        if rules.cap_anchor[c] in (ROLLING, CALENDAR_YEAR, FOR_LIFE):
            used = window_cap(rules, sittings, n, c, t)
        elif in_series >= rules.cap_sittings[c] and t < walked.period_end:
            used = Capped(walked.period_end, c, NEVER)
        else:
            used = Capped(NONE, -1, NEVER)
        if used.next_change < next_change:
            next_change = used.next_change
        if used.until > until:
            until, cap = used.until, used.cap
    return Capped(until, cap, next_change)


def wait_entry(rules: Rules, ordinal: int) -> int:
    """Pick the entry of wait.after for an ordinal (from 0; the last repeats), -1 when none."""
    entries = len(rules.wait_unit)
    return ordinal - 1 if ordinal < entries else entries - 1


def waiting(rules: Rules, sittings: Sittings, walked: Walked, t: int) -> int:
    """Hold after a last counted sitting that is not passed, for the wait its ordinal names.

    "Its start (or end) plus wait.after[ordinal]. A wait outlives the period."
    A revoked result waits like a failed one, a pending one too.
    """
    last = walked.last
    if last < 0 or sittings.outcome[last] == PASSED:
        return NONE
    entry = wait_entry(rules, walked.ordinal)
    if entry < 0:
        return NONE
    until = wait_end(
        sittings.end[last] if rules.wait_from_end == 1 else sittings.start[last],
        rules.wait_unit[entry],
        rules.wait_amount[entry],
        rules.wait_days,
        rules.zone_from,
        rules.zone_offset,
    )
    return until if t < until else NONE
