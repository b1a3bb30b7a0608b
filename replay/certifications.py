"""Everybody's certifications at a moment: when earned, until when held."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from projections.fold.facts import EXPIRED, HELD, NEVER
from projections.standing import Moment
from replay.columns.part import Ints, Part


def held(
    part: Part,
    skip: Ints | None,
    names: tuple[str, ...],
    moment: Moment,
    schema: pa.Schema,
) -> pa.Table:
    """Return one row for each certification of each candidate of a part, as far as visible.

    "It ends at the expires_at of the last of these or, if a CertExpired follows that one, at the
    earlier of the two" (spec section 4). `names` are the certifications by number; `skip` tells
    whose facts to leave out. The table has the columns of `projections.reports.inputs`.
    """
    rows = part.certifications
    time, kind, position, annulled, which, until = (
        np.asarray(column)
        for column in (
            rows.time, rows.kind, rows.position, rows.annulled, rows.certification, rows.until,
        )
    )  # fmt: skip
    counts = np.diff(part.certification_offset)
    candidate = np.repeat(np.arange(len(counts)), counts)
    seen = (time <= moment.as_of) & (position <= moment.position) & (moment.position < annulled)
    if skip is not None:
        seen &= ~skip[candidate]
    at = np.flatnonzero(seen)
    # Stable: within a certification rows stay in (time, position) order.
    at = at[np.lexsort((which[at], candidate[at]))]
    new = np.ones(len(at), dtype=bool)
    new[1:] = (which[at][1:] != which[at][:-1]) | (candidate[at][1:] != candidate[at][:-1])
    lo = np.flatnonzero(new)
    if not len(lo):
        return schema.empty_table()
    group = np.cumsum(new) - 1
    place = np.arange(len(at))
    earning = kind[at] == HELD
    last = np.maximum.reduceat(np.where(earning, place, -1), lo)
    first = np.minimum.reduceat(np.where(earning, place, len(at)), lo)
    said = (kind[at] == EXPIRED) & (place > last[group])
    ended = np.minimum.reduceat(np.where(said, time[at], NEVER), lo)
    there = last >= 0
    first, last, lo = first[there], last[there], lo[there]
    ends = np.minimum(until[at][last], ended[there])
    renewals = np.add.reduceat(earning.astype(np.int64), np.flatnonzero(new))[there] - 1
    return pa.table(
        [
            part.candidates.take(pa.array(candidate[at][lo])),
            pa.array(names, pa.string()).take(pa.array(which[at][lo])),
            pa.array(time[at][first]),
            pa.array(time[at][last]),
            pa.array(renewals),
            pa.array(ends, mask=ends == NEVER),
        ],
        names=schema.names,
    ).cast(schema)
