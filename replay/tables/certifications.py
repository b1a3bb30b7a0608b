"""`certifications`: when each was earned, renewed, and when it ends."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pyarrow as pa

from projections.tables import CERTIFICATIONS
from replay.population import words
from replay.questions import Holdings
from replay.tables.batch import Batch, instants, table_of


def certifications(batch: Batch, names: Collection[str]) -> pa.Table:
    """Return a row for each certification a candidate had earned, by candidate and when."""
    part, moment = batch.part, batch.moment
    rows: Any = part.certifications
    out: Any = Holdings(*(np.empty(len(rows.kind), np.int64) for _ in Holdings._fields))  # type: ignore[arg-type]
    count = batch.setting.kernels.hold_all(
        rows, part.certification_offset, batch.wanted_candidates, moment.as_of, moment.position, out
    )
    found = Holdings(*(column[:count] for column in out))
    once = np.asarray(found.renewals) == 0
    return table_of(
        CERTIFICATIONS,
        {
            "candidate": lambda: part.candidates.take(pa.array(found.candidate)),
            "certification": lambda: words(
                rows.certification[found.first], batch.setting.certifications
            ),
            "earned_at": lambda: rows.time[found.first],
            "renewed_at": lambda: pa.array(rows.time[found.last], mask=once),
            "renewals": lambda: found.renewals,
            "expires_at": lambda: instants(rows.until[found.last]),
            "expired_at": lambda: instants(found.expired_at),  # type: ignore[arg-type]
            "ends_at": lambda: instants(found.ends_at),  # type: ignore[arg-type]
        },
        names,
    )
