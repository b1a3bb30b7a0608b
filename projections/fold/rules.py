"""The reasons that block a sitting: their order, and a rule each.

Each rule returns when its reason ends: an instant after `t` while it blocks,
NEVER while it is open-ended, NONE when it does not hold (spec section 4, "Reasons").
"""

from typing import Final, NamedTuple, TypeAlias

from projections.fold.authorizations import Authorized
from projections.fold.calendar import (
    DAY,
    midnight_after,
    moved,
    on_from,
    period_around,
    period_begins,
    same_time_after,
    wait_end,
    wall,
)
from projections.fold.catalogue import Dates
from projections.fold.certifications import Cover
from projections.fold.facts import (
    CLOSED,
    IN_BETA,
    NEVER,
    NONE,
    PASSED,
    WAIVES_CAP,
    WAIVES_PASS,
    WAIVES_WAIT,
    Sittings,
)
from projections.fold.passes import free_again, free_until, wait_begins
from projections.fold.walk import Walked
from retake_policies.rules import (
    CALENDAR_DATES,
    CALENDAR_DAYS,
    FIRST_SITTING,
    FOR_LIFE,
    LAST_SITTING,
    NO_OVERDUE,
    ROLLING,
    ROLLING_DATES,
    Rules,
)

ELIGIBLE: Final = 0
UNKNOWN_EXAM: Final = 1
RETIRED: Final = 2
NOT_OPEN: Final = 3
NOT_AUTHORIZED: Final = 4
PASS_STANDS: Final = 5
BETA_TAKEN: Final = 6
RESULT_PENDING: Final = 7
CAP_REACHED: Final = 8
WAITING: Final = 9
STATUSES: Final = (
    "eligible",
    "unknown-exam",
    "retired",
    "not-open",
    "not-authorized",
    "passed",
    "beta-taken",
    "result-pending",
    "cap-reached",
    "waiting",
)
"""Eligible, then the reasons in order of precedence, in which `blocks_at` returns them too."""

WAIVED_BY: Final = (0, 0, 0, 0, 0, WAIVES_PASS, 0, 0, WAIVES_CAP, WAIVES_WAIT)
"""By status: the bit of a grant that waives it, 0 where none does."""

Blocks: TypeAlias = tuple[int, int, int, int, int, int, int, int, int, int]
"""By status: until when it holds, NONE when it does not (and for ELIGIBLE)."""
UNKNOWN: Final[Blocks] = (NONE, NEVER, *(NONE,) * 8)


class Capped(NamedTuple):
    """The used cap that ends last, and the first instant at which it counts others."""

    until: int
    cap: int
    """-1 when none is used up."""
    next_change: int


NOT_CAPPED: Final = Capped(NONE, -1, NEVER)


def retired(dates: Dates, t: int) -> int:
    """Block, open-ended, from retires_at on."""
    return NEVER if dates.retires_at <= t else NONE


def not_open(dates: Dates, phase: int) -> int:
    """Block until the earlier of the known dates while the exam is neither in beta nor live."""
    return min(dates.live_at, dates.beta_opens_at) if phase == CLOSED else NONE


def not_authorized(rules: Rules, authorized: Authorized) -> int:
    """Block, open-ended, where the policy requires an authorization and none runs."""
    return NEVER if rules.authorization_required == 1 and authorized.row < 0 else NONE


def pass_stands(rules: Rules, sittings: Sittings, i: int, cover: Cover, t: int) -> bool:
    """Return whether a sitting, beta or live, is passed and not free again."""
    return sittings.outcome[i] == PASSED and not free_again(
        rules, sittings.start[i], sittings.end[i], cover, t
    )


def passed(rules: Rules, sittings: Sittings, walked: Walked, cover: Cover, t: int) -> int:
    """Block while a pass stands: if any does, the last one does; see `Walked.passed`."""
    last = walked.passed
    if last < 0 or not pass_stands(rules, sittings, last, cover, t):
        return NONE
    return free_until(rules, sittings.start[last], sittings.end[last], cover, t)


def beta_taken(rules: Rules, walked: Walked, dates: Dates, phase: int) -> int:
    """Block until live_at while X is in beta and the beta sittings allowed are used."""
    if phase != IN_BETA or walked.betas < rules.beta_sittings:
        return NONE
    return dates.live_at


def after_live(rules: Rules, dates: Dates, unit: int, amount: int) -> int:
    """Return the instant a duration after the exam is live, on the policy zone's clock."""
    return on_from(dates.live_at, unit, amount, rules.zone_from, rules.zone_offset)


def results_expected(rules: Rules, dates: Dates) -> tuple[int, int]:
    """Return from when and by when beta results usually come; NEVER where that is not known."""
    if len(rules.expected_unit) != 2:
        return NEVER, NEVER
    return (
        after_live(rules, dates, rules.expected_unit[0], rules.expected_amount[0]),
        after_live(rules, dates, rules.expected_unit[1], rules.expected_amount[1]),
    )


def overdue_from(rules: Rules, dates: Dates) -> int:
    """Return from when a beta result that has not come is overdue, and no longer blocks.

    NEVER where the policy does not say, or the live date is not known.
    """
    if rules.overdue_amount == NO_OVERDUE:
        return NEVER
    return after_live(rules, dates, rules.overdue_unit, rules.overdue_amount)


def awaited_until(rules: Rules, beta: int, dates: Dates, phase: int) -> int:
    """Return until when a result that is missing blocks; NONE if it does not.

    A live sitting's: without end. A beta sitting's, when X is not in beta: until it is overdue.
    """
    if beta == 0:
        return NEVER
    return NONE if phase == IN_BETA else overdue_from(rules, dates)


def result_pending(rules: Rules, walked: Walked, dates: Dates, phase: int, t: int) -> int:
    """Block while a result is awaited; of several until the latest."""
    if walked.pending > 0:
        return awaited_until(rules, 0, dates, phase)
    if walked.pending_betas > 0:
        until = awaited_until(rules, 1, dates, phase)
        return until if t < until else NONE
    return NONE


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


def counted_from(sittings: Sittings, n: int, since: int) -> int:
    """Count the counted sittings that began at an instant or later."""
    count, i = 0, n - 1
    while i >= 0 and sittings.start[i] >= since:
        count += int(sittings.ordinal[i] > 0)
        i -= 1
    return count


def window_cap(rules: Rules, sittings: Sittings, n: int, c: int, t: int) -> Capped:
    """Judge a cap over a window: used up while as many counted sittings or more are inside.

    It ends when enough have left. Ends do not always rise with starts (30 and 31 January both
    leave on 28 February, at their own times of day), so those still inside are sorted.
    """
    allowed, since = rules.cap_sittings[c], rules.cap_since[c]
    if counted_from(sittings, n, max(since, window_begins(rules, c, t))) < allowed:
        return NOT_CAPPED  # when each of so few leaves need not be reckoned
    inside = 0
    for i in range(n):
        if sittings.ordinal[i] == 0:
            continue
        leaves = leaves_window(rules, c, sittings.start[i])
        if leaves <= t:
            continue
        j = inside
        while j > 0 and sittings.window[j - 1] > leaves:
            sittings.window[j] = sittings.window[j - 1]
            j -= 1
        sittings.window[j] = leaves
        inside += 1
    if inside < allowed:
        return NOT_CAPPED
    return Capped(sittings.window[inside - allowed], c, sittings.window[0])


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


def wait_number(rules: Rules, sittings: Sittings, last: int) -> int:
    """Return which wait follows a counted sitting: its ordinal or, with `within`, how many count.

    "Of the series' counted sittings up to the last, m have a date (of the start, policy zone) plus
    `within` after the last one's date" (spec section 4). Expects the ordinals that `walk` gave.
    """
    ordinal = sittings.ordinal[last]
    if rules.within_amount == 0 or ordinal <= 1:
        return ordinal
    date = wall(sittings.start[last], rules.zone_from, rules.zone_offset) // DAY
    near, i = 1, last - 1
    ordinal -= 1
    while ordinal > 0:
        if sittings.ordinal[i] == ordinal:
            each = wall(sittings.start[i], rules.zone_from, rules.zone_offset) // DAY
            near += int(moved(each, rules.within_unit, rules.within_amount) > date)
            if moved(each + 1, rules.within_unit, rules.within_amount) <= date:
                break  # no sitting before it counts, not even one of a day that came twice
            ordinal -= 1
        i -= 1
    return near


def wait_entry(rules: Rules, number: int) -> int:
    """Pick the entry of wait.after for a number (from 0; the last repeats), -1 when none."""
    return min(number, len(rules.wait_unit)) - 1


def wait_after(rules: Rules, number: int, start: int, end: int) -> int:
    """Return until when the wait runs that follows a sitting, by its `wait_number`; NONE for none.

    "Its start (or end) plus wait.after[ordinal]; with wait.within, wait.after[m]. A wait outlives
    the period."
    """
    entry = wait_entry(rules, number)
    if entry < 0:
        return NONE
    return wait_end(
        wait_begins(rules, start, end),
        rules.wait_unit[entry],
        rules.wait_amount[entry],
        rules.wait_days,
        rules.zone_from,
        rules.zone_offset,
    )


def waiting(rules: Rules, sittings: Sittings, walked: Walked, t: int) -> int:
    """Block while the wait after a last counted sitting that is not passed runs.

    A revoked result waits like a failed one, a pending one too.
    """
    last = walked.last
    if last < 0 or sittings.outcome[last] == PASSED:
        return NONE
    start, end = sittings.start[last], sittings.end[last]
    if wait_begins(rules, start, end) + rules.wait_longest <= t:
        return NONE  # mostly so, and which wait it was need not be known
    until = wait_after(rules, wait_number(rules, sittings, last), start, end)
    return until if t < until else NONE


def blocks_at(
    rules: Rules, sittings: Sittings, dates: Dates, phase: int,
    walked: Walked, cover: Cover, authorized: Authorized, capped_until: int, t: int,
) -> Blocks:  # fmt: skip
    """Return until when each reason holds at `t`, in the order of STATUSES."""
    return (
        NONE,
        NONE,
        retired(dates, t),
        not_open(dates, phase),
        not_authorized(rules, authorized),
        passed(rules, sittings, walked, cover, t),
        beta_taken(rules, walked, dates, phase),
        result_pending(rules, walked, dates, phase, t),
        capped_until,
        waiting(rules, sittings, walked, t),
    )


def status_of(blocks: Blocks, waived: int) -> int:
    """Return the first reason that blocks and is not waived, by precedence, else ELIGIBLE."""
    for status in range(len(blocks)):
        if blocks[status] != NONE and waived & WAIVED_BY[status] == 0:
            return status
    return ELIGIBLE


def waivable(blocks: Blocks) -> int:
    """Return which of the reasons that hold a grant may waive, as bits."""
    bits = 0
    for status in range(len(blocks)):
        if blocks[status] != NONE:
            bits |= WAIVED_BY[status]
    return bits


def blocked_until(blocks: Blocks, waived: int) -> int:
    """Return the latest end of the reasons that block and are not waived; NONE if none does."""
    until = NONE
    for status in range(len(blocks)):
        if waived & WAIVED_BY[status] == 0:
            until = max(until, blocks[status])
    return until
