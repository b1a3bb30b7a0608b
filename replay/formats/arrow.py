"""Arrow tables as Arrow files (the IPC file form, .arrow), and read back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.ipc as ipc

from replay.formats.json import BATCH, Batched, check_columns, foreign_texts


def write_arrow(table: Batched, file: BinaryIO) -> None:
    """Write rows as they come, a record batch at a time."""
    with ipc.new_file(file, table.schema) as writer:
        for batch in table.to_batches(max_chunksize=BATCH):
            writer.write_batch(batch)


def read_arrow(file: BinaryIO) -> Iterator[tuple[str, ...]]:
    """Yield the rows as texts, the header first; raises ValueError."""
    try:
        reader = ipc.open_file(file)
        check_columns(reader.schema)
        yield tuple(reader.schema.names)
        batches = map(reader.get_batch, range(reader.num_record_batches))
        yield from foreign_texts(batches, file)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"it is no whole Arrow file ({error})") from None
