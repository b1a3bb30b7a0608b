"""What a ledger's file holds, as it is found: for verification, backup and the doctor."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ledger.store.file import connect_reader, connect_writer, storage_problems
from ledger.store.inspection import (
    MOST_FOUND,
    WIDTH,
    Finding,
    Look,
    Packed,
    Reading,
    Seen,
    Values,
    ends,
    missing,
)
from ledger.store.schema import COLUMNS, redefinitions

# Not through an index: what is read is what the table holds. In a ledger of the first format, which
# has no extensions, the last column is nowhere.
_FROM = "FROM events NOT INDEXED WHERE position BETWEEN ? AND ?"
_ROWS = f"SELECT * {_FROM} ORDER BY position"


def _packing(columns: Sequence[tuple[str, str, str]], *, typed: bool) -> str:
    """Return the statement that packs rows of these columns; `typed`: if they are of their types.

    STRICT sees to the types of what is written, not of what the file's bytes are changed to.
    """
    members = ", ".join(f"'{name}', {name}" for name, _, _ in COLUMNS[:-2])
    types = [
        f" AND (typeof({name}) = '{type.lower()}'{'' if needed else f' OR {name} IS NULL'})"
        for name, type, needed in columns
        if typed
    ]
    last = "extensions" if columns == COLUMNS else "NULL"
    return f"SELECT json_object({members}), data, {last} {_FROM}{''.join(types)} ORDER BY position"


def _read_packed(
    connection: sqlite3.Connection, first: int, last: int, *, typed: bool = False
) -> list[Packed]:
    # Looked at each time: the ledger may be upgraded meanwhile.
    width = len(connection.execute("SELECT * FROM events LIMIT 0").description)
    try:
        return _fetched(connection, _packing(COLUMNS[:width], typed=typed), first, last)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        # The columns are others, or one holds bytes, which are not JSON.
        raise ValueError(str(error)) from None


def read_rows(
    connection: sqlite3.Connection, first: int, last: int, *, raw: bool = False
) -> list[Values]:
    """Return the rows of positions `first` to `last`, in the order of the table itself.

    Raises ValueError where text is not UTF-8; if `raw`, such bytes come as surrogates, which no
    leaf record can be made of. Raises sqlite3.Error.
    """
    connection.text_factory = _text if raw else str
    try:
        rows = _fetched(connection, _ROWS, first, last)
        return [(*row, None) for row in rows] if rows and len(rows[0]) == WIDTH - 1 else rows
    finally:
        connection.text_factory = str


def _fetched(connection: sqlite3.Connection, select: str, first: int, last: int) -> list[Any]:
    try:
        return connection.execute(select, (first, last)).fetchall()
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", None) is None:
            # The sqlite3 module finds it, and not SQLite.
            raise ValueError("text that is not UTF-8") from None
        raise


@contextmanager
def reading(path: Path) -> Iterator[Reading]:
    """Open a file to read rows of; raises LedgerProblem, also for what goes wrong meanwhile."""
    with storage_problems(path), closing(connect_reader(path)) as connection:
        yield Reading(partial(_read_packed, connection), partial(read_rows, connection, raw=True))


@contextmanager
def watching(path: Path) -> Iterator[Look]:
    """Open a file to look again and again whether anybody wrote to it; raises LedgerProblem.

    What is yielded returns what tells one state of the file from another, and the last position in
    it or later, in this order: what is written in between is seen as new the next time. It needs
    nothing of the store, so that a process that seals beside an import is started quickly.
    """

    def look() -> tuple[int, int]:
        with storage_problems(path):
            (version,) = connection.execute("PRAGMA data_version").fetchone()
            (head,) = connection.execute("SELECT coalesce(max(position), 0) FROM events").fetchone()
        return version, head

    with storage_problems(path):
        connection = connect_reader(path)
    with closing(connection):
        yield look


def _text(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")


def head_of(connection: sqlite3.Connection) -> int:
    """Return the last position in the table itself, 0 if there is none; raises sqlite3.Error."""
    ask = "SELECT coalesce(max(position), 0) FROM events NOT INDEXED"
    return int(connection.execute(ask).fetchone()[0])


def last_position(path: Path) -> int:
    """Return the last position that has a row, 0 if none; raises LedgerProblem."""
    with storage_problems(path), closing(connect_reader(path)) as connection:
        return head_of(connection)


def id_of(path: Path) -> str:
    """Return a ledger's own id, which is in no event, or an empty text; raises LedgerProblem."""
    with storage_problems(path), closing(connect_reader(path)) as connection:
        found = connection.execute("SELECT value FROM about WHERE name = 'ledger'").fetchone()
        return "" if found is None else str(found[0])


def definitions(path: Path) -> list[str]:
    """Return a sentence for what is defined otherwise than a ledger does; raises LedgerProblem.

    Rows that came into such a file may be others than were meant.
    """
    with storage_problems(path), closing(connect_reader(path)) as connection:
        return redefinitions(connection)


def inspect(path: Path, sealed: int) -> Seen:
    """Look at a ledger of which `sealed` events were signed; raises LedgerProblem."""
    with storage_problems(path), closing(connect_reader(path)) as connection:
        connection.execute("BEGIN")  # one state of it, whoever writes meanwhile
        first, head = connection.execute(
            # Two of them: both at once would walk through the whole table.
            "SELECT coalesce((SELECT min(position) FROM events NOT INDEXED), 1), "
            "coalesce((SELECT max(position) FROM events NOT INDEXED), 0)"
        ).fetchone()
        findings = ends(path, first, head, sealed)
        findings += [Finding(None, sentence) for sentence in redefinitions(connection)]
        if head > sealed:
            findings += _gaps(connection, sealed, head)
    return Seen(head, findings)


@contextmanager
def read_through(path: Path) -> Iterator[Callable[[], list[Finding]]]:
    """Have SQLite read the whole file meanwhile; what it found wrong is returned by the call.

    Pages, rows, and whether each index holds what the table does: no leaf tells of an index, and
    who takes an entry out of one hides its event from questions. Raises LedgerProblem.
    """
    with (
        storage_problems(path),
        closing(connect_reader(path)) as connection,
        ThreadPoolExecutor(1) as beside,
    ):
        reading = beside.submit(_read, connection)
        try:
            yield reading.result
        except BaseException:
            connection.interrupt()
            raise


def _read(connection: sqlite3.Connection) -> list[Finding]:
    try:
        rows = connection.execute(f"PRAGMA integrity_check({MOST_FOUND})").fetchall()
    except sqlite3.DatabaseError as error:
        return [Finding(None, f"SQLite cannot read the file: {error}")]
    lines = [line for (text,) in rows for line in str(text).splitlines() if text != "ok"]
    return [
        Finding(None, f"SQLite finds the file damaged: {line}")
        for line in lines
        if not line.startswith("*")
    ]


def _gaps(connection: sqlite3.Connection, sealed: int, head: int) -> list[Finding]:
    """Find the first gap among what is not sealed yet, where no leaf tells of it."""
    (count,) = connection.execute(
        "SELECT count(*) FROM events NOT INDEXED WHERE position > ?", (sealed,)
    ).fetchone()
    if count == head - sealed:
        return []
    expected = sealed + 1
    for (position,) in connection.execute(
        "SELECT position FROM events NOT INDEXED WHERE position > ? ORDER BY position", (sealed,)
    ):
        if position != expected:
            break
        expected += 1
    return [missing(expected, head)]


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

    A first position below 1 is returned: it should not be there. Counts what the table holds,
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
    """Return the first position whose recorded_at lies before the one before it, if any."""
    found = connection.execute(
        "SELECT position FROM (SELECT position, recorded_at, lag(recorded_at) OVER "
        "(ORDER BY position) AS before FROM events NOT INDEXED WHERE position >= ?) "
        "WHERE recorded_at < before LIMIT 1",
        (after,),
    ).fetchone()
    return None if found is None else int(found[0])
