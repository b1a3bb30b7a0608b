"""Who may write: threads queue on a lock, processes on `flock` of a file beside the ledger."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from threading import Lock
from types import TracebackType


class WriteLock:
    """Hold the only right to write to a ledger, among all threads and processes.

    SQLite's own busy handler polls and starves under many writers; the kernel's queue does not.
    A process that dies gives the lock back. The side file holds nothing, and is never removed:
    removing it would let two writers lock two files of one name.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = Lock()
        self._file: int | None = None

    def __enter__(self) -> None:
        self._threads.acquire()
        try:
            if self._file is None:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            fcntl.flock(self._file, fcntl.LOCK_EX)
        except BaseException:
            self._threads.release()
            raise

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._file is not None:
                fcntl.flock(self._file, fcntl.LOCK_UN)
        finally:
            self._threads.release()

    def close(self) -> None:
        """Let the side file go."""
        with self._threads:
            if self._file is not None:
                os.close(self._file)
                self._file = None
