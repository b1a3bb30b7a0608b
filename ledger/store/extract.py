"""Read the few events that a report looks at one by one, without reading all the others.

What neither the columns nor a candidate's stream would give cheaply: every event about
exceptions, and every fact that corrects what was told before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pyarrow as pa

from ledger.models import ExceptionRequested
from ledger.store.batches import few

NO_END: Final = 1 << 62
"""The `until` of what has none."""

_PERSONAL: Final = ", ".join(f"'$.{name}'" for name in sorted(ExceptionRequested.personal))

_EXCEPTIONS: Final = f"""
SELECT e.position, e.occurred_at, e.topic, substr(e.stream, 11) AS candidate,
  coalesce(e.exam, '') AS exam, coalesce(e.key, '') AS key, coalesce(e.until, {NO_END}) AS until,
  json_remove(e.data, {_PERSONAL}) AS data
FROM events e
WHERE e.position <= {{upto}} AND e.topic >= 'Exception' AND e.topic < 'Exceptioo'
  AND e.position NOT IN (
    SELECT annuls FROM events WHERE annuls IS NOT NULL AND position <= {{upto}})
"""

EXCEPTIONS: Final = pa.schema(
    [
        ("position", pa.int64()),
        ("occurred_at", pa.int64()),
        ("topic", pa.string()),
        ("candidate", pa.string()),
        ("exam", pa.string()),
        ("key", pa.string()),
        ("until", pa.int64()),
        ("data", pa.string()),
    ]
)
"""What `exceptions` gives; `data` is JSON without the personal fields."""

# A fact is told of by the subject's own name; the stream's kind tells a candidate from an exam.
_CORRECTIONS: Final = """
SELECT e.position, e.occurred_at, e.recorded_at, e.topic, e.stream,
  coalesce(e.exam, '') AS exam, coalesce(e.key, '') AS key, coalesce(e.annuls, 0) AS annuls,
  coalesce(a.topic, '') AS of_topic, coalesce(a.occurred_at, e.occurred_at) AS of_occurred_at,
  coalesce(a.exam, '') AS of_exam, coalesce(a.key, '') AS of_key
FROM events e LEFT JOIN events a ON a.position = e.annuls
WHERE e.position <= {upto} AND (
  e.annuls IS NOT NULL OR e.recorded_at - e.occurred_at >= {late}
  OR (e.topic >= 'ResultRevoked:' AND e.topic < 'ResultRevoked;')
  OR (e.topic >= 'ExceptionRevoked:' AND e.topic < 'ExceptionRevoked;'))
"""

CORRECTIONS: Final = pa.schema(
    [
        ("position", pa.int64()),
        ("occurred_at", pa.int64()),
        ("recorded_at", pa.int64()),
        ("topic", pa.string()),
        ("stream", pa.string()),
        ("exam", pa.string()),
        ("key", pa.string()),
        ("annuls", pa.int64()),
        ("of_topic", pa.string()),
        ("of_occurred_at", pa.int64()),
        ("of_exam", pa.string()),
        ("of_key", pa.string()),
    ]
)
"""What `corrections` gives; `of_…` is the annulled event, where there is one. Texts never null."""


def scan_exceptions(path: Path, upto: int) -> pa.Table:
    """Read the events about exceptions up to a position that are not annulled by then, by position.

    A table of `EXCEPTIONS`. Raises LedgerProblem when the file cannot be read.
    """
    return _table(path, _EXCEPTIONS.format(upto=int(upto)), EXCEPTIONS)


def scan_corrections(path: Path, upto: int, late: int) -> pa.Table:
    """Read annulments, revocations and facts recorded `late` microseconds after they were true.

    A table of `CORRECTIONS`, by position. Raises LedgerProblem when the file cannot be read.
    """
    return _table(path, _CORRECTIONS.format(upto=int(upto), late=int(late)), CORRECTIONS)


def _table(path: Path, select: str, schema: pa.Schema) -> pa.Table:
    batches = (batch.cast(schema) for batch in few(path, select))
    return pa.Table.from_batches(batches, schema).sort_by("position")
