"""The walk: counted sittings into series, ordinals and periods (spec section 4)."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from projections.fold.calendar import midnight_after
from projections.fold.covers import cover_at
from projections.fold.facts import (
    MISSED,
    NEVER,
    PASSED,
    PENDING,
    Facts,
    Question,
    Sittings,
    zeros,
)
from projections.fold.passes import free_again, free_from
from projections.fold.sittings import recount
from retake_policies.rules import AFTER, FIRST_SITTING, LAST_SITTING, Rules


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
    """`Walked`, column by column: where a walk stands after each sitting, or walks that are kept.

    After each sitting, what it adds to the sums stands in their place.
    """

    first: list[int]
    last: list[int]
    ordinal: list[int]
    period_end: list[int]
    passed: list[int]
    betas: list[int]
    pending: list[int]
    pending_betas: list[int]
    counted: list[int]


def room_to_walk(size: int, column: Callable[[int], Any] = zeros) -> Walks:
    """Make room for the walk of so many sittings."""
    return Walks(*(column(size) for _ in Walks._fields))


def note(walks: Walks, row: int, walked: Walked) -> None:
    """Write into a row where a walk stands."""
    (
        walks.first[row], walks.last[row], walks.ordinal[row], walks.period_end[row],
        walks.passed[row], walks.betas[row], walks.pending[row], walks.pending_betas[row],
        walks.counted[row],
    ) = walked  # fmt: skip


def noted(walks: Walks, row: int) -> Walked:
    """Return what `note` wrote into a row."""
    return Walked(
        walks.first[row], walks.last[row], walks.ordinal[row], walks.period_end[row],
        walks.passed[row], walks.betas[row], walks.pending[row], walks.pending_betas[row],
        walks.counted[row],
    )  # fmt: skip


class Way(NamedTuple):
    """A walk that can be gone on from."""

    n: int
    """Over how many places it holds."""
    walked: int
    """Over how many it went: from `n` on it may be another now."""
    touched: int
    """The place after the last whose sitting is another now."""
    version: int
    """The number of its rules: the first policy version that has them, -1 for none."""
    edition: int
    """By which definitions of certifications: see `covers.edition`."""
    betas: int
    """The sums over all that it went over."""
    pending: int
    pending_betas: int
    counted: int


NOWHERE: Final = Way(0, 0, 0, -1, 0, 0, 0, 0, 0)


def anchored_cap(rules: Rules) -> int:
    """Find the first-sitting or last-sitting cap; a policy has at most one."""
    for c in range(len(rules.cap_anchor)):
        if rules.cap_anchor[c] in (FIRST_SITTING, LAST_SITTING):
            return c
    return -1


def is_counted(rules: Rules, outcome: int, beta: int) -> bool:
    """Return whether the policy's waits and caps count a sitting, by how it came out.

    "Live ones; beta ones only if the policy says so; missed ones only if it says so, beta or not"
    (spec section 1).
    """
    if outcome == MISSED:
        return rules.missed_counts == 1
    return beta == 0 or rules.beta_counts == 1


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
    anchor = rules.cap_anchor[cap] if cap >= 0 else -1
    # Columns by names of their own, as in `gather`.
    start, outcome, beta, place = (
        sittings.start, sittings.outcome, sittings.beta, sittings.ordinal,
    )  # fmt: skip
    opened_by, recounted = sittings.opened_by, sittings.served.recounted
    first, last, ordinal, period_end, passed, betas, pending, pending_betas, counted = walked
    for i in range(lo, hi):
        if opened_by[i] < 0:
            continue  # no sitting stands here
        came_out = outcome[i]
        betas += beta[i]
        if came_out == PASSED:
            if passed < 0 or frees_last(rules, sittings, i, passed):
                passed = i
        elif came_out == PENDING:
            pending += 1 - beta[i]
            pending_betas += beta[i]
        if not is_counted(rules, came_out, beta[i]):
            if place[i] > 0:
                recount(sittings, i, 0)
            continue
        t = start[i]
        opens = last < 0 or t >= period_end
        if not opens and outcome[last] == PASSED:
            cover = cover_at(facts, q, rules, sittings.covers, t, at)
            opens = free_again(rules, start[last], sittings.end[last], cover, t)
        ordinal = 1 if opens else ordinal + 1
        if opens:
            first, period_end = i, NEVER
        if (opens and anchor == FIRST_SITTING) or (
            anchor == LAST_SITTING and ordinal >= rules.cap_sittings[cap]
        ):
            period_end = midnight_after(
                t, rules.cap_unit[cap], rules.cap_amount[cap], rules.zone_from, rules.zone_offset
            )
        if place[i] == 0 and i < recounted[0]:
            recounted[0] = i
        place[i] = ordinal
        last = i
        counted += 1
    return Walked(first, last, ordinal, period_end, passed, betas, pending, pending_betas, counted)


def walk_again(
    facts: Facts, q: Question, rules: Rules, sittings: Sittings, walks: Walks, way: Way,
    n: int, at: int,
) -> Way:  # fmt: skip
    """Go on with a walk to place `n`; see `walk_on`.

    Where sittings are another than before it is walked again from the first of them, until it
    stands where it stood then, at a sitting that is the same: from there on nothing but ordinals
    may differ, or the last pass.
    """
    betas, pending, pending_betas, counted = (
        way.betas, way.pending, way.pending_betas, way.counted,
    )  # fmt: skip
    s, before = way.n, stands_at(walks, way.n)
    while s < n:
        new = walk_on(facts, q, rules, sittings, s, s + 1, at, before)
        again = s < way.walked
        if again:
            betas, pending = betas - walks.betas[s], pending - walks.pending[s]
            pending_betas = pending_betas - walks.pending_betas[s]
            counted -= walks.counted[s]
        same = way.touched <= (new.last if new.last >= 0 else s + 1)
        met = again and same and meets(rules, walks, s, new)
        if met:
            carry_on(sittings, walks, s, way.walked, new)
        note(walks, s, new)
        betas, pending = betas + new.betas, pending + new.pending
        pending_betas, counted = pending_betas + new.pending_betas, counted + new.counted
        s = way.walked if met else s + 1
        before = stands_at(walks, s) if met else without_sums(new)
    return Way(
        n, max(n, way.walked), 0, way.version, way.edition, betas, pending, pending_betas, counted
    )


def without_sums(walked: Walked) -> Walked:
    """Return where a walk stands, its sums left out."""
    return Walked(
        walked.first, walked.last, walked.ordinal, walked.period_end, walked.passed, 0, 0, 0, 0
    )


def stands_at(walks: Walks, s: int) -> Walked:
    """Return where a walk stands before place `s`, its sums left out."""
    if s == 0:
        return AT_THE_START
    s -= 1
    return Walked(
        walks.first[s], walks.last[s], walks.ordinal[s], walks.period_end[s], walks.passed[s],
        0, 0, 0, 0,
    )  # fmt: skip


def meets(rules: Rules, walks: Walks, s: int, new: Walked) -> bool:
    """Return whether a walk goes on from place `s` as it did, but for ordinals or the last pass.

    A series opens by what the sitting before was, and by the end of the period; an ordinal has a
    say in that under a last-sitting cap alone. Which pass is free last is compared under `after`.
    """
    cap = anchored_cap(rules)
    by_ordinal = cap >= 0 and rules.cap_anchor[cap] == LAST_SITTING
    return (
        new.last == walks.last[s]
        and new.period_end == walks.period_end[s]
        and (new.ordinal == walks.ordinal[s] or not by_ordinal)
        and (new.passed == walks.passed[s] or rules.retake != AFTER)
    )


def carry_on(sittings: Sittings, walks: Walks, s: int, end: int, new: Walked) -> None:
    """Carry to the places after `s`, which the walk met, in what it differs there."""
    first, passed = walks.first[s], walks.passed[s]
    more = new.ordinal - walks.ordinal[s]
    series, pass_ = new.first != first or more != 0, new.passed != passed
    k = s + 1
    while k < end and (series or pass_):
        series = series and walks.first[k] == first
        pass_ = pass_ and walks.passed[k] == passed
        if series:
            walks.first[k], walks.ordinal[k] = new.first, walks.ordinal[k] + more
            if sittings.ordinal[k] > 0:
                sittings.ordinal[k] += more
        if pass_:
            walks.passed[k] = new.passed
        k += 1


def walked_to(walks: Walks, way: Way) -> Walked:
    """Return where a walk stands at its end."""
    it = stands_at(walks, way.n)
    return Walked(
        it.first, it.last, it.ordinal, it.period_end, it.passed,
        way.betas, way.pending, way.pending_betas, way.counted,
    )  # fmt: skip


def walked_without(
    facts: Facts, q: Question, rules: Rules, sittings: Sittings, walks: Walks, way: Way,
    without: int, at: int,
) -> Walked:  # fmt: skip
    """Return where a walk would stand at its end if the sitting at place `without` had not been."""
    end, new = walked_to(walks, way), stands_at(walks, without)
    for s in range(without + 1, way.n):
        ordinal = sittings.ordinal[s]
        new = walk_on(facts, q, rules, sittings, s, s + 1, at, new)
        sittings.ordinal[s] = ordinal
        if meets(rules, walks, s, new):
            first, order, passed = end.first, end.ordinal, end.passed
            if first == walks.first[s]:
                first, order = new.first, order + new.ordinal - walks.ordinal[s]
            if passed == walks.passed[s]:
                passed = new.passed
            new = Walked(first, end.last, order, end.period_end, passed, 0, 0, 0, 0)
            break
    return Walked(
        new.first, new.last, new.ordinal, new.period_end, new.passed,
        end.betas - walks.betas[without], end.pending - walks.pending[without],
        end.pending_betas - walks.pending_betas[without], end.counted - walks.counted[without],
    )  # fmt: skip
