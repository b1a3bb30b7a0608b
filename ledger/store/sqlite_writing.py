"""The write transaction of the embedded store, and its rows as they are read."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count, islice
from typing import Any

from ledger.events import Recorded, Row
from ledger.problems import Redefined
from ledger.store.schema import EXTENSIONS

# All that there is: a ledger of the first format has no extensions, and may get them meanwhile.
SELECT = "SELECT * FROM events "
HEAD = "SELECT position, recorded_at FROM events ORDER BY position DESC LIMIT 1"
ABOUT = "SELECT value FROM about WHERE name = ?"
FORGOTTEN = "topic >= 'CandidateForgotten:' AND topic < 'CandidateForgotten;'"
"""Selects what says that a candidate was forgotten, of whatever version."""
IS_FORGOTTEN = f"SELECT 1 FROM events WHERE stream = ? AND {FORGOTTEN} LIMIT 1"
_WIDTH = len(Recorded._fields)


class SQLiteWriting:
    """What may be done inside the one write transaction."""

    def __init__(self, connection: sqlite3.Connection, format: int) -> None:
        self.connection = connection
        self.keeps_extensions = format >= EXTENSIONS
        self._width = _WIDTH if self.keeps_extensions else _WIDTH - 1
        self._insert = f"INSERT INTO events VALUES ({', '.join('?' * self._width)})"
        head: tuple[int, int] = connection.execute(HEAD).fetchone() or (0, 0)
        self.position, self.recorded_at = head
        """The last of each, (0, 0) in an empty ledger."""

    def insert(self, recorded_at: Sequence[int] | Iterator[int], rows: Sequence[Row]) -> int:
        """Insert rows at the next positions; stop before the first whose key is in the ledger."""
        before = self.connection.total_changes
        try:
            # Transposed twice, since zip does it without a step of Python for each row.
            columns = islice(zip(*rows, strict=True), self._width - 2)
            self.connection.executemany(
                self._insert, zip(count(self.position + 1), recorded_at, *columns)
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
        values = (self.position + 1, recorded_at, *row)
        self.connection.execute(self._insert, values[: self._width])
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
        select = f"{SELECT}WHERE source = ? AND id = ?"
        found = self.connection.execute(select, (source, id)).fetchone()
        return None if found is None else recorded([found])[0]

    def annulments(self, stream: str) -> dict[int, int]:
        """Return the annulled positions of a stream, each with that of its first annulment."""
        found = self.connection.execute(
            "SELECT annuls, min(position) FROM events WHERE stream = ? AND annuls IS NOT NULL "
            "GROUP BY annuls",
            (stream,),
        )
        return dict(found.fetchall())

    def is_forgotten(self, stream: str) -> bool:
        """Return whether a CandidateForgotten, of any version, is in the stream."""
        select = IS_FORGOTTEN
        found = self.connection.execute(select, (stream,)).fetchone()
        return found is not None

    def about(self, name: str) -> str | None:
        """Return what the ledger remembers under a name."""
        found = self.connection.execute(ABOUT, (name,)).fetchone()
        return None if found is None else str(found[0])

    def remember(self, name: str, value: str) -> None:
        """Remember a value under a name, with this transaction."""
        self.connection.execute("INSERT INTO about VALUES (?, ?)", (name, value))


# `Recorded._make` without its look at the length, which SQLite answers for: half the time.
_make: Callable[[Any], Recorded] = partial(tuple.__new__, Recorded)


def recorded(rows: list[Any]) -> list[Recorded]:
    """Return rows as they were read, of whatever format their ledger is."""
    if rows and len(rows[0]) == _WIDTH - 1:
        rows = [(*row, None) for row in rows]
    return list(map(_make, rows))
