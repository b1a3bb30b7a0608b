"""Facts recorded long after they were true, and what they changed of earlier answers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import pyarrow as pa

from ledger.store.selecting import annulments_among, select
from projections.audit.backdated import QUERY
from replay.audit.changes import CandidateRecord
from projections.reports.inputs import INSTANT
from replay.audit.asked import Asked
from replay.audit.events import event_columns

_SECOND = 1_000_000
_KEPT = 1024
"""Candidates whose facts are kept at hand."""


def backdated(asked: Asked) -> Iterator[pa.RecordBatch]:
    """Yield the backdated facts asked about, the longest lag first, then by position."""
    wanted = asked.selection
    annulments = annulments_among(asked.ledger, wanted, asked.position)
    judge = Judge(asked) if asked.conditions.changes else None
    for batch in select(asked.ledger, wanted, order="lag"):
        columns = event_columns(batch, annulments)
        recorded, true = (batch[name].to_numpy() for name in ("recorded_at", "occurred_at"))
        columns.insert(3, pa.array((recorded - true) / _SECOND))
        columns += unjudged(batch.num_rows) if judge is None else judge.columns(batch)
        yield pa.RecordBatch.from_arrays(columns, schema=QUERY.schema)


def unjudged(rows: int) -> list[pa.Array]:
    """Leave open what the facts changed."""
    return [pa.nulls(rows, kind) for kind in (pa.bool_(), INSTANT, pa.string())]


class Judge:
    """Holds facts against the standings of their candidates: a few folds a fact."""

    def __init__(self, asked: Asked) -> None:
        """Judge by the catalogue known at the position asked about."""
        self._ledger = asked.ledger
        self._position = asked.position
        self._catalogue = asked.catalogue()
        self._told = lru_cache(maxsize=_KEPT)(self._read)

    def _read(self, candidate: str) -> Told:
        rows = self._ledger.stream(f"candidate/{candidate}", upto=self._position)
        return Told(candidate, rows, self._catalogue)

    def columns(self, batch: pa.RecordBatch) -> list[pa.Array]:
        """Return what each fact of a batch changed, as the last three columns."""
        changed: list[bool | None] = []
        first: list[int | None] = []
        exams: list[str | None] = []
        names = ("about", "subject", "position")
        for about, subject, position in zip(*(batch[n].to_pylist() for n in names), strict=True):
            found = self.changes(subject, position) if about == "candidate" else None
            changed.append(None if found is None else bool(found))
            first.append(min(found.values()) if found else None)
            exams.append(" ".join(found) if found else None)
        return [
            pa.array(changed, pa.bool_()),
            pa.array(first, pa.int64()).cast(INSTANT),
            pa.array(exams, pa.string()),
        ]

    def changes(self, candidate: str, position: int) -> dict[str, int]:
        """Return by exam the first instant, before a fact was recorded, as of which it changed."""
        told = self._told(candidate)
        row = told.rows[position]
        found = {exam: told.first_change(row, exam, row.recorded_at) for exam in told.exams(row)}
        return {exam: first for exam, first in found.items() if first is not None}
