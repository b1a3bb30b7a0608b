"""The schema of the read model's file, as migrations of sqlite-utils.

The tables come first and the indexes last, so that a rebuild fills bare
tables: sorting once is cheaper than keeping an index sorted.
"""

from __future__ import annotations

from typing import Final

from sqlite_utils import Database, Migrations
from sqlite_utils.db import Table as Stored

from projections.table import Column, Table
from projections.tables import KEPT, OPEN
from replay.read_model.state import APPLICATION_ID, VERSION

INDEXES: Final = "indexes"
"""The migration to stop before while tables are filled."""

migrations = Migrations("views")


@migrations()
def tables(db: Database) -> None:
    """Make the tables, strict, and mark the file as ours."""
    for table in KEPT:
        stored(db, table).create(
            {column.name: column.stored for column in table.columns},
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
    for table in KEPT:
        db.create_view(readable_name(table), readable_select(table))


@migrations(name=INDEXES)
def indexes(db: Database) -> None:
    """Make the indexes."""
    for table in KEPT:
        for name, columns in table.indexes.items():
            stored(db, table).create_index(columns, index_name=f"{table.name}_{name}")


def stored(db: Database, table: Table) -> Stored:
    """Return a table of the file."""
    found = db[table.name]
    assert isinstance(found, Stored)
    return found


def readable_name(table: Table) -> str:
    """Return the name of a table's readable view."""
    return f"{table.name}_readable"


def readable_select(table: Table) -> str:
    """Write the SELECT of a table's readable view: the same columns, instants as text.

    An instant without end is null, like one that is not known.
    """
    columns = [
        f'{_printed(column)} AS "{column.name}"' if column.is_instant else f'"{column.name}"'
        for column in table.columns
    ]
    return f'SELECT {", ".join(columns)} FROM "{table.name}"'


def _printed(column: Column) -> str:
    """Write the expression that prints an instant, six decimals only where they are not zero.

    Short, since SQLite reads all of them whenever the file is opened.
    """
    name = f'"{column.name}"'
    micros = f"{name}%1000000"
    # SQLite divides towards zero: before 1970 the microseconds would count backwards. No printf: a
    # view may not call what `explore` puts in its place; a leading one keeps the zeros as well.
    text = (
        f"strftime('%Y-%m-%dT%H:%M:%S',{name}/1000000-({micros}<0),'unixepoch')"
        f"||iif({micros},'.'||substr(({micros}+1000000)%1000000+1000000,2),'')||'Z'"
    )
    return f"iif({name}<{OPEN},{text},NULL)" if column.name == "valid_to" else text
