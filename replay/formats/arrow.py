"""Arrow tables as Arrow files (the IPC file form, .arrow), and read back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.ipc as ipc

from replay.formats.json import BATCH, Batched, Foreign, check_columns, foreign_batches


def write_arrow(table: Batched, file: BinaryIO) -> None:
    """Write rows as they come, a record batch at a time."""
    with ipc.new_file(file, table.schema) as writer:
        for batch in table.to_batches(max_chunksize=BATCH):
            writer.write_batch(batch)


def arrow_batches(file: BinaryIO) -> Foreign:
    """Return the columns of others' file, and its rows; raises ValueError, as reading them does.

    And MemoryError, or worse: see `replay.formats.foreign`.
    """
    try:
        file.seek(0)
        reader = ipc.open_file(file)
        check_columns(reader.schema)
    except MemoryError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"it is no whole Arrow file ({error})") from None
    return reader.schema.names, foreign_batches(_rows(reader), file)


def _rows(reader: ipc.RecordBatchFileReader) -> Iterator[pa.RecordBatch]:
    try:
        yield from map(reader.get_batch, range(reader.num_record_batches))
    except MemoryError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"it is no whole Arrow file ({error})") from None
