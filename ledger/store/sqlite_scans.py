"""The scans of the embedded store: what is asked of its table, as Arrow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

import pyarrow as pa
import pyarrow.compute as pc

from ledger.events import MARK
from ledger.models import ExceptionRequested
from ledger.store.batches import few, many
from ledger.store.questions import marks
from ledger.store.scans import (
    CORRECTIONS,
    DESCRIBED,
    EXCEPTIONS,
    FACTS,
    RECORDED,
    SELECTED,
    Annulments,
    Clock,
    Selection,
)
from ledger.store.sqlite import SQLiteStore

# The driver settles each column's type by its first batch, where all may be null: so texts are
# never null. `data` is read only where it may hold what no column does: a certification's exams.
_COLUMNS: Final = (
    "SELECT position, occurred_at, topic, substr(stream, 11) AS candidate, "
    "coalesce(exam, '') AS exam, coalesce(key, '') AS key, flag, until, annuls, "
)
_FACTS: Final = f"{_COLUMNS} iif(exam IS NULL, data, '') AS data FROM events "

# The read model tells when each was known, too, and what an exception says but for its persons.
_PERSONAL: Final = ", ".join(f"'$.{name}'" for name in sorted(ExceptionRequested.personal))
_RECORDED: Final = f"""{_COLUMNS} recorded_at, {{backfilled}} AS backfilled, iif(exam IS NULL, data,
  iif(topic >= 'Exception' AND topic < 'Exceptioo', json_remove(data, {_PERSONAL}), '')) AS data
FROM events """

_BACKFILLED: Final = f"coalesce(instr(extensions, '{MARK}') > 0, 0)"

# The plus keeps SQLite from walking the index of streams, row by row across the file.
_OF_CANDIDATES: Final = "+stream >= 'candidate/' AND +stream < 'candidate0'"
_NEW: Final = f"WHERE position > {{}} AND position <= {{}} AND {_OF_CANDIDATES}"

# Who recorded what about whom, of every stream. Of what an event says itself, only why it annuls.
_DESCRIBED: Final = """
SELECT position, recorded_at, occurred_at, substr(topic, 1, instr(topic, ':') - 1) AS type,
  substr(stream, instr(stream, '/') + 1) AS subject, source, id, coalesce(actor, '') AS actor,
  coalesce(exam, '') AS exam, coalesce(key, '') AS key, annuls,
  iif(annuls IS NULL, '', json_extract(data, '$.reason')) AS reason
FROM events WHERE position > {} AND position <= {}
"""

_EXCEPTIONS: Final = f"""
SELECT e.position, e.occurred_at, e.topic, substr(e.stream, 11) AS candidate,
  coalesce(e.exam, '') AS exam, coalesce(e.key, '') AS key, e.until,
  json_remove(e.data, {_PERSONAL}) AS data
FROM events e
WHERE e.position <= {{upto}} AND e.topic >= 'Exception' AND e.topic < 'Exceptioo'
  AND e.position NOT IN (
    SELECT annuls FROM events WHERE annuls IS NOT NULL AND position <= {{upto}})
"""
# Of an annulment, what it annuls is what it is about, and when that was said to be true.
_CORRECTIONS: Final = f"""
SELECT e.position, e.recorded_at, coalesce(e.annuls, 0) AS annuls,
  substr(e.stream, 11) AS candidate, coalesce(a.topic, e.topic) AS topic,
  coalesce(a.occurred_at, e.occurred_at) AS true_at,
  iif(a.position IS NULL, coalesce(e.exam, ''), coalesce(a.exam, '')) AS exam,
  iif(a.position IS NULL, coalesce(e.key, ''), coalesce(a.key, '')) AS key
FROM events e LEFT JOIN events a ON a.position = e.annuls
WHERE e.position <= {{upto}} AND {_OF_CANDIDATES.replace("+stream", "+e.stream")}
  AND NOT {{backfilled}} AND (
  e.annuls IS NOT NULL OR e.recorded_at - e.occurred_at >= {{late}}
  OR (e.topic >= 'ResultRevoked:' AND e.topic < 'ResultRevoked;')
  OR (e.topic >= 'AuthorizationRevoked:' AND e.topic < 'AuthorizationRevoked;')
  OR (e.topic >= 'ExceptionRevoked:' AND e.topic < 'ExceptionRevoked;'))
"""
_SELECTED: Final = """
SELECT e.position, e.recorded_at, e.occurred_at,
  substr(e.topic, 1, instr(e.topic, ':') - 1) AS type,
  substr(e.stream, 1, instr(e.stream, '/') - 1) AS about,
  substr(e.stream, instr(e.stream, '/') + 1) AS subject,
  coalesce(e.exam, a.exam, '') AS exam, coalesce(e.key, a.key, '') AS key, e.source, e.id,
  coalesce(e.actor, '') AS actor, coalesce(e.annuls, 0) AS annuls
FROM events e LEFT JOIN events a ON a.position = e.annuls
WHERE """

_ANNULMENTS: Final = "SELECT annuls, position FROM events WHERE annuls IS NOT NULL AND "

_FEW_FACTS: Final = 20_000
"""So many new facts are worth a reader of their own: their candidates have some twenty each."""
_FEW_OF: Final = 50
"""One in so many: where fewer fit, looking up each is faster than reading everything in order."""
_SHORT: Final = 20_000
"""So many positions are read in less time than another process takes to start."""


class SQLiteScans:
    """The scans of an embedded store; see `ledger.store.scans.Scans`."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store

    @property
    def _path(self) -> Path:
        self._store.opened.check()
        return self._store.path

    def facts(self, after: int, upto: int) -> Iterator[pa.RecordBatch]:
        """Yield the facts of candidates in a range, by position, as FACTS."""
        return _cast(many(self._path, _FACTS + _NEW.format(int(after), int(upto))), FACTS)

    def facts_of_touched(self, after: int, upto: int) -> Iterator[pa.RecordBatch]:
        """Yield all facts up to `upto` of candidates who have one after `after`, in any order."""
        new = f"SELECT stream FROM events {_NEW.format(int(after), int(upto))}"
        read = few if upto - after < _FEW_FACTS else many
        where = f"WHERE +position <= {int(upto)} AND stream IN ({new})"
        return _cast(read(self._path, _FACTS + where), FACTS)

    def recorded(self, upto: int) -> Iterator[pa.RecordBatch]:
        """Yield the facts of candidates up to a position, by position, as RECORDED."""
        select = self._marked(_RECORDED)
        return _cast(many(self._path, select + _NEW.format(0, int(upto))), RECORDED)

    def recorded_of(self, candidates: Sequence[str], upto: int) -> pa.Table:
        """Return all facts of some candidates up to a position, by position, as RECORDED.

        Through the store's own connection: a follower reads again and again.
        """
        rows = self._store.values(
            f"{self._marked(_RECORDED)} WHERE stream IN (SELECT value FROM json_each(?)) "
            "AND +position <= ? ORDER BY position",
            (json.dumps([f"candidate/{name}" for name in candidates]), upto),
        )
        columns = list(zip(*rows, strict=True)) or [()] * len(RECORDED)
        typed = zip(columns, RECORDED, strict=True)
        return pa.table([pa.array(each, field.type) for each, field in typed], schema=RECORDED)

    def described(self, after: int, upto: int) -> Iterator[pa.RecordBatch]:
        """Yield every event in a range, by position, as DESCRIBED."""
        for batch in _cast(many(self._path, _DESCRIBED.format(int(after), int(upto))), DESCRIBED):
            columns = [
                pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
                if pa.types.is_string(column.type)
                else column
                for column in batch.columns
            ]
            yield pa.record_batch(columns, schema=DESCRIBED)

    def sample(self, upto: int, count: int) -> list[str]:
        """Return the candidates of about `count` facts spread evenly over the ledger, sorted."""
        step = max(1, upto // max(1, count))
        rows = self._store.values(
            "SELECT substr(stream, 11) FROM events "
            f"WHERE position IN (SELECT value FROM json_each(?)) AND {_OF_CANDIDATES}",
            (json.dumps(list(range(step, upto + 1, step))),),
        )
        return sorted(candidate for (candidate,) in rows)

    def clock(self, upto: int) -> Clock:
        """Return when every position up to one was recorded."""
        select = f"SELECT position, recorded_at FROM events WHERE position <= {int(upto)}"
        batches = many(self._path, select)
        return Clock.of((b["position"].to_numpy(), b["recorded_at"].to_numpy()) for b in batches)

    def exceptions(self, upto: int) -> pa.Table:
        """Return the events about exceptions that are not annulled, by position, as EXCEPTIONS."""
        return _table(few(self._path, _EXCEPTIONS.format(upto=int(upto))), EXCEPTIONS)

    def corrections(self, upto: int, late: int) -> pa.Table:
        """Return annulments, revocations and facts recorded `late` or more after they were true."""
        select = self._marked(_CORRECTIONS, "e.").format(upto=int(upto), late=int(late))
        return _table(few(self._path, select), CORRECTIONS)

    def backfilled(self, upto: int) -> int:
        """Return how many events up to a position were moved in as a migration."""
        select = self._marked("SELECT count(*) FROM events WHERE +position <= ? AND {backfilled}")
        ((count,),) = self._store.values(select, (upto,))
        return int(count)

    def _marked(self, select: str, table: str = "") -> str:
        """Write into a SELECT how what was moved in is marked; an old ledger marks nothing."""
        mark = _BACKFILLED.replace("extensions", f"{table}extensions")
        return select.replace("{backfilled}", mark if self._store.keeps_extensions else "0")

    def select(
        self, wanted: Selection, *, order: Literal["position", "lag"] = "position"
    ) -> Iterator[pa.RecordBatch]:
        """Yield the wanted events as SELECTED, in flat memory."""
        few_of_source = self._few_of_source(wanted)
        where, values = _where(wanted, few_of_source=few_of_source)
        if wanted.later_than is not None:
            where = self._marked(f"{where} AND NOT {{backfilled}}", "e.")
        by = "e.recorded_at - e.occurred_at DESC, e.position" if order == "lag" else "e.position"
        looked_up = wanted.streams is not None or few_of_source
        read = few if looked_up or wanted.upto - wanted.after < _SHORT else many
        batches = read(self._path, f"{_SELECTED}{where} ORDER BY {by}", values)
        return _cast((batch for batch in batches if batch.num_rows), SELECTED)

    def annulments(self, wanted: Selection, upto: int) -> Annulments:
        """Return what is annulled, as known at a position, of the events that may be wanted."""
        where = "position > ? AND position <= ?"
        values: tuple[str | int, ...] = (wanted.after, upto)
        if wanted.streams is not None:
            where = f"stream IN ({marks(wanted.streams)}) AND +position > ? AND +position <= ?"
            values = (*wanted.streams, *values)
        return Annulments.among(self._store.values(_ANNULMENTS + where, values))

    def _few_of_source(self, wanted: Selection) -> bool:
        """Return whether a source has so few events that they are looked up one by one."""
        if wanted.source is None or wanted.streams is not None:
            return False
        most = (wanted.upto - wanted.after) // _FEW_OF
        ((count,),) = self._store.values(
            "SELECT count(*) FROM (SELECT 1 FROM events WHERE source = ? LIMIT ?)",
            (wanted.source, most + 1),
        )
        return int(count) <= most


def _where(wanted: Selection, *, few_of_source: bool) -> tuple[str, tuple[str | int, ...]]:
    """Write the conditions; a plus keeps SQLite from an index that would lead all over the file."""
    by_position = wanted.streams is None and not few_of_source
    range_of = "e.position" if by_position else "+e.position"
    conditions: list[tuple[str, Sequence[str | int]]] = [
        (f"{range_of} > ? AND {range_of} <= ?", (wanted.after, wanted.upto))
    ]
    if wanted.streams is not None:
        conditions.append((f"e.stream IN ({marks(wanted.streams)})", wanted.streams))
    if wanted.types:
        of_types = " OR ".join("e.topic >= ? AND e.topic < ?" for _ in wanted.types)
        bounds = [bound for type in wanted.types for bound in (f"{type}:", f"{type};")]
        conditions.append((f"({of_types})", bounds))
    if wanted.source is not None:
        conditions.append((f"{'' if few_of_source else '+'}e.source = ?", (wanted.source,)))
    for condition, value in (
        ("e.actor = ?", wanted.actor),
        ("coalesce(e.exam, a.exam) = ?", wanted.exam),
        ("e.occurred_at >= ?", wanted.true_from),
        ("e.occurred_at < ?", wanted.true_to),
        ("e.recorded_at - e.occurred_at > ?", wanted.later_than),
    ):
        if value is not None:
            conditions.append((condition, (value,)))
    return " AND ".join(each for each, _ in conditions), tuple(
        v for _, values in conditions for v in values
    )


def _cast(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    return (batch.cast(schema) for batch in batches)


def _table(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_batches(_cast(batches, schema), schema).sort_by("position")
