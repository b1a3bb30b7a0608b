"""The same fold, compiled: the plain functions of `projections.fold` made known to numba.

Nothing is written twice. Each function is registered under its own name, so
that compiled code calling it compiles it too. Only this module and what
stands on it import numba: one candidate's question must not pay for it.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

import llvmlite.binding as llvm
import numba
from numba.extending import register_jitable

from projections.fold import (
    calendar,
    catalogue,
    certifications,
    facts,
    grants,
    rules,
    sittings,
    verdict,
    walk,
)
from replay import kernels
from retake_policies import rules as policy_rules

FOLD: Final[tuple[ModuleType, ...]] = (
    policy_rules,
    calendar,
    catalogue,
    certifications,
    grants,
    sittings,
    walk,
    rules,
    verdict,
)
"""Every module whose functions are compiled, lowest first."""

SOURCES: Final[tuple[ModuleType, ...]] = (*FOLD, facts, kernels)
"""Every module that compiled code reaches, constants and layouts among them."""

# Handing a tuple of sixty columns to each small function cost forty times the work itself:
# counting references to them, though nothing here is ever allocated, and copying them.
_OPTIONS: Final[dict[str, Any]] = {"_nrt": False}

_INTERPRETED: Final = frozenset({"compile_rules", "rule_book", "room"})


def fold_functions() -> list[Callable[..., Any]]:
    """Return every function of the fold that is compiled."""
    return [
        value
        for module in FOLD
        for name, value in vars(module).items()
        if callable(value)
        and getattr(value, "__module__", None) == module.__name__
        and not isinstance(value, type)
        and name not in _INTERPRETED
    ]


class Kernels(NamedTuple):
    """The compiled loops of `replay.kernels`; they release the interpreter's lock."""

    stand_all: Callable[..., None]
    judge_sittings: Callable[..., int]
    stand_each: Callable[..., None]
    stretch_all: Callable[..., tuple[int, int]]
    number_sittings: Callable[..., int]


_HELPERS: Final[tuple[Callable[..., Any], ...]] = (
    kernels.question,
    kernels.next_fact,
    kernels.first_sitting,
    kernels.same_stretch,
)
"""What the loops share among themselves."""


@lru_cache(maxsize=4)
def kernels_in(cache: Path | None) -> Kernels:
    """Compile the kernels, or load them from a folder of an earlier run; None keeps nothing.

    numba looks only at the file of the entry function to tell whether cached
    code is stale, and after an edit of a rule went on with the old one. So
    the folder is named by a digest of everything that is compiled.
    """
    for function in (*fold_functions(), *_HELPERS):
        register_jitable(**_OPTIONS, forceinline=True)(function)
    keep = cache is not None and _usable(cache / digest())
    if cache is not None and keep:
        setattr(numba.config, "CACHE_DIR", str(cache / digest()))  # noqa: B010 (made at run time)
    compile_ = numba.njit(nogil=True, cache=keep, **_OPTIONS)
    return Kernels(*(compile_(getattr(kernels, name)) for name in Kernels._fields))


def digest() -> str:
    """Return a digest of all sources that are compiled, of numba and of the processor."""
    summed = hashlib.sha256()
    for module in SOURCES:
        summed.update(Path(str(module.__file__)).read_bytes())
    summed.update(Path(__file__).read_bytes())  # how it is compiled
    named = (numba.__version__, platform.python_version(), llvm.get_host_cpu_name())
    summed.update(repr(named).encode())
    return summed.hexdigest()[:16]


def _usable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".probe"
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return True
