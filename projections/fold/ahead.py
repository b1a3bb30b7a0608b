"""Walks by rules that come into force later, carried along from one question to the next.

Whoever looks ahead, from each sitting, through all the versions of a policy that are still to come
walks by each of them only what the question before had not: where a walk by its rules stood before
the last sitting is kept, as long as no sitting before that becomes another.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from projections.fold.facts import Facts, Question, Sittings, zeros
from projections.fold.walk import AT_THE_START, Walked, Walks, note, noted, room_to_walk, walk_on
from retake_policies.rules import Rules

# What `Kept.of` has at which place.
TIMES: Final = 0
"""How often all was forgotten."""
MOST: Final = 1
"""How many sittings' places a walk that is kept went over at most."""


class Kept(NamedTuple):
    """Where walks stand; but for the first, columns by the number of their rules."""

    of: list[int]
    time: list[int]
    """How often all had been forgotten when it was kept: if it was since, it is nothing."""
    edition: list[int]
    """By which definitions of certifications: see `covers.edition`."""
    n: list[int]
    """Over how many places it went."""
    walks: Walks
    """Where it stands after them."""


def room_ahead(rules: int, column: Callable[[int], Any] = zeros) -> Kept:
    """Make room for walks by so many rules."""
    return Kept(column(2), column(rules), column(rules), column(rules), room_to_walk(rules, column))


def forget(kept: Kept) -> None:
    """Keep no walk."""
    kept.of[TIMES] += 1
    kept.of[MOST] = 0


def count_alike(facts: Facts, one: int, other: int) -> bool:
    """Return whether two rules, by their numbers, count the same sittings."""
    missed, betas = facts.rules.missed_counts, facts.rules.beta_counts
    return missed[one] == missed[other] and betas[one] == betas[other]


def walked_ahead(
    facts: Facts, q: Question, rules: Rules, sittings: Sittings, kept: Kept, number: int,
    edition: int, n: int, at: int,
) -> Walked:  # fmt: skip
    """Return where a walk over n places ends by rules that count the same sittings; see `walk_on`.

    The ordinals of `sittings` stay those of the walk before.
    """
    s, walked = 0, AT_THE_START
    is_kept = kept.time[number] == kept.of[TIMES] and kept.edition[number] == edition
    if is_kept and kept.n[number] <= n:
        s, walked = kept.n[number], noted(kept.walks, number)
    last = n - 1
    while last > s and sittings.opened_by[last] < 0:
        last -= 1
    while s < n:
        if s == last:
            keep(kept, number, edition, s, walked)
        ordinal = sittings.ordinal[s]
        walked = walk_on(facts, q, rules, sittings, s, s + 1, at, walked)
        sittings.ordinal[s] = ordinal
        s += 1
    return walked


def keep(kept: Kept, number: int, edition: int, n: int, walked: Walked) -> None:
    """Keep where a walk stands after n places."""
    kept.time[number], kept.edition[number], kept.n[number] = kept.of[TIMES], edition, n
    kept.of[MOST] = max(kept.of[MOST], n)
    note(kept.walks, number, walked)
