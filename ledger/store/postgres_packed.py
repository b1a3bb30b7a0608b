"""Rows of a SELECT as one value a column, packed by the server: numbers and texts end to end.

A driver takes each value of each row apart, which costs more of the processor than all that the
server does; these come as Arrow lays them out, or nearly so.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from psycopg import errors

from ledger.store.postgres_pool import Pool
from ledger.store.postgres_schema import SEPARATOR

_NULL: Final = -(1 << 63)
"""A number that no fact has: stands for none."""


def packed(pool: Pool, select: str, schema: pa.Schema) -> pa.RecordBatch | None:
    """Return the rows of a SELECT, in its order, as a schema of numbers and of texts never null.

    None where they cannot be packed: a text holds a control character, as no fact of ours does, or
    a column comes to more than a gigabyte. Raises LedgerProblem.
    """
    columns = ", ".join(_packing(field) for field in schema)
    with pool.connection() as connection:
        try:
            cursor = connection.execute(
                f"SELECT count(*), {columns} FROM ({select}) AS s", binary=True
            )
            ((count, *values),) = cursor.fetchall()
        except errors.ProgramLimitExceeded:
            return None
    if not count:
        return pa.RecordBatch.from_pylist([], schema)
    arrays = [_unpacked(value, field) for value, field in zip(values, schema, strict=True)]
    if any(len(array) != count for array in arrays):
        return None
    return pa.record_batch(arrays, schema)


def _packing(field: pa.Field) -> str:
    """Return what puts a column into one value."""
    if pa.types.is_string(field.type):
        return f"convert_to(string_agg({field.name}, '{SEPARATOR}'), 'UTF8')"
    return f"string_agg(int8send(coalesce({field.name}, {_NULL})), ''::bytea)"


def _unpacked(value: bytes, field: pa.Field) -> pa.Array:
    if pa.types.is_string(field.type):
        ends = pa.py_buffer(np.array([0, len(value)], np.int32))
        whole = pa.StringArray.from_buffers(1, ends, pa.py_buffer(value))
        return pc.split_pattern(whole, SEPARATOR).values
    numbers = np.frombuffer(value, ">i8").astype(np.int64)
    missing = numbers == _NULL
    return pa.array(numbers, mask=missing if missing.any() else None)
