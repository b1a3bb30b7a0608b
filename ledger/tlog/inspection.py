"""What is wrong with a ledger's table besides its rows: its ends, its gaps, its definition."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from ledger.store.file import connect_reader, storage_problems
from ledger.store.schema import redefinitions

_MOST = 20
"""So much of what is wrong with a file is told; more would be of the same kind."""


class Finding(NamedTuple):
    """One thing that is wrong."""

    position: int | None
    """The position it is about, the first of several; None: the log or the file as a whole."""
    sentence: str


class Seen(NamedTuple):
    """The last position of a ledger, and what is wrong with its table."""

    head: int
    findings: list[Finding]


def inspect(path: Path, sealed: int) -> Seen:
    """Look at a ledger of which `sealed` events were signed; raises LedgerProblem."""
    with storage_problems(path), closing(connect_reader(path)) as connection:
        connection.execute("BEGIN")  # one state of it, whoever writes meanwhile
        first, head = connection.execute(
            # Two of them: both at once would walk through the whole table.
            "SELECT coalesce((SELECT min(position) FROM events NOT INDEXED), 1), "
            "coalesce((SELECT max(position) FROM events NOT INDEXED), 0)"
        ).fetchone()
        findings = _ends(path, first, head, sealed)
        findings += [Finding(None, sentence) for sentence in redefinitions(connection)]
        if head > sealed:
            findings += _gaps(connection, sealed, head)
    return Seen(head, findings)


@contextmanager
def read_through(path: Path) -> Iterator[Callable[[], list[Finding]]]:
    """Have SQLite read the whole file meanwhile; what it found wrong is given when asked for.

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
        rows = connection.execute(f"PRAGMA integrity_check({_MOST})").fetchall()
    except sqlite3.DatabaseError as error:
        return [Finding(None, f"SQLite cannot read the file: {error}")]
    lines = [line for (text,) in rows for line in str(text).splitlines() if text != "ok"]
    return [
        Finding(None, f"SQLite finds the file damaged: {line}")
        for line in lines
        if not line.startswith("*")
    ]


def of_positions(first: int, last: int, problem: str) -> Finding:
    """Return what is wrong with a run of positions."""
    return Finding(first, f"positions {first} to {last} cannot be read: {problem}")


def _ends(path: Path, first: int, head: int, sealed: int) -> list[Finding]:
    findings = []
    if first < 1:
        findings.append(
            Finding(first, f"position {first} was put in: the ledger's first position is 1")
        )
    if head < sealed:
        gone = f"position {sealed} is" if head + 1 == sealed else f"{head + 1} to {sealed} are"
        findings.append(
            Finding(
                head + 1,
                f"{path} ends at position {head}, but {sealed} events were signed: {gone} gone; it "
                "was cut off, or is an old copy put back",
            )
        )
    return findings


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
    return [Finding(expected, f"position {expected} is missing, and {head} is the last")]
