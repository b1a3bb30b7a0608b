"""One fold, two speeds: compiled, the same functions say the same of a thousand random histories.

The kernels of `replay` are held equal to each candidate's own answer in `test_population.py`, over
a believable history. Here it is the functions below them, over worlds full of oddities, and every
number of the verdict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, NamedTuple

import numpy as np
import pytest
from example_ledger import CACHE
from strategies import Asking, World, asking, world

from projections.catalogue import catalogue_of
from projections.fold.facts import (
    NEVER,
    NONE,
    NOT_BY_SITTING,
    Facts,
    Question,
    SittingRows,
    Sittings,
    room,
)
from projections.fold.rules import ELIGIBLE, STATUSES
from projections.fold.sittings import gather
from projections.fold.verdict import Judged, verdict_at
from projections.history import history_of
from replay.compiled import _compiled

HISTORIES = 1_000

Fold = Callable[..., tuple[int, Judged, int]]


def fold(
    rows: SittingRows, lo: int, hi: int, facts: Facts, q: Question, out: Sittings
) -> tuple[int, Judged, int]:
    """Fold one candidate and exam: the number of sittings, the verdict, the first free instant."""
    n = gather(rows, lo, hi, q.as_of, q.known, out)
    t, free = q.as_of, NONE
    while t != NEVER:
        again = verdict_at(facts, q, out, n, t)  # at one place: compiled, all of it is put here
        if t == q.as_of:
            judged = again
        if again.verdict.status == ELIGIBLE:
            break
        t = free = again.soonest
    return n, judged, free


class Run(NamedTuple):
    """What one candidate and exam give the fold to read."""

    rows: SittingRows
    lo: int
    hi: int
    facts: Facts
    q: Question


def run_of(made: World, asked: Asking) -> Run:
    """Lay out a world for a question."""
    catalogue = catalogue_of(made.catalogue)
    history = history_of(made.of(asked.who), catalogue)
    lo, hi = history.runs.get(asked.exam, (0, 0))
    q = Question(
        catalogue.exams.get(asked.exam, -1),
        asked.as_of,
        asked.known,
        0,
        len(history.certification_events),
        0,
        len(history.grant_events),
        0,
        len(history.authorization_events),
    )
    return Run(history.sittings, lo, hi, history.facts, q)


def column(numbers: Any) -> Any:
    """Turn a sequence of integers into a column."""
    return np.array(numbers, dtype=np.int64)


def columns(table: Any) -> Any:
    """Turn each sequence of a table into a column."""
    return type(table)._make(map(column, table))


@pytest.fixture(scope="session")
def compiled() -> Fold:
    """Compile the fold; the functions it calls are compiled as for the kernels.

    Kept beside the kernels, in the folder named by a digest of everything that is compiled: numba
    alone would go on with old rules.
    """
    compile_: Callable[[Fold], Fold] = _compiled(CACHE).compile
    return compile_(fold)


@pytest.fixture(scope="session")
def runs() -> list[Run]:
    """Make the histories, the same every time."""
    made = []
    for seed in range(HISTORIES):
        random = Random(seed)
        there = world(random)
        made.append(run_of(there, asking(random, there)))
    return made


def test_compiled_it_says_the_same(compiled: Fold, runs: list[Run]) -> None:
    """Every number of the verdict and of the sittings, when it may change, and when it is free."""
    statuses: Counter[int] = Counter()
    for seed, run in enumerate(runs):
        size = run.hi - run.lo, run.q.authorizations_hi, run.q.certifications_hi
        listed = room(*size)
        said = fold(run.rows, run.lo, run.hi, run.facts, run.q, listed)
        facts = Facts._make(map(columns, run.facts))
        in_columns = room(*size, partial(np.zeros, dtype=np.int64))
        again = compiled(columns(run.rows), run.lo, run.hi, facts, run.q, in_columns)
        assert again == said, f"world {seed}"
        n = said[0]
        for name, held, other in zip(Sittings._fields, listed, in_columns, strict=True):
            if name not in ("window", *NOT_BY_SITTING):
                assert held[:n] == other[:n].tolist(), f"{name} of world {seed}"
        statuses[said[1].verdict.status] += 1
        statuses[len(STATUSES)] += said[2] not in (NONE, NEVER)
    assert all(statuses[status] >= 5 for status in range(len(STATUSES) + 1)), statuses
