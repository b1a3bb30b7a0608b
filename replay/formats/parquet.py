"""Arrow tables as Parquet, their receipt in the schema's metadata, and read back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from replay.formats.json import BATCH, Batched, Foreign, check_columns, foreign_batches

MEMBER: Final = b"attempt-ledger.receipt"
"""The receipt's key in the metadata."""
_MOST_UNPACKED: Final = 512 << 20
"""Bytes of a group of rows: a million of ours have less."""


def write_parquet(table: Batched, file: BinaryIO, receipt: Callable[[], str] | None = None) -> None:
    """Write rows as they come, then the receipt, which is asked for when the last is written.

    Instants are timestamps of microseconds in UTC.
    """
    if isinstance(table, pa.Table):
        if receipt is not None:
            table = table.replace_schema_metadata({MEMBER: receipt()})
        with pq.ParquetWriter(file, table.schema) as writer:
            writer.write_table(table, row_group_size=BATCH * 16)
        return
    with pq.ParquetWriter(file, table.schema) as writer:
        for batch in table.to_batches(max_chunksize=BATCH):
            writer.write_batch(batch)
        if receipt is not None:
            writer.add_key_value_metadata({MEMBER: receipt()})


def receipt_of_parquet(file: BinaryIO) -> bytes | None:
    """Return the receipt inside a file, None where there is none; raises ValueError."""
    found: bytes | None = (_opened(file).metadata.metadata or {}).get(MEMBER)
    return found


def parquet_batches(file: BinaryIO) -> Foreign:
    """Return the columns of others' file, and its rows; raises ValueError, as reading them does.

    And MemoryError, or worse: see `replay.formats.foreign`.
    """
    parquet = _opened(file)
    check_columns(parquet.schema_arrow)
    groups = map(parquet.metadata.row_group, range(parquet.num_row_groups))
    if any(group.total_byte_size > _MOST_UNPACKED for group in groups):
        raise ValueError("it unpacks to more than 512 MB at once, as no output does")
    # A text that stands there once for many rows is kept once, until it is known how long it is.
    texts = [each.name for each in parquet.schema_arrow if pa.types.is_string(each.type)]
    return parquet.schema_arrow.names, foreign_batches(_rows(_opened(file, texts)), file)


def _rows(parquet: pq.ParquetFile) -> Iterator[pa.RecordBatch]:
    try:
        yield from parquet.iter_batches(BATCH, use_threads=False)
    except MemoryError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"it is no whole Parquet file ({error})") from None


def _opened(file: BinaryIO, dictionaries: Sequence[str] = ()) -> pq.ParquetFile:
    try:
        file.seek(0)
        return pq.ParquetFile(file, read_dictionary=list(dictionaries))
    except MemoryError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"it is no whole Parquet file ({error})") from None
