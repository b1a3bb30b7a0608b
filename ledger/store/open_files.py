"""Which files this process has open with SQLite, so that nothing opens and closes them beside it.

Who closes a file lets go of every lock the process holds on it, whoever took it (POSIX). SQLite
knows that and takes care among its own connections; a file that is opened past it, if only to look
at its header, takes their locks away. Then another process believes itself alone, sweeps up the
write-ahead log when it closes, and what is appended here from then on goes into a log that nobody
reads (https://sqlite.org/howtocorrupt.html, section 2.2).
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from pathlib import Path
from threading import Lock
from typing import Any

_Inode = tuple[int, int]
_guard = Lock()
_open: Counter[_Inode] = Counter()


class Connection(sqlite3.Connection):
    """A connection that is counted until it is closed."""

    inode: _Inode | None = None

    def close(self) -> None:
        """Close it."""
        super().close()
        if self.inode is not None:
            _forget(self.inode)
            self.inode = None


def connect(path: Path, uri: str, **settings: Any) -> sqlite3.Connection:
    """Connect to the file at `path`, named by `uri`, and remember that it is open."""
    try:
        inode = _inode(path)
    except OSError:
        there: sqlite3.Connection = sqlite3.connect(uri, uri=True, **settings)
        return there  # or it says what is wrong with the file
    with _guard:
        _open[inode] += 1
    try:
        connection: Connection = sqlite3.connect(uri, uri=True, factory=Connection, **settings)
    except BaseException:
        _forget(inode)
        raise
    connection.inode = inode
    return connection


def header(path: Path) -> bytes | None:
    """Return a file's first 100 bytes; None if it is open here, so must be asked through SQLite.

    Raises OSError.
    """
    with _guard:
        if _open[_inode(path)]:
            return None
        with path.open("rb") as file:
            return file.read(100)


def _inode(path: Path) -> _Inode:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _forget(inode: _Inode) -> None:
    with _guard:
        _open[inode] -= 1
        if not _open[inode]:
            del _open[inode]
