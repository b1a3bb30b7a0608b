"""Which events: straight from the ledger into columns, in flat memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ledger.store.selecting import Annulments, annulments_among
from projections.audit.events import QUERY
from projections.reports.inputs import INSTANT
from replay.audit.asked import Asked


def events(asked: Asked) -> Iterator[pa.RecordBatch]:
    """Yield the events asked about, by position."""
    wanted = asked.selection
    annulments = annulments_among(asked.ledger, wanted, asked.position)
    for batch in asked.selected(wanted):
        columns = event_columns(batch, annulments)
        yield pa.RecordBatch.from_arrays(columns, schema=QUERY.schema)


def event_columns(batch: pa.RecordBatch, annulments: Annulments) -> list[pa.Array]:
    """Turn selected events into the columns of `event_columns.EVENT`."""
    return [
        batch["position"],
        batch["recorded_at"].cast(INSTANT),
        batch["occurred_at"].cast(INSTANT),
        batch["type"],
        batch["about"],
        batch["subject"],
        filled(batch["exam"]),
        filled(batch["key"]),
        batch["source"],
        batch["id"],
        filled(batch["actor"]),
        over_zero(batch["annuls"].to_numpy()),
        over_zero(annulments.of(batch["position"].to_numpy())),
    ]


def filled(texts: pa.Array) -> pa.Array:
    """Make null what is empty."""
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def over_zero(positions: npt.NDArray[np.int64]) -> pa.Array:
    """Make null what is no position."""
    return pa.array(positions, mask=positions == 0)
