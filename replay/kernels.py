"""Loops over everybody, in the same plain language as the fold.

`replay.compiled` compiles them; interpreted they do the same, only slowly,
which is how a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Sequence

from projections.fold.certifications import holding, run_end
from projections.fold.facts import (
    NEVER,
    NONE,
    PASSED,
    RESULT_REVOKED,
    CertificationRows,
    Facts,
    Question,
    SittingRows,
    Sittings,
)
from projections.fold.rules import ELIGIBLE, wait_after, wait_number
from projections.fold.sittings import gather
from projections.fold.verdict import first_eligible, setting_at, verdict_at
from projections.fold.walk import walk
from replay.questions import Answers, Decisions, Groups, Holdings, Numbered, Questions, Stretches
from retake_policies.rules import Rules, rules_at


def question(groups: Groups, g: int, as_of: int, known: int) -> Question:
    """Make the question about one group."""
    c = groups.candidate[g]
    return Question(
        groups.exam[g],
        as_of,
        known,
        groups.certification_offset[c],
        groups.certification_offset[c + 1],
        groups.grant_offset[c],
        groups.grant_offset[c + 1],
        groups.authorization_offset[c],
        groups.authorization_offset[c + 1],
    )


def answer_each(
    rows: SittingRows,
    groups: Groups,
    facts: Facts,
    questions: Questions,
    ahead: int,
    scratch: Sittings,
    out: Answers,
) -> None:
    """Answer each question on its own, about any group at any (as_of, known).

    With `ahead` 1, `eligible_from` is looked for too, else it is NONE. `scratch` has room for the
    longest group.
    """
    for i in range(len(questions.group)):
        g, as_of, known = questions.group[i], questions.as_of[i], questions.known[i]
        out.status[i], out.eligible_from[i], out.waived[i], out.sittings[i] = -1, NONE, 0, 0
        out.in_series[i], out.period_end[i] = 0, NONE
        out.last_sitting_at[i], out.last_outcome[i] = NONE, 0
        if g < 0:
            continue
        q = question(groups, g, as_of, known)
        n = gather(rows, groups.lo[g], groups.hi[g], as_of, known, questions.without[i], scratch)
        judged = verdict_at(facts, q, scratch, n, as_of)
        verdict = judged.verdict
        out.status[i] = verdict.status
        out.waived[i] = verdict.waived
        out.sittings[i] = n
        out.in_series[i] = verdict.in_series
        out.period_end[i] = verdict.period_end
        if n > 0:
            out.last_sitting_at[i] = scratch.start[n - 1]
            out.last_outcome[i] = scratch.outcome[n - 1]
        if ahead == 1:
            out.eligible_from[i] = first_eligible(facts, q, scratch, n, judged)


def decide_each(
    rows: SittingRows,
    groups: Groups,
    facts: Facts,
    questions: Questions,
    scratch: Sittings,
    out: Decisions,
) -> None:
    """Decide each question: the status, from when it is eligible, and when anything changes next.

    At the first instant at which anything may differ (the horizon) the verdict mostly does; where
    it is the same, `changes` is NONE: the reasons have to be compared, which is done elsewhere.
    """
    for i in range(len(questions.group)):
        g, as_of, known = questions.group[i], questions.as_of[i], questions.known[i]
        out.status[i], out.eligible_from[i], out.changes[i] = -1, NONE, NONE
        if g < 0:
            continue
        q = question(groups, g, as_of, known)
        n = gather(rows, groups.lo[g], groups.hi[g], as_of, known, questions.without[i], scratch)
        if n == 0:
            continue
        judged = verdict_at(facts, q, scratch, n, as_of)
        verdict = judged.verdict
        out.status[i] = verdict.status
        out.eligible_from[i] = first_eligible(facts, q, scratch, n, judged)
        t = judged.horizon
        out.changes[i] = t
        if t != NEVER:
            then = verdict_at(facts, q, scratch, n, t).verdict
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


def next_fact(
    rows: SittingRows, groups: Groups, g: int, facts: Facts, q: Question, after: int
) -> int:
    """Return the first instant after one at which a fact that may bear on a group becomes true.

    Its own sittings, its candidate's certifications, its grants and authorizations, as known at
    `q.known`; NEVER if there is none.
    """
    first, known = NEVER, q.known
    for i in range(groups.lo[g], groups.hi[g]):
        if rows.time[i] > after and rows.position[i] <= known < rows.annulled[i]:
            first = rows.time[i]
            break
    certifications = facts.certifications
    for i in range(q.certifications_lo, q.certifications_hi):
        if (
            after < certifications.time[i] < first
            and certifications.position[i] <= known < certifications.annulled[i]
        ):
            first = certifications.time[i]
    grants = facts.grants
    for i in range(q.grants_lo, q.grants_hi):
        if (
            after < grants.time[i] < first
            and grants.exam[i] == q.exam
            and grants.position[i] <= known < grants.annulled[i]
        ):
            first = grants.time[i]
    authorized = facts.authorizations
    for i in range(q.authorizations_lo, q.authorizations_hi):
        if authorized.time[i] >= first:
            break
        if (
            authorized.time[i] > after
            and authorized.exam[i] == q.exam
            and authorized.position[i] <= known < authorized.annulled[i]
        ):
            first = authorized.time[i]
    return first


def first_sitting(rows: SittingRows, lo: int, hi: int, known: int) -> int:
    """Return the first instant at which a sitting is visible, NEVER if none ever is.

    A revocation alone is no sitting (spec section 4).
    """
    for i in range(lo, hi):
        if rows.kind[i] != RESULT_REVOKED and rows.position[i] <= known < rows.annulled[i]:
            return rows.time[i]
    return NEVER


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
    scratch: Sittings,
    room: int,
    out: Stretches,
) -> tuple[int, int]:
    """Cut the valid time of groups first to end into stretches, on what is known at `known`.

    From the first sitting on, at each fact and, in between, at each instant where the clock alone
    may change something, everything is judged; a stretch begins where anything differs. Returns
    the group it did not come to any more, as `out` has room for so many, and how many were written.
    """
    at = 0
    for g in range(first, end):
        begin = at
        fact = first_sitting(rows, groups.lo[g], groups.hi[g], known)
        while fact != NEVER:
            q = question(groups, g, fact, known)
            n = gather(rows, groups.lo[g], groups.hi[g], fact, known, -1, scratch)
            following = next_fact(rows, groups, g, facts, q, fact)
            t, checked, eligible_from = fact, 0, NONE
            while t < following:
                if at == room:
                    return g, begin
                judged = verdict_at(facts, q, scratch, n, t)
                verdict = judged.verdict
                # Over the same facts eligible_from stays what it is until that instant comes.
                if verdict.status == ELIGIBLE:
                    checked, eligible_from = 0, NONE
                elif checked == 0:
                    checked, eligible_from = 1, first_eligible(facts, q, scratch, n, judged)
                out.group[at] = g
                out.valid_from[at] = t
                out.status[at] = verdict.status
                out.eligible_from[at] = eligible_from
                out.in_series[at] = verdict.in_series
                out.period_end[at] = verdict.period_end
                out.last_sitting_at[at] = scratch.start[n - 1]
                out.last_outcome[at] = scratch.outcome[n - 1]
                if at == begin or not same_stretch(out, at - 1, at):
                    if at > begin:
                        out.valid_to[at - 1] = t
                    at += 1
                t = judged.horizon
            fact = following
        if at > begin:
            out.valid_to[at - 1] = NEVER
    return end, at


def ordinal_at(
    rows: SittingRows,
    groups: Groups,
    g: int,
    facts: Facts,
    start: int,
    known: int,
    key: int,
    scratch: Sittings,
) -> int:
    """Return the place in its series of the sitting of a key that began at `start`, 0 for none."""
    q = question(groups, g, start, known)
    setting = setting_at(facts, q, start)
    ordinal = 0
    if setting.version >= 0:
        n = gather(rows, groups.lo[g], groups.hi[g], start, known, -1, scratch)
        walk(facts, q, rules_at(facts.rules, setting.version), scratch, n, start)
        for k in range(n):
            if scratch.key[k] == key:
                ordinal = scratch.ordinal[k]
    return ordinal


def number_before(rules: Rules, sittings: Sittings, s: int, before: int, walked: Sittings) -> int:
    """Return the `wait_number` of the counted sitting before sitting `s`.

    Its ordinal is the one it had when it began; with `within` they are counted as `walked` has
    them, the sittings when `s` began.
    """
    i = 0
    while rules.within_amount > 0 and walked.key[i] != sittings.key[s]:
        if walked.key[i] == sittings.key[before] and walked.ordinal[i] > 0:
            return wait_number(rules, walked, i)
        i += 1
    return sittings.ordinal[before]


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
    scratch: Sittings,
    out: Numbered,
) -> int:
    """Describe every sitting visible at (as_of, known) of groups first to end whose `wanted` is 1.

    In the order of groups, starts and positions. With `ordinals` 1 the ordinal is the one that it
    had when it began, itself among the sittings; else 0. Returns how many there are.
    """
    at = 0
    for g in range(first, end):
        if wanted[g] == 0:
            continue
        lo, hi = groups.lo[g], groups.hi[g]
        there = gather(rows, lo, hi, as_of, known, -1, sittings)
        before = -1
        for s in range(there):
            start = sittings.start[s]
            ordinal, previous, wait_until = 0, NONE, NONE
            if ordinals == 1:
                ordinal = ordinal_at(rows, groups, g, facts, start, known, sittings.key[s], scratch)
                if ordinal > 1 and before >= 0:
                    previous = sittings.start[before]
                    if sittings.outcome[before] != PASSED:
                        version = setting_at(
                            facts, question(groups, g, start, known), start
                        ).version
                        rules = rules_at(facts.rules, version)
                        number = number_before(rules, sittings, s, before, scratch)
                        wait_until = wait_after(rules, number, previous, sittings.end[before])
                sittings.ordinal[s] = ordinal
                if ordinal > 0:
                    before = s
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
            state = holding(rows, lo, i, by, known, -1)
            if state.first < 0:
                continue
            out.candidate[at] = c
            out.first[at] = state.first
            out.last[at] = state.last
            out.renewals[at] = state.renewals
            out.expired_at[at] = state.expired_at
            out.ends_at[at] = state.ends_at
            at += 1
    return at
