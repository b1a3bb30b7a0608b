"""Asking about everybody: what is left for callers that do not ask a snapshot yet."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from ledger.ledger import Ledger
from projections.catalogue import Catalogue, catalogue_of
from projections.standing import Moment
from replay.columns.build import Columns, Progress
from replay.compiled import Kernels, Say
from replay.population import EVERYBODY, Scope
from replay.snapshot import Engine, Shared, Snapshot


class Everyone:
    """Answers questions about the whole population of one ledger."""

    def __init__(
        self,
        ledger: Ledger | None = None,
        *,
        cache: Path | None = None,
        snapshot: bool = True,
        workers: int = 2,
        say: Say = lambda sentence: None,
        progress: Progress = lambda facts: None,
        shared: Shared | None = None,
    ) -> None:
        """Ask against an open ledger; it stays the caller's to close."""
        if shared is None:
            assert ledger is not None
            shared = Shared(ledger, Engine(cache, workers, snapshot, say, progress))
        self.ledger = shared.ledger
        self.workers = shared.engine.workers
        self._shared = shared

    def at(self, moment: Moment) -> Snapshot:
        """Return the ledger at a moment."""
        return Snapshot(self.ledger, moment, shared=self._shared)

    @property
    def kernels(self) -> Kernels:
        """The compiled loops."""
        return self.at(Moment(0, None, 0)).kernels

    def columns(self, position: int) -> Columns:
        """Return columns that reach a position at least."""
        return self._shared.columns(position)

    def catalogue(self, columns: Columns, position: int) -> Catalogue:
        """Return the catalogue up to a position, numbered as the columns are."""
        rows = self.ledger.catalogue(0, position)
        return catalogue_of(rows, columns.exams, columns.certifications)

    def population(self, moment: Moment, *, scope: Scope = EVERYBODY) -> pa.Table:
        """Return everybody's standing at a moment: the table of `population.SCHEMA`."""
        return self.at(moment).everybody(scope)
