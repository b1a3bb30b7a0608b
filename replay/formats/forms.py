"""Every form of a file in one place: written, read back, and where its receipt is."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from replay.formats.chart import draw
from replay.formats.csv import read_csv, write_csv
from replay.formats.html import read_page, receipt_of_page, write_page, write_picture_page
from replay.formats.json import read_json, read_jsonl, write_json, write_jsonl
from replay.formats.parquet import read_parquet, receipt_of_parquet, write_parquet
from replay.formats.text import write_query_text, write_text
from replay.formats.xlsx import read_workbook, receipt_of_workbook, write_workbook
from replay.outputs import Output
from replay.receipts import Form, Receipt, ReceiptProblem, read_receipt

INSIDE: Final = frozenset({"parquet", "xlsx", "html"})
"""Forms that carry their receipt inside; beside others lies `<file>.receipt.json`."""
PICTURE: Final = "picture."


def beside(path: Path) -> Path:
    """Return the place of the receipt that lies beside a file."""
    return path.with_name(f"{path.name}.receipt.json")


def write(output: Output, file: BinaryIO) -> None:
    """Write an output in the form that its receipt names; raises CannotWrite.

    Rows that are made while they are read are read once, and never held.
    """
    form, table = output.receipt.form, output.table
    if form == "parquet":
        write_parquet(table, file, lambda: output.settled.to_json())
    elif form == "xlsx":
        write_workbook(table, output.receipt.name, lambda: output.settled.to_json(), file)
    elif form in ("picture.svg", "picture.png"):
        file.write(draw(output, form.removeprefix(PICTURE)))
    else:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="\n")
        try:
            if form == "csv":
                write_csv(table, text)
            elif form == "jsonl":
                write_jsonl(table, text)
            elif form == "json":
                write_json(table, text)
            elif form == "html":
                write_page(output, text)
            elif form == "picture.html":
                write_picture_page(output, text)
            elif output.query is not None:
                write_query_text(output, output.query, text)
            else:
                write_text(output, text)
            text.flush()
        finally:
            text.detach()


def find_receipt(path: Path) -> Receipt:
    """Find the receipt of a file: inside it, else beside it.

    Raises ReceiptProblem, and OSError for a file that cannot be read.
    """
    with path.open("rb") as file:
        try:
            inside = _inside(file)
        except ValueError as error:
            raise ReceiptProblem(f"{path} cannot be read: {error}") from None
    if inside is not None:
        return read_receipt(inside, path.name)
    sidecar = beside(path)
    if not sidecar.is_file():
        raise ReceiptProblem(
            f"{path} has no receipt: none is inside it, and there is no {sidecar.name} beside it"
        )
    return read_receipt(sidecar.read_bytes(), sidecar.name)


def _inside(file: BinaryIO) -> str | bytes | None:
    """Return the receipt inside a file, None where its form has none."""
    start = file.read(4096)
    if start.startswith(b"PAR1"):
        return receipt_of_parquet(file)
    if start.startswith(b"PK\x03\x04"):
        return receipt_of_workbook(file)
    if start[:15].lower() == b"<!doctype html>":
        return receipt_of_page(file)
    return None


def rows_of(file: BinaryIO, form: Form) -> Iterator[tuple[str, ...]]:
    """Yield what a file says, row by row, as texts; the first row is the header.

    Of plain text a row is a line, and there is no header. Raises ValueError for what is not of
    the form.
    """
    file.seek(0)
    if form == "csv":
        yield from read_csv(file)
    elif form == "xlsx":
        yield from read_workbook(file)
    elif form == "html":
        yield from read_page(file)
    elif form == "jsonl":
        yield from read_jsonl(file)
    elif form == "json":
        yield from read_json(file)
    elif form == "parquet":
        yield from read_parquet(file)
    else:
        for raw in file:
            yield (raw.decode("utf-8", "replace").rstrip("\n"),)
