"""A part's certifications and grants in the order of time, as the fold looks them up."""

from __future__ import annotations

from typing import Any
from weakref import finalize

import numpy as np

from projections.fold.facts import InTime
from replay.columns.part import Ints, Part


def in_time(part: Part) -> InTime:
    """Return a part's certifications and grants in the order of time, made once for questions."""
    key = id(part.candidates)
    if (made := _ordered.get(key)) is None:
        certified: Any = order_in_time(part.certifications, part.certification_offset)
        granted: Any = order_in_time(part.grants, part.grant_offset)
        made = _ordered[key] = InTime(certified, granted)
        # A worker opens part after part, and must not keep them.
        finalize(part.candidates, _ordered.pop, key, None)
    return made


_ordered: dict[int, InTime] = {}
"""Of each part that is there, by its candidates: a tuple cannot be referred to weakly."""


def order_in_time(rows: Any, offset: Ints) -> Ints:
    """Return the rows of each candidate's run by (time, position), run after run."""
    order, run = np.arange(len(rows.time)), np.repeat(np.arange(len(offset) - 1), np.diff(offset))
    later, more = np.diff(rows.time), np.diff(rows.position)
    disorder = ((later < 0) | ((later == 0) & (more < 0))) & (run[1:] == run[:-1])
    if disorder.any():
        several = np.zeros(len(offset) - 1, dtype=bool)  # few candidates have several
        several[run[1:][disorder]] = True
        some = several[run]
        order[some] = order[some][np.lexsort((rows.position[some], rows.time[some], run[some]))]
    return order
