"""The embedded store: one table of one SQLite file, written through one connection."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ledger.events import Outline, Recorded, Row
from ledger.problems import NotALedger, ReadOnly
from ledger.store.file import connect_reader, connect_writer, storage_problems
from ledger.store.interface import PAGE, Head
from ledger.store.locks import SILENCE, FileLock, Opened, Waiting, holder
from ledger.store.questions import Place, Questions, marks, pages
from ledger.store.schema import EXTENSIONS, SCHEMA_VERSION, check_schema, format_of
from ledger.store.sqlite_writing import (
    ABOUT,
    HEAD,
    IS_FORGOTTEN,
    SELECT,
    SQLiteWriting,
    recorded,
)

if TYPE_CHECKING:
    from ledger.store.sqlite_scans import SQLiteScans

_WRITE_BYTE = 120
"""The byte of the -shm file that SQLite locks to write (walformat.html, WAL_WRITE_LOCK)."""
_RECORDED_AT = "SELECT recorded_at FROM events WHERE position = ?"
_LAST_OF = (
    "SELECT position, recorded_at FROM events WHERE stream = ? AND position <= ? "
    "ORDER BY position DESC LIMIT 1"
)
_OUTLINES = (
    f"SELECT {', '.join(Outline._fields[:-1])}, iif(exam IS NULL, data, NULL) FROM events "
    "WHERE stream = ? AND position <= ? ORDER BY position"
)
# As `recorded` does.
_outline: Callable[[Any], Outline] = partial(tuple.__new__, Outline)
_LAST = 1 << 62
# So many bytes of the file are read where the system keeps them, without a call and a copy for each
# page: a candidate's events lie on about as many pages. A page cut off meanwhile would end the
# process, but a ledger's file only grows, and `restore` puts another in its place.
_LOOKING_UP = f"PRAGMA mmap_size = {1 << 31}"
# Who reads on and on comes to no page twice, and would seem to hold the whole file in memory.
_READING_ON = "PRAGMA cache_size = -2000"


class SQLiteStore(Questions):
    """Keep events in one table of one file; see `ledger.store.schema.SCHEMA`.

    Reading takes one connection for each thread; writing goes through `writing` alone.
    """

    def __init__(self, path: Path, *, read_only: bool, waiting: Waiting) -> None:
        self.address = self.path = path
        self._problems = storage_problems(path)
        self.read_only = read_only
        self._lock = FileLock(Path(f"{path}.lock"), path)
        self._who_writes = partial(holder, Path(f"{path}-shm"), _WRITE_BYTE)
        self.waiting = self._lock.waiting = waiting
        self._writer: sqlite3.Connection | None = None
        self._checked: int | None = None
        self._format = 0
        self._readers: list[sqlite3.Connection] = []
        self._local = threading.local()
        self.opened = Opened(path)

    # -- writing

    @contextmanager
    def writing(self) -> Iterator[SQLiteWriting]:
        """Open the one write transaction there can be; commit it at the end, durably."""
        if self.read_only:
            raise ReadOnly(f"{self.path} was opened for reading: nothing was written")
        self.opened.check()
        with storage_problems(self.path), self._lock:
            if self._writer is None:
                self._writer = connect_writer(self.path)
            connection = self._writer
            try:
                self._begin(connection)
                self._check_schema(connection)
                before = connection.total_changes
                yield SQLiteWriting(connection, self._format)
                if connection.in_transaction:
                    changed = connection.total_changes > before
                    connection.execute("COMMIT" if changed else "ROLLBACK")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def append_new(self, rows: Sequence[Row], now: int) -> int | None:
        """Return None: nothing is quicker here than a transaction."""
        return None

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Acquire SQLite's own lock, for which only a foreign tool is ever waited for."""
        for seconds in self.waiting.steps(self.path, self._who_writes):
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
            self._checked, self._format = version, format_of(connection)

    def upgrade(self) -> bool:
        """Bring the file to the format of new ledgers, wholly or not at all; return whether it did.

        One statement in one durable transaction, which takes no longer for a large ledger. Raises
        LedgerProblem; then nothing was changed.
        """
        with self.writing() as writing:
            if self._format == SCHEMA_VERSION:
                return False
            connection = writing.connection
            connection.execute("ALTER TABLE events ADD COLUMN extensions TEXT")
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            check_schema(connection, self.path)
            connection.execute("COMMIT")
        return True

    works_elsewhere = False

    @property
    def keeps_extensions(self) -> bool:
        """Whether the file is of a format that keeps extension attributes."""
        with storage_problems(self.path):
            return format_of(self._reader()) >= EXTENSIONS

    # -- reading

    def values(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Return what a SELECT yields, as tuples."""
        with self._problems:
            return self._reader().execute(statement, parameters).fetchall()

    def selected(self, select: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return what a question yields, as tuples."""
        return self.values(select.format(events="events"), values)

    def _rows(
        self, where: str, parameters: Sequence[Any] = (), *, how: str = _LOOKING_UP
    ) -> list[Recorded]:
        """Return the events that `where` (and what follows it) selects."""
        with storage_problems(self.path):
            return recorded(self._reader(how).execute(SELECT + where, parameters).fetchall())

    def _reader(self, how: str = _LOOKING_UP) -> sqlite3.Connection:
        """Return this thread's connection for reading, each statement a snapshot of its own."""
        self.opened.check()
        readers: dict[str, sqlite3.Connection] = self._local.__dict__
        if how not in readers:
            readers[how] = self.new_reader()
            readers[how].execute(how)
        return readers[how]

    def new_reader(self) -> sqlite3.Connection:
        """Open one more connection for reading, closed with the store."""
        self.opened.check()
        with storage_problems(self.path):
            connection = connect_reader(self.path)
        self._readers.append(connection)
        return connection

    def head(self) -> Head:
        """Return the last position and its recorded_at."""
        return Head(*(self.values(HEAD) or [(0, 0)])[0])

    def position_at(self, known_at: int) -> int:
        """Return the last position with recorded_at ≤ `known_at` (microseconds), 0 if none."""
        high, recorded_at = self.head()
        if recorded_at <= known_at:
            return high
        low = 0  # recorded_at never falls as position rises: low is known by then, high is not
        while high - low > 1:
            middle = (low + high) // 2
            ((recorded_at,),) = self.values(_RECORDED_AT, (middle,))
            low, high = (middle, high) if recorded_at <= known_at else (low, middle)
        return low

    def stream(
        self, stream: str, *, upto: int | None = None, exam: str | None = None
    ) -> list[Recorded]:
        """Return the events of one stream up to a position, by position."""
        where, values = "WHERE stream = ? ", [stream]
        if exam is not None:
            where, values = f"{where}AND (exam = ? OR exam IS NULL) ", [stream, exam]
        if upto is not None:
            return self._rows(f"{where}AND position <= ? ORDER BY position", (*values, upto))
        return self._rows(f"{where}ORDER BY position", values)

    def outlines(self, stream: str, upto: int) -> list[Outline]:
        """Return what a standing is made of, of one stream up to a position, by position."""
        return list(map(_outline, self.values(_OUTLINES, (stream, upto))))

    def last(self, stream: str, upto: int) -> Head:
        """Return where the last event of a stream up to a position stands, and its recorded_at."""
        return Head(*(self.values(_LAST_OF, (stream, upto)) or [(0, 0)])[0])

    def page(
        self, after: int, upto: int | None = None, *, topics: Sequence[str] = (), limit: int = PAGE
    ) -> list[Recorded]:
        """Return the first events after a position, by position; `topics` empty: of any."""
        chosen = f"AND topic IN ({marks(topics)}) " if topics else ""
        rows = self._rows(
            f"WHERE position > ? AND position <= ? {chosen}ORDER BY position LIMIT ?",
            (after, _LAST if upto is None else upto, *topics, limit),
            how=_READING_ON,
        )
        self._check_risen(after, rows[-1].position if rows else None)
        return rows

    def at(self, positions: Sequence[int]) -> list[Recorded]:
        """Return the events at some positions, in any order."""
        return [
            row
            for some in pages(positions)
            for row in self._rows(f"WHERE position IN ({marks(some)})", some)
        ]

    def kinds(self, kinds: Sequence[str], after: int, upto: int | None) -> list[Recorded]:
        """Return every event of streams of some kinds (``exam``) within a range, by position."""
        # "0" comes right after "/": so all streams of a kind are a range.
        where = "WHERE stream >= ? AND stream < ? AND +position > ? AND +position <= ?"
        last = _LAST if upto is None else upto
        each = (self._rows(where, (f"{kind}/", f"{kind}0", after, last)) for kind in kinds)
        return sorted(chain.from_iterable(each))

    def find(self, source: str, id: str) -> Recorded | None:
        """Return the event of that idempotency key, or None."""
        rows = self._rows("WHERE source = ? AND id = ?", (source, id))
        return rows[0] if rows else None

    def keys_at(self, positions: Sequence[int]) -> dict[int, str | None]:
        """Return the key (registration, request or certification) of each event that there is."""
        found: dict[int, str | None] = {}
        for some in pages(positions):
            select = f"SELECT position, key FROM events WHERE position IN ({marks(some)})"
            found.update(self.values(select, some))
        return found

    def subjects(self, kind: str, after: str) -> list[tuple[str, int]]:
        """Return the next subjects of a kind of stream, each with its first position."""
        found = super().subjects(kind, after)
        self._check_risen(after, found[-1][0] if found else None)
        return found

    def is_forgotten(self, stream: str) -> bool:
        """Return whether a CandidateForgotten, of any version, is in the stream."""
        select = IS_FORGOTTEN
        return bool(self.values(select, (stream,)))

    def about(self, name: str) -> str | None:
        """Return what the ledger remembers under a name."""
        values = self.values(ABOUT, (name,))
        return str(values[0][0]) if values else None

    def watch(self) -> SQLiteWatch:
        """Return what tells whether anything was written; for one thread, to be closed."""
        self.opened.check()
        return SQLiteWatch(self)

    def check(self) -> None:
        """Raise Redefined if something else than a ledger is kept in the same file."""
        with storage_problems(self.path):
            check_schema(self._reader(), self.path)

    def scans(self) -> SQLiteScans:
        """Return the same events as Arrow."""
        # Here, since pyarrow takes as long to import as most questions take to answer.
        from ledger.store.sqlite_scans import SQLiteScans

        return SQLiteScans(self)

    def close(self) -> None:
        """Close every connection and let the lock's file go."""
        if not self.opened.is_own:
            return
        self.opened.close()
        self._lock.close()
        if self._writer is not None:
            self._writer.close()
            self._writer = self._checked = None
        while self._readers:
            self._readers.pop().close()
        self._local = threading.local()

    def close_reader(self, connection: sqlite3.Connection) -> None:
        """Close what `new_reader` opened."""
        if connection in self._readers:
            self._readers.remove(connection)
            connection.close()

    def _check_risen(self, before: Place, last: Place | None) -> None:
        """Raise NotALedger if reading would go on where it was: only pages in disorder do that."""
        if last is not None and last <= before:
            raise NotALedger(
                f"{self.path} is damaged: its pages are in disorder; `doctor` says more"
            )


class SQLiteWatch:
    """Looks at a number that changes with each commit of others: it reads no table and no file."""

    def __init__(self, store: SQLiteStore) -> None:
        self._store = store
        self._connection = store.new_reader()
        self._seen: int | None = None

    def changed(self) -> bool:
        """Return whether anybody may have written since the last call; at first, true."""
        self._store.opened.check()
        with storage_problems(self._store.path):
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        before, self._seen = self._seen, int(version)
        return before != self._seen

    def wait(self, seconds: float) -> None:
        """Wait: nobody says when there is something."""
        time.sleep(seconds)

    def close(self) -> None:
        """Close its connection."""
        self._store.close_reader(self._connection)
