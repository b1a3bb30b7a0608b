"""Asking about everybody: one ledger's columns, catalogue and compiled fold at hand."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from ledger.ledger import Ledger
from ledger.own_folder import NotOurs
from projections.catalogue import Catalogue, catalogue_of
from projections.standing import Moment
from replay.columns.build import Columns, Progress, passing
from replay.columns.cache import ColumnCache, Say
from replay.compiled import Kernels, kernels_in
from replay.population import EVERYBODY, Scope, population


class Everyone:
    """Answers questions about the whole population of one ledger.

    `cache` is a folder for compiled code, so that only the first run ever
    pays for compiling; None keeps nothing. With `snapshot` the columns are
    kept beside the ledger and brought up to date; without, they are read anew.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        cache: Path | None,
        snapshot: bool = True,
        workers: int = 2,
        say: Say = lambda sentence: None,
        progress: Progress = lambda facts: None,
    ) -> None:
        """Ask against an open ledger; it stays the caller's to close."""
        self.ledger = ledger
        self.workers = workers
        self._cache = cache
        self._column_cache = ColumnCache(ledger, cache, workers=workers, say=say, progress=progress)
        self._keep = snapshot
        self._progress = progress
        self._say = say
        self._columns: Columns | None = None

    @property
    def kernels(self) -> Kernels:
        """The compiled loops."""
        return kernels_in(self._cache, self._say)

    def columns(self, position: int) -> Columns:
        """Return columns that reach a position at least.

        Where the folder beside the ledger cannot be written to, they are read
        anew, which is said.
        """
        if self._columns is None or self._columns.position < position:
            self._columns = self._read(position)
        return self._columns

    def _read(self, position: int) -> Columns:
        if self._keep:
            try:
                return self._column_cache.columns(position)
            except (NotOurs, OSError) as problem:
                self._say(f"no column cache is kept beside the ledger: {problem}")
        return passing(self.ledger, position, workers=self.workers, progress=self._progress)

    def catalogue(self, columns: Columns, position: int) -> Catalogue:
        """Return the catalogue up to a position, numbered as the columns are."""
        rows = self.ledger.catalogue(0, position)
        return catalogue_of(rows, columns.exams, columns.certifications)

    def population(self, moment: Moment, *, scope: Scope = EVERYBODY) -> pa.Table:
        """Return everybody's standing at a moment: the table of `population.SCHEMA`."""
        columns = self.columns(moment.position)
        return population(
            columns,
            self.catalogue(columns, moment.position),
            moment,
            self.kernels,
            scope=scope,
            workers=self.workers,
        )
