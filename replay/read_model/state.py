"""How it stands with a read model: what lies at its path, how far it is, and who keeps it."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from ledger.ledger import Ledger
from ledger.problems import LedgerProblem
from ledger.store.locks import PRIVATE, holder
from projections.tables import APPLICATION_ID, VERSION
from replay.tables.batch import Late


class BeingKept(LedgerProblem):
    """Another process keeps this read model."""


class Damaged(LedgerProblem):
    """A read model that SQLite cannot read."""


class Other(Exception):
    """A read model that this release cannot go on from; str() says in what it differs."""


class Stand(NamedTuple):
    """Of which ledger a read model is, and how far: its one row of `position`."""

    ledger: str
    position: int
    recorded_at: int | None
    source: str | None
    id: str | None
    late: int
    very_late: int


@contextmanager
def keeping(path: Path) -> Iterator[None]:
    """Be the only one to write a read model; raises BeingKept at once if another is.

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


def is_there(path: Path) -> bool:
    """Return whether a read model of this version is at `path`: False if nothing is.

    Raises Other for one of another version, and LedgerProblem for any other file, or a link, which
    is never touched. Looks at the header alone.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            header = file.read(100)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise LedgerProblem(
                f"{path} is a link: it was left as it is; name the file itself with --views"
            ) from None
        raise LedgerProblem(f"{path} cannot be read: {error.strerror}") from None
    mark = int.from_bytes(header[68:72], "big")
    if header[:16] != b"SQLite format 3\0" or mark != APPLICATION_ID:
        raise LedgerProblem(
            f"{path} is no read model: it was left as it is; name another with --views"
        )
    version = int.from_bytes(header[60:64], "big")
    if version != VERSION:
        raise Other(f"of schema {version}, this release makes {VERSION}")
    return True


def reading_uri(path: Path) -> str:
    """Name a read model to SQLite for reading alone.

    Where it may be, it is opened to write: a reader that may not leaves SQLite's files beside it.
    """
    mode = "rw" if os.access(path, os.W_OK) and os.access(path.absolute().parent, os.W_OK) else "ro"
    return f"file:{quote(str(path.absolute()))}?mode={mode}"


def stand_at(ledger: Ledger, position: int, late: Late) -> Stand:
    """Return what a read model says of itself when it has come to a position."""
    row = ledger.event(position)
    id = ledger.about("ledger") or ""
    if row is None:
        return Stand(id, position, None, None, None, *late)
    return Stand(id, position, row.recorded_at, row.source, row.id, *late)


def differs(stand: Stand | None, ledger: Ledger, late: Late | None = None) -> str | None:
    """Return in what a read model is not one to go on from; None if it is.

    Without `late` nothing is said of its bounds.
    """
    if stand is None:
        return "not finished"
    if stand.ledger != ledger.about("ledger"):
        return "of another ledger"
    head = ledger.head().position
    if stand.position > head:
        return f"at position {stand.position}, which the ledger has not reached ({head})"
    bounds = Late(stand.late, stand.very_late)
    if stand != stand_at(ledger, stand.position, bounds):
        return f"at a position {stand.position} that is another event now"
    if late not in (None, bounds):
        return "made with other bounds of lateness"
    return None
