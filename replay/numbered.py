"""Every sitting of everybody with its place: which one it is, and of which series."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from projections.catalogue import Catalogue
from projections.standing import Moment
from replay import kernels as loops
from replay.columns.part import Ints, Part
from replay.compiled import Kernels
from replay.population import facts_of, groups_of, scratch_for


class Numbered(NamedTuple):
    """Sittings of one part in order; parallel columns, as `replay.kernels.Numbered` tells."""

    row: Ints
    group: Ints
    number: Ints
    start: Ints
    end: Ints
    beta: Ints
    outcome: Ints
    outcome_row: Ints
    ordinal: Ints


def numbered(
    part: Part, catalogue: Catalogue, moment: Moment, kernels: Kernels, wanted: Ints
) -> Numbered:
    """Return each sitting of the wanted groups that is visible at a moment."""
    size = len(part.sittings.kind)
    out: Any = loops.Numbered(*(np.empty(size, dtype=np.int64) for _ in loops.Numbered._fields))  # type: ignore[arg-type]
    count = kernels.number_sittings(
        part.sittings,
        groups_of(part),
        facts_of(part, catalogue),
        wanted,
        0,
        len(part.group_exam),
        moment.as_of,
        moment.position,
        scratch_for(part),
        scratch_for(part),
        out,
    )
    return Numbered(*(getattr(out, name)[:count] for name in Numbered._fields))


def counted_before(group: Ints, ordinal: Ints) -> Ints:
    """Return for each retake the counted sitting before it, -1 for what is no retake.

    A retake is a counted sitting with an ordinal above 1 (spec section 4), so that the counted one
    before it is in the same group and series.
    """
    at = np.arange(len(group))
    counted = np.where(ordinal > 0, at, -1)
    last = np.maximum.accumulate(counted) if len(at) else counted
    before: Ints = np.append(-1, last[:-1])[: len(at)]
    there = (ordinal > 1) & (before >= 0)
    there[there] = group[before[there]] == group[there]
    return np.where(there, before, -1)
