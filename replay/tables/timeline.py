"""The timeline: valid time of each candidate and exam, cut where the standing changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from projections.fold.facts import NEVER, OUTCOMES
from projections.fold.rules import ELIGIBLE, STATUSES
from projections.tables import OPEN, TIMELINE
from replay.columns.part import Ints
from replay.population import words
from replay.questions import Stretches
from replay.tables.batch import Batch, instants, table_of

ROOM = 1 << 18
"""How many stretches are made at once: what is held in memory besides the facts."""


def timeline(batch: Batch, room: int = ROOM) -> pa.Table:
    """Return rows of `TIMELINE` for whatever is known, sorted by candidate, exam and valid_from."""
    groups = len(batch.part.group_exam)
    scratch = batch.fold.scratch()
    first, tables = 0, [TIMELINE.schema.empty_table()]
    out = _stretches(room)
    while first < groups:
        end, count = batch.setting.kernels.stretch_all(
            batch.part.sittings, batch.fold.groups, batch.fold.facts, first, groups,
            batch.moment.position, scratch, room, out,
        )  # fmt: skip
        if end == first:  # not even one group has room
            room *= 4
            out = _stretches(room)
            continue
        tables.append(_table(batch, Stretches(*(np.array(column[:count]) for column in out))))  # type: ignore[arg-type]
        first = end
    return pa.concat_tables(tables)


def _stretches(room: int) -> Stretches:
    """Make room for so many stretches."""
    columns: Any = [np.empty(room, dtype=np.int64) for _ in Stretches._fields]
    return Stretches(*columns)


def _table(batch: Batch, found: Any) -> pa.Table:
    status: Ints = found.status
    return table_of(
        TIMELINE,
        {
            "candidate": lambda: batch.candidate_of(found.group),
            "exam": lambda: batch.exam_of(found.group),
            "valid_from": lambda: found.valid_from,
            "valid_to": lambda: np.where(found.valid_to == NEVER, OPEN, found.valid_to),
            "status": lambda: words(status, STATUSES),
            "eligible": lambda: status == ELIGIBLE,
            "eligible_from": lambda: instants(found.eligible_from),
            "sittings_in_series": lambda: found.in_series,
            "period_ends_at": lambda: instants(found.period_end),
            "last_sitting_at": lambda: found.last_sitting_at,
            "last_outcome": lambda: words(found.last_outcome, OUTCOMES),
        },
        TIMELINE.names,
    )
