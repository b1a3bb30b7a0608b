"""Sittings taken while not eligible, judged twice: with what was known then, and is known now."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from ledger.store.scans import Clock
from projections.fold.facts import MISSED, NEVER, NONE
from projections.fold.rules import ELIGIBLE, STATUSES, UNKNOWN_EXAM
from projections.table import INSTANT
from projections.tables import VIOLATIONS
from replay.bound import Bound
from replay.columns.part import Ints, Part
from replay.population import (
    EVERYBODY,
    Scope,
    candidate_and_exam,
    instants,
    judge,
    over_groups,
    sittings_of,
    words,
)
from replay.snapshot import Snapshot

SECOND = 1_000_000

SCHEMA = VIOLATIONS.schema
UNREGISTERED = SCHEMA.remove(SCHEMA.get_field_index("registration_id"))


def violations(snapshot: Snapshot, scope: Scope = EVERYBODY) -> pa.Table:
    """Return every visible sitting that was taken while not eligible, then or as is known now.

    "Violations are judged by the policy in force at the sitting, twice: with
    what was known then, and with what is known now. A missed sitting violates nothing" (spec
    section 7, reading 13). A table of `SCHEMA`.
    """
    clock = snapshot.ledger.scans.clock(snapshot.position)
    return with_registrations(snapshot, violations_in(snapshot, clock, scope), SCHEMA)


def violations_in(bound: Bound, clock: Clock, scope: Scope) -> pa.Table:
    """Return the same but for the registrations, which columns do not keep: `UNREGISTERED`."""
    columns = bound.columns

    def fold(part: Part, wanted: Ints) -> pa.Table:
        sittings: Any = sittings_of(bound, part, wanted)
        now: Any = judge(bound, part, sittings, ahead=True)
        then: Any = judge(bound, part, sittings, then=clock)
        known = then.status != UNKNOWN_EXAM
        broken = (now.status != ELIGIBLE) | (known & (then.status != ELIGIBLE))
        rows = np.flatnonzero(broken & (sittings.outcome != MISSED))
        start, free = sittings.start[rows], now.eligible_from[rows]
        early = np.where((free != NONE) & (free != NEVER), (free - start) / SECOND, np.nan)
        return pa.table(
            [
                *candidate_and_exam(part, columns, sittings.group[rows]),
                pa.array(start).cast(INSTANT),
                pa.array(np.asarray(part.sittings.position)[sittings.row[rows]]),
                words(np.where(known, then.status, -1)[rows], STATUSES),
                words(now.status[rows], STATUSES),
                instants(now.eligible_from, rows),
                pa.array(early, from_pandas=True),
                pa.array(then.waived[rows] > 0),
                pa.array(now.waived[rows] > 0),
            ],
            names=UNREGISTERED.names,
        )

    return over_groups(bound, scope, fold)


def with_registrations(snapshot: Snapshot, table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Add the registration of each row's position, which columns do not keep."""
    names = snapshot.ledger.keys_at(table["position"].to_pylist())
    return table.append_column("registration_id", pa.array(names, pa.string())).select(schema.names)
