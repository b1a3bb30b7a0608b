"""CSV that a spreadsheet opens without running anything in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import IO, BinaryIO, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from replay.tables import Batched, write_csv

_FORMULA = r"^([=+\-@\t\r])"
"""How a cell begins that a spreadsheet takes for a formula, or for what hides one."""


T = TypeVar("T", pa.Table, pa.RecordBatch)


def guarded(table: T) -> T:
    """Put a ' before each text that would begin a formula; numbers and instants stay as they are.

    "=1+1" becomes "'=1+1", which a spreadsheet shows and does not compute (OWASP, CSV injection).
    """
    for n, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            safe = pc.replace_substring_regex(table.column(n), _FORMULA, r"'\1")
            table = table.set_column(n, field.name, safe)
    return table


def write_safe_csv(table: Batched, file: IO[str]) -> None:
    """Write CSV as `replay.tables.write_csv` does, with its texts guarded."""
    write_csv(table, file, guarded)


def read_csv(file: BinaryIO) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a CSV as they stand there, the header first; raises ValueError."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    try:
        yield from map(tuple, csv.reader(text, strict=True))
    except csv.Error as error:
        raise ValueError(str(error)) from None
    finally:
        text.detach()
