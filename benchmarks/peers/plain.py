"""Plain sqlite3: the same rows into the same table with the same indexes and settings."""

from __future__ import annotations

import argparse
import json
import sqlite3
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ledger.events import Recorded, Row
from ledger.store.file import connect_writer, create_file

INSERT = f"INSERT INTO events VALUES ({', '.join('?' * len(Recorded._fields))})"


class Plain:
    """A ledger's file, written to without any of the ledger's checks."""

    def __init__(self, path: Path) -> None:
        create_file(path)
        self._connection = connect_writer(path)
        self._position = 0

    def commit(self, row: Row) -> None:
        """Commit one row: a statement of its own is a transaction of its own."""
        self._position += 1
        now = time.time_ns() // 1000
        self._connection.execute(INSERT, (self._position, now, *row))

    def commit_all(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Commit rows, positions and all, in one transaction."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(INSERT, rows)
        self._connection.execute("COMMIT")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()


def copy(source: Path, target: Path, batch: int) -> tuple[int, float]:
    """Write all rows of one ledger into another; return how many, and the seconds of writing.

    Reading them is not counted: the rows are there as tuples before the clock runs.
    """
    reading = sqlite3.connect(source)
    rows = reading.execute("SELECT * FROM events ORDER BY position")
    count, spent = 0, 0.0
    with Plain(target) as plain:
        while some := list(islice(rows, batch)):
            began = time.perf_counter()
            plain.commit_all(some)
            spent += time.perf_counter() - began
            count += len(some)
    reading.close()
    return count, spent


def main() -> None:
    """Copy in a process of its own, and print what it came to as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--batch", type=int, required=True)
    given = parser.parse_args()
    count, spent = copy(given.source, given.target, given.batch)
    print(json.dumps({"rows": count, "seconds": spent}))


if __name__ == "__main__":
    main()
