"""The loops of `replay.kernels` as plain Python, for ledgers too small to be worth compiling.

They are the same functions. NumPy's numbers are slow one by one, and wrap around where Python's
grow: so columns become lists on the way in, and what was written comes back on the way out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Final, NamedTuple

import numpy as np

from replay import kernels
from replay.snapshot import Engine


class Kernels(NamedTuple):
    """The loops of `replay.kernels`. Compiled ones release the interpreter's lock."""

    answer_each: Callable[..., None]
    stand_each: Callable[..., None]
    book_each: Callable[..., None]
    stretch_all: Callable[..., tuple[int, int]]
    number_sittings: Callable[..., int]
    hold_all: Callable[..., int]


def kernels_for(events: int, engine: Engine) -> Kernels:
    """Return the loops for a ledger of so many events: compiled, unless it is small."""
    if events <= engine.small:
        return INTERPRETED
    from replay.compiled import kernels_in  # the compiler takes half a second to load

    return kernels_in(engine.cache, engine.say)


def _interpreted(loop: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(loop)
    def run(*arguments: Any) -> Any:
        listed = [_lists(argument) for argument in arguments]
        result = loop(*listed)
        for columns, lists in zip(arguments, listed, strict=True):
            if isinstance(columns, tuple):
                _write_back(columns, lists)
        return result

    return run


def _lists(columns: Any) -> Any:
    """Return a column as a list, and a table of columns as a table of lists."""
    if isinstance(columns, np.ndarray):
        return columns.tolist()
    if isinstance(columns, tuple):
        return type(columns)(*map(_lists, columns))  # every table here is a named tuple
    return columns


def _write_back(columns: tuple[Any, ...], lists: tuple[Any, ...]) -> None:
    for column, values in zip(columns, lists, strict=True):
        if isinstance(column, tuple):
            _write_back(column, values)
        elif isinstance(column, np.ndarray) and column.flags.writeable:
            column[:] = values


INTERPRETED: Final = Kernels(*(_interpreted(getattr(kernels, name)) for name in Kernels._fields))
