"""What the loops of `replay.kernels` are asked, and what they answer, as parallel columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

from projections.fold.ahead import Kept, room_ahead
from projections.fold.facts import Sittings, room, zeros
from projections.fold.walk import Walks, room_to_walk


class Groups(NamedTuple):
    """One candidate and exam each: its rows, and its candidate's runs."""

    candidate: Sequence[int]
    exam: Sequence[int]
    lo: Sequence[int]
    hi: Sequence[int]
    certification_offset: Sequence[int]
    grant_offset: Sequence[int]
    authorization_offset: Sequence[int]


class Scratch(NamedTuple):
    """Room for the longest group."""

    sittings: Sittings
    walks: Walks
    kept: Kept
    """Room to look ahead in."""


def room_for(
    size: int, authorizations: int, certifications: int, versions: int,
    column: Callable[[int], Any] = zeros,
) -> Scratch:  # fmt: skip
    """Make room for a group of `size` rows, and for its candidate's rows of the other two.

    `versions` is how many versions of policies there are.
    """
    return Scratch(
        room(size, authorizations, certifications, column),
        room_to_walk(size, column),
        room_ahead(versions, column),
    )


class Questions(NamedTuple):
    """Questions about groups, each with a moment of its own; parallel."""

    group: Sequence[int]
    """-1 for none: then the answer's status is -1."""
    as_of: Sequence[int]
    known: Sequence[int]
    without: Sequence[int]
    """A registration to leave out, -1 for none."""


class Answers(NamedTuple):
    """The answer to each question; parallel."""

    status: list[int]
    eligible_from: list[int]
    waived: list[int]
    """The reasons that an active grant waived, as bits."""
    sittings: list[int]
    """How many sittings were visible; the two columns about the last are NONE without one."""
    in_series: list[int]
    period_end: list[int]
    last_sitting_at: list[int]
    last_outcome: list[int]


Column: TypeAlias = Any
"""A list where the loops are interpreted, an array of numbers for everybody else."""


class Stood(NamedTuple):
    """Where each group that was asked about stands; parallel.

    Status -1 where no sitting is visible; then the others say nothing.
    """

    status: Column
    eligible_from: Column
    """NONE where it is eligible, NEVER where it never is."""
    in_series: Column
    period_end: Column
    last_sitting_at: Column
    last_outcome: Column
    changes: Column
    """When anything changes next, NEVER if nothing does; NONE where reasons are to be compared.

    NONE where it was not asked for.
    """


class Booked(NamedTuple):
    """When each group asked about may be booked; parallel."""

    start: list[int]
    """Since or from when it is eligible; NONE where there is nothing to book."""
    until: list[int]
    """The first instant after it at which it is over, on present facts; NEVER if it never is."""


class Stretches(NamedTuple):
    """Stretches of time in which nothing of a group's standing changes, in order; parallel."""

    group: list[int]
    valid_from: list[int]
    valid_to: list[int]
    """Exclusive; NEVER for the last."""
    status: list[int]
    eligible_from: list[int]
    in_series: list[int]
    period_end: list[int]
    last_sitting_at: list[int]
    last_outcome: list[int]


class Numbered(NamedTuple):
    """Each sitting as it is known, by sitting row; in (start, position) order within a group."""

    row: list[int]
    """The row that opened it."""
    group: list[int]
    number: list[int]
    """Which sitting of its group it is, from 1."""
    start: list[int]
    end: list[int]
    beta: list[int]
    outcome: list[int]
    outcome_row: list[int]
    """The row that decided it, -1 while pending."""
    ordinal: list[int]
    """Its place in its series by the policy in force at its start; 0 when not counted."""
    previous: list[int]
    """Of a retake (an ordinal above 1): when the counted sitting before it began, else NONE."""
    wait_until: list[int]
    """Of a retake: when the wait after that one ended, by the same policy; NONE after a pass."""


class Holdings(NamedTuple):
    """Each certification of each candidate, by candidate; parallel."""

    candidate: list[int]
    first: list[int]
    """The row that earned it first."""
    last: list[int]
    """The row that earned or renewed it last."""
    renewals: list[int]
    expired_at: list[int]
    ends_at: list[int]
