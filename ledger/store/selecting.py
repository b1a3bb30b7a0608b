"""Select events by what is recorded of them, straight into Arrow, without any of their data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ledger.events import Recorded
from ledger.ledger import Ledger
from ledger.store.batches import few, many

SELECTED: Final = pa.schema(
    [
        ("position", pa.int64()),
        ("recorded_at", pa.int64()),
        ("occurred_at", pa.int64()),
        ("type", pa.string()),
        ("about", pa.string()),
        ("subject", pa.string()),
        ("exam", pa.string()),
        ("key", pa.string()),
        ("source", pa.string()),
        ("id", pa.string()),
        ("actor", pa.string()),
        ("annuls", pa.int64()),
    ]
)
"""What `select` gives; instants in microseconds. Nothing is null: a text is empty, `annuls` 0.

`about` and `subject` are the stream's two parts. `exam` and `key` of an annulment are those of what
it annuls.
"""

# The driver settles each column's type by its first batch, where all may be null.
_SELECT: Final = """
SELECT e.position, e.recorded_at, e.occurred_at,
  substr(e.topic, 1, instr(e.topic, ':') - 1) AS type,
  substr(e.stream, 1, instr(e.stream, '/') - 1) AS about,
  substr(e.stream, instr(e.stream, '/') + 1) AS subject,
  coalesce(e.exam, a.exam, '') AS exam, coalesce(e.key, a.key, '') AS key, e.source, e.id,
  coalesce(e.actor, '') AS actor, coalesce(e.annuls, 0) AS annuls
FROM events e LEFT JOIN events a ON a.position = e.annuls
WHERE """

_ANNULMENTS: Final = "SELECT annuls, position FROM events WHERE annuls IS NOT NULL AND "

_FEW: Final = 50
"""One in so many: where fewer fit, looking up each is faster than reading everything in order."""
_SHORT: Final = 20_000
"""So many positions are read in less time than another process takes to start."""
_CHUNK: Final = 4096


class Selection(NamedTuple):
    """Which events are wanted: those of which all of this is true; instants in microseconds."""

    after: int
    """The position that they come after."""
    upto: int
    """The last position."""
    streams: tuple[str, ...] | None = None
    types: tuple[str, ...] = ()
    """Empty: of any type."""
    source: str | None = None
    actor: str | None = None
    exam: str | None = None
    true_from: int | None = None
    """Inclusive."""
    true_to: int | None = None
    """Exclusive."""
    later_than: int | None = None
    """Recorded more than so many microseconds after they were true."""


def select(
    ledger: Ledger, wanted: Selection, *, order: Literal["position", "lag"] = "position"
) -> Iterator[pa.RecordBatch]:
    """Yield the wanted events as batches of `SELECTED`, in flat memory.

    By position; or by the time from truth to recording, the longest first, then by position.
    Raises LedgerProblem when the file cannot be read.
    """
    few_of_source = _few_of_source(ledger, wanted)
    where, values = _where(wanted, few_of_source=few_of_source)
    by = "e.recorded_at - e.occurred_at DESC, e.position" if order == "lag" else "e.position"
    looked_up = wanted.streams is not None or few_of_source or wanted.upto - wanted.after < _SHORT
    read = few if looked_up else many
    batches = read(ledger.path, f"{_SELECT}{where} ORDER BY {by}", values)
    return (batch.cast(SELECTED) for batch in batches if batch.num_rows)


def _where(wanted: Selection, *, few_of_source: bool) -> tuple[str, tuple[str | int, ...]]:
    """Write the conditions; a plus keeps SQLite from an index that would lead all over the file."""
    by_position = wanted.streams is None and not few_of_source
    range_of = "e.position" if by_position else "+e.position"
    told: list[tuple[str, Sequence[str | int]]] = [
        (f"{range_of} > ? AND {range_of} <= ?", (wanted.after, wanted.upto))
    ]
    if wanted.streams is not None:
        told.append((f"e.stream IN ({_marks(wanted.streams)})", wanted.streams))
    if wanted.types:
        of_types = " OR ".join("e.topic >= ? AND e.topic < ?" for _ in wanted.types)
        bounds = [bound for type in wanted.types for bound in (f"{type}:", f"{type};")]
        told.append((f"({of_types})", bounds))
    if wanted.source is not None:
        told.append((f"{'' if few_of_source else '+'}e.source = ?", (wanted.source,)))
    for condition, value in (
        ("e.actor = ?", wanted.actor),
        ("coalesce(e.exam, a.exam) = ?", wanted.exam),
        ("e.occurred_at >= ?", wanted.true_from),
        ("e.occurred_at < ?", wanted.true_to),
        ("e.recorded_at - e.occurred_at > ?", wanted.later_than),
    ):
        if value is not None:
            told.append((condition, (value,)))
    return " AND ".join(each for each, _ in told), tuple(v for _, values in told for v in values)


def _few_of_source(ledger: Ledger, wanted: Selection) -> bool:
    """Return whether a source has so few events that they are looked up one by one."""
    if wanted.source is None or wanted.streams is not None:
        return False
    most = (wanted.upto - wanted.after) // _FEW
    ((count,),) = ledger.recorder.values(
        "SELECT count(*) FROM (SELECT 1 FROM events WHERE source = ? LIMIT ?)",
        (wanted.source, most + 1),
    )
    return int(count) <= most


def _marks(values: Sequence[Any]) -> str:
    return ",".join("?" * len(values))


class Annulments(NamedTuple):
    """What was annulled, and by which position: the first that did; both parallel, sorted."""

    annulled: npt.NDArray[np.int64]
    by: npt.NDArray[np.int64]

    def of(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the position that annulled each, 0 for what stands."""
        if not len(self.annulled):
            return np.zeros_like(positions)
        at = np.minimum(np.searchsorted(self.annulled, positions), len(self.annulled) - 1)
        found: npt.NDArray[np.int64] = np.where(self.annulled[at] == positions, self.by[at], 0)
        return found


def annulments_among(ledger: Ledger, wanted: Selection, upto: int) -> Annulments:
    """Return what is annulled, as known at a position, of the events that may be wanted.

    An annulment comes after what it annuls and stands in the same stream.
    """
    where = "position > ? AND position <= ?"
    values: tuple[str | int, ...] = (wanted.after, upto)
    if wanted.streams is not None:
        where = f"stream IN ({_marks(wanted.streams)}) AND +position > ? AND +position <= ?"
        values = (*wanted.streams, *values)
    rows = ledger.recorder.values(_ANNULMENTS + where, values)
    annuls, by = np.array(rows, np.int64).reshape(-1, 2).T
    order = np.lexsort((by, annuls))
    annuls, by = annuls[order], by[order]
    first = np.append(True, annuls[1:] != annuls[:-1])[: len(annuls)]
    return Annulments(annuls[first], by[first])


def rows_at(ledger: Ledger, positions: Sequence[int]) -> dict[int, Recorded]:
    """Return the events at some positions."""
    found: dict[int, Recorded] = {}
    for start in range(0, len(positions), _CHUNK):
        some = positions[start : start + _CHUNK]
        rows = ledger.recorder.rows(f"WHERE position IN ({_marks(some)})", some)
        found.update((row.position, row) for row in rows)
    return found
