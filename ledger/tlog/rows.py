"""Stored rows, read in the order of the table itself and hashed, tile by tile."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from ledger.store.file import connect_reader, storage_problems
from ledger.store.schema import redefinitions
from ledger.tlog.leaf import COLUMNS, Values, leaf_hash_or_none, leaf_hashes
from ledger.tlog.tiles import WIDTH

# Not through an index: what is hashed is what the table holds.
_SELECT = (
    f"SELECT {COLUMNS} FROM events NOT INDEXED WHERE position BETWEEN ? AND ? ORDER BY position"
)
_TILES_AT_ONCE = 16


class Hashed(NamedTuple):
    """The leaves of one tile, as far as they were asked for."""

    tile: int
    leaves: list[bytes | None]
    """One for each position; None where there is no row, or one that cannot be ours."""
    present: frozenset[int] | None
    """The positions that have a row; None: all."""


def hash_tiles(path: Path, first: int, last: int) -> Iterator[Hashed]:
    """Hash the rows of positions `first` (the first of a tile) to `last`, a tile at a time.

    In flat memory, each few tiles a read of their own, so that writers are not kept from cleaning
    up. Raises LedgerProblem when the file cannot be read.
    """
    with storage_problems(path), closing(connect_reader(path)) as connection:
        for start in range(first, last + 1, _TILES_AT_ONCE * WIDTH):
            end = min(start + _TILES_AT_ONCE * WIDTH - 1, last)
            hashed = _quickly(connection, start, end)
            present = None
            if hashed is None:
                hashed, present = _carefully(connection, start, end)
            for at in range(0, len(hashed), WIDTH):
                yield Hashed((start + at - 1) // WIDTH, hashed[at : at + WIDTH], present)


def last_position(path: Path) -> int:
    """Return the last position that has a row, 0 if none; raises LedgerProblem."""
    with storage_problems(path), closing(connect_reader(path)) as connection:
        (last,) = connection.execute(
            "SELECT coalesce(max(position), 0) FROM events NOT INDEXED"
        ).fetchone()
        return int(last)


def definitions(path: Path) -> list[str]:
    """Return a sentence for what is defined otherwise than a ledger does; raises LedgerProblem.

    Rows that came into such a file may be others than were meant.
    """
    with storage_problems(path), closing(connect_reader(path)) as connection:
        return redefinitions(connection)


def read_row(connection: sqlite3.Connection, position: int) -> Values | None:
    """Return the row of a position as it is found, or None."""
    found: Values | None = connection.execute(_SELECT, (position, position)).fetchone()
    return found


def _quickly(connection: sqlite3.Connection, start: int, end: int) -> list[bytes | None] | None:
    """Hash rows that are all there and all sound; None if they are not."""
    try:
        rows = connection.execute(_SELECT, (start, end)).fetchall()
        if len(rows) != end - start + 1:  # positions are whole and different: none is missing
            return None
        return list(leaf_hashes(rows))
    except (TypeError, ValueError, AttributeError):
        return None
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", None) is not None:
            raise
        return None  # text that is not UTF-8, which the sqlite3 module finds and not SQLite


def _carefully(
    connection: sqlite3.Connection, start: int, end: int
) -> tuple[list[bytes | None], frozenset[int]]:
    """Hash what can be hashed."""
    connection.text_factory = _text
    try:
        rows: dict[int, Any] = {
            row[0]: row for row in connection.execute(_SELECT, (start, end)).fetchall()
        }
    finally:
        connection.text_factory = str
    leaves = [
        leaf_hash_or_none(rows[position]) if position in rows else None
        for position in range(start, end + 1)
    ]
    return leaves, frozenset(rows)


def _text(raw: bytes) -> str:
    return raw.decode(errors="surrogateescape")  # which no leaf record can be made of
