"""`sittings`: how each came out, its place in its series, and what held when it began."""

from __future__ import annotations

from collections.abc import Collection
from typing import get_args

import numpy as np
import pyarrow as pa

from ledger.models import Waived
from projections.fold.facts import OUTCOMES
from projections.fold.rules import STATUSES
from projections.tables import SITTINGS
from replay.population import words
from replay.tables.batch import Batch, instants, table_of, taken

_WAIVED = [
    " ".join(name for bit, name in enumerate(get_args(Waived)) if waived >> bit & 1)
    for waived in range(1 << len(get_args(Waived)))
]
"""What is waived in words, by its bits."""


def sittings(batch: Batch, names: Collection[str]) -> pa.Table:
    """Return a row for each sitting that is visible, by candidate, exam and start."""
    rows, found = batch.part.sittings, batch.sittings
    position = np.asarray(rows.position)
    return table_of(
        SITTINGS,
        {
            "candidate": lambda: batch.candidate_of(found.group),
            "exam": lambda: batch.exam_of(found.group),
            "registration_id": lambda: batch.events.keys(position[found.row]),
            "started_at": lambda: found.start,
            "ended_at": lambda: found.end,
            "delivery": lambda: words(found.beta, ("live", "beta")),
            "outcome": lambda: words(found.outcome, OUTCOMES),
            "outcome_at": lambda: taken(rows.time, found.outcome_row),
            "number": lambda: found.number,
            "ordinal": lambda: pa.array(found.ordinal, mask=found.ordinal == 0),
            "previous_at": lambda: instants(found.previous),
            "wait_until": lambda: instants(found.wait_until),
            "status": lambda: words(batch.judged.status, STATUSES),
            "eligible_from": lambda: instants(batch.judged.eligible_from),
            "waived": lambda: words(
                np.where(batch.judged.waived, batch.judged.waived, -1), _WAIVED
            ),
            "position": lambda: position[found.row],
            "outcome_position": lambda: taken(position, found.outcome_row),
        },
        names,
    )
