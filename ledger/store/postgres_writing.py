"""The write transaction of a store in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

import psycopg

from ledger.events import Recorded, Row
from ledger.problems import LedgerProblem
from ledger.store.postgres_schema import NONE, SEPARATOR, TEXTS, quoted
from ledger.store.server import Server
from ledger.store.sqlite_writing import FORGOTTEN

_WIDTH: Final = len(Recorded._fields)
_NAMES: Final = ", ".join(Recorded._fields)
_TEXT_COLUMNS: Final = [name in TEXTS for name in Row._fields]


def numbered(count: int, first: int = 1) -> str:
    """Return placeholders as PostgreSQL has them."""
    return ", ".join(f"${number}" for number in range(first, first + count))


class Statements:
    """The statements about one schema that both reading and writing make."""

    def __init__(self, schema: str) -> None:
        s = quoted(schema)
        self.events = f"{s}.events"
        self.about_all = f"SELECT name, value FROM {s}.about"
        self.about = f"{self.about_all} WHERE name = %s"
        self.select = f"SELECT {_NAMES} FROM {s}.events "
        self.find = f"{self.select}WHERE source = %s AND id = %s"
        self.between = f"{self.select}WHERE position >= %s AND position < %s ORDER BY position"
        self.head = f"SELECT position, recorded_at FROM {s}.events ORDER BY position DESC LIMIT 1"
        self.is_forgotten = f"SELECT 1 FROM {s}.events WHERE stream = %s AND {FORGOTTEN} LIMIT 1"
        self.begin = f"SELECT * FROM {s}.begin_append()"
        self.append = f"SELECT {s}.append({', '.join(['%s'] * _WIDTH)})"
        # What a connection prepares once (`PatientConnection.value`).
        self.commit_one = f"CALL {s}.commit_one({numbered(_WIDTH)}, NULL)"
        self.commit_new = f"CALL {s}.commit_new({numbered(_WIDTH + 1)}, NULL)"
        self.remember = f"SELECT {s}.remember(%s, %s)"
        self.settle = f"SELECT {s}.settle()"
        self.annulments = (
            f"SELECT annuls, min(position) FROM {s}.events "
            "WHERE stream = %s AND annuls IS NOT NULL GROUP BY annuls"
        )


class PostgresWriting:
    """What may be done inside the one write transaction, begun and under the order lock."""

    keeps_extensions = True

    def __init__(
        self, connection: psycopg.Connection[Any], server: Server, head: tuple[int, int]
    ) -> None:
        self.connection = connection
        self._server = server
        self._statements = Statements(server.schema)
        self.position, self.recorded_at = head
        """The last of each, (0, 0) in an empty ledger."""
        self.last: Row | None = None
        """The last row that this transaction wrote."""
        self.wrote = False
        self._remembered: dict[str, str] = {}

    def stands_in(self, later: PostgresWriting) -> bool:
        """Return whether what this transaction wrote is there in a later one, so it committed."""
        if self.last is not None:
            return later.place_of([self.last]) == self.position
        return all(later.about(name) == value for name, value in self._remembered.items())

    def place_of(self, rows: Sequence[Row]) -> int | None:
        """Return where rows stand one after the other, every column of each; None if they do not.

        That is the position of the first.
        """
        first = self.find(rows[0].source, rows[0].id)
        if first is None:
            return None
        upto = first.position + len(rows)
        found = self._values(self._statements.between, (first.position, upto))
        return first.position if [row[2:] for row in found] == list(map(tuple, rows)) else None

    def insert(self, recorded_at: Sequence[int] | Iterator[int], rows: Sequence[Row]) -> int:
        """Insert rows at the next positions; stop before the first whose key is in the ledger."""
        if not rows:
            return 0
        instants = list(islice(recorded_at, len(rows)))
        values = [len(rows), _text(instants, False), *texts_of(rows)]
        ((inserted,),) = self._values(self._statements.append, values)
        if inserted:
            self.position += inserted
            self.last = rows[inserted - 1]
            self.wrote = True
        return int(inserted)

    def insert_one(self, recorded_at: int, row: Row) -> int:
        """Insert a row whose key is known to be new; returns its position."""
        if self.insert([recorded_at], [row]) != 1:
            raise LedgerProblem(
                f"{self._server} has another event of source {row.source!r} id {row.id!r}: "
                "nothing was written, try again"
            )
        return self.position

    def find(self, source: str, id: str) -> Recorded | None:
        """Return the row of that key, of this transaction too."""
        found = self._values(self._statements.find, (source, id))
        return Recorded._make(found[0]) if found else None

    def annulments(self, stream: str) -> dict[int, int]:
        """Return the annulled positions of a stream, each with that of its first annulment."""
        return dict(self._values(self._statements.annulments, (stream,)))

    def is_forgotten(self, stream: str) -> bool:
        """Return whether a CandidateForgotten, of any version, is in the stream."""
        return bool(self._values(self._statements.is_forgotten, (stream,)))

    def about(self, name: str) -> str | None:
        """Return what the ledger remembers under a name."""
        found = self._values(self._statements.about, (name,))
        return str(found[0][1]) if found else None

    def remember(self, name: str, value: str) -> None:
        """Remember a value under a name, with this transaction."""
        self._values(self._statements.remember, (name, value))
        self._remembered[name] = value
        self.wrote = True

    def _values(self, statement: str, values: Sequence[Any]) -> list[Any]:
        return self.connection.execute(statement, values).fetchall()


def texts_of(rows: Sequence[Row]) -> list[str]:
    """Write the columns of rows as texts, as the functions of the schema take them."""
    return list(map(_text, zip(*rows, strict=True), _TEXT_COLUMNS))


def _text(column: Sequence[Any], is_text: bool) -> str:
    """Write a column as one text, each value ended by the separator; empty where all are null.

    Raises LedgerProblem for a text that holds one: no fact of ours does.
    """
    if column.count(None) == len(column):
        return ""  # which costs the server nothing: what is not there is null
    if not is_text:
        return "".join([f"{NONE if each is None else each}{SEPARATOR}" for each in column])
    if None in column:
        column = [NONE if each is None else each for each in column]
    joined = SEPARATOR.join(column) + SEPARATOR
    if joined.count(SEPARATOR) != len(column):
        raise LedgerProblem("a text holds a control character: nothing was written")
    return joined
