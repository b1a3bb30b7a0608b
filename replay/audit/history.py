"""A candidate's events, each with what it changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from replay.audit.changes import CandidateRecord
from projections.audit.history import QUERY, rows_of
from projections.catalogue import annulments
from replay.audit.annulments import FORGOTTEN
from replay.audit.asked import Asked, batched


def history(asked: Asked) -> Iterator[pa.RecordBatch]:
    """Yield the annotated history of the candidate asked about, by position and exam."""
    return batched(QUERY.schema, _rows(asked))


def _rows(asked: Asked) -> Iterator[dict[str, Any]]:
    candidate, exam = asked.conditions.candidate or "", asked.conditions.exam
    rows = asked.ledger.stream(f"candidate/{candidate}", upto=asked.position)
    told = Told(candidate, rows, asked.catalogue())
    annulled = annulments(rows)
    erased = any(row.type == FORGOTTEN for row in rows)
    for row in rows:
        if exam is None or told.about(row).exam in (exam, None):
            yield from rows_of(told, row, annulled.get(row.position), exam=exam, erased=erased)
