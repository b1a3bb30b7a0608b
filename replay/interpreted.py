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
from replay.questions import Groups
from replay.snapshot import Engine


class Kernels(NamedTuple):
    """The loops of `replay.kernels`. Compiled ones release the interpreter's lock."""

    answer_each: Callable[..., None]
    decide_each: Callable[..., None]
    stretch_all: Callable[..., tuple[int, int]]
    number_sittings: Callable[..., int]
    hold_all: Callable[..., int]


STEPS: Final = 200_000
"""So many are interpreted in about two seconds. What they are: `steps`."""


def kernels_for(events: int, engine: Engine) -> Kernels:
    """Return the loops for a ledger of so many events: compiled, unless it is small.

    A small ledger may still hold one candidate with very many sittings of an exam: what such facts
    are put to is compiled too.
    """
    if events > engine.small:
        return _compiled(engine)
    return Kernels(*(_by_size(name, engine) for name in Kernels._fields))


def _compiled(engine: Engine) -> Kernels:
    from replay.compiled import kernels_in  # the compiler takes half a second to load

    return kernels_in(engine.cache, engine.say)


def _by_size(name: str, engine: Engine) -> Callable[..., Any]:
    def run(*arguments: Any) -> Any:
        many = steps(arguments[1]) > STEPS
        loops = _compiled(engine) if many else INTERPRETED
        return getattr(loops, name)(*arguments)

    return run


def steps(groups: object) -> int:
    """Return how many rows a loop may come to in the worst case: all of a group, for each of them.

    0 for what is no group: then each row is come to a few times.
    """
    if not isinstance(groups, Groups):
        return 0
    lengths = np.asarray(groups.hi) - np.asarray(groups.lo)
    return int((lengths * lengths).sum())


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
