"""Who annulled what: each annulment with the event that it annuls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pyarrow as pa

from ledger.events import Recorded
from ledger.ledger import Ledger
from ledger.store.selecting import annulments_among, rows_at
from projections.audit.annulments import QUERY, row_of
from projections.audit.conditions import Conditions
from replay.audit.asked import Asked, batched

ANNULLED: Final = "EventAnnulled"
FORGOTTEN: Final = "CandidateForgotten"


def annulments(asked: Asked) -> Iterator[pa.RecordBatch]:
    """Yield the annulments asked about, by position."""
    return batched(QUERY.schema, _rows(asked))


def _rows(asked: Asked) -> Iterator[dict[str, Any]]:
    # Type and valid time are those of what was annulled; by SQL they would be the annulment's.
    wanted = asked.selection._replace(types=(ANNULLED,), true_from=None, true_to=None)
    # What was annulled may lie before the positions that the annulments are wanted from.
    known = annulments_among(asked.ledger, wanted._replace(after=0), asked.position)
    for batch in asked.selected(wanted):
        annuls = batch["annuls"].to_numpy()
        events = rows_at(asked.ledger, [*batch["position"].to_pylist(), *annuls.tolist()])
        for position, of, first in zip(
            batch["position"].to_pylist(), annuls.tolist(), known.of(annuls).tolist(), strict=True
        ):
            if is_meant(events[of], asked.conditions):
                erased = is_forgotten(asked.ledger, events[of].stream, asked.position)
                yield row_of(events[position], events[of], first, erased=erased)


def is_meant(annulled: Recorded, asked: Conditions) -> bool:
    """Return whether the conditions on type and valid time are true of what was annulled."""
    return (
        (not asked.types or annulled.type in asked.types)
        and (asked.valid_from is None or annulled.occurred_at >= asked.valid_from)
        and (asked.valid_to is None or annulled.occurred_at < asked.valid_to)
    )


def is_forgotten(ledger: Ledger, stream: str, position: int) -> bool:
    """Return whether a candidate was forgotten, as known at a position."""
    return any(row.type == FORGOTTEN for row in ledger.stream(stream, upto=position))
