"""The cells of an Excel workbook, read row by row, and never more of it than one can be."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from itertools import islice
from typing import Any, BinaryIO, Final

from ledger.intake.csv import CsvRow, header_of
from ledger.intake.source import BrokenSource, Source
from ledger.problems import shown

_ESCAPED: Final = re.compile("_x([0-9A-Fa-f]{4})_")
"""How a workbook writes a character that XML cannot hold, and what looks like that."""
_MOST_ROWS: Final = 1 << 20
_MOST_CELLS: Final = 64 << 20
_AT_ONCE: Final = 256  # rows
_ALWAYS: Final = 64 << 20
_RATIO: Final = 100
_NEVER: Final = 4 << 30
"""A workbook is packed to a tenth or so: one that unpacks to more than so many times its size, and
to more bytes than the first, or than the third, is no workbook of anybody's."""
_WHOLE: Final = 256 << 20
"""What may unpack from the parts that are read whole: all but the sheets."""


class NoSheet(ValueError):
    """The workbook has no sheet of that name; str() says which it has."""


def read_sheet(
    file: BinaryIO, sheet: int | str, *, formulas: bool
) -> Iterator[list[tuple[Any, bool]]]:
    """Yield the rows of a sheet, by its place or name, each cell as (value, whether it is wrong).

    Rows that the file leaves out come too, without cells. Of a formula the value is what the
    spreadsheet last made of it or, with `formulas`, a text that says that it is one; what a
    spreadsheet could not make is wrong. Raises ValueError, a sentence's end, for what is no
    workbook, is damaged, or would unpack to more than one holds, and NoSheet.
    """
    # Here, since only few inputs are workbooks (200 ms).
    from openpyxl import load_workbook

    file.seek(0)
    try:
        _check_size(file)
        with _unwarned():
            book = load_workbook(file, read_only=True, data_only=not formulas)
            names = book.sheetnames
            name = names[sheet] if isinstance(sheet, int) else sheet
            if name not in names:
                raise NoSheet(
                    f"it has no sheet {shown(name)}: it has {', '.join(map(shown, names))}"
                )
            found = book[name]
            found.reset_dimensions()  # what a file says of how wide it is may be wrong
            rows = found.iter_rows()
        cells = number = 0
        some = [()]
        while some:
            with _unwarned():
                some = list(islice(rows, _AT_ONCE))
            for row in some:
                cells, number = cells + len(row), number + 1
                if cells > _MOST_CELLS or number > _MOST_ROWS:
                    raise ValueError(
                        f"it has more than {_MOST_CELLS:,} cells or {_MOST_ROWS:,} rows"
                    )
                yield list(map(_value, row))
    except NoSheet:
        raise
    # All that openpyxl, and the libraries below it, raise of files that are none.
    except (zipfile.BadZipFile, LookupError, SyntaxError, TypeError, ValueError) as error:
        raise ValueError(f"it is no whole workbook ({error})") from None
    except (ArithmeticError, AttributeError, EOFError, RuntimeError, zlib.error) as error:
        raise ValueError(f"it is no whole workbook ({error})") from None


@contextmanager
def _unwarned() -> Iterator[None]:
    """Hear nothing of styles that other programs leave out, nor of dates that are none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class WorkbookRows:
    """The header and rows of a workbook's sheet, as `CsvFile` has those of a CSV.

    A row's `line` is its number in the sheet. Raises SourceProblem at once for what is no workbook
    or has no header, BrokenSource midway.
    """

    separator = ","
    """Of the CSV that its rejects are."""

    def __init__(self, source: Source, sheet: str | None) -> None:
        self._name = source.name
        self._rows = self._texts(read_sheet(source.file(), sheet or 0, formulas=False))
        self.header = header_of(next((row.fields for row in self._rows), []), source.name)

    def rows(self) -> Iterator[CsvRow]:
        """Yield the rows after the header in order, as wide as it; empty ones are none."""
        width = len(self.header)
        for line, fields, problem in self._rows:
            more = [*fields, *[""] * (width - len(fields))]
            if any(more[width:]):
                problem = problem or f"has a cell to the right of the header's {width}"
            yield CsvRow(line, more[:width] if not problem else more, problem)

    def _texts(self, rows: Iterator[list[tuple[Any, bool]]]) -> Iterator[CsvRow]:
        try:
            for number, row in enumerate(rows, start=1):
                fields = [text_of(value) for value, _ in row]
                if any(fields):
                    wrong = [
                        text for text, (_, is_wrong) in zip(fields, row, strict=True) if is_wrong
                    ]
                    problem = f"has a cell that shows the error {wrong[0]}" if wrong else ""
                    yield CsvRow(number, fields, problem)
        except ValueError as error:
            raise BrokenSource(f"{self._name} cannot be read: {error}") from None


def text_of(value: Any) -> str:
    """Write a value of a cell; a number the same whether it came as 1 or as 1.0.

    >>> text_of(700.0), text_of(None), text_of(datetime(2021, 3, 1, 9))
    ('700', '', '2021-03-01T09:00:00')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return str(value)


def _value(cell: Any) -> tuple[Any, bool]:
    value = cell.value
    if cell.data_type == "f":
        return f"the formula {value}", False
    if isinstance(value, str):
        value = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), value)
    return value, cell.data_type == "e"


def _check_size(file: BinaryIO) -> None:
    """Refuse a small file that unpacks to a large one; raises ValueError.

    What the directory says of sizes binds: no more than that is unpacked of any part.
    """
    size = file.seek(0, io.SEEK_END)
    with zipfile.ZipFile(file) as parts:
        sizes = {part.filename: part.file_size for part in parts.infolist()}
    file.seek(0)
    unpacked = sum(sizes.values())
    whole = sum(size for name, size in sizes.items() if "worksheets/" not in name)
    if unpacked > min(max(_ALWAYS, _RATIO * size), _NEVER) or whole > _WHOLE:
        raise ValueError(f"its {size:,} bytes would unpack to {unpacked:,}")
