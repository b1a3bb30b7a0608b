"""Arrow tables as files: CSV, JSON Lines, Parquet, to the letter of spec section 5."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_BATCH = 65_536
_SECOND = 1_000_000
_QUOTED = '[,"\r\n]'


class Written(Protocol):
    """Whatever takes text: a file, or what only sums it up."""

    def write(self, text: str, /) -> object:
        """Take some more."""


def write_csv(table: pa.Table, file: Written) -> None:
    """Write a header and a line for each row.

    `true`/`false`, empty for null, ``\\n`` line ends, no quotes where none are
    needed; instants as `2021-03-15T09:00:00Z`; a list of events as
    `source id`, parted by `; `.
    """
    file.write(",".join(table.schema.names) + "\n")
    for batch in table.to_batches(max_chunksize=_BATCH):
        if not batch.num_rows:  # a part in which nobody was asked about
            continue
        columns = [_quoted(_texts(column)) for column in batch.columns]
        lines = pc.binary_join_element_wise(
            *columns, ",", null_handling="replace", null_replacement=""
        )
        file.write("\n".join(lines.to_pylist()) + "\n")


def write_jsonl(table: pa.Table, file: Written) -> None:
    """Write one JSON object a line, its members in the order of the columns; instants as text."""
    encode: Callable[[Any], str] = json.JSONEncoder(
        ensure_ascii=False, separators=(",", ":")
    ).encode
    names = table.schema.names
    for batch in table.to_batches(max_chunksize=_BATCH):
        lines = io.StringIO()
        for row in zip(*(_values(column) for column in batch.columns), strict=True):
            lines.write(encode(dict(zip(names, row, strict=True))))
            lines.write("\n")
        file.write(lines.getvalue())


def write_parquet(table: pa.Table, file: BinaryIO) -> None:
    """Write Parquet; instants are timestamps of microseconds in UTC."""
    with pq.ParquetWriter(file, table.schema) as writer:
        writer.write_table(table, row_group_size=_BATCH * 16)


def rows_of(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Yield a table's rows as tuples, a batch at a time; instants as whole microseconds or None."""
    for batch in table.to_batches(max_chunksize=_BATCH):
        columns = [
            column.cast(pa.int64()).to_pylist()
            if pa.types.is_timestamp(column.type)
            else column.to_pylist()
            for column in batch.columns
        ]
        yield from zip(*columns, strict=True)


def instant_texts(column: pa.Array) -> pa.Array:
    """Write instants as RFC 3339 with `Z`, six decimals only where they are not zero."""
    values = column.cast(pa.int64()).fill_null(0).to_numpy()
    whole = values % _SECOND == 0
    texts = np.datetime_as_string((values // _SECOND).astype("datetime64[s]"), timezone="UTC")
    if not whole.all():
        fine = np.datetime_as_string(values.astype("datetime64[us]"), timezone="UTC")
        texts = np.where(whole, texts, fine)
    written = pa.array(texts, pa.string())
    return pc.if_else(pc.is_valid(column), written, pa.scalar(None, pa.string()))


def _texts(column: pa.Array) -> pa.Array:
    kind = column.type
    if pa.types.is_timestamp(kind):
        return instant_texts(column)
    if pa.types.is_list(kind):
        joined = ("; ".join(map(_event, events)) for events in column.to_pylist())
        return pa.array(joined, pa.string())
    return column.cast(pa.string())


def _event(event: dict[str, str]) -> str:
    return f"{event['source']} {event['id']}"


def _quoted(column: pa.Array) -> pa.Array:
    """Put texts into quotes where they would be read as something else without."""
    needs = pc.match_substring_regex(column, _QUOTED)
    if not pc.any(needs).as_py():
        return column
    doubled = pc.replace_substring(column, '"', '""')
    return pc.if_else(needs, pc.binary_join_element_wise('"', doubled, '"', ""), column)


def _values(column: pa.Array) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        column = instant_texts(column)
    values: list[Any] = column.to_pylist()
    return values
