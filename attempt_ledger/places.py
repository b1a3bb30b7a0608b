"""Where the program keeps what it can make anew."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path | None:
    """Give the folder for compiled code: in XDG_CACHE_HOME, else in ~/.cache; None without a home.

    It need not be there, nor be writable: then everything works as well, after a longer start.
    """
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):
        return Path(base) / "attempt-ledger"
    try:
        return Path.home() / ".cache" / "attempt-ledger"
    except RuntimeError:
        return None
