"""What passing earns: certifications held, renewed, lapsed."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from benchmarks.histories.dice import Dice, Flags, Ints
from benchmarks.histories.world import DAY, END, NEVER, World

RENEWALS: Final = 4
"""As many as fit into the years that are told of."""


class Certified(NamedTuple):
    """What each sitting earned, parallel to the sittings. Seconds since 1970, NEVER for not."""

    earned_at: Ints
    renewed_at: Ints
    """One row for each sitting, one column for each renewal."""
    held_days: Ints
    lapses_at: Ints
    """When the last of it ends; NEVER when nothing was earned, or it is held for ever."""


def certify(
    world: World, dice: Dice, draw: Ints, exam: Ints, result_at: Ints, passed: Flags
) -> Certified:
    """Grant certifications for passes, let half of them be renewed each time."""
    held = world.held_days[exam]
    earns = passed & (world.certification[exam] >= 0) & dice.happens("earns", draw, 0.5)
    earned_at = result_at + dice.whole("earned", draw, 1, 72) * 3600
    earned_at = np.where(earns & (earned_at < END), earned_at, NEVER)
    ends = np.where((earned_at < NEVER) & (held > 0), earned_at + held * DAY, NEVER)
    renewed = np.full((len(draw), RENEWALS), NEVER)
    going = np.flatnonzero(ends < NEVER)
    for column in range(RENEWALS):
        renews = dice.happens(f"renews {column}", draw[going], 0.5)
        early = dice.whole(f"renewed {column}", draw[going], DAY, 150 * DAY)
        renews &= ends[going] - early < END
        renewed[going[renews], column] = (ends[going] - early)[renews]
        going = going[renews]
        ends[going] += held[going] * DAY
    return Certified(earned_at, renewed, held, ends)


def expires_after(certified: Certified, renewal: int) -> Ints:
    """Return the `expires_at` that an earning (renewal 0) or the n-th renewal says, NEVER for ever.

    A renewal adds a term to the one before it, however early it comes.
    """
    terms = certified.held_days * (renewal + 1) * DAY
    return np.where(certified.held_days > 0, certified.earned_at + terms, NEVER)
