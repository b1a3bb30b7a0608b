"""The schema of the views' file, as migrations of sqlite-utils.

The tables come first and the indexes last, so that a rebuild fills bare
tables: sorting once is cheaper than keeping an index sorted.
"""

from __future__ import annotations

from typing import Final

from sqlite_utils import Database, Migrations
from sqlite_utils.db import Table as Stored

from projections.tables import APPLICATION_ID, TABLES, VERSION, Table
from replay.read_model.readable import readable_name, readable_select

INDEXES: Final = "indexes"
"""The migration to stop before while tables are filled."""

migrations = Migrations("views")


@migrations()
def tables(db: Database) -> None:
    """Make the tables, strict, and mark the file as ours."""
    for table in TABLES:
        stored(db, table).create(
            {column.name: column.kind.stored for column in table.columns},
            pk=table.key[0] if len(table.key) == 1 else tuple(table.key),
            not_null={column.name for column in table.columns if not column.null},
            foreign_keys=[(column, other, column) for column, other in table.refers.items()],
            strict=True,
        )
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute(f"PRAGMA user_version = {VERSION}")


@migrations()
def readable(db: Database) -> None:
    """Make the views that print instants."""
    for table in TABLES:
        db.create_view(readable_name(table), readable_select(table))


@migrations(name=INDEXES)
def indexes(db: Database) -> None:
    """Make the indexes."""
    for table in TABLES:
        for name, columns in table.indexes.items():
            stored(db, table).create_index(columns, index_name=f"{table.name}_{name}")


def stored(db: Database, table: Table) -> Stored:
    """Return a table of the file."""
    found = db[table.name]
    assert isinstance(found, Stored)
    return found
