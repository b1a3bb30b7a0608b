"""Rows into a ledger's file, in bulk: the same table, filled before it has indexes."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pyarrow as pa
from adbc_driver_sqlite import dbapi

from ledger.events import Recorded
from ledger.store.file import create_file

_INSERT = f"INSERT INTO events VALUES ({', '.join('?' * len(Recorded._fields))})"
_AHEAD = 3


def fill(path: Path, batches: Iterator[pa.RecordBatch], ledger_id: str) -> None:
    """Make a ledger of these rows at `path`, replacing what is there, wholly or not at all.

    Nothing else may be open on it. Until it is complete a crash leaves only a draft beside it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.draft")
    for leftover in (draft, Path(f"{draft}-wal"), Path(f"{draft}-shm")):
        leftover.unlink(missing_ok=True)
    create_file(draft)
    indexes = _without_indexes(draft, ledger_id)
    _insert(draft, batches)
    with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        # SQLite sorts with helpers only what outgrows its cache: a small one halves the time.
        connection.execute("PRAGMA threads = 2")
        connection.execute("PRAGMA cache_size = -16000")
        for statement in indexes:
            connection.execute(statement)
        connection.execute("PRAGMA journal_mode = WAL")
    for stale in (f"{path}-wal", f"{path}-shm", f"{path}.lock"):
        Path(stale).unlink(missing_ok=True)
    os.replace(draft, path)


def _without_indexes(draft: Path, ledger_id: str) -> list[str]:
    """Drop the indexes and return the statements that make them."""
    with closing(sqlite3.connect(draft, isolation_level=None)) as connection:
        connection.execute("UPDATE about SET value = ? WHERE name = 'ledger'", (ledger_id,))
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL"
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        connection.execute("PRAGMA journal_mode = OFF")
    return [statement for _, statement in indexes]


def _insert(draft: Path, batches: Iterator[pa.RecordBatch]) -> None:
    """Insert while the next batches are laid out: the driver needs no Python for a row."""
    with (
        closing(dbapi.connect(str(draft), autocommit=True)) as connection,
        closing(connection.cursor()) as cursor,
        ThreadPoolExecutor(1) as worker,
    ):
        for pragma in ("synchronous = OFF", "journal_mode = OFF", "locking_mode = EXCLUSIVE"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.execute("BEGIN")
        under_way = []
        for batch in batches:
            under_way.append(worker.submit(cursor.executemany, _INSERT, batch))
            if len(under_way) == _AHEAD:
                under_way.pop(0).result()
        for inserted in under_way:
            inserted.result()
        cursor.execute("COMMIT")
