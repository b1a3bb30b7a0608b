"""The timeline: valid time of each candidate and exam, cut where the standing changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from projections.fold.facts import OUTCOMES
from projections.fold.rules import ELIGIBLE, STATUSES
from projections.tables import STANDINGS
from replay.columns.part import Ints
from replay.kernels import Stretches
from replay.population import scratch_for
from replay.read_model.batch import Given, instants, table_of, until_open, words

ROOM = 1 << 18
"""How many stretches are made at once: what is held in memory besides the facts."""


def standings(given: Given, room: int = ROOM) -> pa.Table:
    """Fold the facts into rows of `standings`, sorted by its key."""
    groups = len(given.part.group_exam)
    scratch = scratch_for(given.part)
    out = stretches(room)
    first, tables = 0, []
    while first < groups:
        end, count = given.setting.kernels.stretch_all(
            given.part.sittings,
            given.fold.groups,
            given.fold.facts,
            first,
            groups,
            given.setting.position,
            scratch,
            room,
            out,
        )
        if end == first:  # not even one group has room
            room *= 4
            out = stretches(room)
            continue
        tables.append(
            _table(
                given, {name: np.array(column[:count]) for name, column in out._asdict().items()}
            )
        )
        first = end
    return pa.concat_tables([*tables, STANDINGS_EMPTY])


def stretches(room: int) -> Stretches:
    """Make room for so many stretches."""
    wide: Any = np.int64
    columns: Any = [np.empty(room, dtype=wide) for _ in Stretches._fields]
    return Stretches(*columns)


def _table(given: Given, column: dict[str, Ints]) -> pa.Table:
    status = column["status"]
    return table_of(
        STANDINGS,
        candidate=given.candidate_of(column["group"]),
        exam=given.exam_of(column["group"]),
        valid_from=column["valid_from"],
        valid_to=until_open(column["valid_to"]),
        status=words(status, STATUSES),
        eligible=(status == ELIGIBLE).astype(np.int64),
        eligible_from=instants(column["eligible_from"]),
        sittings_in_series=column["in_series"],
        period_ends_at=instants(column["period_end"]),
        last_sitting_at=column["last_sitting_at"],
        last_outcome=words(column["last_outcome"], OUTCOMES),
    )


STANDINGS_EMPTY = table_of(STANDINGS, **{name: [] for name in STANDINGS.names})
