"""Arrow tables as Parquet, their receipt in the schema's metadata, and read back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

from replay.formats.json import BATCH, Batched, batch_texts

MEMBER: Final = b"attempt-ledger.receipt"
"""The receipt's key in the metadata."""


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


def read_parquet(file: BinaryIO) -> Iterator[tuple[str, ...]]:
    """Yield the rows as texts, the header first; raises ValueError."""
    parquet = _opened(file)
    yield tuple(parquet.schema_arrow.names)
    try:
        for batch in parquet.iter_batches(BATCH):
            yield from batch_texts(batch)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"it is no whole Parquet file ({error})") from None


def _opened(file: BinaryIO) -> pq.ParquetFile:
    try:
        file.seek(0)
        return pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"it is no whole Parquet file ({error})") from None
