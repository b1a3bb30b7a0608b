"""Arrow tables as JSON and JSON Lines, to the letter of spec section 5, and read back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, BinaryIO, Final, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ledger.fields import parse_json
from ledger.problems import shown
from projections.table import INSTANT, NUMBER, SMALL, TEXT, TRUTH, WHOLE

BATCH: Final = 65_536
"""Rows that are written at once."""
_SECOND = 1_000_000
_DAY = 86_400
_ESCAPED: Final = frozenset(b'"\\' + bytes(range(0x20)))
"""What JSON writes otherwise in a text."""


class Batched(Protocol):
    """Whatever gives rows a batch at a time: a table, or `replay.rows.Rows`."""

    schema: pa.Schema

    def to_batches(self, max_chunksize: int) -> Iterable[pa.RecordBatch]:
        """Yield its rows, at most so many at a time."""


class Written(Protocol):
    """Whatever takes text: a file, or what only sums it up."""

    def write(self, text: str, /) -> object:
        """Add some more."""


def write_jsonl(table: Batched, file: Written) -> None:
    """Write one JSON object a line, its members in the order of the columns; instants as text."""
    for batch in table.to_batches(max_chunksize=BATCH):
        file.write(json_lines(batch))


def json_lines(batch: pa.RecordBatch) -> str:
    """Write a batch as JSON objects, each with its line end."""
    return json_bytes(batch).tobytes().decode()


def json_bytes(batch: pa.RecordBatch) -> memoryview:
    """Write a batch as JSON objects, each with its line end, in UTF-8."""
    if not batch.num_rows:
        return memoryview(b"")
    pieces: list[pa.Array | str] = []
    between = "{"
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        mark, values = _json(column)
        pieces += [f"{between}{_encode(name)}:{mark}", *values]
        between = f"{mark},"
    lines = pc.binary_join_element_wise(*pieces, f"{between[:-1]}}}\n", "")
    return text_bytes(lines)[1].data  # as they lie there, one after the other


def joined(texts: pa.Array) -> str:
    """Put texts, none of them null, one after the other: as they lie in memory."""
    return text_bytes(texts)[1].tobytes().decode()


def write_json(table: Batched, file: Written) -> None:
    """Write a JSON array of the same objects, one a line."""
    before = "[\n"
    for batch in table.to_batches(max_chunksize=BATCH):
        if batch.num_rows:
            file.write(before + json_lines(batch)[:-1].replace("\n", ",\n"))
            before = ",\n"
    file.write("[]\n" if before == "[\n" else "\n]\n")


def instant_texts(column: pa.Array) -> pa.Array:
    """Write instants as RFC 3339 with `Z`, six decimals only where they are not zero.

    Null stays null.
    """
    written = pc.binary_join_element_wise(*_dates_and_times(column), "")
    if not column.null_count:
        return written
    return pc.if_else(pc.is_valid(column), written, pa.scalar(None, pa.string()))


def _dates_and_times(column: pa.Array, quote: str = "", null: str = "") -> list[pa.Array]:
    """Write instants as texts whose first halves are dates, each between quotes, and null."""
    values = column.cast(pa.int64())
    missing = pc.is_null(values).to_numpy(zero_copy_only=False) if values.null_count else None
    if missing is not None:
        values = values.fill_null(pc.min(values).as_py() or 0)  # of a day that is there anyway
    microseconds = values.to_numpy()
    # Not divmod, which takes twice as long as a division by a constant and the rest of it.
    whole = microseconds // _SECOND
    micros = microseconds - whole * _SECOND
    days = whole // _DAY
    seconds = whole - days * _DAY
    # There are far fewer days than instants, and no more times of day than a table holds.
    some, day = _numbered(days)
    dates = np.char.add(quote, np.datetime_as_string(some.astype("datetime64[D]")))
    if missing is not None:
        dates = np.append(dates, null)
        day[missing], seconds[missing], micros[missing] = len(some), _DAY, 0
    day_texts = pa.array(dates, pa.string()).take(pa.array(day))
    if not micros.any():
        return [day_texts, _times(f"Z{quote}").take(pa.array(seconds))]
    thousands, rest = (_thousand().take(pa.array(part)) for part in np.divmod(micros, 1000))
    fine = pc.binary_join_element_wise(".", thousands, rest, f"Z{quote}", "")
    ends = pc.if_else(pa.array(micros != 0), fine, f"Z{quote}")
    if missing is not None:
        ends = pc.if_else(pa.array(missing), "", ends)
    return [day_texts, _times("").take(pa.array(seconds)), ends]


def _numbered(days: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return some days, among them all that there are, and of each its place among those."""
    low, high = (int(days.min()), int(days.max())) if len(days) else (0, 0)
    if high - low < len(days):  # without sorting them
        return np.arange(low, high + 1), days - low
    return np.unique(days, return_inverse=True)


@cache
def _times(end: str) -> pa.Array:
    """Return `T00:00:00` to `T23:59:59`, each with an end, and then nothing."""
    texts = np.datetime_as_string(np.arange(_DAY).astype("datetime64[s]"))
    times = pc.utf8_slice_codeunits(pa.array(texts), 10)
    return pa.concat_arrays([pc.binary_join_element_wise(times, end, ""), pa.array([""])])


@cache
def _thousand() -> pa.Array:
    """Return `000` to `999`."""
    return pa.array([f"{number:03d}" for number in range(1000)])


def _json(column: pa.Array) -> tuple[str, list[pa.Array]]:
    """Write each value as JSON, in pieces; but for the quotes around it, where all have them."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        if not column.null_count:
            return '"', _dates_and_times(column)
        return "", _dates_and_times(column, '"', "null")
    if _is_plain_text(column):
        if not column.null_count:
            return '"', [column]
        written = pc.binary_join_element_wise('"', column, '"', "")
    elif pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        written = column.cast(pa.string())
    else:
        return "", [pa.array([_encode(value) for value in column.to_pylist()], pa.string())]
    return "", [written.fill_null("null") if written.null_count else written]


def _is_plain_text(column: pa.Array) -> bool:
    """Return whether a column holds texts of which none has anything to be escaped."""
    return pa.types.is_string(column.type) and not holds(column, _ESCAPED)


def holds(column: pa.Array, some: frozenset[int]) -> bool:
    """Return whether any of some ASCII characters is anywhere in a column of texts."""
    _, texts = text_bytes(column)
    return bool(_lookup(some)[texts].any())


def text_bytes(column: pa.Array) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint8]]:
    """Return where the texts of a column begin (one more than there are) and all their bytes."""
    _, offsets, texts = column.buffers()
    if texts is None or not len(column):
        return np.zeros(1, np.int32), np.zeros(0, np.uint8)
    bounds = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
    return bounds, np.frombuffer(texts, np.uint8)[bounds[0] : bounds[-1]]


@cache
def _lookup(some: frozenset[int]) -> npt.NDArray[np.bool_]:
    table = np.zeros(256, dtype=np.bool_)
    table[list(some)] = True
    return table


_encode: Callable[[Any], str] = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def read_jsonl(lines: Iterable[bytes | str]) -> Iterator[tuple[str, ...]]:
    """Yield the rows of JSON objects as texts, their names first; raises ValueError."""
    names: tuple[str, ...] | None = None
    for number, line in enumerate(lines, 1):
        row = parse_json(line)
        if not isinstance(row, dict):
            raise ValueError(f"row {number} is no JSON object")
        if names is None:
            names = tuple(row)
            yield names
        if tuple(row) != names:
            raise ValueError(f"row {number} has other members than the first")
        yield tuple(map(value_text, row.values()))


def check_columns(schema: pa.Schema) -> None:
    """Raise ValueError unless every column of others is of a type that ours have, named once."""
    for each in schema:
        if not _is_ours(each.type):
            raise ValueError(f"its column {shown(each.name)} is of a type that no output has")
    if len(set(schema.names)) < len(schema.names):
        raise ValueError("two of its columns have one name")


def _is_ours(kind: pa.DataType) -> bool:
    if pa.types.is_list(kind):
        inside = kind.value_type
        return inside in _TYPES or (
            pa.types.is_struct(inside) and all(each.type in _TYPES for each in inside)
        )
    return kind in _TYPES


_TYPES: Final = (TEXT, WHOLE, SMALL, NUMBER, TRUTH, INSTANT)


Foreign: TypeAlias = tuple[list[str], Iterator[pa.RecordBatch]]
"""The names of the columns of others' file, and its rows."""


def foreign_batches(batches: Iterable[pa.RecordBatch], file: BinaryIO) -> Iterator[pa.RecordBatch]:
    """Yield the rows of others' file, a few at a time, as ours are laid out.

    A batch says where its texts begin and end: what is not so is found first. A text that is there
    once for many rows may be long, and a file small. Raises ValueError.
    """
    left = _SLICE + _MOST_TIMES * file.seek(0, 2)
    for batch in batches:
        batch.validate(full=True)
        lengths = [_lengths(column) for column in batch.columns]
        left -= sum(pc.sum(each).as_py() or 0 for each in lengths)
        if left < 0:
            raise ValueError(f"it unpacks to more than {_MOST_TIMES} times its size")
        longest = sum(pc.max(each).as_py() or 0 for each in lengths)
        rows = max(1, _SLICE // (longest + 1))
        for start in range(0, batch.num_rows, rows):
            columns = [
                each.dictionary_decode() if pa.types.is_dictionary(each.type) else each
                for each in batch.slice(start, rows).columns
            ]
            yield pa.record_batch(columns, batch.schema.names)


def _lengths(column: pa.Array) -> pa.Array:
    """Return how many bytes each text of a column has, which has no others."""
    if pa.types.is_dictionary(column.type):
        return pc.binary_length(column.dictionary).cast(pa.int64()).take(column.indices)
    if pa.types.is_string(column.type):
        return pc.binary_length(column).cast(pa.int64())
    return pa.array([], pa.int64())


_SLICE: Final = 64 << 20
"""Bytes of texts that are laid out at once."""
_MOST_TIMES: Final = 500
"""So many times the size of a file its texts may have; ours, of which most differ, have 50."""


def texts_of_line(line: bytes) -> tuple[str, ...]:
    """Return a row as texts that compare, from a line that `json_bytes` wrote."""
    return tuple(map(value_text, json.loads(line).values()))


def read_json(file: BinaryIO) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a JSON array: line by line as we lay it out, else all at once."""
    yield from read_jsonl(_elements(file))


def _elements(file: BinaryIO) -> Iterator[bytes | str]:
    if file.readline() == b"[\n" and file.readline().startswith(b'{"'):
        file.seek(2)
        for line in file:
            if line.startswith(b"{"):
                yield line.rstrip(b",\n")
            elif line != b"]\n":
                raise ValueError(f"{line[:20]!r} is no row")
        return
    file.seek(0)
    rows = parse_json(file.read())
    if not isinstance(rows, list):
        raise ValueError("it is no JSON array")
    yield from map(json.dumps, rows)


def value_text(value: object) -> str:
    """Write a value as a text that compares: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
