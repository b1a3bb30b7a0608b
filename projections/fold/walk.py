"""The walk: counted sittings into series, ordinals and periods (spec section 4)."""

from typing import Final, NamedTuple

from projections.fold.calendar import midnight_after
from projections.fold.certifications import NO_COVER, Cover, cover_at
from projections.fold.facts import MISSED, NEVER, PASSED, PENDING, Facts, Question, Sittings
from projections.fold.passes import free_again, free_from, window_opens
from retake_policies.rules import AFTER, AFTER_EXPIRY, FIRST_SITTING, LAST_SITTING, Rules


class Walked(NamedTuple):
    """Where the walk stands after a sitting: the series so far, and what reasons look at.

    Carried along, so that no reason looks at all sittings again.
    """

    first: int
    """The sitting that opened its series, -1 when none is counted."""
    last: int
    """That last counted sitting, -1 when none is."""
    ordinal: int
    """Its place in its series."""
    period_end: int
    """The end of the series' period, NEVER while it has none."""
    passed: int
    """The last sitting that is passed, counted or not; under `after` that whose pass is free last.

    -1 when none is.
    """
    betas: int
    """How many sittings were beta."""
    pending: int
    """How many live sittings have no result."""
    pending_betas: int
    """How many beta sittings have none."""
    counted: int
    """How many sittings are counted."""


AT_THE_START: Final = Walked(-1, -1, 0, NEVER, -1, 0, 0, 0, 0)
"""Before the first sitting."""


class Walks(NamedTuple):
    """Where the walk stands after each sitting: `Walked`, column by column."""

    first: list[int]
    last: list[int]
    ordinal: list[int]
    period_end: list[int]
    passed: list[int]
    betas: list[int]
    pending: list[int]
    pending_betas: list[int]
    counted: list[int]


def room_to_walk(size: int) -> Walks:
    """Make room for the walk of so many sittings."""
    return Walks(*([0] * size for _ in Walks._fields))


def anchored_cap(rules: Rules) -> int:
    """Find the first-sitting or last-sitting cap; a policy has at most one."""
    for c in range(len(rules.cap_anchor)):
        if rules.cap_anchor[c] in (FIRST_SITTING, LAST_SITTING):
            return c
    return -1


def cover_by_policy(facts: Facts, q: Question, rules: Rules, t: int, defined_at: int) -> Cover:
    """Look at the certifications only where the policy asks for them."""
    if rules.retake == AFTER_EXPIRY and q.certifications_lo < q.certifications_hi:
        running_until, lapsed_at, row, _ = cover_at(facts, q, t, defined_at)
        return Cover(running_until, lapsed_at, row, window_opens(rules, running_until))
    return NO_COVER


def is_counted(rules: Rules, sittings: Sittings, i: int) -> bool:
    """Return whether the policy's waits and caps count a sitting.

    "Live ones; beta ones only if the policy says so; missed ones only if it says so, beta or not"
    (spec section 1).
    """
    if sittings.outcome[i] == MISSED:
        return rules.missed_counts == 1
    return sittings.beta[i] == 0 or rules.beta_counts == 1


def frees_last(rules: Rules, sittings: Sittings, i: int, before: int) -> bool:
    """Return whether a pass is free no sooner than one before it: under `after` it may be."""
    if rules.retake != AFTER:
        return True
    mine = free_from(rules, sittings.start[i], sittings.end[i])
    return mine >= free_from(rules, sittings.start[before], sittings.end[before])


def walk(facts: Facts, q: Question, rules: Rules, sittings: Sittings, n: int, at: int) -> Walked:
    """Walk all sittings, in (start, position) order; see `walk_on`."""
    return walk_on(facts, q, rules, sittings, 0, n, at, AT_THE_START)


def walk_on(
    facts: Facts, q: Question, rules: Rules, sittings: Sittings,
    lo: int, hi: int, at: int, walked: Walked,
) -> Walked:  # fmt: skip
    """Walk the sittings from lo to hi, write their ordinals, and return where that ends.

    "A sitting at t opens a new series (ordinal 1) when it is the first, or
    when (a) the policy has a first-sitting or last-sitting cap and t >= the
    end of the current period, or (b) the counted sitting before it was passed
    and that pass was free again at t. Otherwise its ordinal is one more."

    A first-sitting period ends "at 00:00 (policy zone) of that date plus the
    period"; a last-sitting one "ends the same way, from the series' last
    sitting, once the series holds that many sittings". `at` is the instant
    whose definitions of certifications are meant, `walked` where the walk of
    the sittings before `lo` ended.
    """
    cap = anchored_cap(rules)
    first, last, ordinal, period_end, passed, betas, pending, pending_betas, counted = walked
    for i in range(lo, hi):
        betas += sittings.beta[i]
        if sittings.outcome[i] == PASSED:
            if passed < 0 or frees_last(rules, sittings, i, passed):
                passed = i
        elif sittings.outcome[i] == PENDING:
            pending += 1 - sittings.beta[i]
            pending_betas += sittings.beta[i]
        if not is_counted(rules, sittings, i):
            sittings.ordinal[i] = 0
            continue
        t = sittings.start[i]
        opens = last < 0 or t >= period_end
        if not opens and sittings.outcome[last] == PASSED:
            cover = cover_by_policy(facts, q, rules, t, at)
            opens = free_again(rules, sittings.start[last], sittings.end[last], cover, t)
        ordinal = 1 if opens else ordinal + 1
        if opens:
            first, period_end = i, NEVER
        if cap >= 0 and (
            (opens and rules.cap_anchor[cap] == FIRST_SITTING)
            or (rules.cap_anchor[cap] == LAST_SITTING and ordinal >= rules.cap_sittings[cap])
        ):
            period_end = midnight_after(
                t, rules.cap_unit[cap], rules.cap_amount[cap], rules.zone_from, rules.zone_offset
            )
        sittings.ordinal[i] = ordinal
        last = i
        counted += 1
    return Walked(first, last, ordinal, period_end, passed, betas, pending, pending_betas, counted)


def walk_again(
    facts: Facts, q: Question, rules: Rules, sittings: Sittings, walks: Walks,
    lo: int, hi: int, at: int, without: int,
) -> Walked:  # fmt: skip
    """Go on with a walk from sitting `lo` to `hi`, from what `walks` has of those before.

    As if sitting `without`, -1 for none, had not been. See `walk_on`.
    """
    walked = AT_THE_START
    if lo > 0:
        s = lo - 1
        walked = Walked(
            walks.first[s], walks.last[s], walks.ordinal[s], walks.period_end[s],
            walks.passed[s], walks.betas[s], walks.pending[s], walks.pending_betas[s],
            walks.counted[s],
        )  # fmt: skip
    for s in range(lo, hi):
        if s == without:
            sittings.ordinal[s] = 0
        else:
            walked = walk_on(facts, q, rules, sittings, s, s + 1, at, walked)
        walks.first[s], walks.last[s], walks.ordinal[s] = walked.first, walked.last, walked.ordinal
        walks.period_end[s], walks.passed[s] = walked.period_end, walked.passed
        walks.betas[s], walks.pending[s] = walked.betas, walked.pending
        walks.pending_betas[s], walks.counted[s] = walked.pending_betas, walked.counted
    return walked
