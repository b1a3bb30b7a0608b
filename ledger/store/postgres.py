"""The store in PostgreSQL: one schema of one database, appended to by the functions in it.

Commits are asynchronous, so that the order lock is free again before anything is flushed, and the
flush that follows is shared by all who wait for one. So a row may be seen that a crash would take
back: whoever appends, and whoever hands on what was read, waits until it is durable (`settle`).
Rows up to a position that is known to be durable need no such look: the order of positions is the
order of commits.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import psycopg

from ledger.events import Recorded, Row
from ledger.problems import NewerSchema, NoLedger, ReadOnly, Redefined
from ledger.store.interface import PAGE, Head
from ledger.store.locks import Opened, Waiting
from ledger.store.postgres_committing import Transactions
from ledger.store.postgres_integrity import redefinitions
from ledger.store.postgres_pool import Pool, settle
from ledger.store.postgres_problems import problems
from ledger.store.postgres_schema import quoted
from ledger.store.postgres_writing import PostgresWriting, Statements
from ledger.store.questions import Questions, pages
from ledger.store.schema import SCHEMA_VERSION
from ledger.store.server import Server, postgres_module

if TYPE_CHECKING:
    from ledger.store.postgres_scans import PostgresScans

_LAST: Final = 1 << 62
_LOOK_EVERY = 1000
"""So many transactions go by until who writes looks again at all that the schema defines. At what
would run in it each of them looks."""


class PostgresStore(Questions):
    """Keep events in one schema of a database; see `ledger.store.postgres_schema`."""

    keeps_extensions = True
    works_elsewhere = True

    def __init__(self, server: Server, *, read_only: bool, waiting: Waiting) -> None:
        """Open it; raises NoLedger, NewerSchema, or LedgerProblem for what else is in the way."""
        self.server = server
        self.read_only = read_only
        self.waiting = waiting
        self.pool = Pool(server, patience=max(waiting.seconds, 1.0))
        self.address = replace(server, pool=self.pool)
        self._statements = Statements(server.schema)
        self._durable = 0
        self._unchecked = _LOOK_EVERY
        self._transactions = Transactions(server, self.pool)
        self.opened = Opened(server)
        try:
            _check_about(dict(self._read(self._statements.about_all)), server)
        except BaseException:
            self.pool.close()
            raise

    # -- writing

    @contextmanager
    def writing(self) -> Iterator[PostgresWriting]:
        """Open the one write transaction there can be; commit it at the end, durably."""
        self._check_writing()
        with self._transactions.writing(self.waiting) as writing:
            yield writing
        if writing.wrote:
            self._durable = max(self._durable, writing.position)

    def append_new(self, rows: Sequence[Row], now: int) -> int | None:
        """Append rows in one call and one flush; None where one of the keys is there."""
        self._check_writing()
        first = self._transactions.append_new(rows, now, self._durable, self.waiting)
        if first is not None:
            self._durable = max(self._durable, first + len(rows) - 1)
        return first

    def _check_writing(self) -> None:
        if self.read_only:
            raise ReadOnly(f"{self.server} was opened for reading: nothing was written")
        self.opened.check()
        if self._unchecked >= _LOOK_EVERY:
            self.check()
            self._unchecked = 0
        self._unchecked += 1

    def upgrade(self) -> bool:
        """Return False: there is no earlier format."""
        return False

    # -- reading

    def values(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return what a SELECT yields, as tuples that no crash takes back any more."""
        return self._read(statement, values)

    def selected(self, select: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return what a question yields, as tuples."""
        named = select.replace("?", "%s").format(events=self._statements.events)
        return self._read(named, values)

    def _read(
        self, statement: str, values: Sequence[Any] = (), *, upto: int | None = None
    ) -> list[Any]:
        """Return rows; those up to a position are known to be durable if that is."""
        self.opened.check()
        for last in (False, True):
            with self.pool.connection() as connection:
                try:
                    rows = connection.execute(statement, values or None).fetchall()
                    if rows and not (upto is not None and upto <= self._durable):
                        settle(connection, self._statements.settle, self.server, self.waiting)
                    return rows
                except psycopg.OperationalError:
                    if last or not connection.closed:
                        raise
        raise AssertionError("unreachable")

    def settled(self, upto: int) -> None:
        """Return once all rows up to a position that was read are durable."""
        self.opened.check()
        if upto > self._durable:
            self._read(f"SELECT 1 FROM {self._statements.events} LIMIT 1")
            self._durable = max(self._durable, upto)

    def _rows(
        self, where: str, values: Sequence[Any] = (), *, upto: int | None = None
    ) -> list[Recorded]:
        """Return the events that `where` (and what follows it) selects."""
        found = self._read(self._statements.select + where, values, upto=upto)
        return list(map(Recorded._make, found))

    def head(self) -> Head:
        """Return the last position and its recorded_at."""
        rows = self._read(self._statements.head)
        head = Head(*rows[0]) if rows else Head(0, 0)
        self._durable = max(self._durable, head.position)
        return head

    def position_at(self, known_at: int) -> int:
        """Return the last position with recorded_at ≤ `known_at` (microseconds), 0 if none."""
        head = self.head()
        if head.recorded_at <= known_at:
            return head.position
        # recorded_at never falls as position rises: low is known by then, high is not.
        ((low,),) = self._read(
            "WITH RECURSIVE bounds(low, high) AS (SELECT 0::bigint, %(head)s::bigint UNION ALL "
            "SELECT CASE WHEN e.recorded_at <= %(at)s THEN e.position ELSE low END, "
            "CASE WHEN e.recorded_at <= %(at)s THEN high ELSE e.position END "
            f"FROM bounds JOIN {self._statements.events} e ON e.position = (low + high) / 2 "
            "WHERE high - low > 1) SELECT max(low) FROM bounds",
            {"head": head.position, "at": known_at},  # type: ignore[arg-type]
            upto=head.position,
        )
        return int(low)

    def stream(
        self, stream: str, *, upto: int | None = None, exam: str | None = None
    ) -> list[Recorded]:
        """Return the events of one stream up to a position, by position."""
        where, values = "WHERE stream = %s ", [stream]
        if exam is not None:
            where, values = f"{where}AND (exam = %s OR exam IS NULL) ", [stream, exam]
        last = _LAST if upto is None else upto
        return self._rows(
            f"{where}AND position <= %s ORDER BY position", (*values, last), upto=upto
        )

    def outlines(self, stream: str, upto: int) -> list[Recorded]:
        """Return all of the events: going to the server once more costs more than their texts."""
        return self.stream(stream, upto=upto)

    def last(self, stream: str, upto: int) -> Head:
        """Return where the last event of a stream up to a position stands, and its recorded_at."""
        rows = self._read(
            f"SELECT position, recorded_at FROM {self._statements.events} "
            "WHERE stream = %s AND position <= %s ORDER BY position DESC LIMIT 1",
            (stream, upto),
            upto=upto,
        )
        return Head(*rows[0]) if rows else Head(0, 0)

    def page(
        self, after: int, upto: int | None = None, *, topics: Sequence[str] = (), limit: int = PAGE
    ) -> list[Recorded]:
        """Return the first events after a position, by position; `topics` empty: of any."""
        chosen, more = ("AND topic = ANY(%s) ", [list(topics)]) if topics else ("", [])
        rows = self._rows(
            f"WHERE position > %s AND position <= %s {chosen}ORDER BY position LIMIT %s",
            (after, _LAST if upto is None else upto, *more, limit),
            upto=upto,
        )
        if rows:
            self._durable = max(self._durable, rows[-1].position)
        return rows

    def at(self, positions: Sequence[int]) -> list[Recorded]:
        """Return the events at some positions, in any order."""
        where = "WHERE position = ANY(%s)"
        return [
            row
            for some in pages(positions)
            for row in self._rows(where, (list(some),), upto=max(some))
        ]

    def kinds(self, kinds: Sequence[str], after: int, upto: int | None) -> list[Recorded]:
        """Return every event of streams of some kinds (``exam``) within a range, by position."""
        # "0" comes right after "/": so all streams of a kind are a range.
        where = "WHERE stream >= %s AND stream < %s AND position > %s AND position <= %s"
        last = _LAST if upto is None else upto
        each = (
            self._rows(where, (f"{kind}/", f"{kind}0", after, last), upto=upto) for kind in kinds
        )
        return sorted(chain.from_iterable(each))

    def find(self, source: str, id: str) -> Recorded | None:
        """Return the event of that idempotency key, or None."""
        rows = self._rows("WHERE source = %s AND id = %s", (source, id))
        return rows[0] if rows else None

    def keys_at(self, positions: Sequence[int]) -> dict[int, str | None]:
        """Return the key (registration, request or certification) of each event that there is."""
        select = f"SELECT position, key FROM {self._statements.events} WHERE position = ANY(%s)"
        found: dict[int, str | None] = {}
        for some in pages(positions):
            found.update(self._read(select, (list(some),), upto=max(some)))
        return found

    def is_forgotten(self, stream: str) -> bool:
        """Return whether a CandidateForgotten, of any version, is in the stream."""
        return bool(self._read(self._statements.is_forgotten, (stream,)))

    def about(self, name: str) -> str | None:
        """Return what the ledger remembers under a name."""
        found = self._read(self._statements.about, (name,))
        return str(found[0][1]) if found else None

    def watch(self) -> PostgresWatch:
        """Return what tells whether anything was written; for one thread, to be closed."""
        self.opened.check()
        return PostgresWatch(self)

    def check(self) -> None:
        """Raise Redefined unless the schema defines what a ledger does, and no more."""
        with self.pool.connection() as connection:
            sentences = redefinitions(connection, self.server.schema)
        if sentences:
            raise Redefined(
                f"{self.server} was changed past the ledger, nothing was written: {sentences[0]}"
                f"{f', and {len(sentences) - 1} more' if len(sentences) > 1 else ''}; "
                "`verify` says more"
            )

    def scans(self) -> PostgresScans:
        """Return the same events as Arrow, whose library few questions are worth waiting for."""
        scans: PostgresScans = postgres_module("store.postgres_scans").PostgresScans(self)
        return scans

    def close(self) -> None:
        """Close every connection."""
        if self.opened.is_own:
            self.opened.close()
            self._transactions.close()
            self.pool.close()
        else:
            self.pool.drop()


class PostgresWatch:
    """Looks at the last position, on a connection of its own; woken early by who appends."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self._connection: psycopg.Connection[Any] | None = None
        self._seen: int | None = None

    def changed(self) -> bool:
        """Return whether anybody may have written since the last call; at first, true."""
        self._store.opened.check()
        with problems(self._store.server):
            try:
                position = self._position()
            except psycopg.OperationalError:
                self.close()  # lost: whatever was written meanwhile is seen on a new one
                position = self._position()
        before, self._seen = self._seen, position
        return before != position

    def _position(self) -> int:
        statements = self._store._statements
        if self._connection is None:
            self._connection = self._store.pool.open()
            if not self._store.pool.is_standby:  # which hears of nothing: there it only looks
                self._connection.execute(f"LISTEN {quoted(self._store.server.schema)}")
        found = self._connection.execute(statements.head).fetchone()
        return 0 if found is None else int(found[0])

    def wait(self, seconds: float) -> None:
        """Wait so long, or until somebody says that there is something new."""
        if self._connection is None or self._connection.closed:
            time.sleep(seconds)
            return
        with suppress(psycopg.Error):  # which the next look meets again
            for _ in self._connection.notifies(timeout=seconds, stop_after=1):
                pass

    def close(self) -> None:
        """Close its connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _check_about(about: dict[str, str], server: Server) -> None:
    if "ledger" not in about:
        raise NoLedger(
            f"there is no ledger in {server}: name another schema, or make one with init"
        )
    format = about.get("format", "")
    if format != str(SCHEMA_VERSION):
        raise NewerSchema(
            f"{server} has format {format}, this release knows {SCHEMA_VERSION}: open it with a "
            "later release"
        )
