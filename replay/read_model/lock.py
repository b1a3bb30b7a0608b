"""One keeper for a file of views: whoever comes second is told so."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.problems import LedgerProblem


class BeingKept(LedgerProblem):
    """Another process keeps this file of views."""


@contextmanager
def keeping(path: Path) -> Iterator[None]:
    """Be the only one to write a file of views; raises BeingKept at once if another is.

    `flock` on ``<path>.lock``, which says the process by its id and is never removed; a process
    that dies gives the lock back.
    """
    try:
        file = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LedgerProblem(f"{path}.lock cannot be written: {error.strerror}") from None
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = os.pread(file, 20, 0).decode("ascii", "replace").strip()
            raise BeingKept(
                f"{path} is being kept by another process{f' ({who})' if who else ''}: nothing was "
                "done here"
            ) from None
        try:
            os.ftruncate(file, 0)
            os.pwrite(file, str(os.getpid()).encode(), 0)
        except OSError:
            pass  # a full disk: the lock holds without a name on it
        yield
    finally:
        os.close(file)
