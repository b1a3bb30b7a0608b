"""The embedded store: `eventsourcing`'s SQLite application recorder, on our own table."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, NoReturn
from uuid import UUID

from eventsourcing.persistence import Notification, ProgrammingError, StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteDatastore

from ledger.events import Recorded, Row
from ledger.problems import LedgerProblem, ReadOnly, Redefined
from ledger.store.file import connect_reader, connect_writer, storage_problems
from ledger.store.locks import SILENCE, FileLock, Waiting, holder
from ledger.store.mapper import RowMapper
from ledger.store.schema import check_schema

_COLUMNS = ", ".join(Recorded._fields)
_SELECT = f"SELECT {_COLUMNS} FROM events "
_INSERT = f"INSERT INTO events VALUES ({', '.join('?' * len(Recorded._fields))})"
FORGOTTEN = (
    "stream = ? AND topic >= 'CandidateForgotten:' AND topic < 'CandidateForgotten;' LIMIT 1"
)
"""Selects, of a stream, what says that its candidate was forgotten, of whatever version."""
_WRITE_BYTE = 120
"""The byte of the -shm file that SQLite locks to write (walformat.html, WAL_WRITE_LOCK)."""
_HEAD = "SELECT position, recorded_at FROM events ORDER BY position DESC LIMIT 1"


class SQLiteLedgerRecorder(SQLiteApplicationRecorder):
    """Keep rows in one table of one file; see `ledger.store.file.SCHEMA`.

    Reading takes one connection for each thread; writing goes through `writing` alone.
    """

    def __init__(self, datastore: SQLiteDatastore) -> None:
        # The pool of the datastore is lazy and stays unused: it would defer its transactions,
        # leave `synchronous` to the build, and open a connection for each write.
        super().__init__(datastore, events_table_name="events")
        self.path = Path(datastore.pool.db_name)
        self.read_only = False
        self._lock = FileLock(Path(f"{self.path}.lock"), self.path)
        self._writer: sqlite3.Connection | None = None
        self._checked: int | None = None
        self._readers: list[sqlite3.Connection] = []
        self._local = threading.local()
        self._process = os.getpid()
        self._mapper = RowMapper()

    # -- writing

    @contextmanager
    def writing(self) -> Iterator[Writing]:
        """Open the one write transaction there can be; commit it at the end, durably.

        Rolls back if the body raises, or wrote nothing. Raises LedgerProblem when the store cannot
        take it; then nothing was changed.
        """
        if self.read_only:
            raise ReadOnly(f"{self.path} was opened for reading: nothing was written")
        self._check_process()
        with storage_problems(self.path), self._lock:
            if self._writer is None:
                self._writer = connect_writer(self.path)
            connection = self._writer
            try:
                self._begin(connection)
                self._check_schema(connection)
                before = connection.total_changes
                yield Writing(connection)
                connection.execute("COMMIT" if connection.total_changes > before else "ROLLBACK")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @property
    def waiting(self) -> Waiting:
        """How long to wait for others that write, and whom to tell."""
        return self._lock.waiting

    @waiting.setter
    def waiting(self, waiting: Waiting) -> None:
        self._lock.waiting = waiting

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Take SQLite's own lock, for which only a foreign tool is ever waited for."""
        shared = Path(f"{self.path}-shm")
        for seconds in self.waiting.steps(self.path, lambda: holder(shared, _WRITE_BYTE)):
            if seconds != SILENCE:  # which is what the connection was opened with
                connection.execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                continue
            if seconds != SILENCE:
                connection.execute(f"PRAGMA busy_timeout = {SILENCE * 1000:.0f}")
            return

    def _check_schema(self, connection: sqlite3.Connection) -> None:
        # Whoever redefines anything changes this number, or no open connection takes notice of it.
        (version,) = connection.execute("PRAGMA schema_version").fetchone()
        if version != self._checked:
            check_schema(connection, self.path)
            self._checked = version

    # -- reading

    def reader(self) -> sqlite3.Connection:
        """Return this thread's connection for reading, each statement a snapshot of its own."""
        self._check_process()
        connection: sqlite3.Connection | None = getattr(self._local, "reader", None)
        if connection is None:
            connection = self._local.reader = self.new_reader()
        return connection

    def new_reader(self) -> sqlite3.Connection:
        """Open one more connection for reading, closed with the recorder."""
        with storage_problems(self.path):
            connection = connect_reader(self.path)
        self._readers.append(connection)
        return connection

    def close_reader(self, connection: sqlite3.Connection) -> None:
        """Close what `new_reader` opened."""
        if connection in self._readers:
            self._readers.remove(connection)
            connection.close()

    def rows(self, where: str, parameters: Sequence[Any] = ()) -> list[Recorded]:
        """Return the rows that `where` (and what follows it) selects."""
        with storage_problems(self.path):
            return _recorded(self.reader().execute(_SELECT + where, parameters))

    def values(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Return what any other SELECT yields, as tuples."""
        with storage_problems(self.path):
            return self.reader().execute(statement, parameters).fetchall()

    def head(self) -> tuple[int, int]:
        """Return the last (position, recorded_at), (0, 0) in an empty ledger."""
        return (self.values(_HEAD) or [(0, 0)])[0]  # type: ignore[no-any-return]

    def close(self) -> None:
        """Close every connection and let the lock's file go."""
        if self._process != os.getpid():
            return  # a forked child must not close what is its parent's
        self._lock.close()
        if self._writer is not None:
            self._writer.close()
            self._writer = self._checked = None
        while self._readers:
            self._readers.pop().close()
        self._local = threading.local()

    def _check_process(self) -> None:
        # SQLite's connections and locks do not survive a fork: using one there can lose data.
        if self._process != os.getpid():
            raise LedgerProblem(
                f"{self.path} was opened before this process was forked: open it again here"
            )

    # -- what `eventsourcing` asks of an application recorder

    def construct_create_table_statements(self) -> list[str]:
        """Return none: the table is made with its file, in `ledger.store.file`."""
        return []

    def _insert_events(self, c: Any, stored_events: Sequence[StoredEvent], **_: Any) -> NoReturn:
        raise ProgrammingError("append through Ledger.append: it checks identity, and encrypts")

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> NoReturn:
        """Refuse: rows go in through `Ledger.append`, which checks identity and encrypts."""
        self._insert_events(None, stored_events, **kwargs)

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """Return the events of one stream; the version of each is its position."""
        rows = self.rows(
            "WHERE stream = ? AND position > ? AND position <= ? "
            f"ORDER BY position {'DESC' if desc else 'ASC'} LIMIT ?",
            (str(originator_id), gt or 0, _or_last(lte), -1 if limit is None else limit),
        )
        return [self._mapper.to_stored_event(row) for row in rows]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Return events by position, as notifications whose id is the position."""
        chosen = f"AND topic IN ({', '.join('?' * len(topics))}) " if topics else ""
        rows = self.rows(
            f"WHERE position >= ? AND position <= ? {chosen}ORDER BY position LIMIT ?",
            ((start or 0) + (not inclusive_of_start), _or_last(stop), *topics, limit),
        )
        return [
            Notification(**vars(self._mapper.to_stored_event(row)), id=row.position) for row in rows
        ]

    def max_notification_id(self) -> int:
        """Return the last position, 0 in an empty ledger."""
        return self.head()[0]


class Writing:
    """What may be done inside the one write transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        head: tuple[int, int] = connection.execute(_HEAD).fetchone() or (0, 0)
        self.position, self.recorded_at = head
        """The last of each, (0, 0) in an empty ledger."""

    def insert(self, recorded_at: Sequence[int] | Iterator[int], rows: Sequence[Row]) -> int:
        """Insert rows at the next positions; stop before the first whose key is in the ledger.

        Returns how many went in.
        """
        before = self.connection.total_changes
        try:
            # Transposed twice, since zip does it without a step of Python for each row.
            self.connection.executemany(
                _INSERT, zip(count(self.position + 1), recorded_at, *zip(*rows, strict=True))
            )
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_CONSTRAINT_UNIQUE:
                raise
            inserted = self.connection.total_changes - before
        else:
            inserted = self._count(before, len(rows))
        self.position += inserted
        return inserted

    def insert_one(self, recorded_at: int, row: Row) -> int:
        """Insert a row whose key is known to be new; returns its position."""
        before = self.connection.total_changes
        self.connection.execute(_INSERT, (self.position + 1, recorded_at, *row))
        self.position += self._count(before, 1)
        return self.position

    def _count(self, before: int, rows: int) -> int:
        # SQLite calls an insert a success that a trigger, or ON CONFLICT IGNORE, made nothing of.
        inserted = self.connection.total_changes - before
        if inserted != rows:
            raise Redefined(
                f"the ledger's file took {inserted} of {rows} events: somebody changed it past "
                "the ledger; nothing was written, `verify` says more"
            )
        return inserted

    def find(self, source: str, id: str) -> Recorded | None:
        """Return the row of that key, of this transaction too."""
        found = self.connection.execute(
            f"{_SELECT}WHERE source = ? AND id = ?", (source, id)
        ).fetchone()
        return None if found is None else Recorded._make(found)

    def annulled(self, stream: str, after: int) -> list[int]:
        """Return the positions that the events of a stream after a position annul."""
        found = self.connection.execute(
            "SELECT annuls FROM events WHERE stream = ? AND position > ? AND annuls IS NOT NULL",
            (stream, after),
        )
        return [position for (position,) in found]

    def is_forgotten(self, stream: str) -> bool:
        """Return whether a CandidateForgotten, of any version, is in the stream."""
        found = self.connection.execute(
            f"SELECT 1 FROM events WHERE {FORGOTTEN}", (stream,)
        ).fetchone()
        return found is not None

    def about(self, name: str) -> str | None:
        """Return what the ledger remembers under a name."""
        found = self.connection.execute(
            "SELECT value FROM about WHERE name = ?", (name,)
        ).fetchone()
        return None if found is None else str(found[0])

    def remember(self, name: str, value: str) -> None:
        """Remember a value under a name, with this transaction."""
        self.connection.execute("INSERT INTO about VALUES (?, ?)", (name, value))


_make: Callable[[Any], Recorded] = partial(tuple.__new__, Recorded)
"""`Recorded._make` without its look at the length, which SQLite answers for: half the time."""


def _recorded(rows: sqlite3.Cursor) -> list[Recorded]:
    return list(map(_make, rows))


def _or_last(position: int | None) -> int:
    return (1 << 62) if position is None else position
