"""The population as a table, to the letter of spec section 5: CSV, JSON Lines, Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

from ledger.instants import format_instant

if TYPE_CHECKING:
    import pyarrow as pa

Row = tuple[str, str, str, bool, int | None, int, int | None, int | None, str | None]
"""A row in the order of `COLUMNS`; instants are microseconds UTC, None where there is none."""

COLUMNS = (
    "candidate",
    "exam",
    "status",
    "eligible",
    "eligible_from",
    "sittings_in_series",
    "period_ends_at",
    "last_sitting_at",
    "last_outcome",
)


def write_csv(rows: Iterable[Row], file: IO[str]) -> None:
    """Write a header and a line for each row: true/false, empty for null, ``\\n``, few quotes."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(map(_as_text, rows))


def _as_text(row: Row) -> Sequence[object]:
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


def write_jsonl(rows: Iterable[Row], file: IO[str]) -> None:
    """Write one JSON object a line, its members in the order of the columns."""
    encode: Callable[[Any], str] = json.JSONEncoder(
        ensure_ascii=False, separators=(",", ":")
    ).encode
    for row in rows:
        members = dict(zip(COLUMNS, row, strict=True))
        for name in ("eligible_from", "period_ends_at", "last_sitting_at"):
            instant = members[name]
            if instant is not None:
                members[name] = format_instant(cast(int, instant))
        file.write(f"{encode(members)}\n")


def write_parquet(table: pa.Table, file: BinaryIO) -> None:
    """Write Parquet; instants are timestamps of microseconds in UTC."""
    # Here, since whoever writes text must not pay for it.
    from pyarrow import parquet

    parquet.write_table(table, file)
