"""Excel workbooks: a sheet of rows to read and print, a chart, and a sheet that is the receipt."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain, islice
from textwrap import wrap
from typing import Any, BinaryIO, Final

import pyarrow as pa

from ledger.intake.workbook import NoSheet, read_sheet, text_of
from replay.formats import About, CannotWrite, column_of, words_of
from replay.formats.csv import list_text
from replay.formats.json import Batched

MOST_ROWS = 1_048_575
"""What a sheet holds below its first row."""
LONGEST = 32_767
"""How many characters a cell holds."""
RECEIPT, CHART = "receipt", "chart"
FIRST = datetime(1900, 3, 1, tzinfo=UTC)
"""Before it, what Excel takes for a day is not the day it is: it believes in a 29 February 1900."""

_MADE = datetime(2000, 1, 1)  # noqa: DTZ001 - what a workbook says of when it was made has no zone
_HEAD: Final = {"bold": True, "text_wrap": True, "bottom": 1, "bg_color": "#EEF2F6"}
_FORMATS: Final[Mapping[str, Mapping[str, Any]]] = {
    "title": {"bold": True, "font_size": 14},
    "line": {},
    "moment": {"font_color": "#555555"},
    "head": _HEAD,
    "number head": {**_HEAD, "align": "right"},
    "truth": {"align": "left"},
    "text": {},
    "long": {"text_wrap": True},
    "date": {"num_format": "yyyy-mm-dd", "align": "left"},
    "minute": {"num_format": "yyyy-mm-dd hh:mm", "align": "left"},
    "instant": {"num_format": "yyyy-mm-dd hh:mm:ss", "align": "left"},
    "whole": {"num_format": "#,##0"},
    "number": {"num_format": "#,##0.00"},
    "share": {"num_format": "0.0%"},
}
_A4 = 9
_NARROWEST, _WIDEST = 9, 40
_PORTRAIT = 90
"""So many characters are printed side by side on a page that stands upright."""
_LEGIBLE = 220
"""More are not to be read any more on one page, however it lies."""
_LINE = 15
"""Points that a line takes."""
_TOP = 8
"""The title, what stands below it, an empty row and the header are within so many rows."""
_LONGEST_NAME = 31
_NO_NAME = re.compile(r"[\[\]:*?/\\']")
"""What the name of a sheet may not hold."""
_BATCH = 8192


def write_workbook(
    table: Batched, file: BinaryIO, about: About, receipt: Callable[[], str] | None = None
) -> None:
    """Write a table below its title, its chart and its receipt on further sheets, row by row.

    The same rows give the same bytes. Texts stay texts, whatever they begin with; instants are
    dates in UTC, those before March 1900 as texts. Raises CannotWrite for what a sheet has no room
    for.
    """
    # Here, since only few outputs are workbooks.
    from xlsxwriter import Workbook

    with Workbook(file, {"constant_memory": True}) as book:
        book.set_properties({"created": _MADE})
        _Sheet(book, table.schema, about).write(table)
        if about.picture is not None:
            chart = book.add_worksheet(CHART)
            chart.hide_gridlines(2)
            chart.set_landscape()
            chart.set_paper(_A4)
            chart.fit_to_pages(1, 1)
            scale: dict[str, Any] = {"x_scale": 0.5, "y_scale": 0.5, "description": about.title}
            chart.insert_image(1, 1, "", {"image_data": io.BytesIO(about.picture), **scale})
        if receipt is not None:
            inside = book.add_worksheet(RECEIPT)
            inside.set_column(0, 0, 100)
            for n, line in enumerate(receipt().splitlines()):
                inside.write_string(n, 0, line)


class _Sheet:
    """The sheet of rows: a title and what it says, an empty row, a header, the rows."""

    def __init__(self, book: Any, schema: pa.Schema, about: About) -> None:
        self._schema = schema
        self._sheet = sheet = book.add_worksheet(_NO_NAME.sub(" ", about.title)[:_LONGEST_NAME])
        # A text that begins and ends as a run of rich text does would be written as XML, as it is.
        sheet._xml_rich_inline_string = lambda text, cell: sheet._xml_inline_string(
            text, True, cell
        )
        self._formats = {
            name: book.add_format({"valign": "top", **format}) for name, format in _FORMATS.items()
        }
        self._widths = [_NARROWEST] * len(schema)
        self._writers = [self._writer(field, field.name in about.shares) for field in schema]
        self._top = self._write_top(about)

    def _write_top(self, about: About) -> int:
        """Write the title, what stands below it, and the header; return the header's row."""
        sheet, formats = self._sheet, self._formats
        sheet.write_string(0, 0, about.title, formats["title"])
        for n, line in enumerate(about.lines, 1):
            last = n == len(about.lines)
            sheet.write_string(n, 0, line[:LONGEST], formats["moment" if last else "line"])
        top = len(about.lines) + 2
        heads = [words_of(f.name, instant=pa.types.is_timestamp(f.type)) for f in self._schema]
        for n, words in enumerate(heads):
            self._see(n, max(map(len, words.split())) + 3)  # with room for the filter's arrow
        tall = max(len(wrap(words, self._widths[n])) for n, words in enumerate(heads))
        sheet.set_row(top, _LINE * tall + 3)
        for n, (field, words) in enumerate(zip(self._schema, heads, strict=True)):
            number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
            sheet.write_string(top, n, words, formats["number head" if number else "head"])
        return top

    def write(self, table: Batched) -> None:
        """Write the rows, then what is known when all are there: widths, filter, print set-up."""
        row = self._top
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
                        self._writers[n](row, n, value)
        sheet = self._sheet
        for n, width in enumerate(self._widths):
            sheet.set_column(n, n, width)
        sheet.freeze_panes(self._top + 1, 0)
        sheet.autofilter(self._top, 0, row, len(self._widths) - 1)
        sheet.repeat_rows(self._top)
        sheet.set_paper(_A4)
        wide = sum(self._widths)
        if wide > _PORTRAIT:
            sheet.set_landscape()
        if wide <= _LEGIBLE:
            sheet.fit_to_pages(1, 0)
        else:
            sheet.repeat_columns(0)
        sheet.set_footer("&R&P / &N")

    def _see(self, column: int, width: int) -> None:
        """Make a column as wide as what is in it, within reason."""
        self._widths[column] = max(self._widths[column], min(width, _WIDEST))

    def _writer(self, field: pa.Field, share: bool) -> Callable[[int, int, Any], object]:
        """Return what writes a value of a column into a cell."""
        sheet, formats, see = self._sheet, self._formats, self._see

        def text(row: int, column: int, value: str) -> None:
            if len(value) > LONGEST:
                raise CannotWrite(
                    f"a cell holds {LONGEST:,} characters, and {value[:20]!r}… has {len(value):,}: "
                    "accepted are csv, tsv, json, jsonl, parquet and arrow"
                )
            see(column, len(value) + 1)
            sheet.write_string(
                row, column, value, formats["long" if len(value) > _WIDEST else "text"]
            )

        def instant(row: int, column: int, value: datetime) -> None:
            if value < FIRST:
                text(row, column, value.strftime("%Y-%m-%dT%H:%M:%SZ"))
                return
            kind = "instant" if value.second or value.microsecond else "minute"
            kind = kind if value.hour or value.minute or kind == "instant" else "date"
            see(column, {"date": 11, "minute": 17, "instant": 20}[kind])
            sheet.write_datetime(row, column, value.replace(tzinfo=None), formats[kind])

        def number(row: int, column: int, value: float) -> None:
            see(column, len(f"{value:,.2f}") + 1)
            kind = "share" if share else "whole" if isinstance(value, int) else "number"
            sheet.write_number(row, column, value, formats[kind])

        kind = field.type
        if pa.types.is_timestamp(kind):
            return instant
        if pa.types.is_boolean(kind):
            return lambda row, column, value: sheet.write_boolean(
                row, column, value, formats["truth"]
            )
        if pa.types.is_list(kind):
            return lambda row, column, values: text(row, column, list_text(values) or "")
        return text if pa.types.is_string(kind) else number


def read_workbook(file: BinaryIO) -> Iterator[tuple[str, ...]]:
    """Yield the rows of the first sheet as texts, the header first; raises ValueError.

    What stands above the header is passed over (`title_of_workbook` reads it). All rows are as wide
    as the header: a spreadsheet leaves out the empty cells at a row's end, or adds some, and rows
    below that hold nothing.
    """
    width = 0
    rows = _texts(file)
    for cells in chain(_without_title(list(islice(rows, _TOP))), rows):
        if not any(cells):
            continue
        while len(cells) > width and not cells[-1]:
            cells.pop()
        if not width:
            width = len(cells)
            cells = list(map(column_of, cells))
        yield (*cells, *[""] * (width - len(cells)))


def title_of_workbook(file: BinaryIO) -> list[str]:
    """Return the texts above the header, none of a workbook that has none; raises ValueError."""
    top = list(islice(_texts(file), _TOP))
    count = len(top) - len(_without_title(top))
    return [row[0] for row in top[:count] if any(row)]


def _texts(file: BinaryIO) -> Iterator[list[str]]:
    """Yield the rows of the first sheet as texts."""
    for row in read_sheet(file, 0, formulas=True):
        yield [_text(value) for value, _ in row]


def _without_title(top: list[list[str]]) -> list[list[str]]:
    """Leave out of a sheet's first rows those above the header.

    Those are texts in the first column alone, with an empty row below, and something below that.
    """
    for n, row in enumerate(top):
        if not any(row):
            return top[n + 1 :] if n and any(map(any, top[n + 1 :])) else top
        if any(row[1:]):
            break
    return top


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
