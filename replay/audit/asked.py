"""A question of an auditor, resolved: which ledger, known at which position, about which events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, NamedTuple

import pyarrow as pa

from ledger.ledger import Ledger
from ledger.store.selecting import Selection, select
from projections.audit.conditions import Conditions, threshold
from projections.catalogue import Catalogue, catalogue_of

_KINDS: Final = ("candidate", "certification", "exam", "policy")
_BATCH: Final = 1024

Progress = Callable[[int], None]
"""Told how many more positions are looked through."""


class Asked(NamedTuple):
    """What a query is made from."""

    ledger: Ledger
    position: int
    """The last position that is known."""
    conditions: Conditions
    progress: Progress

    @property
    def selection(self) -> Selection:
        """Return which events the conditions are about; recorded time is positions here."""
        asked, ledger = self.conditions, self.ledger
        after, upto = 0, self.position
        if asked.recorded_from is not None:
            after = ledger.position_at(asked.recorded_from - 1)
        if asked.recorded_to is not None:
            upto = min(upto, ledger.position_at(asked.recorded_to - 1))
        return Selection(
            after=after,
            upto=upto,
            streams=self._streams(),
            types=asked.types,
            source=asked.source,
            actor=asked.actor,
            exam=asked.exam,
            true_from=asked.valid_from,
            true_to=asked.valid_to,
            later_than=None if asked.by is None else threshold(asked.by),
        )

    def _streams(self) -> tuple[str, ...] | None:
        candidate, subject = self.conditions.candidate, self.conditions.subject
        given: list[set[str]] = []
        if candidate is not None:
            given.append({f"candidate/{candidate}"})
        if subject is not None:
            given.append({f"{kind}/{subject}" for kind in _KINDS})
        return tuple(sorted(set.intersection(*given))) if given else None

    def selected(self, wanted: Selection) -> Iterator[pa.RecordBatch]:
        """Yield the wanted events by position, and tell how far they are."""
        done = 0
        for batch in select(self.ledger, wanted):
            yield batch
            last = batch["position"][-1].as_py()
            self.progress(last - done)
            done = last

    def catalogue(self) -> Catalogue:
        """Return the catalogue as far as it is known."""
        return catalogue_of(self.ledger.catalogue(0, self.position))


def batched(schema: pa.Schema, rows: Iterable[Mapping[str, Any]]) -> Iterator[pa.RecordBatch]:
    """Make batches of rows that are made one by one."""
    left = iter(rows)
    while some := list(islice(left, _BATCH)):
        yield pa.RecordBatch.from_pylist(some, schema=schema)
