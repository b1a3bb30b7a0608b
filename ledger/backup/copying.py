"""A copy of the ledger's file, as of one moment, while others go on writing.

SQLite's own backup, in steps, out of one read transaction: the copy is of the state that this
transaction sees, page by page, whatever is appended meanwhile (a backup without one starts anew at
every commit of others). No writer waits for it; the write-ahead log only grows until it ends.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from ledger.store.file import connect_reader, storage_problems

Told = Callable[[int], object]
"""Told how many more there are done."""

STEP_PAGES = 512
"""What is copied at once: 2 MB."""
_SYNC_STEPS = 4
# Every page is written once: a small cache hands them on instead of holding the file in memory.
_CACHE_KIB = 2 * 1024
_OF_THE_SOURCE = (
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_IOERR_READ,
    sqlite3.SQLITE_IOERR_SHORT_READ,
)


class Snapshot(NamedTuple):
    """One state of a ledger's file, as long as it is held."""

    path: Path
    connection: sqlite3.Connection
    head: int
    """Its last position, 0 in an empty ledger."""
    pages: int


@contextmanager
def snapshot(path: Path) -> Iterator[Snapshot]:
    """Hold one state of a ledger's file; raises LedgerProblem."""
    with storage_problems(path):
        connection = connect_reader(path)
    with closing(connection):
        with storage_problems(path):
            connection.execute("BEGIN")
            head = connection.execute("SELECT coalesce(max(position), 0) FROM events").fetchone()[0]
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
        yield Snapshot(path, connection, head, pages)


def copy_file(source: Snapshot, file: Path, target: Path, told: Told) -> None:
    """Copy a state of a ledger to a new file, at rest (no write-ahead log), durably.

    `told` is told of pages. Nobody but its owner may read it, whoever may read the ledger. Raises
    LedgerProblem, which names the file it is about: the source, or `target`, the name that the copy
    is to have.
    """
    mode = source.path.stat().st_mode & 0o600
    with storage_problems(target):
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with closing(sqlite3.connect(file, isolation_level=None)) as copy:
            try:
                _copy(source, copy, descriptor, told)
            except sqlite3.Error as error:
                code = getattr(error, "sqlite_errorcode", 0)
                with storage_problems(source.path if code in _OF_THE_SOURCE else target):
                    raise
        with storage_problems(target):
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def set_journal(file: Path, mode: str) -> None:
    """Say how a file at rest is written to from now on: ``wal`` or ``delete``."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}").fetchall()


def _copy(source: Snapshot, copy: sqlite3.Connection, descriptor: int, told: Told) -> None:
    copy.execute("PRAGMA journal_mode = OFF")
    copy.execute("PRAGMA synchronous = OFF")  # it is synced here, and nobody uses it before
    copy.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    steps = left = 0

    def progress(status: int, remaining: int, total: int) -> None:
        nonlocal steps, left
        steps += 1
        told((left or total) - remaining)
        left = remaining
        if steps % _SYNC_STEPS == 0:
            # Little by little: a writer's own sync would wait for all of it at the end.
            os.fdatasync(descriptor)

    source.connection.backup(copy, pages=STEP_PAGES, progress=progress)
    copy.execute("PRAGMA journal_mode = DELETE").fetchall()  # of a ledger it says WAL in its header
