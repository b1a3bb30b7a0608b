"""Sittings taken while not eligible, judged twice: with what was known then, and is known now."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from projections.fold.facts import NEVER, NONE
from projections.fold.rules import ELIGIBLE, STATUSES, UNKNOWN_EXAM
from projections.standing import Moment
from replay.columns.part import Ints, Part
from replay.everyone import Everyone
from replay.population import (
    EVERYBODY,
    INSTANT,
    Scope,
    instants,
    over_parts,
    wanted_groups,
    words,
)
from replay.sittings import Judgement, judge

SECOND = 1_000_000

SCHEMA = pa.schema(
    [
        ("candidate", pa.string()),
        ("exam", pa.string()),
        ("registration_id", pa.string()),
        ("started_at", INSTANT),
        ("position", pa.int64()),
        ("status_then", pa.string()),
        ("status_now", pa.string()),
        ("eligible_from_now", INSTANT),
        ("early_seconds", pa.float64()),
        ("waived_then", pa.bool_()),
        ("waived_now", pa.bool_()),
    ]
)
"""One row a violation, sorted by candidate, exam and start.

`position` is that of the event that opened the sitting. `status_then` is null
where the exam or its policy was not yet known. `early_seconds` is how long
before `eligible_from_now` it began, null where that is null. `waived_…` tells
whether a grant active at the start waived a reason.
"""


def violations(everyone: Everyone, moment: Moment, *, scope: Scope = EVERYBODY) -> pa.Table:
    """Return every visible sitting that was taken while not eligible, then or as is known now.

    "Violations are judged by the policy in force at the sitting, twice: with
    what was known then, and with what is known now" (spec section 7, reading
    13). A table of `SCHEMA`.
    """
    columns = everyone.columns(moment.position)
    catalogue = everyone.catalogue(columns, moment.position)
    clock = everyone.ledger.scans.clock(moment.position)
    kernels = everyone.kernels

    def fold(part: Part, skip: Ints | None) -> pa.Table:
        wanted = wanted_groups(part, skip, columns, scope)
        now = judge(part, catalogue, moment, kernels, wanted, ahead=True)
        then = judge(part, catalogue, moment, kernels, wanted, then=clock)
        known = then.status != UNKNOWN_EXAM
        broken = (now.status != ELIGIBLE) | (known & (then.status != ELIGIBLE))
        return table_of(part, columns.exams, now, then, np.flatnonzero(broken))

    table = over_parts(columns, fold, everyone.workers)
    return with_registrations(everyone, table, SCHEMA)


def table_of(
    part: Part, exams: tuple[str, ...], now: Judgement, then: Judgement, rows: Ints
) -> pa.Table:
    """Turn judged sittings into rows, still without their registrations."""
    group, opened = now.group[rows], now.row[rows]
    start = np.asarray(part.sittings.time)[opened]
    free = now.eligible_from[rows]
    known = then.status[rows] != UNKNOWN_EXAM
    early = np.where((free != NONE) & (free != NEVER), (free - start) / SECOND, np.nan)
    return pa.table(
        {
            "candidate": part.candidates.take(pa.array(part.group_candidate[group])),
            "exam": words(part.group_exam[group], exams),
            "started_at": pa.array(start).cast(INSTANT),
            "position": pa.array(np.asarray(part.sittings.position)[opened]),
            "status_then": words_where(then.status[rows], known),
            "status_now": words(now.status[rows], STATUSES),
            "eligible_from_now": instants(free, np.arange(len(rows))),
            "early_seconds": pa.array(early, from_pandas=True),
            "waived_then": pa.array(then.waived[rows] > 0),
            "waived_now": pa.array(now.waived[rows] > 0),
        }
    )


def words_where(status: Ints, there: Ints) -> pa.Array:
    """Return the codes of statuses, null where there is none."""
    return pa.array(STATUSES, pa.string()).take(pa.array(status, mask=~there))


def with_registrations(everyone: Everyone, table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Add the registration of each row's position, which columns do not keep."""
    names = everyone.ledger.keys_at(table["position"].to_pylist())
    return table.append_column("registration_id", pa.array(names, pa.string())).select(schema.names)
