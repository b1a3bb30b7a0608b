"""Excel workbooks: a sheet of rows, and a sheet that is the receipt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, BinaryIO

import pyarrow as pa

from ledger.intake.workbook import NoSheet, read_sheet, text_of
from replay.formats import About, CannotWrite
from replay.formats.csv import list_text
from replay.formats.json import Batched

MOST_ROWS = 1_048_575
"""What a sheet holds below its header."""
LONGEST = 32_767
"""How many characters a cell holds."""
RECEIPT = "receipt"
FIRST = datetime(1900, 3, 1, tzinfo=UTC)
"""Before it, what Excel takes for a day is not the day it is: it believes in a 29 February 1900."""

_MADE = datetime(2000, 1, 1)  # noqa: DTZ001 - what a workbook says of when it was made has no zone
_INSTANT = "yyyy-mm-dd hh:mm:ss"
_WIDEST = 40
_BATCH = 8192


def write_workbook(
    table: Batched, file: BinaryIO, about: About, receipt: Callable[[], str] | None = None
) -> None:
    """Write a table and then its receipt (JSON), row by row; the same rows give the same bytes.

    Texts stay texts, whatever they begin with; instants are dates in UTC, those before March 1900
    as texts. Raises CannotWrite for what a sheet has no room for.
    """
    # Here, since only few outputs are workbooks.
    from xlsxwriter import Workbook

    with Workbook(file, {"constant_memory": True}) as book:
        book.set_properties({"created": _MADE})
        sheet = book.add_worksheet(about.title)
        # A text that begins and ends as a run of rich text does would be written as XML, as it is.
        sheet._xml_rich_inline_string = lambda text, cell: sheet._xml_inline_string(
            text, True, cell
        )
        sheet.freeze_panes(1, 0)
        date = book.add_format({"num_format": _INSTANT, "align": "left"})
        bold = book.add_format({"bold": True})
        for n, field in enumerate(table.schema):
            shown = 20 if pa.types.is_timestamp(field.type) else len(field.name) + 2
            sheet.set_column(n, n, min(max(shown, 12), _WIDEST))
        for n, name in enumerate(table.schema.names):
            sheet.write_string(0, n, name, bold)
        writers = [_writer(sheet, field.type, date) for field in table.schema]
        row = 0
        for batch in table.to_batches(max_chunksize=_BATCH):
            if row + batch.num_rows > MOST_ROWS:
                raise CannotWrite(
                    f"a sheet holds {MOST_ROWS:,} rows, and these are more: accepted are csv, "
                    "tsv, json, jsonl, parquet and arrow"
                )
            for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                row += 1
                for n, value in enumerate(values):
                    if value is not None:
                        writers[n](row, n, value)
        if receipt is not None:
            inside = book.add_worksheet(RECEIPT)
            inside.set_column(0, 0, 100)
            for n, line in enumerate(receipt().splitlines()):
                inside.write_string(n, 0, line)


def _writer(sheet: Any, kind: pa.DataType, date: Any) -> Callable[[int, int, Any], object]:
    """Return what writes a value of a type into a cell."""

    def text(row: int, column: int, value: str) -> None:
        if len(value) > LONGEST:
            raise CannotWrite(
                f"a cell holds {LONGEST:,} characters, and {value[:20]!r}… has {len(value):,}: "
                "accepted are csv, tsv, json, jsonl, parquet and arrow"
            )
        sheet.write_string(row, column, value)

    def instant(row: int, column: int, value: datetime) -> None:
        if value < FIRST:
            sheet.write_string(row, column, value.strftime("%Y-%m-%dT%H:%M:%SZ"))
        else:
            sheet.write_datetime(row, column, value.replace(tzinfo=None), date)

    if pa.types.is_timestamp(kind):
        return instant
    if pa.types.is_boolean(kind):
        writer: Callable[[int, int, Any], object] = sheet.write_boolean
        return writer
    if pa.types.is_string(kind):
        return text
    if pa.types.is_list(kind):
        return lambda row, column, values: text(row, column, list_text(values) or "")
    number: Callable[[int, int, Any], object] = sheet.write_number
    return number


def read_workbook(file: BinaryIO) -> Iterator[tuple[str, ...]]:
    """Yield the rows of the first sheet as texts, the header first; raises ValueError.

    All are as wide as the header: a spreadsheet leaves out the empty cells at a row's end, or adds
    some, and rows below that hold nothing.
    """
    width = 0
    for row in read_sheet(file, 0, formulas=True):
        cells = [_text(value) for value, _ in row]
        if not any(cells):
            continue
        while len(cells) > width and not cells[-1]:
            cells.pop()
        width = width or len(cells)
        yield (*cells, *[""] * (width - len(cells)))


def receipt_of_workbook(file: BinaryIO) -> str | None:
    """Return the receipt of a workbook, None where it has none; raises ValueError."""
    try:
        lines = [str(row[0][0]) for row in read_sheet(file, RECEIPT, formulas=True) if row]
    except NoSheet:
        return None
    return "\n".join(lines) or None


def _text(value: Any) -> str:
    """Write a value of a cell as our tables do: an instant, which is one of UTC, says so."""
    if isinstance(value, datetime):
        return f"{value.isoformat(timespec='milliseconds')}Z"
    return text_of(value)
