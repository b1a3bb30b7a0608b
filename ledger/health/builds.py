"""Which SQLite is in use, and whether it has the bug that can damage a write-ahead log.

The "WAL-reset bug" (https://sqlite.org/wal.html#walresetbug, found 2026-03-03): while one
connection checkpoints, another commits and starts the log anew; the checkpoint then notes pages as
copied that never were, and a later one skips them. The file is damaged, committed rows are lost.
"""

from __future__ import annotations

import sqlite3

_SINCE = (3, 7, 0)
_FIXED = (3, 51, 3)
_MENDED = ((3, 44, 6), (3, 50, 7))
"""Older lines that got the fix too, and from which release of each on."""


def has_wal_reset_bug(version: str) -> bool:
    """Return whether a release of SQLite, such as ``3.40.1``, has the bug.

    >>> has_wal_reset_bug("3.51.2"), has_wal_reset_bug("3.51.3"), has_wal_reset_bug("3.50.7")
    (True, False, False)
    """
    number = tuple(int(part) for part in version.split(".")[:3])
    if any(number[:2] == mended[:2] and number >= mended for mended in _MENDED):
        return False
    return _SINCE <= number < _FIXED


def python_sqlite() -> str:
    """Return the release of the SQLite that keeps the ledger: what Python's module is linked to."""
    return sqlite3.sqlite_version


def arrow_sqlite() -> str | None:
    """Give the release that the Arrow driver brings, which only reads; None if it does not say."""
    from adbc_driver_manager import Error
    from adbc_driver_sqlite import dbapi

    try:
        with dbapi.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT sqlite_version()")
            (version,) = cursor.fetchone() or (None,)
    except Error:
        return None
    return None if version is None else str(version)
