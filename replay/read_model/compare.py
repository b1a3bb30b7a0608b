"""Two files of views held against each other: which rows differ, and in what."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from adbc_driver_manager import Error
from adbc_driver_sqlite import dbapi

from ledger.problems import LedgerProblem
from projections.table import TEXT, Table
from projections.tables import KEPT, POSITION
from replay.read_model.store import Stand, reading_uri

_BATCH_ROWS = 65_536
_ABSENT = chr(1)  # no text of ours holds it; a column whose first texts are all null has no type

Row = tuple[Any, ...]


class Difference(NamedTuple):
    """One row that is not the same; None where it is missing."""

    table: Table
    live: Row | None
    rebuilt: Row | None

    def __str__(self) -> str:
        """Say it in a line."""
        row = self.live or self.rebuilt
        assert row is not None
        named = dict(zip(self.table.names, row, strict=True))
        which = ", ".join(f"{name} {_shown(named[name])}" for name in self.table.key)
        if self.rebuilt is None:
            return f"{self.table.name}: {which}: in the live file only"
        if self.live is None:
            return f"{self.table.name}: {which}: missing in the live file"
        apart = [
            f"{name} is {_shown(one)}, rebuilt {_shown(other)}"
            for name, one, other in zip(self.table.names, self.live, self.rebuilt, strict=True)
            if one != other
        ]
        return f"{self.table.name}: {which}: {'; '.join(apart)}"


def _shown(value: Any) -> str:
    return "null" if value is None else str(value)


def differences(live: Any, rebuilt: Path) -> Iterator[Difference]:
    """Yield every row in which two files of views differ, by table and key.

    `live` is a connection as `reading` gives: all of it is read in the one snapshot that it holds.
    """
    with reading(rebuilt) as other:
        for table in KEPT:
            ones, others = _batches(live, table), _batches(other, table)
            one, two = next(ones, None), next(others, None)
            while one is not None and two is not None and one.equals(two):
                one, two = next(ones, None), next(others, None)
            yield from _merged(table, _rows(table, one, ones), _rows(table, two, others))


@contextmanager
def reading(path: Path) -> Iterator[Any]:
    """Open a file of views to read in one snapshot, which begins with the first thing read."""
    try:
        with dbapi.connect(reading_uri(path)) as connection:
            with connection.cursor() as cursor:
                cursor.execute("PRAGMA busy_timeout = 60000").fetchall()
            yield connection
    except Error as error:
        raise LedgerProblem(f"{path} cannot be read: {str(error).splitlines()[0]}") from None


def stand_in(connection: Any) -> Stand | None:
    """Return of which ledger the views in a snapshot are, and how far; None if they do not say."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(POSITION.names)} FROM position")
        row = cursor.fetchone()
    return None if row is None else Stand(*row)


def stale_in(connection: Any) -> int:
    """Count the exams in a snapshot whose rows are still to be folded again."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM stale")
        return int(cursor.fetchone()[0])


def _batches(connection: Any, table: Table) -> Iterator[pa.RecordBatch]:
    columns = ", ".join(
        f"coalesce(\"{column.name}\", '{_ABSENT}')"
        if column.type == TEXT and column.null
        else f'"{column.name}"'
        for column in table.columns
    )
    key = ", ".join(f'"{name}"' for name in table.key)
    with connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": _BATCH_ROWS})
        cursor.execute(f"SELECT {columns} FROM {table.name} ORDER BY {key}")
        yield from cursor.fetch_record_batch()


def _rows(
    table: Table, first: pa.RecordBatch | None, rest: Iterator[pa.RecordBatch]
) -> Iterator[Row]:
    if first is None:
        return
    for batch in chain((first,), rest):
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield tuple(None if value == _ABSENT else value for value in row)


def _merged(table: Table, ones: Iterator[Row], others: Iterator[Row]) -> Iterator[Difference]:
    """Walk two runs of rows sorted by key side by side."""
    places = [table.names.index(name) for name in table.key]

    def key(row: Row) -> Row:
        return tuple(row[place] for place in places)

    one, two = next(ones, None), next(others, None)
    while one is not None or two is not None:
        if two is None or (one is not None and key(one) < key(two)):
            yield Difference(table, one, None)
            one = next(ones, None)
        elif one is None or key(two) < key(one):
            yield Difference(table, None, two)
            two = next(others, None)
        else:
            if one != two:
                yield Difference(table, one, two)
            one, two = next(ones, None), next(others, None)
