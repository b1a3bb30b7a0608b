"""The file of who may, and of who read what is personal: tokens, sessions, proposals, accesses.

It lies beside the ledger, and is its owner's alone.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from ledger.problems import LedgerProblem
from ledger.store.file import make_file, sqlite_uri, storage_problems
from ledger.store.schema import guard, objects_of, redefinitions
from ledger.store.server import Address

APPLICATION_ID: Final = 0x41744C54  # "AtLT"

_TABLES: Final = """
CREATE TABLE tokens (
  name TEXT PRIMARY KEY, sha256 BLOB NOT NULL UNIQUE, roles TEXT NOT NULL,
  created_at INTEGER NOT NULL, expires_at INTEGER, revoked_at INTEGER, used_at INTEGER
) STRICT;
CREATE TABLE sessions (
  sha256 BLOB PRIMARY KEY, identity TEXT NOT NULL, roles TEXT NOT NULL, csrf TEXT NOT NULL,
  created_at INTEGER NOT NULL, used_at INTEGER NOT NULL, data TEXT NOT NULL
) STRICT;
CREATE TABLE proposals (
  id TEXT PRIMARY KEY, kind TEXT NOT NULL, what TEXT NOT NULL, proposed_by TEXT NOT NULL,
  proposed_at INTEGER NOT NULL, decided_by TEXT, decided_at INTEGER, state TEXT NOT NULL,
  result TEXT
) STRICT;
CREATE TABLE confirmations (id TEXT PRIMARY KEY, row TEXT NOT NULL, at INTEGER NOT NULL) STRICT;
CREATE TABLE accesses (
  at INTEGER NOT NULL, identity TEXT NOT NULL, candidate TEXT NOT NULL, fields TEXT NOT NULL,
  page TEXT NOT NULL
) STRICT;
"""
_SCHEMA: Final = f"BEGIN;{_TABLES}PRAGMA application_id = {APPLICATION_ID};\nCOMMIT;\n"


class Access(NamedTuple):
    """That somebody read personal data in clear text.

    It is not in the ledger: that is append-only, and an access changes nothing of what is true of
    a candidate.
    """

    at: int
    """Microseconds UTC."""
    identity: str
    """Who read it: of the service an identity, of the command line an account of the machine."""
    candidate: str
    fields: tuple[str, ...]
    """The personal fields that were shown."""
    page: str
    """Where: a route, a page of the console, or a command."""


_COARSEST: Final = 3_000_000_000
"""Nanoseconds: no file system's clock is coarser."""


def register_path(ledger: Address, named: Path | None) -> Path:
    """Return the path of the register that is meant."""
    return Path(f"{os.fspath(ledger)}.tokens") if named is None else named


class Register:
    """An open register. May be shared by threads. Raises LedgerProblem for what is wrong with it.

    A missing file is an empty register; it is made when something is first written into it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._place = os.fspath(path)
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.RLock()

    @property
    def is_there(self) -> bool:
        """Whether the file exists."""
        return self._connection is not None or self.path.exists()

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return what a SELECT yields, as tuples; nothing where there is no file."""
        if not self.is_there:
            return []
        with self._lock, storage_problems(self.path):
            return self._open().execute(statement, values).fetchall()

    def copied(self, statement: str) -> Iterator[Any]:
        """Yield what a SELECT yields, as it is now, in flat memory.

        It is copied first, so that whoever reads it may write into the file meanwhile.
        """
        if not self.is_there:
            return
        with storage_problems(self.path), closing(self._connected()) as connection:
            connection.execute(f"CREATE TEMP TABLE copied AS {statement}")
            yield from connection.execute("SELECT * FROM temp.copied ORDER BY rowid")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Open a durable transaction, the file being made if it is missing."""
        with self._lock:
            if not self.is_there:
                self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                make_file(self.path, _SCHEMA, mode=0o600)
            with storage_problems(self.path):
                connection = self._open()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    connection.execute("ROLLBACK")
                    raise

    def note_accesses(self, accesses: Sequence[Access]) -> None:
        """Write accesses down, before anything is shown; raises LedgerProblem if it cannot be."""
        rows = [
            (at, identity, candidate, " ".join(fields), page)
            for at, identity, candidate, fields, page in accesses
        ]
        with self.writing() as connection:
            connection.executemany("INSERT INTO accesses VALUES (?, ?, ?, ?, ?)", rows)

    def accesses(self, candidate: str | None = None) -> list[Access]:
        """Return the accesses, to one candidate's data or to all, as they came."""
        rows = self.rows(
            f"SELECT {', '.join(Access._fields)} FROM accesses "
            "WHERE candidate = coalesce(?, candidate) ORDER BY rowid",
            (candidate,),
        )
        return [
            Access(at, identity, whom, tuple(fields.split()), page)
            for at, identity, whom, fields, page in rows
        ]

    def version(self) -> object:
        """Return what differs as soon as another process has written into the file.

        Its time of change tells, which is read in a tenth of the time that SQLite's own counter
        takes; but for the first seconds, in which a coarse clock may write the same time twice.
        """
        try:
            found = os.stat(self._place)
        except FileNotFoundError:
            return None
        stamp = found.st_ino, found.st_size, found.st_mtime_ns
        if abs(time.time_ns() - found.st_mtime_ns) > _COARSEST:
            return stamp
        with self._lock, storage_problems(self.path):
            return stamp, self._open().execute("PRAGMA data_version").fetchone()[0]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def __del__(self) -> None:
        """Close the file: a command has a register for one question, and leaves it."""
        self.close()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._connected()
        return self._connection

    def _connected(self) -> sqlite3.Connection:
        others = self.path.stat().st_mode & 0o077
        if others:
            raise LedgerProblem(
                f"{self.path} can be opened by other accounts: chmod 600 makes it yours alone"
            )
        connection = sqlite3.connect(
            sqlite_uri(self.path, "mode=rw"),
            uri=True,
            isolation_level=None,
            timeout=5,
            check_same_thread=False,
        )
        try:
            self._check(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, connection: sqlite3.Connection) -> None:
        """Raise LedgerProblem unless the file is a register, and defines what one does."""
        (mark,) = connection.execute("PRAGMA application_id").fetchone()
        if mark != APPLICATION_ID:
            raise LedgerProblem(f"{self.path} is no file of tokens: it was left as it is")
        # A trigger could swallow an access that is written down, or bring a token back.
        guard(connection)
        if sentences := redefinitions(connection, objects_of(_TABLES), frozenset()):
            raise LedgerProblem(f"{self.path} was changed past the program: {sentences[0]}")
