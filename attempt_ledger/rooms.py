"""The packages that an install puts beside this one, and whether they are ours."""

from __future__ import annotations

import os
from importlib.util import find_spec

_HOME = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
_ROOMS = ("ledger", "projections", "replay", "retake_policies")


def stranger() -> str | None:
    """Return in a sentence which package of another project stands before ours; None if none."""
    for room in _ROOMS:
        try:
            found = find_spec(room)
        except ValueError:  # a module that was put together by hand, without a spec
            found = None
        at = "nowhere" if found is None else found.origin or "a folder without __init__.py"
        if os.path.realpath(at) != os.path.join(_HOME, room, "__init__.py"):
            return (
                f"the package {room!r} that Python finds first is not of this program ({at}): "
                "leave that folder, take it from PYTHONPATH, or install this program into an "
                "environment of its own"
            )
    return None
