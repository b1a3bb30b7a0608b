"""Read candidates' facts straight into Arrow, without a Python object for each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ledger.models import ExceptionRequested
from ledger.store.batches import few, many

if TYPE_CHECKING:
    from ledger.ledger import Ledger

# The driver settles each column's type by its first batch, where all may be null: so texts are
# never null. `data` is read only where it may hold what no column does: a certification's exams.
_SELECT = """
SELECT position, occurred_at, topic, substr(stream, 11) AS candidate, coalesce(exam, '') AS exam,
  coalesce(key, '') AS key, flag, until, annuls, iif(exam IS NULL, data, '') AS data
FROM events
"""

# Views tell when each was known, too, and what was said of exceptions; no personal field of it.
_PERSONAL = ", ".join(f"'$.{name}'" for name in sorted(ExceptionRequested.personal))
_RECORDED = f"""
SELECT position, occurred_at, topic, substr(stream, 11) AS candidate, coalesce(exam, '') AS exam,
  coalesce(key, '') AS key, flag, until, annuls, recorded_at,
  iif(exam IS NULL, data, iif(topic >= 'Exception' AND topic < 'Exceptioo',
    json_remove(data, {_PERSONAL}), '')) AS data
FROM events
"""

# Who recorded what about whom, of every stream. Of what an event says itself, only why it annuls.
_DESCRIBED = """
SELECT position, recorded_at, occurred_at, substr(topic, 1, instr(topic, ':') - 1) AS type,
  substr(stream, instr(stream, '/') + 1) AS subject, source, id, coalesce(actor, '') AS actor,
  coalesce(exam, '') AS exam, coalesce(key, '') AS key, annuls,
  iif(annuls IS NULL, '', json_extract(data, '$.reason')) AS reason
FROM events WHERE position > {after} AND position <= {upto}
"""

# The plus keeps SQLite from walking the index of streams, row by row across the file.
_NEW = """
WHERE position > {after} AND position <= {upto}
  AND +stream >= 'candidate/' AND +stream < 'candidate0'
"""

SCHEMA = pa.schema(
    [
        ("position", pa.int64()),
        ("occurred_at", pa.int64()),
        ("topic", pa.string()),
        ("candidate", pa.string()),
        ("exam", pa.string()),
        ("key", pa.string()),
        ("flag", pa.int64()),
        ("until", pa.int64()),
        ("annuls", pa.int64()),
        ("data", pa.string()),
    ]
)

RECORDED_SCHEMA = SCHEMA.insert(9, pa.field("recorded_at", pa.int64()))
"""What `scan_recorded` gives: the facts, and when the ledger took them."""


DESCRIBED_SCHEMA = pa.schema(
    [
        ("position", pa.int64()),
        ("recorded_at", pa.int64()),
        ("occurred_at", pa.int64()),
        *((name, pa.string()) for name in ("type", "subject", "source", "id", "actor", "exam")),
        ("key", pa.string()),
        ("annuls", pa.int64()),
        ("reason", pa.string()),
    ]
)
"""What `scan_described` gives: every event but for its data."""


# So many new facts are worth a reader apart: their candidates have some twenty each.
_FEW = 20_000


def scan(path: Path, after: int, upto: int) -> Iterator[pa.RecordBatch]:
    """Yield the facts of candidates after one position and up to another, by position.

    Batches of `SCHEMA`; instants in microseconds.
    Raises LedgerProblem when the file cannot be read.
    """
    return _facts(many(path, _SELECT + _NEW.format(after=int(after), upto=int(upto))))


def scan_touched(path: Path, after: int, upto: int) -> Iterator[pa.RecordBatch]:
    """Yield all facts up to `upto` of the candidates who have one after `after`, in any order."""
    new = "SELECT stream FROM events" + _NEW.format(after=int(after), upto=int(upto))
    read = few if upto - after < _FEW else many
    return _facts(read(path, f"{_SELECT} WHERE +position <= {int(upto)} AND stream IN ({new})"))


def scan_recorded(path: Path, upto: int) -> Iterator[pa.RecordBatch]:
    """Yield the facts of candidates up to a position, by position, as `RECORDED_SCHEMA`."""
    select = _RECORDED + _NEW.format(after=0, upto=int(upto))
    return (batch.cast(RECORDED_SCHEMA) for batch in many(path, select))


def scan_described(path: Path, after: int, upto: int) -> Iterator[pa.RecordBatch]:
    """Yield every event after one position and up to another, by position, without its data.

    Batches of `DESCRIBED_SCHEMA`; a text that there is not is null. Raises LedgerProblem when the
    file cannot be read.
    """
    for batch in many(path, _DESCRIBED.format(after=int(after), upto=int(upto))):
        columns = [
            pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
            if pa.types.is_string(column.type)
            else column
            for column in batch.cast(DESCRIBED_SCHEMA).columns
        ]
        yield pa.record_batch(columns, schema=DESCRIBED_SCHEMA)


def read_candidates(ledger: Ledger, candidates: Sequence[str], upto: int) -> pa.Table:
    """Return all facts of some candidates up to a position, by position, as `RECORDED_SCHEMA`.

    Through the ledger's own connection: a follower reads again and again.
    """
    named = json.dumps([f"candidate/{name}" for name in candidates])
    rows = ledger.recorder.values(
        f"{_RECORDED} WHERE stream IN (SELECT value FROM json_each(?)) AND +position <= ? "
        "ORDER BY position",
        (named, upto),
    )
    columns = list(zip(*rows, strict=True)) or [()] * len(RECORDED_SCHEMA)
    return pa.table(
        [
            pa.array(column, field.type)
            for column, field in zip(columns, RECORDED_SCHEMA, strict=True)
        ],
        schema=RECORDED_SCHEMA,
    )


def sample_candidates(path: Path, upto: int, count: int) -> list[str]:
    """Return the candidates of about `count` facts spread evenly over the ledger, sorted."""
    step = max(1, upto // max(1, count))
    every = f"""{_SELECT} WHERE position IN (SELECT value FROM json_each(?))
  AND +stream >= 'candidate/' AND +stream < 'candidate0'"""
    positions = json.dumps(list(range(step, int(upto) + 1, step)))
    found = [batch["candidate"].to_pylist() for batch in few(path, every, (positions,))]
    return sorted(name for names in found for name in names)


def _facts(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    return (batch.cast(SCHEMA) for batch in batches)


class Clock(NamedTuple):
    """When positions were recorded: from first[i] on at recorded_at[i], both rising."""

    first: npt.NDArray[np.int64]
    recorded_at: npt.NDArray[np.int64]

    def position_at(self, known_at: npt.NDArray[np.int64], upto: int) -> npt.NDArray[np.int64]:
        """Return for each instant the last position recorded by then, 0 if none."""
        after = np.searchsorted(self.recorded_at, known_at, side="right")
        last: npt.NDArray[np.int64] = np.append(self.first, upto + 1)[after] - 1
        return last


def scan_clock(path: Path, upto: int) -> Clock:
    """Read when every position up to one was recorded, one entry for each transaction.

    Raises LedgerProblem when the file cannot be read.
    """
    select = f"SELECT position, recorded_at FROM events WHERE position <= {int(upto)}"
    first, recorded_at = [], []
    for batch in many(path, select):
        position, instant = batch["position"].to_numpy(), batch["recorded_at"].to_numpy()
        new = np.append(True, instant[1:] != instant[:-1])
        first.append(position[new])
        recorded_at.append(instant[new])
    if not first:
        return Clock(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
    clock = Clock(np.concatenate(first), np.concatenate(recorded_at))
    new = np.append(True, clock.recorded_at[1:] != clock.recorded_at[:-1])
    return Clock(clock.first[new], clock.recorded_at[new])
