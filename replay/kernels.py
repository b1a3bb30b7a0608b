"""Loops over everybody, in the same plain language as the fold.

`replay.compiled` compiles them; interpreted they do the same, only slowly,
which is how a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from projections.fold.codes import NONE
from projections.fold.rows import Facts, Question, SittingRows, Sittings
from projections.fold.sittings import gather
from projections.fold.verdict import first_eligible, verdict_at


class Groups(NamedTuple):
    """One candidate and exam each: its rows, and its candidate's runs."""

    candidate: Sequence[int]
    exam: Sequence[int]
    lo: Sequence[int]
    hi: Sequence[int]
    certification_offset: Sequence[int]
    grant_offset: Sequence[int]


class Stood(NamedTuple):
    """The standing of each group; status -1 where there is none to give."""

    status: list[int]
    eligible_from: list[int]
    in_series: list[int]
    period_end: list[int]
    last_sitting_at: list[int]
    last_outcome: list[int]


class Sat(NamedTuple):
    """Each sitting as it was judged at its own start, without itself; by sitting row."""

    row: list[int]
    """The row that opened it."""
    group: list[int]
    status: list[int]
    eligible_from: list[int]
    waived: list[int]


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
    )


def stand_all(
    rows: SittingRows,
    groups: Groups,
    facts: Facts,
    wanted: Sequence[int],
    first: int,
    end: int,
    as_of: int,
    known: int,
    scratch: Sittings,
    out: Stood,
) -> None:
    """Give the standing at (as_of, known) of groups first to end whose `wanted` is 1.

    A group with no visible sitting has none. `scratch` has room for the
    longest group, `out` for all groups.
    """
    for g in range(first, end):
        out.status[g] = -1
        if wanted[g] == 0:
            continue
        q = question(groups, g, as_of, known)
        n = gather(rows, groups.lo[g], groups.hi[g], as_of, known, -1, scratch)
        if n == 0:
            continue
        judged = verdict_at(facts, q, scratch, n, as_of)
        verdict = judged.verdict
        out.last_sitting_at[g] = scratch.start[n - 1]
        out.last_outcome[g] = scratch.outcome[n - 1]
        out.status[g] = verdict.status
        out.in_series[g] = verdict.in_series
        out.period_end[g] = verdict.period_end
        out.eligible_from[g] = first_eligible(facts, q, scratch, n, judged)


def judge_sittings(
    rows: SittingRows,
    groups: Groups,
    facts: Facts,
    wanted: Sequence[int],
    first: int,
    end: int,
    as_of: int,
    known: int,
    known_then: Sequence[int],
    ahead: int,
    sat: Sittings,
    scratch: Sittings,
    out: Sat,
    at: int,
) -> int:
    """Judge every sitting visible at (as_of, known) of groups first to end at its own start.

    "Judged by the policy in force at the sitting", without itself (spec
    section 7, reading 13). `known_then` gives for each row the position that
    was known at its time; empty: judged with what is known at `known`. With
    `ahead` 1, `eligible_from` is looked for too. Writes to `out` from `at` on;
    returns where it ended.
    """
    for g in range(first, end):
        if wanted[g] == 0:
            continue
        lo, hi = groups.lo[g], groups.hi[g]
        there = gather(rows, lo, hi, as_of, known, -1, sat)
        for s in range(there):
            start, opened_by = sat.start[s], sat.opened_by[s]
            position = known_then[opened_by] if len(known_then) > 0 else known
            q = question(groups, g, start, position)
            n = gather(rows, lo, hi, start, position, sat.key[s], scratch)
            judged = verdict_at(facts, q, scratch, n, start)
            out.row[at] = opened_by
            out.group[at] = g
            out.status[at] = judged.verdict.status
            out.waived[at] = judged.verdict.waived
            out.eligible_from[at] = NONE
            if ahead == 1:
                out.eligible_from[at] = first_eligible(facts, q, scratch, n, judged)
            at += 1
    return at
