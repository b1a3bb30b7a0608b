"""What a ledger in PostgreSQL is measured beside: plain INSERTs, COPY, and `eventsourcing`."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

import psycopg

from benchmarks.peers.aggregates import Candidates
from drills.cluster import OWNER, Cluster
from ledger.events import Recorded, Row
from ledger.store.postgres_schema import INDEXES, TEXTS

_COLUMNS = ", ".join(f"{name} {'text' if name in TEXTS else 'bigint'}" for name in Row._fields)


class Plain:
    """A table with the columns and the indexes of a ledger's, written to without any check."""

    def __init__(self, cluster: Cluster, table: str = "plain") -> None:
        self._connection = psycopg.connect(cluster.url(), autocommit=True)
        self._table = table
        self._connection.execute(
            f"CREATE TABLE {table} (position bigint PRIMARY KEY, recorded_at bigint, {_COLUMNS})"
        )
        for name, (unique, columns) in INDEXES.items():
            self._connection.execute(f"CREATE {unique}INDEX {table}_{name} ON {table} {columns}")
        places = ", ".join(["%s"] * len(Recorded._fields))
        self._insert = f"INSERT INTO {table} VALUES ({places})"
        self._position = 0

    def commit(self, row: Row) -> None:
        """Commit one row: a statement of its own is a transaction of its own."""
        self._position += 1
        values = (self._position, time.time_ns() // 1000, *row)
        self._connection.execute(self._insert, values)

    def copy(self, batches: Iterable[bytes]) -> None:
        """Replace all by the rows that a COPY wrote as text, a transaction for each batch."""
        self._connection.execute(f"TRUNCATE {self._table}")
        for batch in batches:
            with self._connection.cursor().copy(f"COPY {self._table} FROM STDIN") as copy:
                copy.write(batch)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def copied_out(cluster: Cluster, events: str) -> bytes:
    """Return the rows of a table as COPY writes them, all of them in memory."""
    with (
        psycopg.connect(cluster.url()) as connection,
        connection.cursor().copy(f"COPY {events} TO STDOUT") as copy,
    ):
        pieces: Iterable[Any] = copy
        return b"".join(pieces)


def application(cluster: Cluster) -> Candidates:
    """Open `eventsourcing`'s application on its own PostgreSQL recorder, with its defaults."""
    return Candidates(
        env={
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": OWNER,
            "POSTGRES_HOST": str(cluster.folder),
            "POSTGRES_PORT": "5432",
            "POSTGRES_USER": OWNER,
            "POSTGRES_PASSWORD": "none",
        }
    )
