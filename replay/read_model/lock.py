"""One keeper for a file of views: whoever comes second is told so."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.problems import LedgerProblem
from ledger.store.locks import PRIVATE, holder


class BeingKept(LedgerProblem):
    """Another process keeps this file of views."""


@contextmanager
def keeping(path: Path) -> Iterator[None]:
    """Be the only one to write a file of views; raises BeingKept at once if another is.

    `flock` on ``<path>.lock``, which holds nothing and is never removed; a process that dies gives
    the lock back.
    """
    lock = Path(f"{path}.lock")
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        file = os.open(lock, flags, PRIVATE)
    except OSError as error:
        raise LedgerProblem(f"{lock} cannot be written: {error.strerror}") from None
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BeingKept(
                f"{path} is being kept by another process ({holder(lock)}): nothing was done here"
            ) from None
        yield
    finally:
        os.close(file)
