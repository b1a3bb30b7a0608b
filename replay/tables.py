"""Arrow tables as files: CSV, JSON, JSON Lines, Parquet, to the letter of spec section 5."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, BinaryIO, Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_BATCH = 65_536
"""Rows that are written at once."""
_SECOND = 1_000_000
_DAY = 86_400
_ESCAPED: Final = frozenset(b'"\\' + bytes(range(0x20)))
"""What JSON writes otherwise in a text."""
_QUOTED: Final = frozenset(b',"\r\n')
"""What is put into quotes in CSV, with the text around it."""
_QUOTES = '[,"\r\n]'


class Batched(Protocol):
    """Whatever gives rows a batch at a time: a table, or `replay.rows.Rows`."""

    schema: pa.Schema

    def to_batches(self, max_chunksize: int) -> Iterable[pa.RecordBatch]:
        """Yield its rows, at most so many at a time."""


class Written(Protocol):
    """Whatever takes text: a file, or what only sums it up."""

    def write(self, text: str, /) -> object:
        """Take some more."""


Made: TypeAlias = Callable[[pa.RecordBatch], pa.RecordBatch]


def _as_it_is(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch


def write_csv(table: Batched, file: Written, made: Made = _as_it_is) -> None:
    """Write a header and a line for each row; `made` has a look at each batch before.

    `true`/`false`, empty for null, ``\\n`` line ends, no quotes where none are
    needed; instants as `2021-03-15T09:00:00Z`; a list of events as
    `source id`, parted by `; `.
    """
    file.write(",".join(table.schema.names) + "\n")
    for batch in table.to_batches(max_chunksize=_BATCH):
        if not batch.num_rows:  # a part in which nobody was asked about
            continue
        columns = [_cells(column) for column in made(batch).columns]
        lines = pc.binary_join_element_wise(
            *columns, ",", null_handling="replace", null_replacement=""
        )
        file.write(_joined(pc.binary_join_element_wise(lines, "\n", "")))


def write_jsonl(table: Batched, file: Written) -> None:
    """Write one JSON object a line, its members in the order of the columns; instants as text."""
    for batch in table.to_batches(max_chunksize=_BATCH):
        file.write(json_lines(batch))


def json_lines(batch: pa.RecordBatch) -> str:
    """Write a batch as JSON objects, each with its line end."""
    if not batch.num_rows:
        return ""
    pieces: list[pa.Array | str] = []
    between = "{"
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        mark, values = _json(column)
        pieces += [f"{between}{_encode(name)}:{mark}", values]
        between = f"{mark},"
    return _joined(pc.binary_join_element_wise(*pieces, f"{between[:-1]}}}\n", ""))


def _joined(texts: pa.Array) -> str:
    """Put texts one after the other."""
    whole = pa.ListArray.from_arrays(pa.array([0, len(texts)], pa.int32()), texts)
    return str(pc.binary_join(whole, "")[0])


def write_json(table: Batched, file: Written) -> None:
    """Write a JSON array of the same objects, one a line."""
    before = "[\n"
    for batch in table.to_batches(max_chunksize=_BATCH):
        if batch.num_rows:
            file.write(before + json_lines(batch)[:-1].replace("\n", ",\n"))
            before = ",\n"
    file.write("[]\n" if before == "[\n" else "\n]\n")


def write_parquet(table: pa.Table, file: BinaryIO) -> None:
    """Write Parquet; instants are timestamps of microseconds in UTC."""
    with pq.ParquetWriter(file, table.schema) as writer:
        writer.write_table(table, row_group_size=_BATCH * 16)


def write_parquet_of(
    rows: Batched, file: BinaryIO, inside: Callable[[], Mapping[bytes, str]]
) -> None:
    """Write rows as Parquet as they come, and into its metadata what is known after the last."""
    with pq.ParquetWriter(file, rows.schema) as writer:
        for batch in rows.to_batches(max_chunksize=_BATCH):
            writer.write_batch(batch)
        writer.add_key_value_metadata(dict(inside()))


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
    seconds, micros = np.divmod(values, _SECOND)
    days, seconds = np.divmod(seconds, _DAY)
    # There are far fewer days than instants, and no more times of day than a table holds.
    some, day = np.unique(days, return_inverse=True)
    dates = pa.array(np.datetime_as_string(some.astype("datetime64[D]"))).take(pa.array(day))
    parts = [dates, _times().take(pa.array(seconds)), "Z"]
    if micros.any():
        thousands, rest = (_thousand().take(pa.array(part)) for part in np.divmod(micros, 1000))
        fine = pc.binary_join_element_wise(".", thousands, rest, "Z", "")
        parts[2] = pc.if_else(pa.array(micros != 0), fine, "Z")
    written = pc.binary_join_element_wise(*parts, "")
    return pc.if_else(pc.is_valid(column), written, pa.scalar(None, pa.string()))


@cache
def _times() -> pa.Array:
    """Return `T00:00:00` to `T23:59:59`."""
    texts = np.datetime_as_string(np.arange(_DAY).astype("datetime64[s]"))
    return pc.utf8_slice_codeunits(pa.array(texts), 10)


@cache
def _thousand() -> pa.Array:
    """Return `000` to `999`."""
    return pa.array([f"{number:03d}" for number in range(1000)])


def _cells(column: pa.Array) -> pa.Array:
    """Write each value as a cell of CSV."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        return instant_texts(column)
    if pa.types.is_list(kind):
        joined = ("; ".join(map(_event, events)) for events in column.to_pylist())
        return _quoted(pa.array(joined, pa.string()))
    return _quoted(column) if pa.types.is_string(kind) else column.cast(pa.string())


def _event(event: dict[str, str]) -> str:
    return f"{event['source']} {event['id']}"


def _quoted(column: pa.Array) -> pa.Array:
    """Put texts into quotes where they would be read as something else without."""
    if not _holds(column, _QUOTED):
        return column
    needs = pc.match_substring_regex(column, _QUOTES)
    doubled = pc.replace_substring(column, '"', '""')
    return pc.if_else(needs, pc.binary_join_element_wise('"', doubled, '"', ""), column)


def _json(column: pa.Array) -> tuple[str, pa.Array]:
    """Write each value as JSON, but for the quotes around it, where all have them."""
    kind = column.type
    if pa.types.is_timestamp(kind) or _is_plain_text(column):
        written = instant_texts(column) if pa.types.is_timestamp(kind) else column
        if not written.null_count:
            return '"', written
        written = pc.binary_join_element_wise('"', written, '"', "")
    elif pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        written = column.cast(pa.string())
    else:
        return "", pa.array([_encode(value) for value in column.to_pylist()], pa.string())
    return "", written.fill_null("null")


def _is_plain_text(column: pa.Array) -> bool:
    """Return whether a column holds texts of which none has anything to be escaped."""
    return pa.types.is_string(column.type) and not _holds(column, _ESCAPED)


def _holds(column: pa.Array, some: frozenset[int]) -> bool:
    """Return whether any of some ASCII characters is anywhere in a column of texts."""
    _, offsets, texts = column.buffers()
    if texts is None or not len(column):
        return False
    bounds = np.frombuffer(offsets, np.int32)[column.offset :]
    bytes_of = np.frombuffer(texts, np.uint8)[bounds[0] : bounds[len(column)]]
    return bool(_lookup(some)[bytes_of].any())


@cache
def _lookup(some: frozenset[int]) -> npt.NDArray[np.bool_]:
    table = np.zeros(256, dtype=np.bool_)
    table[list(some)] = True
    return table


_encode: Callable[[Any], str] = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
