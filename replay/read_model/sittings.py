"""Sittings as they are known: how each came out, its place, and what held when it began."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from projections.fold.facts import LAST, OUTCOMES, WAIVES_CAP, WAIVES_WAIT
from projections.fold.rules import STATUSES as STATUS_WORDS
from projections.tables import SITTINGS
from replay.columns.part import Ints
from replay.read_model.batch import Given, instants, table_of, words

_WAIVED = ("wait", "cap", "wait cap")
assert (WAIVES_WAIT, WAIVES_CAP) == (1, 2)  # bits: minus one they number the words


class Sittings(NamedTuple):
    """Every sitting of some facts, sorted by group, start and position; parallel columns."""

    row: Ints
    """The row of the part that opened it."""
    group: Ints
    number: Ints
    start: Ints
    end: Ints
    beta: Ints
    outcome: Ints
    outcome_row: Ints
    ordinal: Ints
    status: Ints
    """Judged at its start, without itself, by what is known now."""
    eligible_from: Ints
    waived: Ints


def sat(given: Given) -> Sittings:
    """Gather every sitting that is known, whenever it was, and judge each at its start."""
    part, known = given.part, given.setting.position
    wanted = np.ones(len(part.group_exam), dtype=np.int8)
    numbered: Any = given.fold.sittings(wanted, LAST, known)
    without = np.asarray(part.sittings.key)[numbered.row]
    judged: Any = given.fold.answers(numbered.group, numbered.start, known, without)
    columns = (*numbered, judged.status, judged.eligible_from, judged.waived)
    return Sittings._make(columns)


def sittings(given: Given, found: Sittings) -> pa.Table:
    """Write them as rows of `sittings`, sorted by group."""
    rows = given.part.sittings
    time, position = np.asarray(rows.time), np.asarray(rows.position)
    decided = found.outcome_row >= 0
    by = np.where(decided, found.outcome_row, 0)
    opened = position[found.row]
    return table_of(
        SITTINGS,
        candidate=given.candidate_of(found.group),
        exam=given.exam_of(found.group),
        registration_id=given.texts("key", given.at(opened)),
        started_at=found.start,
        ended_at=found.end,
        delivery=words(found.beta, ("live", "beta")),
        outcome=words(found.outcome, OUTCOMES),
        outcome_at=pa.array(time[by], mask=~decided) if len(by) else [],
        position=opened,
        outcome_position=pa.array(position[by], mask=~decided) if len(by) else [],
        number=found.number,
        ordinal=pa.array(found.ordinal, mask=found.ordinal == 0),
        status=words(found.status, STATUS_WORDS),
        eligible_from=instants(found.eligible_from),
        waived=words(found.waived - 1, _WAIVED),
    )
