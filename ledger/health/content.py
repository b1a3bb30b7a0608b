"""Whether a ledger's file reads, and holds what a ledger always holds."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from ledger.store.file import connect_reader, connect_writer, storage_problems

MOST_FOUND = 20


class Settings(NamedTuple):
    """How the connection that writes is set up, as SQLite itself says."""

    journal: str
    synchronous: int
    """2: FULL, each commit is on the disk when it returns; 3: EXTRA. Less is not durable."""
    unsynced: bool
    """SQLite was built without syncs at all."""


def settings(path: Path) -> Settings:
    """Ask what is in force when we write; where we may not, what would be by the file itself.

    Writes nothing. Raises LedgerProblem when the file cannot be opened.
    """
    with storage_problems(path):
        try:
            with closing(connect_writer(path)) as connection:
                return _in_force(connection)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (
                sqlite3.SQLITE_CANTOPEN,
                sqlite3.SQLITE_READONLY,
            ):
                raise
        with closing(connect_reader(path)) as connection:
            found = _in_force(connection)
        # Read as it lies, nothing is said of its log. Nobody's locks are lost by opening the file:
        # who may not write beside it holds none.
        with path.open("rb") as file:
            return found._replace(journal="wal" if file.read(20)[18:] == b"\2\2" else found.journal)


def _in_force(connection: sqlite3.Connection) -> Settings:
    connection.execute("SELECT name FROM about LIMIT 1").fetchall()
    (journal,) = connection.execute("PRAGMA journal_mode").fetchone()
    (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
    options = {each for (each,) in connection.execute("PRAGMA compile_options")}
    return Settings(journal, synchronous, bool(options & {"NO_SYNC", "DISABLE_DIRSYNC"}))


def damages(connection: sqlite3.Connection, *, full: bool) -> list[str]:
    """Let SQLite read the whole file; give what it finds wrong, at most MOST_FOUND.

    Every page and row; with `full` also whether each index holds what its table does.
    """
    check = "integrity_check" if full else "quick_check"
    lines = [str(line) for (line,) in connection.execute(f"PRAGMA {check}({MOST_FOUND})")]
    return [] if lines == ["ok"] else lines


def gap(connection: sqlite3.Connection) -> int | None:
    """Return the first position that is missing (positions are 1, 2, 3 …); None if none is.

    A first position below 1 is given as it is: it should not be there. Counts what the table holds,
    whatever its indexes say.
    """
    first, last, count = connection.execute(
        "SELECT coalesce((SELECT min(position) FROM events NOT INDEXED), 1), "
        "coalesce((SELECT max(position) FROM events NOT INDEXED), 0), "
        "(SELECT count(*) FROM events NOT INDEXED)"
    ).fetchone()
    if first != 1:
        return min(int(first), 1)
    if count == last:
        return None
    low, high = 1, int(last)  # all up to low are there, not all up to high
    while high - low > 1:
        middle = (low + high) // 2
        (there,) = connection.execute(
            "SELECT count(*) FROM events NOT INDEXED WHERE position <= ?", (middle,)
        ).fetchone()
        low, high = (middle, high) if there == middle else (low, middle)
    return high


def fall(connection: sqlite3.Connection, after: int = 0) -> int | None:
    """Give the first position after one whose recorded_at lies before the one before it, if any."""
    found = connection.execute(
        "SELECT position FROM (SELECT position, recorded_at, lag(recorded_at) OVER "
        "(ORDER BY position) AS before FROM events NOT INDEXED WHERE position >= ?) "
        "WHERE recorded_at < before LIMIT 1",
        (after,),
    ).fetchone()
    return None if found is None else int(found[0])
