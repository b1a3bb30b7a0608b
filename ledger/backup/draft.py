"""Where a copy is made before it is given its name: a folder beside, `<name>.part`.

The name is given to a whole file, or to none. Whoever is killed leaves that folder, and the next
one to make the same file clears it away.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from ledger.durable import replace, sync_folder
from ledger.problems import BackupProblem
from ledger.store.file import storage_problems
from ledger.tlog.checkpoint import LogPaths

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
    def place(self) -> LogPaths:
        """The copy and its log. Of no signing key: what that signed last is not the copy's."""
        file = self.folder / _FILE
        return LogPaths(file, _log_of(file), self.folder / "no-key")

    @property
    def log(self) -> Path:
        """Where the copy's log is to lie."""
        return _log_of(self.target)

    def publish(self) -> None:
        """Give the log and the file their names, in this order; raises BackupProblem.

        Both are wholly on the disk before. The name of the file is what makes it a backup.
        """
        check_unused(self.target)
        with storage_problems(self.target):
            _sync(self.place.ledger)
            sync_folder(self.folder)
            has_log = self.place.folder.is_dir()
            try:
                if has_log:
                    replace(self.folder / _NAMING, b"")
                    os.rename(self.place.folder, self.log)
                    sync_folder(self.target.parent)
                _link(self.place.ledger, self.target)
            except BaseException as error:
                if has_log:
                    with suppress(OSError):
                        os.rename(self.log, self.place.folder)
                if isinstance(error, FileExistsError):
                    raise _there(self.target) from None
                raise
            sync_folder(self.target.parent)


@contextmanager
def drafting(target: Path) -> Iterator[Draft]:
    """Hold the folder in which `target` is made, cleared before and removed after, whatever comes.

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
    """Take the lock in a folder that is ours, made if there is none; raises BackupProblem."""
    while True:
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        path = folder / _LOCK
        try:
            if not folder.is_dir() or (not path.exists() and any(folder.iterdir())):
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
        shutil.rmtree(_log_of(target), ignore_errors=True)
    for side in ("", *_SIDES):
        Path(f"{file}{side}").unlink(missing_ok=True)
    if log.exists():
        shutil.rmtree(log)
    for note in (naming, folder / f".{_NAMING}.new"):  # the other is left where a rename failed
        note.unlink(missing_ok=True)


def _log_of(file: Path) -> Path:
    return Path(f"{file}.tlog")


def _link(file: Path, target: Path) -> None:
    """Give a file one more name, where nothing has that name; raises FileExistsError."""
    try:
        os.link(file, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        os.rename(file, target)  # a file system without links, as of many a stick


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
