"""The verdict: what the fold says of one candidate and one exam at an instant.

`verdict_at` judges at any instant t >= as_of over the facts visible at as_of,
so that the same function answers "now" and looks ahead: `eligible_from` asks
it again at each instant where the candidate may become eligible.
"""

from typing import Final, NamedTuple

from projections.fold.authorizations import NOT_ASKED, Authorized, authorized_at
from projections.fold.caps import Capped, cap_reached
from projections.fold.catalogue import (
    NOTHING_COMES,
    Dates,
    coming_after,
    exam_dates,
    next_date,
    phase,
)
from projections.fold.certifications import NO_COVER, Cover
from projections.fold.covers import cover_at, defined_until
from projections.fold.facts import CLOSED, NEVER, NONE, PASSED, Facts, Question, Sittings
from projections.fold.grants import waiver_at
from projections.fold.passes import free_again, free_from
from projections.fold.rules import (
    ELIGIBLE,
    RESULT_PENDING,
    UNKNOWN,
    UNKNOWN_EXAM,
    WAIVED_BY,
    Blocks,
    blocks_at,
    holding,
    overdue_from,
    waivable,
)
from projections.fold.walk import AT_THE_START, Walked, walk
from retake_policies.rules import AFTER, Rules, first_after, in_force, rules_at


class Verdict(NamedTuple):
    """Everything of a standing that is a number. Instants are microseconds UTC."""

    status: int
    definition: int
    """The row of the exam's definition, -1 for an unknown exam."""
    version: int
    """The row of the policy version, -1 for an unknown exam."""
    assumed: int
    """1 when that version's effective_from lies after the instant."""
    blocks: Blocks
    """By status: until when that reason holds, NONE where it does not."""
    waived: int
    """The reasons that hold and that an active grant waives, as bits (WAIVES_WAIT …)."""
    cap: int
    """The cap that is used up, of several the one that ends last, -1 when none."""
    in_series: int
    period_end: int
    """NONE when there is none."""


UNKNOWN_VERDICT: Final = Verdict(UNKNOWN_EXAM, -1, -1, 0, UNKNOWN, 0, -1, 0, NONE)
"""An exam, or its policy, that is not in the catalogue: the only reason then."""


class Setting(NamedTuple):
    """What catalogue and policies say of an exam at an instant."""

    definition: int
    """The row of its definition, -1 when none is known."""
    version: int
    """The row of the policy version in force, -1 when none is known."""
    assumed: int
    dates: Dates
    phase: int
    until: int
    """The first instant after it at which any of this may differ."""
    other: int
    """The first after it at which any reason may be another by this: by other rules or dates."""


class Judged(NamedTuple):
    """A verdict, and how it was reached: explaining only puts it in words."""

    verdict: Verdict
    horizon: int
    """The first instant after it at which anything may differ."""
    soonest: int
    """The first instant after it at which it may be eligible: no reason ends all by itself."""
    setting: Setting
    walked: Walked
    cover: Cover
    authorized: Authorized


NO_DATES: Final = Dates(NEVER, NEVER, NEVER)
UNSET: Final = Setting(-1, -1, 0, NO_DATES, CLOSED, NEVER, NEVER)
"""Where an exam is not in the catalogue."""
UNJUDGED: Final = Judged(
    UNKNOWN_VERDICT, NEVER, NEVER, UNSET,
    AT_THE_START, NO_COVER, NOT_ASKED,
)  # fmt: skip
"""Before anything is judged."""


def setting_at(facts: Facts, q: Question, t: int) -> Setting:
    """Look up the exam's definition, its policy's version in force and its dates at `t`."""
    if q.exam < 0:
        return UNSET
    known, exams, versions = q.known, facts.exams, facts.versions
    lo, hi = exams.lo[q.exam], exams.hi[q.exam]
    begun, coming = first_after(exams.time, lo, hi, t), NOTHING_COMES
    definition = in_force(exams.time, exams.position, exams.annulled, lo, begun, hi, known)
    if definition < 0:
        return UNSET
    if begun < hi:
        coming = coming_after(
            exams.time, exams.position, exams.annulled, exams.alike, exams.differs,
            definition, begun, hi, known,
        )  # fmt: skip
    policy, until, other = exams.policy[definition], coming.until, coming.other
    lo, hi = versions.lo[policy], versions.hi[policy]
    starts, position, annulled = versions.effective_from, versions.position, versions.annulled
    begun = first_after(starts, lo, hi, t)
    version = in_force(starts, position, annulled, lo, begun, hi, known)
    if version < 0:
        return Setting(definition, -1, 0, NO_DATES, CLOSED, until, other)
    if begun < hi:
        coming = coming_after(
            starts, position, annulled, versions.alike, versions.differs, version, begun, hi, known
        )
        until, other = min(until, coming.until), min(other, coming.other)
    dates = exam_dates(exams, facts.milestones, q.exam, definition, known)
    dated = next_date(dates, t)
    if dated < NEVER:
        until, other = min(until, dated), min(other, dated)
    assumed = int(starts[version] > t)
    return Setting(definition, version, assumed, dates, phase(dates, t), until, other)


def in_series_at(walked: Walked, passed_and_free: bool, t: int) -> int:
    """Return the last ordinal, or 0 if a sitting at `t` would open a new series."""
    if walked.last < 0 or t >= walked.period_end or passed_and_free:
        return 0
    return walked.ordinal


def verdict_at(facts: Facts, q: Question, sittings: Sittings, n: int, t: int) -> Judged:
    """Judge at instant `t` >= q.as_of, over the facts visible at (q.as_of, q.known).

    Definitions, dates and policy versions are those known at q.known, as they
    stand at `t`. Writes the ordinals of `sittings`.
    """
    setting = setting_at(facts, q, t)
    if setting.version < 0:
        return not_judged(setting)
    rules = rules_at(facts.rules, setting.version)
    walked = walk(facts, q, rules, sittings, n, t)
    return verdict_from(facts, q, rules, sittings, n, t, setting, walked)


def not_judged(setting: Setting) -> Judged:
    """Return the verdict where no policy is known."""
    until, other = setting.until, setting.other
    return Judged(UNKNOWN_VERDICT, until, other, setting, AT_THE_START, NO_COVER, NOT_ASKED)


def verdict_from(
    facts: Facts, q: Question, rules: Rules, sittings: Sittings, n: int, t: int,
    setting: Setting, walked: Walked,
) -> Judged:  # fmt: skip
    """Judge at `t` in a setting, by its policy, where the walk has ended; see `verdict_at`."""
    blocked = blocked_at(facts, q, rules, sittings, n, t, setting, walked)
    waiver = waiver_at(facts, q, t, last_start(sittings, walked), waivable(blocked.blocks))
    return judged_at(rules, t, setting, walked, blocked, waiver)


class Blocked(NamedTuple):
    """What blocks at an instant, before what is waived of it."""

    blocks: Blocks
    capped: Capped
    cover: Cover
    authorized: Authorized
    in_series: int
    until: int
    """The first instant after it at which passes or certifications may stand otherwise."""


def last_start(sittings: Sittings, walked: Walked) -> int:
    """Return when the last counted sitting began, NONE when none is."""
    return sittings.start[walked.last] if walked.last >= 0 else NONE


def blocked_at(
    facts: Facts, q: Question, rules: Rules, sittings: Sittings, n: int, t: int,
    setting: Setting, walked: Walked,
) -> Blocked:  # fmt: skip
    """Find what blocks at `t` in a setting, by its policy, where the walk has ended."""
    cover, until, last, free = NO_COVER, NEVER, walked.last, False
    if walked.passed >= 0:  # a pass may be free again by certifications
        cover = cover_at(facts, q, rules, sittings.covers, t, t)
        until = defined_until(q, rules, sittings.covers)
        if cover.running_until != NONE:
            until = min(until, cover.running_until)
            if t < cover.opens:
                until = min(until, cover.opens)
    if last >= 0 and sittings.outcome[last] == PASSED:
        start, end = sittings.start[last], sittings.end[last]
        free = free_again(rules, start, end, cover, t)
        if rules.retake == AFTER and not free:
            until = min(until, free_from(rules, start, end))
    in_series = in_series_at(walked, free, t)
    capped = cap_reached(rules, sittings, n, walked, in_series, t)
    authorized = authorized_at(facts, q, rules, sittings, n, t)
    blocks = blocks_at(
        rules, sittings, setting.dates, setting.phase, walked, cover, authorized, capped.until, t
    )
    return Blocked(blocks, capped, cover, authorized, in_series, until)


def judged_at(
    rules: Rules, t: int, setting: Setting, walked: Walked, blocked: Blocked,
    waiver: tuple[int, int],
) -> Judged:  # fmt: skip
    """Judge at `t` by what blocks and what of it is waived; see `verdict_at`."""
    blocks, capped, dates = blocked.blocks, blocked.capped, setting.dates
    waived, unwaived_at = waiver
    status, free_at, first_end = holding(blocks, waived)
    # While the setting and the cover stay, each reason holds until its end: so all of them do.
    soonest = min(setting.other, blocked.until, free_at if free_at != NONE else NEVER)
    horizon = min(
        setting.until, blocked.until, unwaived_at, capped.next_change, blocked.authorized.until,
        first_end,
    )  # fmt: skip
    if t < walked.period_end:
        horizon = min(horizon, walked.period_end)
    if blocks[RESULT_PENDING] != NONE and t < overdue_from(rules, dates):
        horizon = min(horizon, overdue_from(rules, dates))

    in_series = blocked.in_series
    period_end = walked.period_end if in_series > 0 and walked.period_end != NEVER else NONE
    verdict = Verdict(
        status, setting.definition, setting.version, setting.assumed,
        blocks, waived, capped.cap, in_series, period_end,
    )  # fmt: skip
    return Judged(verdict, horizon, soonest, setting, walked, blocked.cover, blocked.authorized)


def reasons_in(verdict: Verdict) -> tuple[list[int], list[int]]:
    """Return the reasons that block and those that a grant waives, each in order of precedence."""
    if verdict.status == ELIGIBLE and not verdict.waived:
        return [], []
    every = [status for status, until in enumerate(verdict.blocks) if until != NONE]
    waived = [status for status in every if verdict.waived & WAIVED_BY[status]]
    return [status for status in every if status not in waived], waived
