"""The ledger's file: its making, its mark, its connections, and what its errors mean."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import quote

from ledger.problems import (
    LedgerProblem,
    NewerSchema,
    NoLedger,
    NotALedger,
    ReadOnly,
    Redefined,
    StoreFull,
)
from ledger.store.locks import PRIVATE, SILENCE
from ledger.store.schema import APPLICATION_ID, SCHEMA, SCHEMA_VERSION, guard

# A reader is only ever kept waiting by a foreign tool, which recovers or cleans up.
_BUSY_SECONDS = 30.0
_WRITER_CACHE_KIB = 32 * 1024
# Room for the upper pages of the indexes of a large ledger: a candidate's events lie far apart.
_READER_CACHE_KIB = 16 * 1024
# What SQLite lays out beside a file for those that read it.
_READING_ROOM = 32 << 10
# Under an import nearly every page of an index is written again within a few transactions: four
# times SQLite's default spares a sixth of its time, and the file to recover from stays at 16 MB.
_CHECKPOINT_PAGES = 4_000


def sqlite_uri(path: Path, how: str) -> str:
    """Return the URI by which SQLite opens a file, whatever bytes its name is made of.

    >>> sqlite_uri(Path("/exams/C# 1?.ledger"), "mode=ro")
    'file:/exams/C%23%201%3F.ledger?mode=ro'
    """
    return f"file:{quote(os.fsencode(path.absolute()))}?{how}"


def create_file(
    path: Path,
    begin: Callable[[Path], None] | None = None,
    *,
    mode: int = PRIVATE,
    id: str | None = None,
) -> None:
    """Make a ledger at `path`, wholly or not at all; LedgerProblem if one is there.

    `begin` writes what is in it from the beginning, into the draft whose path it is handed. It gets
    the `mode` whatever the umask, and so does what SQLite and the locks lay beside it later. It
    has an `id` of its own, unless one is named.
    """
    make_file(
        path,
        f"PRAGMA journal_mode = WAL; BEGIN; {SCHEMA}"
        f"PRAGMA application_id = {APPLICATION_ID};"
        f"PRAGMA user_version = {SCHEMA_VERSION};"
        f"INSERT INTO about VALUES ('ledger', '{id or secrets.token_hex(16)}'); COMMIT;",
        mode=mode,
        begin=begin,
    )


def check_place(path: Path) -> None:
    """Raise LedgerProblem if something is at a path already, or its folder is not there."""
    if os.path.lexists(path):
        raise LedgerProblem(f"{path} is already there: nothing was changed")
    with storage_problems(path):
        os.stat(path.parent)


def make_file(
    path: Path,
    script: str,
    *,
    mode: int = PRIVATE,
    begin: Callable[[Path], None] | None = None,
) -> None:
    """Make an SQLite file by a script; raises LedgerProblem if something is there already.

    It is made beside its place and then linked there, so that a process killed in between leaves
    no half of one, and nothing that came there meanwhile is replaced.
    """
    check_place(path)
    draft = path.with_name(f"{path.name}.new-{secrets.token_hex(4)}")
    try:
        with storage_problems(path):
            file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, PRIVATE)
            try:
                os.fchmod(file, mode)
            finally:
                os.close(file)
            uri = sqlite_uri(draft, "mode=rw")  # so that a script may attach a file by its URI
            with closing(sqlite3.connect(uri, isolation_level=None, uri=True)) as connection:
                connection.executescript(script)
            if begin is not None:
                begin(draft)
            _settle(draft)
            os.link(draft, path)
            try:
                _sync_folder(path.parent)
            except OSError:
                path.unlink()
                raise
    except FileExistsError:
        raise LedgerProblem(f"{path} is already there: nothing was changed") from None
    finally:
        for ending in ("", "-wal", "-shm", ".lock"):
            with suppress(OSError):
                Path(f"{draft}{ending}").unlink()


def _settle(draft: Path) -> None:
    """See to it that all of a draft is in its one file: raises sqlite3.Error if it cannot be.

    Closing it brings in what stands in the write-ahead log, and does not say if that failed.
    """
    with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def exposed(path: Path) -> dict[Path, int]:
    """Return which of a ledger's files (side files included) other accounts may open, by mode.

    Goes by the modes of the files alone, not by those of the folders above. Raises no problem:
    what is not there, or cannot be looked at, is left out.
    """
    found = {}
    for ending in ("", "-wal", "-shm", ".lock"):
        file = Path(f"{path}{ending}")
        with suppress(OSError):
            if (mode := file.stat().st_mode & 0o777) & 0o077:
                found[file] = mode
    return found


def check_file(path: Path) -> None:
    """Raise LedgerProblem unless `path` is a ledger this release can read.

    Looks at the file's header alone, so that a file which is not ours is never touched.
    """
    try:
        first = header(path)
    except FileNotFoundError:
        raise NoLedger(
            f"there is no ledger at {path}: name another file, or make one with init"
        ) from None
    except IsADirectoryError:
        raise NotALedger(f"{path} is a folder, not a ledger") from None
    except OSError as error:
        raise LedgerProblem(f"{path} cannot be read: {error.strerror}") from None
    mark, schema = _marks(path) if first is None else _marks_in(first)
    if mark != APPLICATION_ID:
        raise NotALedger(f"{path} is not a ledger: it was left as it is")
    if schema > SCHEMA_VERSION:
        raise NewerSchema(
            f"{path} has schema {schema}, this release knows {SCHEMA_VERSION}: "
            "open it with a later release"
        )


def _marks_in(header: bytes) -> tuple[int, int]:
    if header[:16] != b"SQLite format 3\0":
        return 0, 0
    return int.from_bytes(header[68:72], "big"), int.from_bytes(header[60:64], "big")


def _marks(path: Path) -> tuple[int, int]:
    """Ask for the same through SQLite: the file is open here, and so was looked at before."""
    with storage_problems(path), closing(connect_reader(path)) as connection:
        ((mark,), (schema,)) = (
            connection.execute(f"PRAGMA {name}").fetchone()
            for name in ("application_id", "user_version")
        )
    return mark, schema


def connect_writer(path: Path) -> sqlite3.Connection:
    """Open the one connection that writes: each commit is on the disk when it returns."""
    return _connect(
        path,
        "rw",
        "PRAGMA synchronous = FULL",
        f"PRAGMA busy_timeout = {SILENCE * 1000:.0f}",
        f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}",
        f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}",
    )


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open a connection that reads, on read-only files and folders too."""
    look = "SELECT name FROM about LIMIT 1"
    room = f"PRAGMA cache_size = -{_READER_CACHE_KIB}"
    try:
        # Not mode=ro: such a connection would leave its -wal and -shm files lying about.
        return _connect(path, "rw", "PRAGMA query_only = ON", room, look)
    except sqlite3.OperationalError as error:
        refused = error.sqlite_errorcode & 0xFF in (
            sqlite3.SQLITE_CANTOPEN,
            sqlite3.SQLITE_READONLY,
        )
        # Where it may be written, something else is wrong; and somebody may write, us too.
        if not refused or (_may(path, os.W_OK) and _may(path.parent, os.W_OK)):
            raise
    if not _may(path, os.R_OK):
        raise LedgerProblem(f"{path} cannot be read: Permission denied")
    # In a folder it may not write, SQLite cannot make the file that readers share. Without
    # unfinished work beside it, and none to come from us, the file may be read as it lies.
    wal = Path(f"{path}-wal")
    if wal.exists() and wal.stat().st_size:
        raise LedgerProblem(
            f"{path} cannot be read from a folder that cannot be written while {wal.name} "
            "stands beside it: let a program that may write there open it once"
        )
    return _connect(path, "ro&immutable=1", room, look)


def _may(path: Path, what: int) -> bool:
    return os.access(path, what, effective_ids=os.access in os.supports_effective_ids)


def _connect(path: Path, mode: str, *statements: str) -> sqlite3.Connection:
    connection = _connect_counted(
        path,
        sqlite_uri(path, f"mode={mode}"),
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        guard(connection)
        for statement in statements:
            connection.execute(statement).fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


class storage_problems:  # noqa: N801 - a context, as those of contextlib, which take four times as long
    """Turn what SQLite or the file system raises into one LedgerProblem about a path."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise the problem, if there is one."""
        if error is None:
            return
        path = self._path
        if isinstance(error, sqlite3.Error):
            raise _problem(error, path) from error
        if isinstance(error, UnicodeDecodeError):  # in what SQLite says of a damaged definition
            raise NotALedger(f"{path} is damaged: it holds text that is not UTF-8") from None
        if isinstance(error, OSError) and not isinstance(error, FileExistsError):
            refused = isinstance(error, PermissionError) or error.errno == 30
            raise (ReadOnly if refused else LedgerProblem)(
                f"{path} cannot be written: {error.strerror}"
            ) from error


def _problem(error: sqlite3.Error, path: Path) -> LedgerProblem:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    message = " ".join(str(error).split())  # one line, also of what quotes a definition
    match code:
        case sqlite3.SQLITE_FULL:
            return StoreFull(f"the disk of {path} is full: nothing was written")
        case sqlite3.SQLITE_READONLY:
            return ReadOnly(f"{path} is read-only: nothing was written")
        case sqlite3.SQLITE_CANTOPEN:
            return LedgerProblem(f"{path} cannot be opened, or its folder cannot be written")
        case sqlite3.SQLITE_BUSY:
            return LedgerProblem(
                f"{path} has been locked by another program for {_BUSY_SECONDS:.0f} seconds: "
                "nothing was written"
            )
        case sqlite3.SQLITE_AUTH:
            return Redefined(
                f"{path} was changed past the ledger: a trigger or a view is in it, which was not "
                "let run; nothing was written, `verify` says more"
            )
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return NotALedger(f"{path} is damaged or not a ledger: {message}")
        case sqlite3.SQLITE_IOERR if _is_full(path):
            return StoreFull(
                f"the disk of {path} is full: nothing was written, and even reading takes "
                f"{_READING_ROOM >> 10} KiB beside it"
            )
        case sqlite3.SQLITE_IOERR:
            return LedgerProblem(
                f"the disk of {path} fails ({message}): repeat the call once it works, nothing "
                "will be there twice"
            )
        case _:
            return LedgerProblem(f"{path}: {message}")


def _is_full(path: Path) -> bool:
    # SQLite tells a full disk from a broken one where it writes content, and nowhere else.
    try:
        free = os.statvfs(path.parent)
    except OSError:
        return False
    return free.f_bavail * free.f_frsize < _READING_ROOM


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# -- which files this process has open, so that nothing opens and closes them past SQLite
#
# Who closes a file lets go of every lock the process holds on it, whoever took it (POSIX). SQLite
# knows that and takes care among its own connections; a file that is opened past it, if only to
# look at its header, takes their locks away. Then another process believes itself alone, sweeps
# up the write-ahead log when it closes, and what is appended here from then on goes into a log
# that nobody reads (https://sqlite.org/howtocorrupt.html, section 2.2).
_Inode = tuple[int, int]
_guard = Lock()
_open: Counter[_Inode] = Counter()


class Connection(sqlite3.Connection):
    """A connection that is counted until it is closed."""

    inode: _Inode | None = None

    def close(self) -> None:
        """Close it."""
        super().close()
        if self.inode is not None:
            _forget(self.inode)
            self.inode = None


def _connect_counted(path: Path, uri: str, **settings: Any) -> sqlite3.Connection:
    """Connect to the file at `path`, named by `uri`, and remember that it is open."""
    try:
        inode = _inode(path)
    except OSError:
        there: sqlite3.Connection = sqlite3.connect(uri, uri=True, **settings)
        return there  # or it says what is wrong with the file
    with _guard:
        _open[inode] += 1
    try:
        connection: Connection = sqlite3.connect(uri, uri=True, factory=Connection, **settings)
    except BaseException:
        _forget(inode)
        raise
    connection.inode = inode
    return connection


def header(path: Path) -> bytes | None:
    """Return a file's first 100 bytes; None if it is open here, so must be asked through SQLite.

    Raises OSError.
    """
    with _guard:
        if _open[_inode(path)]:
            return None
        with path.open("rb") as file:
            return file.read(100)


def _inode(path: Path) -> _Inode:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _forget(inode: _Inode) -> None:
    with _guard:
        _open[inode] -= 1
        if not _open[inode]:
            del _open[inode]
