"""The key file: one key for each candidate, outside the ledger, so that it can be destroyed."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple

from ledger.problems import KeyFileProblem, LedgerProblem, NotALedger
from ledger.store.file import make_file, sqlite_uri, storage_problems
from ledger.store.schema import guard, objects_of, redefinitions

APPLICATION_ID: Final = 0x41744C6B  # "AtLk"
BACKUP_ID: Final = 0x41744C42  # "AtLB": a backup is never taken for a key file
KEY_BYTES: Final = 32

_KEYS: Final = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE keys (candidate TEXT PRIMARY KEY, key BLOB) STRICT;
"""
_REGISTERS: Final = """
CREATE TABLE erasures (
  candidate TEXT PRIMARY KEY, position INTEGER NOT NULL, reason TEXT NOT NULL, actor TEXT,
  at INTEGER NOT NULL
) STRICT
;
CREATE TABLE backups (at INTEGER NOT NULL, until INTEGER NOT NULL, file TEXT NOT NULL)
STRICT
;
"""
"""Which the first files had not; the text is kept to the letter, and so compared."""
KEY_SCHEMA: Final = f"BEGIN; {_KEYS}{_REGISTERS}"


class Erasure(NamedTuple):
    """A line of the register: why and when a candidate's key was destroyed."""

    candidate: str
    position: int
    """Where its CandidateForgotten was to stand; what the ledger says wins."""
    reason: str
    actor: str | None
    at: int
    """Microseconds."""


class KeyBackup(NamedTuple):
    """A copy of the key file that was made, and until when it may be used; microseconds."""

    at: int
    until: int
    file: str


def create_key_file(path: Path, id: str | None = None) -> None:
    """Make an empty key file that only its owner may read, with an id of its own, or this one."""
    make_file(
        path,
        f"{KEY_SCHEMA} PRAGMA application_id = {APPLICATION_ID};"
        f"INSERT INTO about VALUES ('id', {quoted(id or os.urandom(16).hex())}); COMMIT;",
        mode=0o600,
    )


def quoted(text: str) -> str:
    """Write a text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


class KeyFile:
    """An open key file. A candidate without a row never had a key; a NULL key was destroyed.

    What is written is durable after `commit`, not before.
    """

    def __init__(self, path: Path, *, mark: int = APPLICATION_ID) -> None:
        """Open the file at `path`; raises KeyFileProblem if its mark is another."""
        self.path = path
        self._mark = mark
        self.identity = identity_of(path)
        if self.identity is None:
            raise KeyFileProblem(f"there is no file {path}")
        with key_problems(path, mark):
            self._before = 0
            self._connection = sqlite3.connect(
                sqlite_uri(path, "mode=rw"),
                uri=True,
                isolation_level=None,
                timeout=60,
                check_same_thread=False,
            )
            try:
                (found,) = self._connection.execute("PRAGMA application_id").fetchone()
                if found != mark:
                    raise no_key_file(path, found, mark)
                # Overwrite what is deleted; make the end of the journal durable too, so that a key
                # cannot be taken back by a power cut after its event was committed.
                guard(self._connection)
                for setting in ("secure_delete = ON", "synchronous = EXTRA", "temp_store = MEMORY"):
                    self._connection.execute(f"PRAGMA {setting}").fetchall()
                self._checked: int | None = None
                self.check(None)
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """Close the file; what is not committed is taken back."""
        self._connection.close()

    def check(self, remembered: str | None) -> None:
        """Raise KeyFileProblem unless this is the key file that is remembered, if any is.

        And unless it defines what a key file does, and no more: a trigger could keep a key that is
        destroyed, or copy each that comes.
        """
        self.id = self._id()
        if remembered is not None and self.id != remembered:
            raise KeyFileProblem(
                f"{self.path} is another ledger's key file ({self.id[:8]}…), this ledger's is "
                f"{remembered[:8]}…: put that one back, or name it"
            )
        (version,) = self._connection.execute("PRAGMA schema_version").fetchone()
        if version == self._checked:
            return
        if others := redefinitions(self._connection, objects_of(_KEYS), objects_of(_REGISTERS)):
            raise KeyFileProblem(
                f"{self.path} was changed past the ledger: {others[0]}; nothing was changed. Find "
                "out by whom, move it away and `keys restore` a backup"
            )
        self._checked = version

    def _id(self) -> str:
        try:
            found = self.about("id" if self._mark == APPLICATION_ID else "backup of")
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise
            found = None
        if found is None:
            (mark,) = self._connection.execute("PRAGMA application_id").fetchone()
            raise no_key_file(self.path, mark, self._mark)
        return found

    def about(self, name: str) -> str | None:
        """Return what the file says of itself under a name."""
        ask = "SELECT value FROM about WHERE name = ?"
        found = self._connection.execute(ask, (name,)).fetchone()
        return None if found is None else str(found[0])

    def look_up(self, candidate: str) -> tuple[bytes | None, bool]:
        """Return the candidate's key, None if there is none (any more), and if it was destroyed."""
        ask = "SELECT key FROM keys WHERE candidate = ?"
        found = self._connection.execute(ask, (candidate,)).fetchone()
        return (None, False) if found is None else (found[0], found[0] is None)

    def keep(self, candidate: str, key: bytes | None = None) -> bytes:
        """Keep the candidate's first key, a new one or this one; or return the one there is.

        Raises KeyFileProblem if it was destroyed.
        """
        self.begin()
        self._connection.execute(
            "INSERT INTO keys VALUES (?, ?) ON CONFLICT DO NOTHING",
            (candidate, key or os.urandom(KEY_BYTES)),
        )
        kept, _ = self.look_up(candidate)
        if kept is None:
            raise KeyFileProblem(f"the key of {candidate} in {self.path} was destroyed")
        return kept

    def destroy(self, candidate: str) -> bool:
        """Destroy the candidate's key, for ever: none is drawn again. Tell whether there was one.

        What is left is the candidate's id. A key destroyed before stays so, and nothing is written.
        """
        key, destroyed = self.look_up(candidate)
        if destroyed:
            return False
        self.begin()
        if key is not None:
            # Of the same length first, so that SQLite writes over the key where it stands.
            self._connection.execute(
                "UPDATE keys SET key = zeroblob(length(key)) WHERE candidate = ?", (candidate,)
            )
        self._connection.execute(
            "INSERT INTO keys VALUES (?, NULL) ON CONFLICT (candidate) DO UPDATE SET key = NULL",
            (candidate,),
        )
        if self.look_up(candidate) != (None, True):
            raise KeyFileProblem(f"the key of {candidate} in {self.path} could not be destroyed")
        return key is not None

    def candidates(self) -> list[tuple[str, bool]]:
        """Return every candidate that is named, sorted, and whether there is a key (still)."""
        ask = "SELECT candidate, key NOTNULL FROM keys ORDER BY candidate"
        return self._connection.execute(ask).fetchall()

    def is_damaged(self) -> bool:
        """Have SQLite look through the file, and return whether it finds it damaged."""
        return bool(self._connection.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)])

    def with_keys(self) -> Iterator[tuple[str, bytes]]:
        """Yield every candidate that has a key, and the key."""
        yield from self._connection.execute("SELECT candidate, key FROM keys WHERE key NOTNULL")

    def copied(self) -> tuple[str, str, str]:
        """Return what fills another file of keys with all that is here, as SQL.

        The statements before its transaction, those in it, and those after it.
        """
        here = f"ATTACH {quoted(sqlite_uri(self.path, 'mode=rw'))} AS keys_now;"
        filled = [
            f"INSERT INTO {table} SELECT * FROM keys_now.{table};"
            for table in ("keys", "erasures", "backups")
        ]
        return here, "".join(filled), "DETACH keys_now;"

    def register(self, erasure: Erasure) -> None:
        """Keep why a candidate was forgotten; what was said first stands, but for the position."""
        self.begin()
        self._complete()
        self._connection.execute(
            "INSERT INTO erasures VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET position = excluded.position",
            erasure,
        )

    def erasures(self, candidate: str | None = None) -> list[Erasure]:
        """Return the register, sorted by candidate, or a candidate's line of it."""
        lines = map(Erasure._make, self._lines("erasures ORDER BY candidate"))
        return [line for line in lines if candidate in (None, line.candidate)]

    def note_backup(self, backup: KeyBackup) -> None:
        """Remember that a copy was made."""
        self.begin()
        self._complete()
        self._connection.execute("INSERT INTO backups VALUES (?, ?, ?)", backup)

    def backups(self) -> list[KeyBackup]:
        """Return the copies that were made, the first first."""
        return list(map(KeyBackup._make, self._lines("backups ORDER BY at, until")))

    def _lines(self, table: str) -> list[Any]:
        if not self._has(table.split()[0]):
            return []
        return self._connection.execute(f"SELECT * FROM {table}").fetchall()

    def _complete(self) -> None:
        """Make the tables that a file of an earlier release has not."""
        for table, statement in zip(("erasures", "backups"), _REGISTERS.split(";"), strict=False):
            if not self._has(table):
                self._connection.execute(statement)

    def _has(self, table: str) -> bool:
        ask = "SELECT 1 FROM sqlite_schema WHERE name = ?"
        return self._connection.execute(ask, (table,)).fetchone() is not None

    def begin(self) -> None:
        """Begin a transaction, which sees the file as it is now; ended by `commit` or `rollback`.

        To be begun only by who holds the ledger's write lock: then nobody else writes meanwhile.
        """
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN")
            self._before = self._connection.total_changes

    def commit(self) -> None:
        """Make durable what was written, leaving nothing of what it replaced.

        SQLite commits by removing its journal, which holds the pages as they were, keys and all:
        so the file without a name is written over. Raises KeyFileProblem if the key file was moved
        away meanwhile.
        """
        if not self._connection.in_transaction:
            return
        if self._connection.total_changes == self._before:
            self._connection.execute("COMMIT")
            return
        journal = open_journal(self.path)
        try:
            self._connection.execute("COMMIT")
            if journal is not None:
                overwrite(journal)
        finally:
            if journal is not None:
                os.close(journal)
        if identity_of(self.path) != self.identity:
            raise KeyFileProblem(
                f"the key file {self.path} was moved away while it was written: nothing was "
                "recorded, put it back"
            )

    def rollback(self) -> None:
        """Roll back what was written since the last commit."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


# -- the file as a file: what its errors mean, which one lies there, its leftovers


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
    """Make the problem of a file whose mark is not the one wanted, or that does not read."""
    if wanted == BACKUP_ID:
        return KeyFileProblem(f"{path} is not a backup of keys: it was left as it is")
    if found == BACKUP_ID:
        return KeyFileProblem(f"{path} is a backup of keys: put them back with `keys restore`")
    return KeyFileProblem(
        f"{path} is not a key file, or is damaged: it was left as it is; to put a backup of the "
        "keys back, move it away and call `keys restore`"
    )


def identity_of(path: Path) -> tuple[int, int] | None:
    """Return what differs between a file and another in its place; None if there is none."""
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
