"""How it stands with a read model: what lies at its path, how far it is, who keeps it; and its end.

Known without Arrow, which reads what is in it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.ledger import Ledger
from ledger.own_folder import remove_folder
from ledger.problems import LedgerProblem
from ledger.store.file import sqlite_uri, storage_problems
from ledger.store.locks import PRIVATE, holder

if TYPE_CHECKING:
    from replay.tables.batch import Late

APPLICATION_ID: Final = 0x41745677
""""AtVw" in the file's header: what tells a read model from other files."""
VERSION: Final = 6
"""Raised whenever a table, or what a row means, changes: a read model of another is rebuilt."""
PIECE_FILES: Final = re.compile(r"[0-9]+\.arrows")
"""What lies in the folder of a build."""


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

    Raises Other for one of another version, or an empty file, and LedgerProblem for any other file,
    or a link, which is never touched. Looks at the header alone.
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
    if not header:
        raise Other("empty")  # cut to nothing, say by a full disk: nothing is lost with it
    mark = int.from_bytes(header[68:72], "big")
    if header[:16] != b"SQLite format 3\0" or mark != APPLICATION_ID:
        raise LedgerProblem(
            f"{path} is no read model: it was left as it is; name another with --views, or move it "
            "away if it was one, and `project` makes it anew"
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
    return sqlite_uri(path, f"mode={mode}")


def stand_at(ledger: Ledger, position: int, late: tuple[int, int]) -> Stand:
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
    if stand != stand_at(ledger, stand.position, (stand.late, stand.very_late)):
        return f"at a position {stand.position} that is another event now"
    if late not in (None, (stand.late, stand.very_late)):
        return "made with other bounds of lateness"
    return None


def draft_of(path: Path) -> Path:
    """Name the file beside in which a read model is built."""
    return Path(f"{path}.rebuild")


def pieces_of(draft: Path) -> Path:
    """Name the folder in which a build lays its facts aside."""
    return Path(f"{draft}.pieces")


def remove(path: Path) -> None:
    """Delete a read model and what lies beside it by our names; never through a link."""
    for suffix in ("", "-journal", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    remove_folder(pieces_of(path), PIECE_FILES)


def discard(path: Path) -> bool:
    """Remove a read model, what SQLite keeps beside it, and drafts of it; True if there were.

    Whoever is reading it goes on with what was open. Raises BeingKept if a process follows it, with
    the file emptied of all that is not in its tables; LedgerProblem for what is no read model,
    which is left.
    """
    drafts = (draft_of(path), Path(f"{path}.check"))
    if not any(each.exists() for each in (path, *drafts)):
        return False
    with suppress(Other):  # of another release, and ours
        is_there(path)
    try:
        with keeping(path):
            for each in (path, *drafts):
                remove(each)
    except BeingKept:
        if not path.exists():
            return False  # it is being built, of what the ledger says now
        _compact(path)
        raise
    return True


def _compact(path: Path) -> None:
    """Write the file anew, without anything that is in no table any more, its log too."""
    with (
        storage_problems(path),
        closing(sqlite3.connect(reading_uri(path), uri=True, timeout=60)) as connection,
    ):
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
