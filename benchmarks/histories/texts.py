"""Text by the million: columns in which every row has the same length, filled digit by digit."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.histories.dice import Ints
from benchmarks.histories.world import DAY

Bytes = NDArray[np.uint8]
"""One row for each text, one column for each of its bytes."""

_FIRST_DAY = date(2018, 1, 1)
_EPOCH_DAYS = (_FIRST_DAY - date(1970, 1, 1)).days
_DAYS = 366 * 20


def texts(*pieces: bytes | Bytes, rows: int) -> pa.StringArray:
    """Set pieces side by side: what is the same in every row, and what differs."""
    widths = [len(piece) if isinstance(piece, bytes) else piece.shape[1] for piece in pieces]
    width = sum(widths)
    filled = np.empty((rows, width), np.uint8)
    left = 0
    for piece, size in zip(pieces, widths, strict=True):
        same = isinstance(piece, bytes)
        filled[:, left : left + size] = np.frombuffer(piece, np.uint8) if same else piece
        left += size
    ends = np.arange(rows + 1, dtype=np.int32) * np.int32(width)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(ends), pa.py_buffer(filled))


def digits(numbers: Ints, width: int) -> Bytes:
    """Write numbers with leading zeros, in three, four or eight digits."""
    if width == 8:
        return np.hstack([_table(4)[numbers // 10_000], _table(4)[numbers % 10_000]])
    return _table(width)[numbers]


def instants(seconds: Ints) -> Bytes:
    """Write whole seconds since 1970 as ``2021-03-15T09:00:00Z``; from 2018 on, for 20 years."""
    return np.hstack([_dates()[seconds // DAY - _EPOCH_DAYS], _times()[seconds % DAY]])


def rows_of(values: list[str]) -> Bytes:
    """Take texts of one length as rows, to be picked from by number."""
    return np.array([list(value.encode()) for value in values], np.uint8)


@lru_cache
def _table(width: int) -> Bytes:
    return rows_of([f"{number:0{width}d}" for number in range(10**width)])


@lru_cache
def _dates() -> Bytes:
    return rows_of([f"{_FIRST_DAY + timedelta(day)}T" for day in range(_DAYS)])


@lru_cache
def _times() -> Bytes:
    return rows_of(
        [
            f"{hour:02d}:{minute:02d}:{second:02d}Z"
            for hour in range(24)
            for minute in range(60)
            for second in range(60)
        ]
    )
