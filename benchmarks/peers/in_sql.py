"""Everybody's standing in SQL: DuckDB over a Parquet file of the same facts.

Said of what a history of live sittings under `general` can hold, without certifications and
grants, as `make_ledger --plain` makes them: there a pass is never free again, and a series ends
with its period alone. It does less than the ledger's own replay: candidates and exams are numbers,
and `eligible_from` is not asked for. DuckDB is given what it likes: rows sorted as they are
needed, numbers instead of texts, no compression, every core.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

ATTEMPTED, PASSED, FAILED, REVOKED = range(4)
_KINDS: Final = {
    "ExamAttempted:1": ATTEMPTED,
    "ExamPassed:1": PASSED,
    "ExamFailed:1": FAILED,
    "ResultRevoked:1": REVOKED,
}
_NEVER: Final = 1 << 62

SQL: Final = """
WITH visible AS (
  SELECT candidate, exam, registration, kind, time, file_row_number AS place
  FROM read_parquet($facts, file_row_number = true)
  WHERE position <= $known AND annulled > $known AND time <= $as_of
),
-- A sitting starts at its first attempt, else at its first result; its outcome is that of the
-- latest result or revocation. Places in the file are in (time, position) order, and a place with
-- its kind in one number is found faster than by arg_max.
told AS (
  SELECT candidate, exam,
    min(CASE WHEN kind = 0 THEN place END) AS attempt,
    min(CASE WHEN kind IN (1, 2) THEN place END) AS result,
    min(CASE WHEN kind = 0 THEN time END) AS attempted_at,
    min(CASE WHEN kind IN (1, 2) THEN time END) AS result_at,
    max(CASE WHEN kind <> 0 THEN place * 4 + kind END) % 4 AS outcome
  FROM visible GROUP BY candidate, exam, registration
),
sittings AS (
  SELECT candidate, exam, coalesce(outcome, 0)::UTINYINT AS outcome,  -- 0: pending
    coalesce(attempt, result) AS place, coalesce(attempted_at, result_at) AS start
  FROM told WHERE attempt IS NOT NULL OR result IS NOT NULL
),
-- Each sitting as if it opened a series; then folded: it does if the period before it is over.
-- (A list that is sorted afterwards takes half the time of one with ORDER BY inside.)
walked AS (
  SELECT candidate, exam,
    bool_or(outcome = 1) AS passed, bool_or(outcome = 0) AS pending,
    list_reduce(
      list_sort(list(
        {'start': start, 'place': place, 'outcome': outcome, 'ordinal': 1::UTINYINT,
         'period_end': (start::DATE + INTERVAL 12 MONTH)::TIMESTAMP}
      )),
      lambda series, sitting: CASE WHEN sitting.start >= series.period_end THEN sitting ELSE
        {'start': sitting.start, 'place': sitting.place, 'outcome': sitting.outcome,
         'ordinal': (series.ordinal + 1)::UTINYINT, 'period_end': series.period_end} END
    ) AS last
  FROM sittings GROUP BY candidate, exam
),
judged AS (
  SELECT candidate, exam, passed, pending, last,
    CASE WHEN $as_of >= last.period_end THEN 0 ELSE last.ordinal END AS in_series,
    last.start + to_days(list_extract($waits, least(last.ordinal, len($waits))::INTEGER)) AS free_at
  FROM walked
)
SELECT candidate, exam,
  CASE
    WHEN retires_at <= $as_of THEN 'retired'
    WHEN live_at > $as_of THEN 'not-open'
    WHEN passed THEN 'passed'
    WHEN pending THEN 'result-pending'
    WHEN in_series >= $cap THEN 'cap-reached'
    WHEN last.outcome <> 1 AND $as_of < free_at THEN 'waiting'
    ELSE 'eligible'
  END AS status,
  in_series AS sittings_in_series,
  CASE WHEN in_series > 0 THEN last.period_end END AS period_ends_at,
  last.start AS last_sitting_at,
  last.outcome AS last_outcome
FROM judged JOIN exams USING (exam)
"""


class Asked(NamedTuple):
    """The question and what a catalogue says at that moment. Instants are microseconds UTC."""

    as_of: int
    known: int
    waits: list[int]
    """wait.after in days."""
    cap: int
    exams: list[tuple[str, int | None, int | None]]
    """Each exam's code, live_at and retires_at."""


class InSql:
    """One Parquet file and the query over it."""

    def __init__(self, facts: Path, codes: list[str], asked: Asked, *, threads: int = 0) -> None:
        self._connection = duckdb.connect()
        self._connection.execute(f"SET threads = {threads or os.cpu_count()}")
        self._connection.execute("SET preserve_insertion_order = false")
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute(
            "CREATE TABLE exams (exam SMALLINT, live_at TIMESTAMP, retires_at TIMESTAMP)"
        )
        for code, live_at, retires_at in asked.exams:
            if code in codes:
                self._connection.execute(
                    "INSERT INTO exams VALUES (?, make_timestamp(?), make_timestamp(?))",
                    [codes.index(code), live_at, retires_at],
                )
        ((as_of,),) = self._connection.execute("SELECT make_timestamp(?)", [asked.as_of]).fetchall()
        self._parameters: dict[str, Any] = {
            "facts": str(facts),
            "known": asked.known,
            "as_of": as_of,
            "waits": asked.waits,
            "cap": asked.cap,
        }

    def __call__(self) -> pa.Table:
        """Compute everybody's standing to a table in memory, in no particular order."""
        return self._connection.sql(SQL, params=self._parameters).to_arrow_table()


def write_facts(ledger: Path, parquet: Path) -> tuple[list[str], list[str]]:
    """Write a ledger's facts of sittings as Parquet; return candidates and exams by number.

    Sorted by candidate, exam, time and position; numbered in the order of code points.
    """
    with closing(sqlite3.connect(ledger)) as connection:
        annulled = dict(
            connection.execute(
                "SELECT annuls, min(position) FROM events WHERE annuls IS NOT NULL GROUP BY annuls"
            )
        )
        select = "SELECT stream, exam, key, topic, occurred_at, position FROM events WHERE topic = "
        found = connection.execute(" UNION ALL ".join(f"{select}'{topic}'" for topic in _KINDS))
        batches = []
        while rows := found.fetchmany(200_000):
            names = ("stream", "exam", "key", "topic", "time", "position")
            columns = map(list, zip(*rows, strict=True))
            batches.append(pa.table(dict(zip(names, columns, strict=True))))
    facts = pa.concat_tables(batches)
    candidate, candidates = _numbered(facts["stream"])
    exam, exams = _numbered(facts["exam"])
    time, position = facts["time"].to_numpy(), facts["position"].to_numpy()
    order = np.lexsort((position, time, exam, candidate))
    ends = np.array([annulled.get(number, _NEVER) for number in position.tolist()], np.int64)
    kind = np.array([_KINDS[topic] for topic in facts["topic"].to_pylist()], np.uint8)
    registration, _ = _numbered(facts["key"])
    table = pa.table(
        {
            "candidate": candidate[order].astype(np.int32),
            "exam": exam[order].astype(np.int16),
            "registration": registration[order].astype(np.int32),
            "kind": kind[order],
            "time": pa.array(time[order]).cast(pa.timestamp("us")),
            "position": position[order],
            "annulled": ends[order],
        }
    )
    draft = parquet.with_suffix(".draft")
    pq.write_table(table, draft, compression="none", row_group_size=122_880)
    os.replace(draft, parquet)
    return [name.removeprefix("candidate/") for name in candidates], exams


def _numbered(column: pa.ChunkedArray) -> tuple[Any, list[str]]:
    encoded = column.combine_chunks().dictionary_encode()
    order = pc.sort_indices(encoded.dictionary).to_numpy()
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rank[encoded.indices.to_numpy()], encoded.dictionary.take(pa.array(order)).to_pylist()
