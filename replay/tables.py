"""The population as a table, to the letter of spec section 5: CSV, JSON Lines, Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import IO, Any, BinaryIO, NamedTuple

from ledger.instants import format_instant


class PopulationRow(NamedTuple):
    """One candidate and exam; instants are microseconds UTC, None where there is none."""

    candidate: str
    exam: str
    status: str
    eligible: bool
    eligible_from: int | None
    sittings_in_series: int
    period_ends_at: int | None
    last_sitting_at: int | None
    last_outcome: str | None


COLUMNS = PopulationRow._fields
INSTANTS = ("eligible_from", "period_ends_at", "last_sitting_at")
_ROW_GROUP = 65_536


def write_csv(rows: Iterable[PopulationRow], file: IO[str]) -> None:
    """Write a header and a line for each row: true/false, empty for null, ``\\n``, few quotes."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(map(_as_text, rows))


def _as_text(row: PopulationRow) -> Sequence[object]:
    candidate, exam, status, eligible, eligible_from, in_series, period_ends, last_at, last = row
    return (
        candidate,
        exam,
        status,
        "true" if eligible else "false",
        "" if eligible_from is None else format_instant(eligible_from),
        in_series,
        "" if period_ends is None else format_instant(period_ends),
        "" if last_at is None else format_instant(last_at),
        "" if last is None else last,
    )


def write_jsonl(rows: Iterable[PopulationRow], file: IO[str]) -> None:
    """Write one JSON object a line, its members in the order of the columns."""
    encode: Callable[[Any], str] = json.JSONEncoder(
        ensure_ascii=False, separators=(",", ":")
    ).encode
    for row in rows:
        members = row._asdict()
        for name in INSTANTS:
            if members[name] is not None:
                members[name] = format_instant(members[name])
        file.write(f"{encode(members)}\n")


def write_parquet(rows: Iterable[PopulationRow], file: BinaryIO) -> None:
    """Write Parquet; instants are timestamps of microseconds in UTC."""
    # Here, since asking about one candidate must not pay for it.
    import pyarrow as pa
    import pyarrow.parquet as pq

    instant = pa.timestamp("us", "UTC")
    schema = pa.schema(
        [
            pa.field("candidate", pa.string(), nullable=False),
            pa.field("exam", pa.string(), nullable=False),
            pa.field("status", pa.string(), nullable=False),
            pa.field("eligible", pa.bool_(), nullable=False),
            pa.field("eligible_from", instant),
            pa.field("sittings_in_series", pa.int32(), nullable=False),
            pa.field("period_ends_at", instant),
            pa.field("last_sitting_at", instant),
            pa.field("last_outcome", pa.string()),
        ]
    )
    with pq.ParquetWriter(file, schema) as writer:
        for group in _groups(rows):
            columns = zip(*group, strict=True)
            arrays = [
                pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)
            ]
            writer.write_batch(pa.record_batch(arrays, schema=schema))


def _groups(rows: Iterable[PopulationRow]) -> Iterator[list[PopulationRow]]:
    left = iter(rows)
    while group := list(islice(left, _ROW_GROUP)):
        yield group
