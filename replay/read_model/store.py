"""The read model's file, open: read, and changed one transaction at a time."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from adbc_driver_manager import Error
from adbc_driver_sqlite import dbapi
from sqlite_utils import Database

from ledger.events import Recorded
from ledger.ledger import Ledger
from ledger.problems import LedgerProblem, NotALedger
from ledger.store.file import sqlite_uri, storage_problems
from ledger.store.locks import PRIVATE
from projections.table import Table
from projections.tables import (
    CORRECTIONS,
    FACTS,
    KEPT,
    OPEN,
    POSITION,
    PROBLEMS,
    STALE,
    STANDINGS,
)
from replay.read_model.schema import migrations
from replay.read_model.state import (
    Damaged,
    Other,
    Stand,
    differs,
    is_there,
    reading_uri,
)
from replay.tables import OF_CATALOGUE
from replay.tables.batch import Late

_BUSY_SECONDS = 60.0
_BATCH_ROWS = 65_536
SCHEMA = STANDINGS.schema


class ReadModel:
    """A read model, open. Whoever writes must hold its lock (`keeping`)."""

    def __init__(self, path: Path, *, wal: bool = True, read_only: bool = False) -> None:
        """Open the file, made if it is not there (its tables too) unless `read_only`.

        With `wal` readers never wait for a writer, nor it for them.
        """
        self.path = path
        with self._problems():
            if not read_only:
                with suppress(FileExistsError):  # SQLite's own files get the mode of this one
                    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
            self.connection = sqlite3.connect(
                sqlite_uri(path, "mode=rw"),
                uri=True,
                timeout=_BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                if wal:
                    # Not FULL: what a power cut takes back is folded again, position and all.
                    self.connection.execute("PRAGMA journal_mode = WAL").fetchall()
                    self.connection.execute("PRAGMA synchronous = NORMAL")
            except BaseException:
                self.connection.close()
                raise
        self.db = Database(self.connection)

    def __enter__(self) -> ReadModel:
        """Use it as a context manager: closed at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.connection.close()

    @contextmanager
    def _problems(self) -> Iterator[None]:
        """Turn what SQLite raises into one sentence about the file."""
        try:
            with storage_problems(self.path):
                yield
        except NotALedger as problem:
            raise Damaged(f"{self.path} is damaged: rebuild makes it anew") from problem

    # -- the schema

    def make_tables(self, *, stop_before: str | None = None) -> None:
        """Make the tables that are not there yet, up to a migration."""
        with self._problems():
            migrations.apply(self.db, stop_before=stop_before)

    def become(self, other: ReadModel) -> None:
        """Replace the whole content by another file's, in one transaction."""
        with self._problems():
            other.connection.backup(self.connection)
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    # -- reading

    def is_sound(self) -> bool:
        """Return whether SQLite can read all of it."""
        try:
            return self.select("PRAGMA quick_check(1)") == [("ok",)]
        except Damaged:
            return False

    def has(self, table: str) -> bool:
        """Return whether there is a table of that name."""
        with self._problems():
            return self.db[table].exists()

    def stand(self) -> Stand | None:
        """Return of which ledger it is and how far; None for a file not begun."""
        if not self.has("position"):
            return None
        rows = self.select(f"SELECT {', '.join(POSITION.names)} FROM position")
        return Stand(*rows[0]) if rows else None

    def select(self, statement: str, parameters: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a SELECT."""
        with self._problems():
            return self.connection.execute(statement, tuple(parameters)).fetchall()

    def stale(self) -> frozenset[str]:
        """Return the exams whose rows are still to be folded again."""
        return frozenset(exam for (exam,) in self.select("SELECT exam FROM stale"))

    def candidates_of(self, exams: Iterable[str]) -> list[str]:
        """Return every candidate with a sitting, standing or exception of one of some exams."""
        named = json.dumps(sorted(exams))
        some = "exam IN (SELECT value FROM json_each(?))"
        return [
            candidate
            for (candidate,) in self.select(
                f"SELECT candidate FROM sittings WHERE {some} "
                f"UNION SELECT candidate FROM exceptions WHERE {some} ORDER BY 1",
                (named, named),
            )
        ]

    # -- writing

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Open one transaction: all that is written in it is there, or nothing is."""
        with self._problems(), self.db.atomic():
            yield

    def set_position(self, stand: Stand) -> None:
        """Write how far the tables are; in the transaction of the rows it stands for."""
        self.upsert(POSITION, [tuple(stand)])

    def replace_candidates(self, candidates: Iterable[str], tables: Mapping[str, pa.Table]) -> None:
        """Put new rows in the place of all those of some candidates; touch only what differs."""
        named = json.dumps(sorted(candidates))
        for table in KEPT:
            if not table.by_candidate:
                continue
            self.replace(
                table,
                "candidate IN (SELECT value FROM json_each(?))",
                (named,),
                tuples(tables[table.name]),
            )

    def replace(
        self, table: Table, where: str, parameters: tuple[Any, ...], rows: list[tuple[Any, ...]]
    ) -> None:
        """Put rows in the place of those that `where` selects; touch only what differs."""
        key = [table.names.index(name) for name in table.key]

        def keyed(rows: Iterable[tuple[Any, ...]]) -> dict[tuple[Any, ...], tuple[Any, ...]]:
            return {tuple(row[n] for n in key): row for row in rows}

        columns = ", ".join(f'"{name}"' for name in table.names)
        old = keyed(
            self.connection.execute(f"SELECT {columns} FROM {table.name} WHERE {where}", parameters)
        )
        new = keyed(rows)
        gone = [each for each in old if each not in new]
        if gone:
            matched = " AND ".join(f'"{name}" = ?' for name in table.key)
            self.connection.executemany(f"DELETE FROM {table.name} WHERE {matched}", gone)
        self.upsert(table, [row for each, row in new.items() if old.get(each) != row])

    def upsert(self, table: Table, rows: Iterable[tuple[Any, ...]]) -> None:
        """Insert rows, or change those of the same key."""
        rows = list(rows)
        if not rows:
            return
        columns = ", ".join(f'"{name}"' for name in table.names)
        key = ", ".join(f'"{name}"' for name in table.key)
        rest = [name for name in table.names if name not in table.key]
        changed = ", ".join(f'"{name}" = excluded."{name}"' for name in rest)
        self.connection.executemany(
            f"INSERT INTO {table.name} ({columns}) VALUES ({', '.join('?' * len(table.names))}) "
            f"ON CONFLICT ({key}) DO " + (f"UPDATE SET {changed}" if rest else "NOTHING"),
            rows,
        )

    def add_stale(self, exams: Iterable[str]) -> None:
        """Write that the rows of some exams are to be folded again."""
        self.upsert(STALE, [(exam,) for exam in sorted(exams)])

    def fresh(self, exams: Iterable[str]) -> None:
        """Write that the rows of some exams have been folded again."""
        self.connection.executemany(
            f"DELETE FROM {STALE.name} WHERE exam = ?", [(exam,) for exam in sorted(exams)]
        )

    def write_catalogue(self, tables: Mapping[str, pa.Table]) -> None:
        """Put the catalogue's tables in the place of those there, and add its corrections."""
        for table in KEPT:
            if table.name in OF_CATALOGUE:
                self.replace(table, "true", (), tuples(tables[table.name]))
        self.replace(PROBLEMS, "candidate IS NULL", (), tuples(tables[PROBLEMS.name]))
        self.add_corrections(tables[CORRECTIONS.name])

    def add_facts(self, rows: Iterable[Recorded]) -> None:
        """Add the next events to `facts`."""
        self.upsert(FACTS, map(fact_of, rows))

    def add_corrections(self, rows: pa.Table) -> None:
        """Add rows of `corrections`, which never change."""
        self.upsert(CORRECTIONS, tuples(rows))


def tuples(table: pa.Table) -> list[tuple[Any, ...]]:
    """Return a table's rows."""
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))


def fact_of(row: Recorded) -> tuple[Any, ...]:
    """Return the row of `facts` that is about an event; `ledger.store.scans` reads many at once."""
    reason = None if row.annuls is None else row.payload()["reason"]
    about = (row.type, row.subject, row.source, row.id, row.actor, row.exam, row.key, row.annuls)
    return (row.position, row.recorded_at, row.occurred_at, *about, reason)


class State(NamedTuple):
    """What a read model is worth."""

    position: int
    """How far it is; 0 where it tells nothing."""
    stale: frozenset[str]
    """Exams whose rows are still to be folded again."""
    other: str | None
    """In what it differs from one of this ledger and release; then it is built anew."""
    damaged: bool
    """SQLite cannot read it."""


def state_of(
    ledger: Ledger, path: Path, late: Late | None = None, *, thorough: bool = True
) -> State | None:
    """Look at a read model; None if there is none. Raises LedgerProblem for any other file.

    Every page of it is read if `thorough`. Without `late` nothing is said of its bounds.
    """
    nothing = State(0, frozenset(), None, False)
    try:
        if not is_there(path):
            return None
    except Other as problem:
        return nothing._replace(other=str(problem))
    try:
        with ReadModel(path, wal=False, read_only=True) as model:
            if thorough and not model.is_sound():
                return nothing._replace(damaged=True)
            stand = model.stand()
            other = differs(stand, ledger, late)
            if stand is None or other is not None:
                return nothing._replace(other=other)
            return State(stand.position, model.stale(), None, False)
    except Damaged:
        return nothing._replace(damaged=True)


@contextmanager
def reading(path: Path) -> Iterator[Any]:
    """Open a read model to read as Arrow, in one snapshot that begins with what is read first."""
    try:
        with dbapi.connect(reading_uri(path)) as connection:
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA busy_timeout = 60000").fetchall()
            yield connection
    except Error as error:
        raise LedgerProblem(f"{path} cannot be read: {str(error).splitlines()[0]}") from None


@contextmanager
def in_batches(connection: Any) -> Iterator[Any]:
    """Open a cursor whose rows come in batches."""
    with connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": _BATCH_ROWS})
        yield cursor


_READ = [name for name in SCHEMA.names if name != "eligible"]  # which the status says
_SELECT = f"SELECT {', '.join(_READ)} FROM standings WHERE "


def standings_as_of(
    path: Path, as_of: int, *, exam: str | None = None, status: str | None = None, workers: int = 2
) -> pa.Table:
    """Return everybody's standing as of an instant, on the knowledge that a read model stands for.

    A table of `projections.tables.STANDINGS`, in no order; `exam` and `status` leave out others.
    Raises LedgerProblem when the file cannot be read.
    """
    named = {"exam": exam, "status": status}
    conditions = {name: value for name, value in named.items() if value is not None}
    also = "".join(f" AND {name} = ?" for name in conditions)
    values = tuple(conditions.values())
    if len(conditions) == len(named):  # few: one look into the index of waiting lists
        some = f"valid_from <= ? AND valid_to > ?{also}"
        return _read(path, some, (as_of, as_of, *values))
    # Most of them have no end. Those are read in two parts, so that two threads share the work.
    middle = _middle(path, as_of)
    parts: list[tuple[str, tuple[Any, ...]]] = [
        (f"valid_to = {OPEN} AND valid_from <= ?{also}", (middle, *values)),
        (
            f"valid_to = {OPEN} AND valid_from > ? AND valid_from <= ?{also}",
            (middle, as_of, *values),
        ),
        (f"valid_to > ? AND valid_to < {OPEN} AND valid_from <= ?{also}", (as_of, as_of, *values)),
    ]
    with ThreadPoolExecutor(workers) as pool:
        return pa.concat_tables(pool.map(lambda part: _read(path, *part), parts))


def _middle(path: Path, as_of: int) -> int:
    """Return an instant about which the stretches without end, begun by `as_of`, may be halved."""
    with reading(path) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT min(valid_from) FROM standings WHERE valid_to = {OPEN}")
        (first,) = cursor.fetchone()
    return as_of if first is None else (first + as_of) // 2


def _read(path: Path, where: str, parameters: tuple[int | str, ...]) -> pa.Table:
    with reading(path) as connection, in_batches(connection) as cursor:
        cursor.execute(_SELECT + where, parameters)
        table = cursor.fetch_arrow_table()
    eligible = pc.equal(table["status"].cast(pa.string()), "eligible")
    return table.append_column("eligible", eligible).select(SCHEMA.names).cast(SCHEMA)
