"""Excel workbooks: a sheet of rows, and a sheet that is the receipt."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from datetime import datetime
from typing import Any, BinaryIO

import pyarrow as pa

from replay.files.problems import CannotWrite

MOST_ROWS = 1_048_575
"""What a sheet holds below its header."""
RECEIPT = "receipt"
FIRST = datetime(1900, 3, 1)  # noqa: DTZ001 - a sheet knows no zones
"""Before it, what Excel takes for a day is not the day it is: it believes in a 29 February 1900."""

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_INSTANT = "yyyy-mm-dd hh:mm:ss"
_WIDEST = 40


def write_workbook(table: pa.Table, title: str, receipt: str, file: BinaryIO) -> None:
    """Write a table and its receipt (JSON), row by row.

    Texts stay texts, whatever they begin with; instants are dates in UTC, those before March 1900
    as texts. Raises CannotWrite for more rows than a sheet has.
    """
    from openpyxl import Workbook
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.styles import Font

    if table.num_rows > MOST_ROWS:
        raise CannotWrite(
            f"a sheet holds {MOST_ROWS:,} rows, and these are {table.num_rows:,}: accepted are "
            "csv, jsonl and parquet"
        )
    book = Workbook(write_only=True)
    sheet = book.create_sheet(title)
    sheet.freeze_panes = "A2"
    for n, field in enumerate(table.schema):
        letter = chr(ord("A") + n)
        shown = 20 if pa.types.is_timestamp(field.type) else len(field.name) + 2
        sheet.column_dimensions[letter].width = min(max(shown, 12), _WIDEST)

    def cell(value: Any) -> Any:
        if isinstance(value, datetime):
            value = value.replace(tzinfo=None)
            if value < FIRST:
                return f"{value.isoformat()}Z"
            made = WriteOnlyCell(sheet, value)
            made.number_format = _INSTANT
            return made
        if isinstance(value, str):
            value = _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], value)
            if value.startswith("="):
                made = WriteOnlyCell(sheet, value)
                made.data_type = "s"
                return made
        return value

    head = [WriteOnlyCell(sheet, name) for name in table.schema.names]
    for each in head:
        each.font = Font(bold=True)
    sheet.append(head)
    for batch in table.to_batches(max_chunksize=8192):
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            sheet.append([cell(value) for value in row])
    told = book.create_sheet(RECEIPT)
    told.column_dimensions["A"].width = 100
    for line in receipt.splitlines():
        told.append([line])
    book.save(file)


def read_workbook(file: BinaryIO) -> Iterator[tuple[str, ...]]:
    """Yield the rows of the first sheet as texts, the header first; raises ValueError.

    All are as wide as the header: a spreadsheet leaves out the empty cells at a row's end, or adds
    some, and rows below that hold nothing.
    """
    width = 0
    for row in _rows(file, 0):
        cells = ["" if value is None else _text(value) for value in row]
        if not any(cells):
            continue
        while len(cells) > width and not cells[-1]:
            cells.pop()
        width = width or len(cells)
        yield (*cells, *[""] * (width - len(cells)))


def receipt_of_workbook(file: BinaryIO) -> str | None:
    """Give the receipt of a workbook, None where it has none; raises ValueError."""
    lines = [str(row[0]) for row in _rows(file, RECEIPT) if row]
    return "\n".join(lines) or None


def _rows(file: BinaryIO, sheet: int | str) -> Iterator[tuple[Any, ...]]:
    from openpyxl import load_workbook

    file.seek(0)
    try:
        book = load_workbook(file, read_only=True, data_only=False)
        names = book.sheetnames
        name = names[sheet] if isinstance(sheet, int) else sheet
        if name in names:
            yield from book[name].iter_rows(values_only=True)
    except (zipfile.BadZipFile, KeyError, IndexError, ValueError, TypeError) as error:
        raise ValueError(f"it is no whole workbook ({error})") from None


def _text(value: Any) -> str:
    """Write a value of a cell; a number the same whether it came as 1 or as 1.0."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        return f"{value.isoformat(timespec='milliseconds')}Z"
    return str(value)
