"""The key file as a file: its mark, which one lies there, what its errors mean, its leftovers."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final

from ledger.problems import KeyFileProblem, LedgerProblem, NotALedger
from ledger.store.file import storage_problems

APPLICATION_ID: Final = 0x41744C6B  # "AtLk"
BACKUP_ID: Final = 0x41744C42  # "AtLB": a backup is never taken for a key file


class key_problems:  # noqa: N801 - used as a word of a with statement, as `storage_problems` is
    """Turn what SQLite raises into one sentence about the key file.

    A class, since a generator costs as much here as encrypting a field does.
    """

    __slots__ = ("_mark", "_path")

    def __init__(self, path: Path, mark: int = APPLICATION_ID) -> None:
        self._path = path
        self._mark = mark

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Raise KeyFileProblem, or another LedgerProblem, for what went wrong with the file."""
        if error is None or isinstance(error, LedgerProblem):
            return
        try:
            with storage_problems(self._path):
                raise error
        except NotALedger:
            raise no_key_file(self._path, 0, self._mark) from None


def no_key_file(path: Path, found: int, wanted: int) -> KeyFileProblem:
    """Say that the mark of a file is not the one that was wanted, or that it does not read."""
    if wanted == BACKUP_ID:
        return KeyFileProblem(f"{path} is not a backup of keys: it was left as it is")
    if found == BACKUP_ID:
        return KeyFileProblem(f"{path} is a backup of keys: put them back with `keys restore`")
    return KeyFileProblem(
        f"{path} is not a key file, or is damaged: it was left as it is; to put a backup of the "
        "keys back, move it away and call `keys restore`"
    )


def identity_of(path: Path) -> tuple[int, int] | None:
    """Tell one file from another that comes to its place; None if there is none."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeyFileProblem(f"the key file {path} cannot be read: {error.strerror}") from None
    return found.st_dev, found.st_ino


def open_journal(path: Path) -> int | None:
    """Open the journal of a transaction under way, to be written over; None if there is none."""
    with suppress(OSError):
        return os.open(f"{os.path.realpath(path)}-journal", os.O_WRONLY | os.O_CLOEXEC)
    return None


def overwrite(descriptor: int) -> None:
    """Write zeros over a file, as far as its file system writes in place; it may have no room."""
    with suppress(OSError):
        left = os.fstat(descriptor).st_size
        while left > 0:
            left -= os.write(descriptor, bytes(min(left, 1 << 20)))
        os.fsync(descriptor)
