"""The file of views: opened, looked at, and changed one transaction at a time."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pyarrow as pa
from sqlite_utils import Database

from ledger.events import Recorded
from ledger.ledger import Ledger
from ledger.problems import LedgerProblem, NotALedger
from ledger.store.file import storage_problems
from projections.table import Table
from projections.tables import (
    APPLICATION_ID,
    CORRECTIONS,
    FACTS,
    KEPT,
    POSITION,
    PROBLEMS,
    STALE,
    VERSION,
)
from replay.read_model.schema import migrations
from replay.tables.batch import Late
from replay.tables.registry import OF_CATALOGUE

_BUSY_SECONDS = 60.0


class Stand(NamedTuple):
    """What a file of views says of itself: its one row of `position`."""

    ledger: str
    position: int
    recorded_at: int | None
    source: str | None
    id: str | None
    late: int
    very_late: int


def reading_uri(path: Path) -> str:
    """Name a file of views to SQLite for reading alone.

    Where it may be, it is opened to write: a reader that may not leaves SQLite's files beside it.
    """
    mode = "rw" if os.access(path, os.W_OK) and os.access(path.absolute().parent, os.W_OK) else "ro"
    return f"file:{quote(str(path.absolute()))}?mode={mode}"


class OtherReadModel(Exception):
    """A file of views that these cannot go on from; str() says in what it differs."""


def looked_at(path: Path) -> bool:
    """Return whether views of this version are at `path`: False if nothing is there.

    Raises OtherReadModel for one of another version, and LedgerProblem for any other file, or a
    link to one, which is never touched. Looks at the header alone.
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
    mark = int.from_bytes(header[68:72], "big")
    if header[:16] != b"SQLite format 3\0" or mark != APPLICATION_ID:
        raise LedgerProblem(
            f"{path} is no file of views: it was left as it is; name another with --views"
        )
    version = int.from_bytes(header[60:64], "big")
    if version != VERSION:
        raise OtherReadModel(f"of schema {version}, this release makes {VERSION}")
    return True


def _make(path: Path) -> None:
    """Make an empty file that this account alone may open, if there is none; SQLite's follow it."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


class DamagedReadModel(LedgerProblem):
    """A file of views that SQLite cannot read."""


class ReadModel:
    """A file of views, open. Whoever writes must hold its lock (`replay.read_model.lock`)."""

    def __init__(self, path: Path, *, wal: bool = True, read_only: bool = False) -> None:
        """Open the file, made if it is not there (its tables too) unless `read_only`.

        With `wal` readers never wait for a writer, nor it for them.
        """
        self.path = path
        with self._problems():
            if not read_only:
                _make(path)
            uri = f"file:{quote(str(path.absolute()))}?mode=rw"
            self.connection = sqlite3.connect(
                uri,
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
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    @contextmanager
    def _problems(self) -> Iterator[None]:
        """Turn what SQLite raises into one sentence about the file."""
        try:
            with storage_problems(self.path):
                yield
        except NotALedger as problem:
            raise DamagedReadModel(f"{self.path} is damaged: rebuild makes it anew") from problem

    # -- the schema

    def make_tables(self, *, stop_before: str | None = None) -> None:
        """Make the tables that are not there yet, up to a migration."""
        with self._problems():
            migrations.apply(self.db, stop_before=stop_before)

    def become(self, other: ReadModel) -> None:
        """Take the whole content of another file in the place of this one's, in one transaction."""
        with self._problems():
            other.connection.backup(self.connection)
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def compact(self) -> None:
        """Write the file anew, without anything that is in no table any more, its log too."""
        with self._problems():
            self.connection.execute("VACUUM")
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    # -- reading

    def is_sound(self) -> bool:
        """Return whether SQLite can read all of it."""
        try:
            return self.select("PRAGMA quick_check(1)") == [("ok",)]
        except DamagedReadModel:
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
        """Hold one transaction: all that is written in it is there, or nothing is."""
        with self._problems(), self.db.atomic():
            yield

    def set_position(self, stand: Stand) -> None:
        """Say how far the tables are; in the transaction of the rows it stands for."""
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


def stand_at(ledger: Ledger, position: int, late: Late) -> Stand:
    """Return what a file says of itself when it has come to a position."""
    row = ledger.event(position)
    last: tuple[Any, Any, Any] = (
        (None, None, None) if row is None else (row.recorded_at, row.source, row.id)
    )
    return Stand(ledger.about("ledger") or "", position, *last, *late)


def differs(stand: Stand | None, ledger: Ledger, late: Late | None = None) -> str | None:
    """Say in what a file of views is not one to go on from; None if it is.

    Without `late` nothing is said of its bounds.
    """
    if stand is None:
        return "not finished"
    if stand.ledger != ledger.about("ledger"):
        return "of another ledger"
    head = ledger.head().position
    if stand.position > head:
        return f"at position {stand.position}, which the ledger has not reached ({head})"
    bounds = Late(stand.late, stand.very_late)
    if stand != stand_at(ledger, stand.position, bounds):
        return f"at a position {stand.position} that is another event now"
    if late not in (None, bounds):
        return "made with other bounds of lateness"
    return None
