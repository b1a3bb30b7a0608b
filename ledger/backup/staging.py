"""Where a copy is made before it gets its name: a folder beside, `<name>.part`.

A whole file gets the name, or none. Whoever is killed leaves that folder, and the next
one to make the same file clears it away.

The ledger's file is copied as of one moment, while others go on writing: by SQLite's own backup, in
steps, out of one read transaction. The copy is of the state that this transaction sees, page by
page, whatever is appended meanwhile (a backup without one starts anew at every commit of others).
No writer waits for it; the write-ahead log only grows until it ends.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple

from ledger.durable import replace, replace_all, sync
from ledger.problems import BackupProblem
from ledger.store.file import connect_reader, storage_problems
from ledger.store.integrity import head_of
from ledger.tlog.checkpoint import LogPaths
from ledger.tlog.tiles import LEVELS, width_in

_LOCK = "lock"
_FILE = "ledger"
_NAMING = "naming"
_SIDES = ("-journal", "-wal", "-shm", ".lock")
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)


class Draft(NamedTuple):
    """A copy being made, and the name that it is to have."""

    target: Path
    folder: Path

    @property
    def paths(self) -> LogPaths:
        """The copy and its log. Of no signing key: what that signed last is not the copy's."""
        file = self.folder / _FILE
        return LogPaths(file, _log_of(file), self.folder / "no-key")

    @property
    def log(self) -> Path:
        """Where the copy's log is to lie."""
        return _log_of(self.target)

    def publish(self) -> None:
        """Rename the log and the file to their names, in this order; raises BackupProblem.

        Both are wholly on the disk before. The name of the file is what makes it a backup.
        """
        check_unused(self.target)
        with storage_problems(self.target):
            sync(self.paths.file)
            sync(self.folder)
            has_log = self.paths.folder.is_dir()
            try:
                if has_log:
                    replace(self.folder / _NAMING, _identity(self.paths.folder))
                    os.rename(self.paths.folder, self.log)
                    sync(self.target.parent)
                _link(self.paths.file, self.target)
            except BaseException as error:
                if has_log:
                    with suppress(OSError):
                        os.rename(self.log, self.paths.folder)
                if isinstance(error, FileExistsError):
                    raise _there(self.target) from None
                raise
            sync(self.target.parent)


@contextmanager
def drafting(target: Path) -> Iterator[Draft]:
    """Make the folder in which `target` is made, cleared before and removed after.

    Raises BackupProblem when something of that name is there, or somebody else is at it.
    """
    target = Path(os.path.abspath(target))
    folder = Path(f"{target}.part")
    check_parent(target)
    with storage_problems(target):
        lock = _lock(folder)
    try:
        with storage_problems(target):
            _clear(folder, target)
        check_unused(target)
        yield Draft(target, folder)
    finally:
        try:
            with suppress(OSError):
                _clear(folder, target)
                (folder / _LOCK).unlink()
                folder.rmdir()
        finally:
            os.close(lock)


def check_parent(target: Path) -> None:
    """Raise BackupProblem where there is no folder to make a file in."""
    if not target.parent.is_dir():
        raise BackupProblem(f"there is no folder {target.parent}: nothing was changed")


def check_unused(target: Path) -> None:
    """Raise BackupProblem if a file, or what would be taken for a part of it, is there already."""
    for path in (target, _log_of(target)):
        if os.path.lexists(path):
            raise _there(path)
    for side in _SIDES[:3]:
        path = Path(f"{target}{side}")
        if os.path.lexists(path):
            raise BackupProblem(
                f"{path} is left of another file: SQLite would read it as a part of {target}; move "
                "it away first"
            )


def _there(path: Path) -> BackupProblem:
    return BackupProblem(f"{path} is already there: nothing was changed")


def _lock(folder: Path) -> int:
    """Acquire the lock in a folder that is ours, made if there is none; raises BackupProblem."""
    while True:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        path = folder / _LOCK
        try:
            if (
                folder.is_symlink()
                or not folder.is_dir()
                or (not path.exists() and any(folder.iterdir()))
            ):
                raise BackupProblem(f"{folder} is there, and not of ours: move it away first")
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # somebody has just ended, and removed it
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(lock).st_ino == path.stat().st_ino:
                return lock
        except BlockingIOError:
            os.close(lock)
            raise BackupProblem(
                f"{folder} is being written by another process: wait for that, or name another file"
            ) from None
        except FileNotFoundError:
            pass
        os.close(lock)


def _clear(folder: Path, target: Path) -> None:
    """Remove what a copy consists of, and nothing else."""
    file = folder / _FILE
    log, naming = _log_of(file), folder / _NAMING
    if naming.exists() and not log.exists() and not os.path.lexists(target):
        # Killed after the log had its name, and before the file had.
        with suppress(OSError):
            if naming.read_bytes() == _identity(_log_of(target)):
                shutil.rmtree(_log_of(target))
    for side in ("", *_SIDES):
        Path(f"{file}{side}").unlink(missing_ok=True)
    if log.exists():
        shutil.rmtree(log)
    for note in (naming, folder / f".{_NAMING}.new"):  # the other is left where a rename failed
        note.unlink(missing_ok=True)


def _identity(folder: Path) -> bytes:
    """Return what differs between a folder and another in its place; raises OSError."""
    found = folder.lstat()
    return f"{found.st_dev} {found.st_ino}".encode()


def _log_of(file: Path) -> Path:
    return Path(f"{file}.tlog")


def _link(file: Path, target: Path) -> None:
    """Link a file to one more name, where nothing has that name; raises FileExistsError."""
    try:
        os.link(file, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.rename(file, target)  # a file system without links, as of many a stick


# -- the ledger's file


Progress = Callable[[int], object]
"""Called with how many more there are done."""

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


class FileState(NamedTuple):
    """One state of a ledger's file, as long as it is open."""

    path: Path
    connection: sqlite3.Connection
    head: int
    """Its last position, 0 in an empty ledger."""
    pages: int


@contextmanager
def file_state(path: Path) -> Iterator[FileState]:
    """Open one state of a ledger's file; raises LedgerProblem."""
    with storage_problems(path):
        connection = connect_reader(path)
    with closing(connection):
        with storage_problems(path):
            connection.execute("BEGIN")
            head = head_of(connection)
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
        yield FileState(path, connection, head, pages)


def copy_file(source: FileState, file: Path, target: Path, progress: Progress) -> None:
    """Copy a state of a ledger to a new file, at rest (no write-ahead log), durably.

    `progress` is called with pages. Nobody but its owner may read it, whoever may read the ledger.
    Raises LedgerProblem, which names the file it is about: the source, or `target`, the name that
    the copy is to have.
    """
    mode = source.path.stat().st_mode & 0o600
    with storage_problems(target):
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with closing(sqlite3.connect(file, isolation_level=None)) as copy:
            try:
                _copy(source, copy, descriptor, progress)
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
    """Set how a file at rest is written to from now on: ``wal`` or ``delete``."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}").fetchall()


def _copy(source: FileState, copy: sqlite3.Connection, descriptor: int, progress: Progress) -> None:
    copy.execute("PRAGMA journal_mode = OFF")
    copy.execute("PRAGMA synchronous = OFF")  # it is synced here, and nobody uses it before
    copy.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    steps = left = 0

    def step(status: int, remaining: int, total: int) -> None:
        nonlocal steps, left
        steps += 1
        progress((left or total) - remaining)
        left = remaining
        if steps % _SYNC_STEPS == 0:
            # Little by little: a writer's own sync would wait for all of it at the end.
            os.fdatasync(descriptor)

    source.connection.backup(copy, pages=STEP_PAGES, progress=step)
    copy.execute("PRAGMA journal_mode = DELETE").fetchall()  # of a ledger it says WAL in its header


# -- its log


_AT_ONCE = 256


def copy_log(source: LogPaths, copy: LogPaths, size: int, note: bytes, keys: bytes) -> None:
    """Copy what a log of `size` events consists of: tiles, checkpoint, verifier keys; durably.

    A tile that has grown since is taken as it was. Raises TileMissing, and LedgerProblem.
    """
    files: dict[Path, bytes] = {}
    with storage_problems(copy.folder):
        for level, index, width in tiles_in(size):
            files[copy.tiles.path(level, index, width)] = source.tiles.read(level, index, width)
            if len(files) == _AT_ONCE:
                replace_all(files)
                files.clear()
        replace_all(files)
        replace(copy.verifier_key, keys)
        replace(copy.checkpoint, note)


def tiles_in(size: int) -> Iterator[tuple[int, int, int]]:
    """Name the tiles of a log of `size` events: level, index, width.

    >>> list(tiles_in(600))
    [(0, 0, 256), (0, 1, 256), (0, 2, 88), (1, 0, 2)]
    """
    for level in count():
        if not size >> (LEVELS * level):
            return
        for index in count():
            width = width_in(size, level, index)
            if not width:
                break
            yield level, index, width
