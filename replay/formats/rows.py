"""Tables in every form of `replay.formats.TABLE`: one place that writes them and reads them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final, NamedTuple

from replay.formats import About
from replay.formats.arrow import write_arrow
from replay.formats.csv import read_csv, write_csv
from replay.formats.foreign import READERS, foreign_receipt, foreign_rows, own_rows
from replay.formats.json import Batched, Written, read_json, read_jsonl, write_json, write_jsonl
from replay.formats.parquet import write_parquet
from replay.formats.xlsx import read_workbook, receipt_of_workbook, write_workbook


class Carrier(NamedTuple):
    """A form that carries its receipt inside."""

    mark: bytes
    """How its files begin."""
    receipt: Callable[[BinaryIO], str | bytes | None]
    """Reads the receipt, None where there is none; raises ValueError for a damaged file."""


CARRIERS: Final = {
    "parquet": Carrier(b"PAR1", foreign_receipt),
    "xlsx": Carrier(b"PK\x03\x04", receipt_of_workbook),
}
_TEXTS: Final[dict[str, Callable[[Batched, Written], None]]] = {
    "csv": write_csv,
    "tsv": lambda table, file: write_csv(table, file, "\t"),
    "json": write_json,
    "jsonl": write_jsonl,
}
_READERS: Final[dict[str, Callable[[BinaryIO], Iterator[tuple[str, ...]]]]] = {
    "csv": read_csv,
    "tsv": lambda file: read_csv(file, "\t"),
    "json": read_json,
    "jsonl": read_jsonl,
    "xlsx": read_workbook,
}


def write_rows(
    table: Batched,
    form: str,
    file: BinaryIO,
    about: About,
    receipt: Callable[[], str] | None = None,
) -> None:
    """Write a table in a form of `TABLE`; raises CannotWrite for what the form has no room for.

    Rows are written as they come, a batch at a time. `receipt` is called when the last is written;
    the forms of `CARRIERS` put what it returns inside.
    """
    if form == "parquet":
        write_parquet(table, file, receipt)
    elif form == "arrow":
        write_arrow(table, file)
    elif form == "xlsx":
        write_workbook(table, file, about, receipt)
    else:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="\n")
        try:
            _TEXTS[form](table, text)
            text.flush()
        finally:
            text.detach()


def read_rows(file: BinaryIO, form: str, *, foreign: bool = False) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a file as texts that compare, the header first; raises ValueError.

    JSON without a row has no header. A `foreign` file, which others may have written, takes no more
    than is bounded: see `replay.formats.foreign`.
    """
    file.seek(0)
    if form in READERS:
        yield from foreign_rows(file, form) if foreign else own_rows(file, form)
    else:
        yield from _READERS[form](file)
