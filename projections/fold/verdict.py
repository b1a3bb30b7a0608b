"""The verdict: what the fold says of one candidate and one exam at an instant.

`verdict_at` judges at any instant t >= as_of over the facts visible at as_of,
so that the same function answers "now" and looks ahead: `eligible_from` asks
it again at each instant where something may change.
"""

from __future__ import annotations

from typing import NamedTuple

from projections.fold.catalogue import (
    Dates,
    exam_dates,
    exam_definition,
    next_date,
    next_start,
    phase,
)
from projections.fold.certifications import free_again, next_definition
from projections.fold.facts import (
    NEVER,
    NONE,
    PASSED,
    WAIVES_CAP,
    WAIVES_WAIT,
    Facts,
    Question,
    Sittings,
)
from projections.fold.grants import waiver_at
from projections.fold.rules import (
    CAP_REACHED,
    ELIGIBLE,
    RETIRED,
    UNKNOWN_EXAM,
    WAITING,
    beta_taken,
    cap_reached,
    not_open,
    overdue_from,
    passed,
    result_pending,
    retired,
    waiting,
)
from projections.fold.walk import Walked, cover_if_asked, walk
from retake_policies.rules import rules_at, version_in_force


class Verdict(NamedTuple):
    """Everything of a standing that is a number. Instants are microseconds UTC."""

    status: int
    definition: int
    """The row of the exam's definition, -1 for an unknown exam."""
    version: int
    """The row of the policy version, -1 for an unknown exam."""
    assumed: int
    """1 when that version's effective_from lies after the instant."""
    retired: int
    """This and the next six: until when the reason holds; NONE when it does not."""
    not_open: int
    passed: int
    beta_taken: int
    result_pending: int
    cap_reached: int
    waiting: int
    waived: int
    """The reasons that hold and that an active grant waives, as bits (WAIVES_WAIT, WAIVES_CAP)."""
    cap: int
    """The cap that `cap_reached` speaks of, -1 when none."""
    in_series: int
    period_end: int
    """NONE when there is none."""


UNKNOWN_VERDICT = Verdict(
    UNKNOWN_EXAM, -1, -1, 0,
    NONE, NONE, NONE, NONE, NONE, NONE, NONE,
    0, -1, 0, NONE,
)  # fmt: skip
"""An exam, or its policy, that is not in the catalogue: the only reason then."""


class Setting(NamedTuple):
    """What catalogue and policies say of an exam at an instant."""

    definition: int
    version: int
    assumed: int
    dates: Dates
    until: int
    """The first instant after it at which any of this may differ."""


class Judged(NamedTuple):
    """A verdict, and the first instant after it at which anything may differ."""

    verdict: Verdict
    horizon: int


def earlier(a: int, b: int) -> int:
    """Return the earlier of two instants."""
    return a if a < b else b


def setting_at(facts: Facts, q: Question, t: int) -> Setting:
    """Look up the exam's definition, its policy's version in force and its dates at `t`."""
    known, exams, versions = q.known, facts.exams, facts.versions
    nothing = Dates(NEVER, NEVER, NEVER)
    definition = exam_definition(exams, q.exam, t, known)
    if definition < 0:
        return Setting(-1, -1, 0, nothing, NEVER)
    lo, hi = exams.lo[q.exam], exams.hi[q.exam]
    until = next_start(exams.time, exams.position, exams.annulled, lo, hi, t, known)
    policy = exams.policy[definition]
    lo, hi = versions.lo[policy], versions.hi[policy]
    starts, position, annulled = versions.effective_from, versions.position, versions.annulled
    version = version_in_force(starts, versions.time, position, annulled, lo, hi, t, known)
    if version < 0:
        return Setting(-1, -1, 0, nothing, until)
    until = earlier(until, next_start(starts, position, annulled, lo, hi, t, known))
    dates = exam_dates(exams, facts.milestones, q.exam, definition, known)
    until = earlier(earlier(until, next_date(dates, t)), next_definition(facts, q, t))
    return Setting(definition, version, 1 if starts[version] > t else 0, dates, until)


def in_series_at(walked: Walked, passed_and_free: bool, t: int) -> int:
    """Return the last ordinal, or 0 if a sitting at `t` would open a new series."""
    if walked.last < 0 or t >= walked.period_end or passed_and_free:
        return 0
    return walked.ordinal


def status_of(blocking: tuple[int, int, int, int, int, int, int], waived: int) -> int:
    """Return the first reason that blocks and is not waived, by precedence, else ELIGIBLE."""
    for k in range(len(blocking)):
        status = RETIRED + k
        if blocking[k] == NONE:
            continue
        if status == CAP_REACHED and waived & WAIVES_CAP != 0:
            continue
        if status == WAITING and waived & WAIVES_WAIT != 0:
            continue
        return status
    return ELIGIBLE


def waived_of(waives: int, capped: int, waits: int) -> int:
    """Keep of what active grants waive the reasons that hold, as bits."""
    held = (WAIVES_CAP if capped != NONE else 0) | (WAIVES_WAIT if waits != NONE else 0)
    return waives & held


def verdict_at(facts: Facts, q: Question, sittings: Sittings, n: int, t: int) -> Judged:
    """Judge at instant `t` >= q.as_of, over the facts visible at (q.as_of, q.known).

    Definitions, dates and policy versions are those known at q.known, as they
    stand at `t`. Writes the ordinals of `sittings`.
    """
    setting = setting_at(facts, q, t)
    if setting.version < 0:
        return Judged(UNKNOWN_VERDICT, setting.until)
    rules, dates = rules_at(facts.rules, setting.version), setting.dates
    walked = walk(facts, q, rules, sittings, n, t)
    cover = cover_if_asked(facts, q, rules, t, t)
    last = walked.last
    free = (
        last >= 0
        and sittings.outcome[last] == PASSED
        and free_again(sittings.start[last], cover, rules.retake)
    )
    in_series = in_series_at(walked, free, t)
    stage = phase(dates, t)
    stands = passed(rules, sittings, n, cover)
    taken = beta_taken(rules, sittings, n, dates, stage)
    awaited = result_pending(rules, sittings, n, dates, stage, t)
    capped = cap_reached(rules, sittings, n, walked, in_series, t)
    waits = waiting(rules, sittings, walked, t)
    waiver = waiver_at(facts, q, t, sittings, n)
    waived = waived_of(waiver.waives, capped.until, waits)
    gone, closed = retired(dates, t), not_open(dates, stage)

    horizon = earlier(earlier(setting.until, cover.next_end), waiver.next_end)
    horizon = earlier(horizon, capped.next_change)
    if t < walked.period_end:
        horizon = earlier(horizon, walked.period_end)
    if waits != NONE:
        horizon = earlier(horizon, waits)
    if awaited != NONE and t < overdue_from(rules, dates):
        horizon = earlier(horizon, overdue_from(rules, dates))

    blocking = gone, closed, stands, taken, awaited, capped.until, waits
    period_end = walked.period_end if in_series > 0 and walked.period_end != NEVER else NONE
    verdict = Verdict(
        status_of(blocking, waived), setting.definition, setting.version, setting.assumed,
        gone, closed, stands, taken, awaited, capped.until, waits,
        waived, capped.cap, in_series, period_end,
    )  # fmt: skip
    return Judged(verdict, horizon)


def first_eligible(facts: Facts, q: Question, sittings: Sittings, n: int, judged: Judged) -> int:
    """Return the first instant after as_of at which the fold says eligible, NEVER if it never does.

    NONE when `judged`, the verdict at as_of, is eligible already. Not the
    latest `until`: at one reason's end another may begin, or a new policy
    version may free the candidate earlier (spec section 4).
    """
    if judged.verdict.status == ELIGIBLE:
        return NONE
    while judged.horizon != NEVER:
        t = judged.horizon
        judged = verdict_at(facts, q, sittings, n, t)
        if judged.verdict.status == ELIGIBLE:
            return t
    return NEVER
