"""Loops over everybody, in the same plain language as the fold.

`replay.compiled` compiles them; interpreted they do the same, only slowly,
which is how a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Sequence

from projections.fold.certifications import earned_by, last_held, run_end
from projections.fold.eligible_from import judged_on, look_ahead, way_on
from projections.fold.facts import (
    NEVER,
    NONE,
    PASSED,
    CertificationRows,
    Facts,
    Question,
    SittingRows,
    Sittings,
)
from projections.fold.rules import ELIGIBLE, wait_after, wait_number
from projections.fold.sittings import gather, place_of
from projections.fold.verdict import (
    setting_at,
    verdict_at,
)
from projections.fold.walk import Walks, walk_again
from replay.questions import (
    Answers,
    Booked,
    Groups,
    Holdings,
    Numbered,
    Questions,
    Scratch,
    Stood,
    Stretches,
)
from replay.reached import (
    AT_NO_GROUP,
    Reached,
    first_sitting,
    go_on,
    may_be_booked,
    next_fact,
    question,
)
from retake_policies.rules import Rules, rules_at


def answer_each(
    rows: SittingRows,
    groups: Groups,
    facts: Facts,
    questions: Questions,
    ahead: int,
    scratch: Scratch,
    out: Answers,
) -> None:
    """Answer each question on its own, about any group at any (as_of, known).

    With `ahead` 1, `eligible_from` is looked for too, else it is NONE. Questions about one group,
    one later than the other, are quick one after another. `scratch` has room for the longest group.
    """
    reached, sittings = AT_NO_GROUP, scratch.sittings
    for i in range(len(questions.group)):
        g, as_of, known = questions.group[i], questions.as_of[i], questions.known[i]
        out.status[i], out.eligible_from[i], out.waived[i], out.sittings[i] = -1, NONE, 0, 0
        out.in_series[i], out.period_end[i] = 0, NONE
        out.last_sitting_at[i], out.last_outcome[i] = NONE, 0
        if g < 0:
            continue
        q = question(groups, g, as_of, known)
        reached = go_on(rows, groups, facts, q, g, scratch, reached)
        n, last, without = reached.gathered.n, reached.gathered.last, -1
        if questions.without[i] >= 0:
            lo, hi = groups.lo[g], groups.hi[g]
            without = place_of(rows, lo, questions.without[i], hi - lo, sittings)
        left_out = without
        if 0 <= without == last and reached.way.walked <= without:
            n, left_out = without, -1  # the walk has not come to it, and none is after it
        found = judged_on(
            facts, q, sittings, scratch.walks, scratch.kept, n, as_of, left_out, ahead, reached.way
        )
        reached, verdict = Reached(g, reached.gathered, found.way), found.judged.verdict
        while last >= 0 and (last == without or sittings.opened_by[last] < 0):
            last -= 1
        out.status[i] = verdict.status
        out.eligible_from[i] = found.eligible_from
        out.waived[i] = verdict.waived
        out.sittings[i] = reached.gathered.sittings - int(without >= 0)
        out.in_series[i] = verdict.in_series
        out.period_end[i] = verdict.period_end
        if last >= 0:
            out.last_sitting_at[i] = sittings.start[last]
            out.last_outcome[i] = sittings.outcome[last]


def stand_each(
    rows: SittingRows,
    groups: Groups,
    facts: Facts,
    group: Sequence[int],
    as_of: int,
    known: int,
    changes: int,
    scratch: Scratch,
    out: Stood,
) -> None:
    """Return where each of some groups (-1: none) stands at one moment.

    With `changes` 1, also when anything changes next. At the first instant at which anything may
    differ (the horizon) the verdict mostly does; where it is the same, `changes` is NONE: the
    reasons have to be compared, which is done elsewhere.
    """
    sittings = scratch.sittings
    for i in range(len(group)):
        g = group[i]
        out.status[i] = -1
        if g < 0:
            continue
        q = question(groups, g, as_of, known)
        n = gather(rows, groups.lo[g], groups.hi[g], as_of, known, sittings)
        if n == 0:
            continue
        found = look_ahead(facts, q, sittings, n, as_of)
        verdict, t = found.judged.verdict, found.judged.horizon
        out.status[i] = verdict.status
        out.eligible_from[i] = found.eligible_from
        out.in_series[i] = verdict.in_series
        out.period_end[i] = verdict.period_end
        out.last_sitting_at[i] = sittings.start[n - 1]
        out.last_outcome[i] = sittings.outcome[n - 1]
        out.changes[i] = t if changes == 1 else NONE
        if changes == 1 and t != NEVER:
            then = verdict_at(facts, q, sittings, n, t).verdict
            if (
                then.status == verdict.status
                and then.version == verdict.version
                and then.assumed == verdict.assumed
                and then.blocks == verdict.blocks
                and then.waived == verdict.waived
                and then.cap == verdict.cap
                and then.in_series == verdict.in_series
                and then.period_end == verdict.period_end
            ):
                out.changes[i] = NONE


def book_each(
    rows: SittingRows,
    groups: Groups,
    facts: Facts,
    questions: Questions,
    scratch: Scratch,
    out: Booked,
) -> None:
    """Return of each question from when until when it may be booked: with any fact to book by.

    The stretch of eligibility that holds the moment, with its true beginning, else the next one.
    """
    sittings = scratch.sittings
    for i in range(len(questions.group)):
        g, as_of, known = questions.group[i], questions.as_of[i], questions.known[i]
        out.start[i], out.until[i] = NONE, NEVER
        q = question(groups, g, as_of, known)
        if not may_be_booked(rows, groups, facts, q, g):
            continue
        n = gather(rows, groups.lo[g], groups.hi[g], as_of, known, sittings)
        found = look_ahead(facts, q, sittings, n, as_of)
        is_eligible = found.judged.verdict.status == ELIGIBLE
        start, t = found.eligible_from, found.judged.horizon
        if not is_eligible:
            if not NONE < start < NEVER:
                continue
            t = verdict_at(facts, q, sittings, n, start).horizon
        while t != NEVER:
            judged = verdict_at(facts, q, sittings, n, t)
            if judged.verdict.status != ELIGIBLE:
                out.until[i] = t
                break
            t = judged.horizon
        out.start[i] = eligible_since(rows, groups, facts, q, g, scratch) if is_eligible else start


def eligible_since(
    rows: SittingRows, groups: Groups, facts: Facts, q: Question, g: int, scratch: Scratch
) -> int:
    """Return since when a group is eligible that is so at a moment: at the latest its first fact.

    On what is known then: from each fact to the next, by the clock in between.
    """
    reached, since = AT_NO_GROUP, NONE
    fact = next_fact(rows, groups, g, facts, question(groups, g, NONE, q.known))
    while fact <= q.as_of:
        then = question(groups, g, fact, q.known)
        reached = go_on(rows, groups, facts, then, g, scratch, reached)
        n, way = reached.gathered.n, reached.way
        following, t = next_fact(rows, groups, g, facts, then), fact
        while t < following and t <= q.as_of:
            found = judged_on(
                facts, then, scratch.sittings, scratch.walks, scratch.kept, n, t, -1, 0, way
            )
            way = found.way
            if found.judged.verdict.status != ELIGIBLE:
                since = NONE
            elif since == NONE:
                since = t
            t = found.judged.horizon
        reached = Reached(g, reached.gathered, way)
        fact = following
    return since


def same_stretch(out: Stretches, one: int, other: int) -> bool:
    """Return whether two stretches say the same."""
    return (
        out.status[one] == out.status[other]
        and out.eligible_from[one] == out.eligible_from[other]
        and out.in_series[one] == out.in_series[other]
        and out.period_end[one] == out.period_end[other]
        and out.last_sitting_at[one] == out.last_sitting_at[other]
        and out.last_outcome[one] == out.last_outcome[other]
    )


def stretch_all(
    rows: SittingRows,
    groups: Groups,
    facts: Facts,
    first: int,
    end: int,
    known: int,
    scratch: Scratch,
    room: int,
    out: Stretches,
) -> tuple[int, int]:
    """Cut the valid time of groups first to end into stretches, on what is known at `known`.

    From the first sitting on, at each fact and, in between, at each instant where the clock alone
    may change something, everything is judged; a stretch begins where anything differs. Returns
    the group it did not come to any more, as `out` has room for so many, and how many were written.
    """
    at, sittings, reached = 0, scratch.sittings, AT_NO_GROUP
    for g in range(first, end):
        begin = at
        fact = first_sitting(rows, groups.lo[g], groups.hi[g], known)
        while fact != NEVER:
            q = question(groups, g, fact, known)
            reached = go_on(rows, groups, facts, q, g, scratch, reached)
            n, last, way = reached.gathered.n, reached.gathered.last, reached.way
            following = next_fact(rows, groups, g, facts, q)
            t, ahead, eligible_from = fact, 1, NONE
            while t < following:
                if at == room:
                    return g, begin
                found = judged_on(
                    facts, q, sittings, scratch.walks, scratch.kept, n, t, -1, ahead, way
                )
                way, verdict = found.way, found.judged.verdict
                # Over the same facts eligible_from stays what it is until that instant comes.
                if verdict.status == ELIGIBLE:
                    ahead, eligible_from = 1, NONE
                elif ahead == 1:
                    ahead, eligible_from = 0, found.eligible_from
                out.group[at] = g
                out.valid_from[at] = t
                out.status[at] = verdict.status
                out.eligible_from[at] = eligible_from
                out.in_series[at] = verdict.in_series
                out.period_end[at] = verdict.period_end
                out.last_sitting_at[at] = sittings.start[last]
                out.last_outcome[at] = sittings.outcome[last]
                if at == begin or not same_stretch(out, at - 1, at):
                    if at > begin:
                        out.valid_to[at - 1] = t
                    at += 1
                t = found.judged.horizon
            reached = Reached(g, reached.gathered, way)
            fact = following
        if at > begin:
            out.valid_to[at - 1] = NEVER
    return end, at


def number_before(
    rules: Rules, ordinal: int, i: int, s: int, walked: Sittings, walks: Walks
) -> int:
    """Return the `wait_number` of the counted sitting before the one at place `s` of a walk.

    Its ordinal is the one it had when it began; with `within` they are counted as `walked` has
    them, the sittings when `s` began: there it stands at place `i`, if it does.
    """
    if rules.within_amount > 0 and 0 <= i < s and walked.ordinal[i] > 0:
        waits = len(rules.wait_unit)
        return wait_number(rules, walked, walks.first[i], i, walked.ordinal[i], waits)
    return ordinal


def number_sittings(
    rows: SittingRows,
    groups: Groups,
    facts: Facts,
    wanted: Sequence[int],
    first: int,
    end: int,
    as_of: int,
    known: int,
    ordinals: int,
    sittings: Sittings,
    scratch: Scratch,
    out: Numbered,
) -> int:
    """Describe every sitting visible at (as_of, known) of groups first to end whose `wanted` is 1.

    In the order of groups, starts and positions. With `ordinals` 1 the ordinal is the one that it
    had when it began, itself among the sittings; else 0. Returns how many there are.
    """
    at, reached, walked = 0, AT_NO_GROUP, scratch.sittings
    for g in range(first, end):
        if wanted[g] == 0:
            continue
        lo, hi = groups.lo[g], groups.hi[g]
        there = gather(rows, lo, hi, as_of, known, sittings)
        before = -1
        for s in range(there):
            start = sittings.start[s]
            ordinal, previous, wait_until = 0, NONE, NONE
            q = question(groups, g, start, known)
            version = setting_at(facts, q, start).version if ordinals == 1 else -1
            if version >= 0:
                rules = rules_at(facts.rules, version)
                reached = go_on(rows, groups, facts, q, g, scratch, reached)
                way = way_on(facts, q, rules, walked, reached.way, version, start)
                n = reached.gathered.n
                way = walk_again(facts, q, rules, walked, scratch.walks, way, n, start)
                reached = Reached(g, reached.gathered, way)
                i = place_of(rows, lo, sittings.key[s], hi - lo, walked)
                ordinal = walked.ordinal[i] if i >= 0 else 0
                if ordinal > 1 and before >= 0:
                    previous = sittings.start[before]
                    if sittings.outcome[before] != PASSED:
                        j = place_of(rows, lo, sittings.key[before], hi - lo, walked)
                        number = number_before(
                            rules, sittings.ordinal[before], j, i, walked, scratch.walks
                        )
                        wait_until = wait_after(rules, number, previous, sittings.end[before])
            sittings.ordinal[s] = ordinal
            before = s if ordinal > 0 else before
            out.row[at] = sittings.opened_by[s]
            out.group[at] = g
            out.number[at] = s + 1
            out.start[at] = start
            out.end[at] = sittings.end[s]
            out.beta[at] = sittings.beta[s]
            out.outcome[at] = sittings.outcome[s]
            out.outcome_row[at] = sittings.outcome_row[s]
            out.ordinal[at] = ordinal
            out.previous[at] = previous
            out.wait_until[at] = wait_until
            at += 1
    return at


def hold_all(
    rows: CertificationRows,
    offset: Sequence[int],
    wanted: Sequence[int],
    by: int,
    known: int,
    out: Holdings,
) -> int:
    """Describe every certification that candidates whose `wanted` is 1 had earned by an instant.

    A candidate's rows are offset[c] to offset[c + 1]. Returns how many there are.
    """
    at = 0
    for c in range(len(offset) - 1):
        if wanted[c] == 0:
            continue
        i = offset[c]
        while i < offset[c + 1]:
            lo, i = i, run_end(rows, i, offset[c + 1])
            found = last_held(rows, lo, i, by, known)
            if found.last < 0:
                continue
            first, renewals = earned_by(rows, lo, found.last, known)
            out.candidate[at] = c
            out.first[at] = first
            out.last[at] = found.last
            out.renewals[at] = renewals
            out.expired_at[at] = found.expired_at
            out.ends_at[at] = found.ends_at
            at += 1
    return at
