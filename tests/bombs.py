"""Small files that unpack to gigabytes, or say that they do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from replay.receipts import Form


def zeros(path: Path, table: pa.Table) -> None:
    """Write an Arrow file of kilobytes whose one batch unpacks to more than a gigabyte."""
    rows = 150_000_000
    numbers = pa.py_buffer(np.zeros(rows + 1, dtype=np.int64))  # takes nothing until it is written
    columns = [
        pa.Array.from_buffers(
            kind, rows, [None, numbers, numbers] if kind == pa.string() else [None, numbers]
        )
        for kind in table.schema.types
    ]
    table = pa.table(columns, schema=table.schema)
    with pa.ipc.new_file(
        path, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")
    ) as writer:
        writer.write_table(table)
    assert path.stat().st_size < 1 << 20


def lying(path: Path, table: pa.Table) -> None:
    """Write an Arrow file that says of a compressed column that it unpacks to a terabyte."""
    text = "unpacked" * 40
    table = table.slice(0, 1).set_column(0, "month", pa.array([text]))
    with pa.ipc.new_file(
        path, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")
    ) as writer:
        writer.write_table(table)
    content = path.read_bytes()
    at = content.index(len(text).to_bytes(8, "little") + b"\x28\xb5\x2f\xfd")  # then zstd begins
    path.write_bytes(content[:at] + (1 << 40).to_bytes(8, "little") + content[at + 8 :])


def emptied(path: Path, table: pa.Table) -> None:
    """Write a Parquet file of kilobytes with millions of rows in which nothing is."""
    nothing = [pa.nulls(3_000_000, field.type) for field in table.schema]
    pq.write_table(pa.table(nothing, schema=table.schema), path, compression="zstd")
    assert path.stat().st_size < 1 << 20


def snappy(path: Path, table: pa.Table) -> None:
    """Write a Parquet file that says of its first page that it unpacks to two gigabytes."""
    pq.write_table(table, path, compression="snappy", use_dictionary=False)
    content, header = path.read_bytes(), b"PAR1\x15\x00\x15"
    assert content.startswith(header)
    length = content[len(header) :]
    while length[0] & 128:  # a number as Thrift writes it
        length = length[1:]
    path.write_bytes(header + b"\xfe\xff\xff\xff\x0f" + length[1:])


BOMBS: dict[str, tuple[Form, Any, str]] = {
    "zeros": ("arrow", zeros, "the file is no arrow: it takes more than 1 GB to read"),
    "lying": ("arrow", lying, "the file is no arrow: it takes more than 1 GB to read"),
    "emptied": ("parquet", emptied, "so much differs in the file that it was not read to its end"),
    "snappy": ("parquet", snappy, "the file is no parquet: it is no whole Parquet file"),
}
