"""Every form of a file in one place: written, read back, and where its receipt is."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from replay.formats.page import read_page, receipt_of_page, write_page
from replay.formats.pictures import draw
from replay.formats.plain import write_text, write_told
from replay.formats.sheets import read_csv, write_safe_csv
from replay.formats.workbook import read_workbook, receipt_of_workbook, write_workbook
from replay.outputs import Output
from replay.receipts import Form, Receipt, ReceiptProblem, read_receipt
from replay.rows import Rows
from replay.tables import write_json, write_jsonl, write_parquet, write_parquet_of

INSIDE: Final = frozenset({"parquet", "xlsx", "html"})
"""Forms that carry their receipt inside; beside others lies `<file>.receipt.json`."""
MEMBER: Final = b"attempt-ledger.receipt"
"""The receipt's key in the metadata of a Parquet schema."""
PICTURE: Final = "picture."

_BATCH = 65_536


def beside(path: Path) -> Path:
    """Return the place of the receipt that lies beside a file."""
    return path.with_name(f"{path.name}.receipt.json")


def write(output: Output, file: BinaryIO) -> None:
    """Write an output in the form that its receipt names; raises CannotWrite.

    Rows that are made while they are read are read once, and never held.
    """
    form, table, receipt = output.receipt.form, output.table, output.receipt
    if form == "parquet" and isinstance(table, Rows):
        write_parquet_of(table, file, lambda: {MEMBER: output.settled.to_json()})
    elif form == "parquet":
        write_parquet(table.replace_schema_metadata({MEMBER: receipt.to_json()}), file)  # type: ignore[union-attr]
    elif form == "xlsx":
        write_workbook(table, receipt.name, lambda: output.settled.to_json(), file)
    elif form.startswith(PICTURE):
        file.write(draw(output, form.removeprefix(PICTURE)))
    else:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="\n")
        try:
            if form == "csv":
                write_safe_csv(table, text)
            elif form == "jsonl":
                write_jsonl(table, text)
            elif form == "json":
                write_json(table, text)
            elif form == "html":
                write_page(output, text)
            elif output.query is not None:
                write_told(output, output.query, text)
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
        return (_parquet(file).metadata.metadata or {}).get(MEMBER)
    if start.startswith(b"PK\x03\x04"):
        return receipt_of_workbook(file)
    if start[:15].lower() == b"<!doctype html>":
        return receipt_of_page(file)
    return None


def _parquet(file: BinaryIO) -> pq.ParquetFile:
    try:
        file.seek(0)
        return pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"it is no whole Parquet file ({error})") from None


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
        yield from _objects(file)
    elif form == "json":
        yield from _objects(_elements(file))
    elif form == "parquet":
        parquet = _parquet(file)
        yield tuple(parquet.schema_arrow.names)
        try:
            for batch in parquet.iter_batches(_BATCH):
                lines = io.StringIO()
                write_jsonl(pa.Table.from_batches([batch]), lines)
                for line in lines.getvalue().splitlines():
                    yield tuple(map(_value, json.loads(line).values()))
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"it is no whole Parquet file ({error})") from None
    else:
        for raw in file:
            yield (raw.decode("utf-8", "replace").rstrip("\n"),)


def _elements(file: BinaryIO) -> Iterator[bytes | str]:
    """Yield the elements of a JSON array: line by line as we lay it out, else all at once."""
    if file.readline() == b"[\n" and file.readline().startswith(b'{"'):
        file.seek(2)
        for line in file:
            if line.startswith(b"{"):
                yield line.rstrip(b",\n")
            elif line != b"]\n":
                raise ValueError(f"{line[:20]!r} is no row")
        return
    file.seek(0)
    said = json.load(file)
    if not isinstance(said, list):
        raise ValueError("it is no JSON array")
    yield from map(json.dumps, said)


def _objects(lines: Iterable[bytes | str]) -> Iterator[tuple[str, ...]]:
    names: tuple[str, ...] | None = None
    for number, line in enumerate(lines, 1):
        said = json.loads(line)
        if not isinstance(said, dict):
            raise ValueError(f"row {number} is no JSON object")
        if names is None:
            names = tuple(said)
            yield names
        if tuple(said) != names:
            raise ValueError(f"row {number} has other members than the first")
        yield tuple(map(_value, said.values()))


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
