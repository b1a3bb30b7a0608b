"""The folder of a column cache, beside its ledger: looked after without Arrow."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ledger.own_folder import own_folder, remove_ours
from ledger.store.server import Address

FILES: Final = re.compile(r"[0-9a-f]{16}\.(arrow|tmp)|manifest\.json|lock")
"""What lies in the folder."""
LOCK: Final = "lock"
FOREIGN: Final = "it was made of another file, or by another account"  # answers nothing


class Damaged(Exception):
    """A column cache that is not what its manifest says; it is rebuilt."""


def folder_of(ledger: Address) -> Path:
    """Return the folder of a ledger's column cache."""
    return Path(f"{os.fspath(ledger)}.columns")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep the lock in the folder of a column cache, which has to be our own."""
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(folder / LOCK, flags, 0o600), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def remove_columns(folder: Path) -> bool:
    """Remove a column cache but for its lock, which others may wait for; False if there is none.

    Raises NotOurs, and removes nothing, where its folder is not of our own; OSError.
    """
    if not os.path.lexists(folder):
        return False
    own_folder(folder, FILES)
    with locked(folder):
        return remove_ours(folder, FILES, but=frozenset({LOCK}))
