"""From when a candidate is eligible: one verdict after another, wherever it may change."""

from collections.abc import Callable
from typing import NamedTuple

from projections.fold.ahead import Kept, count_alike, forget, walked_ahead
from projections.fold.covers import edition
from projections.fold.facts import NEVER, NONE, Facts, Question, Sittings
from projections.fold.rules import ELIGIBLE
from projections.fold.sittings import recount
from projections.fold.verdict import UNJUDGED, Judged, not_judged, setting_at, verdict_from
from projections.fold.walk import (
    AT_THE_START,
    Walks,
    Way,
    walk,
    walk_again,
    walked_to,
    walked_without,
)
from retake_policies.rules import Rules, rules_at


def first_eligible(judged: Judged, judge: Callable[[int], Judged]) -> int:
    """Return the first instant after as_of at which the fold says eligible, NEVER if it never does.

    NONE when `judged`, the verdict at as_of, is eligible already. `judge` judges at later instants.
    Not the latest `until`: at one reason's end another may begin, or a new policy version may
    free the candidate earlier (spec section 4).
    """
    t = NONE
    while judged.verdict.status != ELIGIBLE:
        t = judged.soonest
        if t == NEVER:
            break
        judged = judge(t)
    return t


class Looked(NamedTuple):
    """A verdict, and from when it is eligible."""

    judged: Judged
    eligible_from: int
    """As `first_eligible` has it."""


def look_ahead(facts: Facts, q: Question, sittings: Sittings, n: int, t: int) -> Looked:
    """Judge at `t` as `verdict_at` does, and find the first eligible instant.

    Walks again only by other rules or definitions. For one question alone: nothing is kept for a
    next one, which is a third of what `judged_on` takes.
    """
    first, at, number, defined, walked = UNJUDGED, t, -1, -1, AT_THE_START
    while True:
        setting = setting_at(facts, q, at)
        judged = not_judged(setting)
        if setting.version >= 0:
            rules = rules_at(facts.rules, setting.version)
            other = facts.versions.alike[setting.version]
            now = edition(facts, q, rules, sittings.covers, at)
            if other != number or now != defined:
                number, defined = other, now
                walked = walk(facts, q, rules, sittings, n, at)
            judged = verdict_from(facts, q, rules, sittings, n, at, setting, walked)
        if at == t:
            first = judged
        if judged.verdict.status == ELIGIBLE:
            return Looked(first, NONE if at == t else at)
        at = judged.soonest
        if at == NEVER:
            return Looked(first, NEVER)


def way_on(
    facts: Facts, q: Question, rules: Rules, sittings: Sittings, way: Way, version: int, at: int
) -> Way:
    """Return the way to go on from, by a policy version and the definitions at `at`."""
    number = facts.versions.alike[version]
    now = edition(facts, q, rules, sittings.covers, at)
    if number == way.version and now == way.edition:
        return way
    return Way(0, 0, 0, number, now, 0, 0, 0, 0)


class Ahead(NamedTuple):
    """A verdict, from when it is eligible, and how far the walk can be gone on from."""

    judged: Judged
    eligible_from: int
    """As `first_eligible` has it, if that is asked for; else NONE."""
    way: Way


def judged_on(
    facts: Facts, q: Question, sittings: Sittings, walks: Walks, kept: Kept, n: int, t: int,
    without: int, ahead: int, way: Way,
) -> Ahead:  # fmt: skip
    """Judge at `t` as `verdict_at` does, and go on from the walk before, as far as it holds.

    As if the sitting at place `without`, -1 for none, had not been. With `ahead` 1 `eligible_from`
    is looked for.
    """
    first, at = UNJUDGED, t
    if way.walked == 0:
        forget(kept)
    while True:
        setting = setting_at(facts, q, at)
        judged = not_judged(setting)
        if setting.version >= 0:
            rules, number = (
                rules_at(facts.rules, setting.version),
                facts.versions.alike[setting.version],
            )
            main, ordinal = way.version, 0
            comes = at > t and way.n == n and without < 0 and number != main
            if comes and main >= 0 and count_alike(facts, number, main):
                now = edition(facts, q, rules, sittings.covers, at)
                walked = walked_ahead(facts, q, rules, sittings, kept, number, now, n, at)
            else:
                way = way_on(facts, q, rules, sittings, way, setting.version, at)
                way = walk_again(facts, q, rules, sittings, walks, way, n, at)
                walked = walked_to(walks, way)
            if without >= 0:
                walked = walked_without(facts, q, rules, sittings, walks, way, without, at)
                ordinal = sittings.ordinal[without]
                recount(sittings, without, 0)
            judged = verdict_from(facts, q, rules, sittings, n, at, setting, walked)
            if without >= 0:
                recount(sittings, without, ordinal)
        if at == t:
            first = judged
        if ahead == 0:
            return Ahead(first, NONE, way)
        if judged.verdict.status == ELIGIBLE:
            return Ahead(first, NONE if at == t else at, way)
        at = judged.soonest
        if at == NEVER:
            return Ahead(first, NEVER, way)
