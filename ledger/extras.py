"""A library that is not installed: which extra brings it, in one sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Final

from ledger.problems import LedgerProblem

_PROGRAM: Final = "attempt-ledger"
_DISTRIBUTIONS: Final = {"pyspark": "pyspark-client", "vl-convert": "vl-convert-python"}
"""Of modules that are not called as what installs them is."""
_REQUIREMENT: Final = re.compile(r"""([\w.-]+).*;.*\bextra == ['"]([\w-]+)['"]""")


class NotInstalled(LedgerProblem, ImportError):
    """What was called needs an extra of attempt-ledger that is not installed; str() names it."""


def needing(error: ModuleNotFoundError, extra: str | None = None) -> NotInstalled | None:
    """Return what a missing module means: an extra to install; None if none of ours brings it.

    It is the smallest that brings it, or `extra`: one that brings all that was called needs, where
    the first missing library would lead to less.
    """
    missing = (error.name or "").partition(".")[0].replace("_", "-").lower()
    missing = _DISTRIBUTIONS.get(missing, missing)
    bringing = [name for name, libraries in _extras().items() if missing in libraries]
    if not bringing:
        return None
    least = min(bringing, key=lambda name: len(_extras()[name]))
    return NotInstalled(
        f"this needs {missing}, which is not installed: pip install '{_PROGRAM}[{extra or least}]'"
    )


@cache
def _extras() -> Mapping[str, frozenset[str]]:
    """Return what each extra brings, by the metadata of the install."""
    # Here: it takes 15 ms to import, and nearly always nothing is missing.
    from importlib.metadata import PackageNotFoundError, requires

    found: dict[str, set[str]] = {}
    with suppress(PackageNotFoundError):  # run from a folder, without an install
        for requirement in requires(_PROGRAM) or ():
            if (parts := _REQUIREMENT.match(requirement)) is not None:
                found.setdefault(parts[2], set()).add(parts[1].replace("_", "-").lower())
    return {name: frozenset(libraries) for name, libraries in found.items()}
