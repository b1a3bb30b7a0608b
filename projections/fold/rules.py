"""The reasons that block a sitting: their order, and a rule each.

Each rule returns when its reason ends: an instant after `t` while it blocks,
NEVER while it is open-ended, NONE when it does not hold (spec section 4, "Reasons").
"""

from typing import Final, TypeAlias

from projections.fold.authorizations import Authorized
from projections.fold.calendar import (
    DAY,
    moved,
    on_from,
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
    NO_OVERDUE,
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
WAIVABLE: Final = (PASS_STANDS, CAP_REACHED, WAITING)
"""Those that a grant may waive."""

Blocks: TypeAlias = tuple[int, int, int, int, int, int, int, int, int, int]
"""By status: until when it holds, NONE when it does not (and for ELIGIBLE)."""
UNKNOWN: Final[Blocks] = (NONE, NEVER, *(NONE,) * 8)


def retired(dates: Dates, t: int) -> int:
    """Block, open-ended, from retires_at on."""
    return NEVER if dates.retires_at <= t else NONE


def not_open(dates: Dates, phase: int) -> int:
    """Block until the earlier of the known dates while the exam is neither in beta nor live."""
    return min(dates.live_at, dates.beta_opens_at) if phase == CLOSED else NONE


def not_authorized(rules: Rules, authorized: Authorized) -> int:
    """Block, open-ended, where the policy requires an authorization and none runs."""
    return NEVER if rules.authorization_required == 1 and not authorized.runs else NONE


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


def wait_number(
    rules: Rules, sittings: Sittings, first: int, last: int, ordinal: int, most: int
) -> int:
    """Return which wait follows a counted sitting: its ordinal or, with `within`, how many count.

    "Of the series' counted sittings up to the last, m have a date (of the start, policy zone) plus
    `within` after the last one's date" (spec section 4). `first` opened its series. Counted up to
    `most`. Expects of the ordinals that `walk` gave that those counted have one.
    """
    if rules.within_amount == 0 or ordinal <= 1:
        return ordinal
    date = wall(sittings.start[last], rules.zone_from, rules.zone_offset) // DAY
    near = 1
    for i in range(last - 1, first - 1, -1):
        if sittings.ordinal[i] > 0:
            each = wall(sittings.start[i], rules.zone_from, rules.zone_offset) // DAY
            near += int(moved(each, rules.within_unit, rules.within_amount) > date)
            if moved(each + 1, rules.within_unit, rules.within_amount) <= date:
                break  # no sitting before it counts, not even one of a day that came twice
            if near >= most:
                break
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
    waits = len(rules.wait_unit)  # all after them are as the last
    number = wait_number(rules, sittings, walked.first, last, walked.ordinal, waits)
    until = wait_after(rules, number, start, end)
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


def waivable(blocks: Blocks) -> int:
    """Return which of the reasons that hold a grant may waive, as bits."""
    bits = 0
    for status in WAIVABLE:
        if blocks[status] != NONE:
            bits |= WAIVED_BY[status]
    return bits


def holding(blocks: Blocks, waived: int) -> tuple[int, int, int]:
    """Return what the reasons that hold come to, when those in `waived` (bits) are waived.

    The first that is not waived, by precedence, ELIGIBLE where there is none; the latest end of
    those that are not, NONE where there is none; the first end of all, NEVER where there is none.
    """
    first, until, first_end = ELIGIBLE, NONE, NEVER
    for status, end in enumerate(blocks):
        if end != NONE:
            first_end = min(first_end, end)
            if waived & WAIVED_BY[status] == 0:
                first = status if first == ELIGIBLE else first
                until = max(until, end)
    return first, until, first_end
