"""Rows of outputs: their digest, and a table of which a batch at a time is there."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias

import pyarrow as pa

from replay.formats.json import BATCH, Batched, json_bytes

Batches: TypeAlias = Callable[[], Iterator[pa.RecordBatch]]
"""Makes the rows anew each time it is called: the same ones."""
Tally: TypeAlias = Callable[[pa.RecordBatch], "Counter[str]"]
"""Counts whatever is to be said of some rows; what it gives is added up."""


def digest_of(table: pa.Table) -> str:
    """Return the SHA-256 of a table's rows, written as JSON Lines; of no rows that of nothing."""
    summed = hashlib.sha256()
    for batch in table.to_batches(max_chunksize=BATCH):
        summed.update(json_bytes(batch))
    return summed.hexdigest()


def columns_of(table: Batched) -> tuple[str, ...]:
    """Name a table's columns and their types."""
    return tuple(f"{field.name}: {field.type}" for field in table.schema)


class Rows:
    """A table of which a batch at a time is there; it has as much of `pyarrow.Table` as is needed.

    Counted, tallied and summed up the first time that somebody reads it to the end; whoever asks
    for any of that before has it read through once.
    """

    def __init__(self, schema: pa.Schema, batches: Batches, tally: Tally) -> None:
        """Keep how the rows are made; none is made yet."""
        self.schema = schema
        self._batches = batches
        self._tally = tally
        self._sums: _Sums | None = None

    def to_batches(self, max_chunksize: int = BATCH) -> Iterator[pa.RecordBatch]:
        """Yield the rows in order, at most so many at a time."""
        if self._sums is not None:
            yield from self._pieces(max_chunksize)
            return
        sums = _Sums(self._tally)
        # Summed up beside whatever the caller does with them: that is as much work again.
        with ThreadPoolExecutor(max_workers=1) as aside:
            last: Future[None] | None = None
            for some in self._pieces(max_chunksize):
                if last is not None:
                    last.result()
                last = aside.submit(sums.take, some)
                yield some
            if last is not None:
                last.result()
        self._sums = sums

    def _pieces(self, size: int) -> Iterator[pa.RecordBatch]:
        for batch in self._batches():
            for start in range(0, batch.num_rows, size):
                yield batch.slice(start, size)

    @property
    def num_rows(self) -> int:
        """How many there are."""
        return self._summed().rows

    @property
    def sha256(self) -> str:
        """The digest of the rows as JSON Lines."""
        return self._summed().digest.hexdigest()

    @property
    def tally(self) -> Counter[str]:
        """What was counted of them."""
        return self._summed().tally

    def _summed(self) -> _Sums:
        if self._sums is None:
            for _ in self.to_batches():
                pass
        assert self._sums is not None
        return self._sums


class _Sums:
    """What is known of rows that were read so far."""

    def __init__(self, tally: Tally) -> None:
        self.rows = 0
        self.digest = hashlib.sha256()
        self.tally: Counter[str] = Counter()
        self._tally = tally

    def take(self, batch: pa.RecordBatch) -> None:
        self.rows += batch.num_rows
        self.digest.update(json_bytes(batch))
        self.tally.update(self._tally(batch))
