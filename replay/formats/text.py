"""Reports as plain text: a heading, a sentence, a table, and where it all comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa

from replay.audit.query import Query
from replay.formats import About
from replay.formats.json import instant_texts
from replay.receipts import heading

if TYPE_CHECKING:
    from replay.outputs import Output

_GAP = "  "
_BATCH = 8192


def write_text(output: Output, file: IO[str]) -> None:
    """Write a report as text, the same whatever terminal it is for."""
    report, receipt = output.report, output.receipt
    assert report is not None
    file.write(f"{report.title}\n{_plain(heading(receipt))}\n\n{output.line}\n\n")
    if output.table.num_rows:
        for line in laid_out(output.table):
            file.write(f"{line}\n")
        file.write("\n")
    plural = "" if receipt.rows == 1 else "s"
    file.write(f"{receipt.rows:,} row{plural}, sha256 {receipt.sha256}\n")


def write_table_text(table: pa.Table, about: About, file: IO[str]) -> None:
    """Write a table that is no report as text."""
    file.write("\n".join([about.title, *map(_plain, about.lines), ""]) + "\n")
    for line in laid_out(table) if table.num_rows else ():
        file.write(f"{line}\n")


def write_query_text(output: Output, query: Query, file: IO[str]) -> None:
    """Write an audit as text, row by row; how many there are is known at the end."""
    file.write(f"{query.title}\n{_plain(heading(output.receipt))}\n\n")
    for batch in output.table.to_batches(max_chunksize=_BATCH):
        for row in with_texts(batch).to_pylist():
            first, *more = map(_plain, query.text(row))
            file.write("\n".join([first, *(f"    {line}" for line in more), "\n"]))
    receipt = output.settled
    plural = "" if receipt.rows == 1 else "s"
    file.write(f"{output.line}\n\n")
    file.write(f"{receipt.rows:,} row{plural}, sha256 {receipt.sha256}\n")


def with_texts(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Write a batch's instants as texts."""
    for n, field in enumerate(batch.schema):
        if pa.types.is_timestamp(field.type):
            batch = batch.set_column(n, field.name, instant_texts(batch.column(n)))
    return batch


def laid_out(table: pa.Table) -> Iterator[str]:
    """Yield the lines of a table; a heading stands one word above another, numbers to the right."""
    columns = [_cells(column) for column in table.columns]
    heads = [name.split("_") for name in table.schema.names]
    left = [pa.types.is_string(f.type) or pa.types.is_timestamp(f.type) for f in table.schema]
    tall = max(map(len, heads))
    heads = [[""] * (tall - len(words)) + words for words in heads]
    widths = [max(map(len, [*words, *cells])) for words, cells in zip(heads, columns, strict=True)]

    def line(cells: Any) -> str:
        return _GAP.join(
            cell.ljust(width) if to_left else cell.rjust(width)
            for cell, width, to_left in zip(cells, widths, left, strict=True)
        ).rstrip()

    for level in zip(*heads, strict=True):
        yield line(level)
    yield _GAP.join("-" * width for width in widths)
    for row in zip(*columns, strict=True):
        yield line(row)


def _cells(column: pa.ChunkedArray) -> list[str]:
    if pa.types.is_timestamp(column.type):
        texts = instant_texts(column.combine_chunks()).to_pylist()
        return ["-" if text is None else text.removesuffix("T00:00:00Z") for text in texts]
    return [_cell(value) for value in column.to_pylist()]


def _cell(value: object) -> str:
    """Write a value on one line, with nothing in it that steers a terminal."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    if isinstance(value, int):
        return f"{value:,}"
    return _plain(str(value))


def _plain(text: str) -> str:
    return text if text.isprintable() else ascii(text)[1:-1]
