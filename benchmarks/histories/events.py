"""Sittings as events in the order in which they became known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.histories.certificates import RENEWALS, expires_after
from benchmarks.histories.dice import Dice, Ints
from benchmarks.histories.sittings import PASSED, PENDING, Sittings
from benchmarks.histories.stories import Story, stories
from benchmarks.histories.world import DAY, NEVER, World

# What a row tells. Those before OTHER come by the million and are laid out by template.
ATTEMPTED, ATTEMPTED_ENDLESS, RESULT_PASSED, RESULT_FAILED, RESCORED_PASSED, RESCORED_FAILED = (
    range(6)
)
EARNED: Final = 6
RENEWED: Final = 7  # and so on, one number for each renewal
EXPIRED: Final = RENEWED + RENEWALS
OTHER: Final = EXPIRED + 1


class Events(NamedTuple):
    """Events as columns, in the order of recording. Instants are seconds since 1970."""

    kind: NDArray[np.int8]
    of: NDArray[np.int32]
    """The sitting, or of OTHER the story."""
    time: Ints
    arrival: Ints
    value: Ints
    """Of EARNED and RENEWED: expires_at, NEVER for none."""


class Told(NamedTuple):
    """A whole history, ready to be laid out as rows."""

    sittings: Sittings
    events: Events
    stories: Sequence[Story]
    positions: NDArray[np.int32]
    """Of each mass event before the sort, its position; 0 when cut off at the end."""


def numbered(sittings: Sittings) -> Sittings:
    """Put sittings in the order of their start, which gives them their registration numbers."""
    order = np.lexsort((sittings.draw, sittings.start))
    certified = type(sittings.certified)._make(column[order] for column in sittings.certified)
    return Sittings._make([*(column[order] for column in sittings[:-1]), certified])


def tell(world: World, dice: Dice, sittings: Sittings, count: int, *, plain: bool) -> Told | None:
    """Return the first `count` events in the order of recording; None if there are not as many.

    Results whose recording lies beyond are not known yet, as at the head of any ledger.
    """
    parts = [_attempts(dice, sittings), _results(dice, sittings), *_certified(dice, sittings)]
    told = stories(world, dice, sittings, parts[0].arrival, plain=plain)
    others = np.arange(len(told))
    parts.append(
        Events(
            np.full(len(told), OTHER, np.int8),
            others.astype(np.int32),
            np.array([story.arrival for story in told], np.int64),
            np.array([story.arrival for story in told], np.int64),
            others,
        )
    )
    mass = sum(len(part.kind) for part in parts[:-1])
    events = Events._make(map(np.concatenate, zip(*parts, strict=True)))
    if len(events.kind) < count:
        return None
    order = np.argsort(events.arrival, kind="stable")[:count]
    positions = np.zeros(len(events.kind), np.int32)
    positions[order] = np.arange(1, count + 1)
    return Told(sittings, Events._make(column[order] for column in events), told, positions[:mass])


def _attempts(dice: Dice, sittings: Sittings) -> Events:
    """Say that everybody sat: known within hours, of a few only days later."""
    endless = dice.happens("no end", sittings.draw, 0.04) & (sittings.beta == 0)
    kind = np.where(endless, ATTEMPTED_ENDLESS, ATTEMPTED)
    delay = dice.whole("attempt known", sittings.draw, 60, 3 * 3600)
    late = dice.happens("attempt late", sittings.draw, 0.003)
    delay = np.where(late, delay + dice.whole("by days", sittings.draw, 1, 10) * DAY, delay)
    return _events(kind, np.arange(len(kind)), sittings.start, sittings.end + delay)


def _results(dice: Dice, sittings: Sittings) -> Events:
    """Say how it came out: mostly known after the sitting itself is, of some only weeks later."""
    (of,) = np.nonzero(sittings.outcome != PENDING)
    draw, beta = sittings.draw[of], sittings.beta[of]
    passed = sittings.outcome[of] == PASSED
    live = np.where(passed, RESULT_PASSED, RESULT_FAILED)
    kind = np.where(beta == 1, np.where(passed, RESCORED_PASSED, RESCORED_FAILED), live)
    known = dice.whole("attempt known", draw, 60, 3 * 3600)
    delay = known + dice.whole("result known", draw, 0, 2 * 3600)
    late = dice.happens("result late", draw, 0.03)
    delay = np.where(late, delay + dice.whole("late by", draw, 1, 20) * DAY, delay)
    return _events(kind, of, sittings.result_at[of], sittings.result_at[of] + delay)


def _certified(dice: Dice, sittings: Sittings) -> list[Events]:
    certified, parts = sittings.certified, []
    (of,) = np.nonzero(certified.earned_at < NEVER)
    time, ends = certified.earned_at[of], expires_after(certified, 0)[of]
    parts.append(_events(np.full(len(of), EARNED), of, time, time + 600, ends))
    for renewal in range(RENEWALS):
        (of,) = np.nonzero(certified.renewed_at[:, renewal] < NEVER)
        time, ends = certified.renewed_at[of, renewal], expires_after(certified, renewal + 1)[of]
        parts.append(_events(np.full(len(of), RENEWED + renewal), of, time, time + 600, ends))
    told = (certified.lapses_at < NEVER) & dice.happens("told of lapse", sittings.draw, 0.6)
    (of,) = np.nonzero(told)
    time = certified.lapses_at[of]
    parts.append(_events(np.full(len(of), EXPIRED), of, time, time + 3600))
    return parts


def _events(kind: Ints, of: Ints, time: Ints, arrival: Ints, value: Ints | None = None) -> Events:
    value = np.full(len(of), NEVER) if value is None else value
    return Events(kind.astype(np.int8), of.astype(np.int32), time, arrival, value)
