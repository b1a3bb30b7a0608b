"""Who sits what when: every candidate's way through the exams, all at once, a round at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from benchmarks.histories.certificates import Certified, certify
from benchmarks.histories.dice import Dice, Flags, Floats, Ints
from benchmarks.histories.world import DAY, END, FIRST, MOS, MTA, NEVER, World

PENDING, PASSED, FAILED = range(3)

# The waits after the 1st, 2nd … sitting that people keep to, in seconds, by programme.
_WAITS: Final = np.full((3, 8), 14 * DAY)
_WAITS[MTA], _WAITS[MOS] = 7 * DAY, 2 * DAY
_WAITS[:, 0] = DAY
_PASSES: Final = np.array([0.32, 0.29, 0.28, 0.27, 0.27, 0.27, 0.27, 0.27])
_SITTINGS_A_YEAR: Final = 5
_ROUNDS: Final = 16
_PER_PAIR: Final = 64
"""Numbers kept apart for one candidate and exam, so that each sitting draws for itself."""


class Sittings(NamedTuple):
    """Sittings as columns. Instants are seconds since 1970."""

    draw: Ints
    """The number to draw by: of this sitting alone."""
    candidate: Ints
    exam: Ints
    start: Ints
    end: Ints
    beta: Ints
    outcome: Ints
    result_at: Ints
    """NEVER while pending."""
    next_start: Ints
    """The same candidate's next sitting of the exam if it broke a wait; else NEVER."""
    certified: Certified
    """What a pass earned; parallel."""


class _Pairs(NamedTuple):
    """One candidate and exam each, on their way; `start` is the next sitting, NEVER for none."""

    number: Ints
    candidate: Ints
    exam: Ints
    start: Ints
    ordinal: Ints
    anchor: Ints
    """When the series began."""

    def only(self, chosen: object) -> _Pairs:
        return _Pairs(*(column[chosen] for column in self))  # type: ignore[call-overload]


def simulate(world: World, dice: Dice, candidates: int) -> Sittings:
    """Let that many candidates sit; rows come in no particular order."""
    return joined(list(_rounds(world, dice, candidates)))


def joined(parts: list[Sittings]) -> Sittings:
    """Put columns end to end."""
    columns = zip(*(part[:-1] for part in parts), strict=True)
    certified = zip(*(part.certified for part in parts), strict=True)
    all_certified = Certified._make(map(np.concatenate, certified))
    return Sittings._make([*map(np.concatenate, columns), all_certified])


def _rounds(world: World, dice: Dice, candidates: int) -> Iterator[Sittings]:
    pairs, betas = _enrolled(world, dice, candidates)
    if len(betas.number):
        sat, after = _beta_round(world, dice, betas)
        yield sat
        pairs = _Pairs(*map(np.concatenate, zip(pairs, after, strict=True)))
    for round in range(_ROUNDS):
        open_until = np.minimum(world.retires_at[pairs.exam], END)
        pairs = pairs.only(pairs.start < open_until)
        sat, pairs = _round(world, dice, pairs, round)
        yield sat


def _enrolled(world: World, dice: Dice, candidates: int) -> tuple[_Pairs, _Pairs]:
    """Return which exams everybody takes up, and when: from live on, and in beta."""
    everybody = np.arange(candidates)
    exams_each = 1 + np.searchsorted([0.46, 0.84], dice.uniform("exams", everybody), side="right")
    candidate = np.repeat(everybody, exams_each)
    slot = np.arange(len(candidate)) - np.repeat(np.cumsum(exams_each) - exams_each, exams_each)
    number = candidate * 3 + slot
    count = len(world.codes)
    # Some exams are far more popular than others; those of one candidate differ.
    popular = (dice.uniform("exam", candidate) ** 1.6 * count).astype(np.int64)
    exam = (popular + slot * dice.whole("step", candidate, 1, 11)) % count
    came = FIRST + (dice.uniform("came", candidate) ** 0.8 * (END - FIRST - 60 * DAY)).astype("i8")
    start = came + slot * dice.whole("later", number, 20 * DAY, 300 * DAY)
    opens, live = world.beta_opens_at[exam], world.live_at[exam]
    in_beta = (opens != NEVER) & dice.happens("beta", number, 0.3)
    beta_start = opens + (dice.uniform("beta day", number) * (live - opens - DAY)).astype(np.int64)
    late = start < live
    start = np.where(late, live + dice.waiting("first day", number, 90 * DAY), start)
    start = _at_work(dice, number, np.where(in_beta, beta_start, start))
    zeros = np.zeros_like(start)
    pairs = _Pairs(number, candidate, exam, start, zeros, zeros)
    return pairs.only(~in_beta), pairs.only(in_beta)


def _beta_round(world: World, dice: Dice, pairs: _Pairs) -> tuple[Sittings, _Pairs]:
    """Let them sit in beta; most are rescored a week or so after the exam went live."""
    draw = pairs.number * _PER_PAIR + _PER_PAIR - 1
    live = world.live_at[pairs.exam]
    lost = dice.happens("beta lost", draw, 0.06)
    passed = dice.happens("beta pass", draw, 0.45)
    outcome = np.where(lost, PENDING, np.where(passed, PASSED, FAILED))
    result_at = np.where(lost, NEVER, live + dice.whole("rescored", draw, 7 * DAY, 10 * DAY))
    sat = _sat(world, dice, pairs, draw, outcome, result_at, beta=1)
    again = live + 11 * DAY + dice.waiting("after beta", draw, 30 * DAY)
    goes_on = (outcome != PASSED) & dice.happens("tries live", draw, 0.7)
    after = pairs._replace(start=_at_work(dice, draw, np.where(goes_on, again, NEVER)))
    return sat, after


def _round(world: World, dice: Dice, pairs: _Pairs, round: int) -> tuple[Sittings, _Pairs]:
    """Let everybody sit once, and say when each sits next."""
    draw = pairs.number * _PER_PAIR + round
    step = np.minimum(pairs.ordinal, 7)
    chance = dice.uniform("outcome", draw)
    outcome = np.where(chance < _PASSES[step], PASSED, np.where(chance > 0.996, PENDING, FAILED))
    anchor = np.where(pairs.ordinal == 0, pairs.start, pairs.anchor)
    pairs = pairs._replace(anchor=anchor, ordinal=pairs.ordinal + 1)
    sat = _sat(world, dice, pairs, draw, outcome, None, beta=0)
    retake, breaks_wait = _after_failure(world, dice, pairs, draw)
    free, anew = _after_pass(world, dice, pairs, draw, sat.certified)
    passed = outcome == PASSED
    start = _at_work(dice, draw, np.where(passed, free, retake))
    breaks_wait &= ~passed & (start < END)
    ordinal = np.where(passed & anew, 0, pairs.ordinal)
    sat = sat._replace(next_start=np.where(breaks_wait, start, NEVER))
    return sat, pairs._replace(start=start, ordinal=ordinal)


def _after_failure(world: World, dice: Dice, pairs: _Pairs, draw: Ints) -> tuple[Ints, Flags]:
    """Return when who has not passed sits again, and whether before the wait is over."""
    programme = world.programme[pairs.exam]
    wait = _WAITS[programme, np.minimum(pairs.ordinal, 8) - 1]
    kept = pairs.start + wait + dice.waiting("gap", draw, 18 * DAY)
    hasty = dice.happens("hasty", draw, 0.015)
    early = pairs.start + (wait * dice.uniform("how early", draw)).astype(np.int64) + 3 * 3600
    retake = np.where(hasty, early, kept)
    used_up = (pairs.ordinal >= _SITTINGS_A_YEAR) & (programme != MOS)
    next_year = pairs.anchor + 367 * DAY + dice.waiting("next year", draw, 30 * DAY)
    sixth = dice.happens("sixth", draw, 0.03)
    waits_a_year = used_up & ~sixth & (retake < next_year)
    retake = np.where(waits_a_year, next_year, retake)
    goes_on = dice.happens("goes on", draw, np.where(used_up, 0.3, 0.95))
    return np.where(goes_on, retake, NEVER), goes_on & ~waits_a_year & (hasty | (used_up & sixth))


def _after_pass(
    world: World, dice: Dice, pairs: _Pairs, draw: Ints, certified: Certified
) -> tuple[Ints, Flags]:
    """Say when who has passed sits again: freely where that is always allowed, or after a lapse."""
    always = world.programme[pairs.exam] == MOS
    lapsed = certified.lapses_at != NEVER
    after = dice.waiting("free again", draw, 60 * DAY)
    free = np.where(always, pairs.start + 10 * DAY + after, certified.lapses_at + after)
    comes_back = (always | lapsed) & dice.happens("comes back", draw, 0.35)
    presumes = ~comes_back & dice.happens("presumes", draw, 0.004)
    free = np.where(presumes, pairs.start + 20 * DAY + after, free)
    return np.where(comes_back | presumes, free, NEVER), comes_back


def _sat(
    world: World,
    dice: Dice,
    pairs: _Pairs,
    draw: Ints,
    outcome: Ints,
    result_at: Ints | None,
    *,
    beta: int,
) -> Sittings:
    end = pairs.start + dice.whole("minutes", draw, 25, 170) * 60
    if result_at is None:
        soon = end + dice.whole("minutes to result", draw, 2, 40) * 60
        result_at = np.where(outcome == PENDING, NEVER, soon)
    return Sittings(
        draw,
        pairs.candidate,
        pairs.exam,
        pairs.start,
        end,
        np.full_like(end, beta),
        outcome,
        result_at,
        np.full_like(end, NEVER),
        certify(world, dice, draw, pairs.exam, result_at, outcome == PASSED),
    )


def _at_work(dice: Dice, draw: Ints, start: Ints) -> Ints:
    """Move an instant into the opening hours of its day, on a quarter of an hour."""
    quarter: Floats = dice.uniform("quarter", draw) * 40
    moved = start // DAY * DAY + 8 * 3600 + quarter.astype(np.int64) * 900
    return np.where(start >= NEVER, NEVER, np.maximum(moved, start // 60 * 60))
