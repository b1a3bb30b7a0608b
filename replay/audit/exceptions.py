"""Decisions on exceptions, each with the rule and the facts at that time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import pyarrow as pa

from ledger.store.selecting import annulments_among
from projections.audit.decisions import DECISIONS, row_of
from projections.audit.exceptions import QUERY
from replay.audit.asked import Asked, batched


def exceptions(asked: Asked) -> Iterator[pa.RecordBatch]:
    """Yield the decisions asked about, by position."""
    return batched(QUERY.schema, _rows(asked))


def _rows(asked: Asked) -> Iterator[dict[str, Any]]:
    types = asked.conditions.types
    chosen = tuple(each for each in DECISIONS if not types or each in types)
    if not chosen:
        return
    wanted = asked.selection._replace(types=chosen)
    annulments = annulments_among(asked.ledger, wanted, asked.position)
    catalogue = asked.catalogue()
    for batch in asked.selected(wanted):
        by = annulments.of(batch["position"].to_numpy()).tolist()
        decided = zip(batch["subject"].to_pylist(), batch["position"].to_pylist(), by, strict=True)
        for candidate, some in groupby(decided, lambda each: each[0]):
            rows = asked.ledger.stream(f"candidate/{candidate}", upto=asked.position)
            at = {row.position: row for row in rows}
            for _, position, annulled_by in some:
                row = at[position]
                yield row_of(row, rows, catalogue, asked.position, annulled_by or None)
