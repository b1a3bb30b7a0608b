"""Checks of the ledger's file: SQLite, what it holds, its write-ahead log, its durability."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from attempt_ledger.doctor.findings import Depth, Finding, Subject, fine, found, size
from attempt_ledger.doctor.surroundings import bytes_of
from ledger.problems import LedgerProblem, NotALedger
from ledger.store import integrity as content
from ledger.store.file import check_file, connect_reader, storage_problems
from ledger.store.integrity import inspect

MOST_READ = 4_000_000_000
"""A larger file is read through only with --full: it takes minutes."""
WAL_LARGE = 256_000_000
"""The log is begun anew at 16 MB, unless somebody still reads what came before."""
_TAIL = 10_000


def sqlite(subject: Subject) -> Iterator[Finding]:
    """Is the SQLite that writes one that can damage a write-ahead log?"""
    ours, arrow = python_sqlite(), arrow_sqlite()
    beside = f"; Arrow's driver brings {arrow}, which only reads" if arrow else ""
    if has_wal_reset_bug(ours):
        yield found(
            "wal-reset-bug",
            f"Python's SQLite is {ours}, in which a commit beside another connection's checkpoint "
            f"can damage the file; fixed in 3.51.3{beside}",
            python=ours,
            arrow=arrow,
        )
        return
    yield fine("sqlite", f"Python's SQLite is {ours}{beside}", python=ours, arrow=arrow)


def file(subject: Subject) -> Iterator[Finding]:
    """Is there a ledger, and does it open?"""
    path = subject.file
    if not path.exists():
        yield found("no-ledger", f"there is no file {path}")
        return
    try:
        check_file(path)
        with storage_problems(path), closing(connect_reader(path)) as connection:
            head = content.head_of(connection)
    except LedgerProblem as problem:
        remedy = None if isinstance(problem, NotALedger) else "mend what the sentence names"
        yield found("unreadable", str(problem), remedy)
        return
    bytes = bytes_of(path)
    yield fine(
        "file",
        f"{path} ends at position {head:,} and takes up {size(bytes)}",
        position=head,
        bytes=bytes,
    )


def integrity(subject: Subject) -> Iterator[Finding]:
    """Does all of it read, and does it hold what a ledger holds?"""
    try:
        yield from _integrity(subject)
    except NotALedger as problem:  # so damaged that the check itself does not come to its end
        yield found("damaged", str(problem))


def _integrity(subject: Subject) -> Iterator[Finding]:
    path, depth = subject.file, subject.depth
    if depth is Depth.usual and bytes_of(path) > MOST_READ:
        depth = Depth.quick
    sealed = subject.seal.checkpoint.size if subject.seal.checkpoint else 0
    with storage_problems(path), closing(connect_reader(path)) as connection:
        lines = (
            [] if depth is Depth.quick else content.damages(connection, full=depth is Depth.full)
        )
        if lines:
            more = f", and {len(lines) - 1} more" if len(lines) > 1 else ""
            yield found("damaged", f"SQLite finds {path} damaged: {lines[0]}{more}")
            return
        after = max(0, subject.head.position - _TAIL) if depth is Depth.quick else 0
        missing = None if depth is Depth.quick else content.gap(connection)
        falls = content.fall(connection, after)
    for finding in inspect(path, min(sealed, subject.head.position)).findings:
        if finding.position is None:
            yield found("redefined", finding.sentence)
        elif missing is None:
            missing = finding.position
    if missing is not None:
        yield found(
            "position-missing",
            f"position {missing:,} is not as it should be: positions are 1, 2, 3 … up to "
            f"{subject.head.position:,}, without a gap",
            position=missing,
        )
    if falls is not None:
        yield found(
            "recorded-at-falls",
            f"position {falls:,} was recorded before the one before it, which the ledger never "
            "does",
            position=falls,
        )
    if missing is None and falls is None:
        yield fine("integrity", _READ[depth], read=depth.name)


_READ = {
    Depth.quick: "its ends are as they should be (not read through; --full does)",
    Depth.usual: "every row reads, positions have no gap and recorded_at never falls "
    "(--full reads the indexes too)",
    Depth.full: "every row and every index reads and they agree, positions have no gap and "
    "recorded_at never falls",
}


def wal(subject: Subject) -> Iterator[Finding]:
    """Does the write-ahead log go back to its beginning now and then?"""
    bytes = bytes_of(Path(f"{subject.file}-wal"))
    if bytes > WAL_LARGE:
        yield found(
            "wal-large",
            f"the write-ahead log has grown to {size(bytes)}: some reader keeps an old "
            "state all the while",
            bytes=bytes,
        )
        return
    yield fine("wal", f"the write-ahead log takes up {size(bytes)}", bytes=bytes)


def durability(subject: Subject) -> Iterator[Finding]:
    """Is a commit on the disk when it returns?"""
    settings = content.settings(subject.file)
    if settings.journal != "wal":
        yield found(
            "not-wal",
            f"{subject.file} has no write-ahead log: readers and writers keep each other waiting",
        )
        return
    if settings.synchronous < 2 or settings.unsynced:
        yield found(
            "not-synced",
            f"this SQLite does not sync each commit (synchronous = {settings.synchronous}"
            f"{', built without syncs' if settings.unsynced else ''}): a power cut loses what was "
            "acknowledged",
            synchronous=settings.synchronous,
        )
        return
    yield fine(
        "durability",
        "each commit is synced before it returns (journal_mode = WAL, synchronous = FULL)",
        synchronous=settings.synchronous,
    )


# -- which SQLite is in use


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
    """Return the release that the Arrow driver brings, which only reads; None if unknown."""
    try:
        # Here, since the core goes without the driver.
        from adbc_driver_sqlite import dbapi
    except ModuleNotFoundError:
        return None
    try:
        with dbapi.connect() as connection, connection.cursor() as cursor:
            cursor.execute("SELECT sqlite_version()")
            (version,) = cursor.fetchone() or (None,)
    except dbapi.Error:
        return None
    return None if version is None else str(version)
