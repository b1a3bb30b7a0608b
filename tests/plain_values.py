"""Instants as stories tell them, read and written with the standard library alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import pyarrow as pa

When = str | date | datetime | int
"""Microseconds, RFC 3339 text (seconds may be left out), a datetime, or a date (00:00 UTC)."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)


def at(when: When) -> int:
    """Read an instant as microseconds since 1970-01-01T00:00Z."""
    if isinstance(when, int):
        return when
    if isinstance(when, str):
        when = datetime.fromisoformat(when) if "T" in when else date.fromisoformat(when)
    if not isinstance(when, datetime):
        when = datetime(when.year, when.month, when.day, tzinfo=UTC)
    assert when.tzinfo is not None, f"{when} is naive"
    return (when - EPOCH) // MICROSECOND


def text(instant: int) -> str:
    """Write an instant as RFC 3339."""
    return (EPOCH + instant * MICROSECOND).isoformat().replace("+00:00", "Z")


def rows_of(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Yield a table's rows as tuples, a batch at a time; instants as whole microseconds or None."""
    for batch in table.to_batches(max_chunksize=65_536):
        columns = [
            column.cast(pa.int64()).to_pylist()
            if pa.types.is_timestamp(column.type)
            else column.to_pylist()
            for column in batch.columns
        ]
        yield from zip(*columns, strict=True)
