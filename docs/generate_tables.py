"""Write docs/tables.md from the read model's tables. `--check`: whether it is up to date."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from pages import settle

from projections.table import TRUTH, Column, Table
from projections.tables import KEPT, OPEN
from replay.read_model.schema import readable_name

PAGE = Path(__file__).with_name("tables.md")

START = f"""\
# The tables of the read model

<!-- Written by docs/generate_tables.py from projections/tables.py: change it there. -->

`attempt-ledger project` folds the ledger into an SQLite file of its own, by default the ledger's
name with `.views`. It may be deleted at any time: `project` makes it again, and `rebuild` holds it
against one built from nothing. `project --follow` keeps it a fraction of a second behind.

- **Latest knowledge.** Tables tell what is known at the position in `position`. What was known at
  another time is `replay --known-at` to answer. Rows and position change in one transaction.
- **Instants** are whole microseconds since 1970-01-01T00:00Z, so that they sort and subtract. Each
  table has a view beside it, such as `standings_readable`, that prints them as RFC 3339.
- **As of a date** everybody's standing is one indexed query, for an instant `T` in microseconds:

  ```sql
  SELECT * FROM standings WHERE valid_from <= :T AND valid_to > :T
  ```

  A stretch without end has the valid_to {OPEN} (the year 10000), so no null is in the way.
- **Stale exams.** When the catalogue or a policy changes, the rows of the exams it bears on are
  folded again. Until that is done they stand in `stale`, and their rows say what held before:

  ```sql
  SELECT exam FROM stale
  ```
- **The same tables at any moment.** `export --table NAME --as-of T --known-at T` computes each from
  the ledger (but for `position`, `stale` and the timeline: of standings it gives one moment's). At
  the head the two are equal, row for row.
- **No personal field** is in any table, encrypted or not.
- **It proves nothing.** Whoever can write to the file can make it say anything, and no check of the
  ledger looks at it: `rebuild --check` compares it. What must hold is asked of the ledger itself.
- One process at a time keeps a file, which is made for this account alone (0600); whoever may read
  it may read it meanwhile.
"""


def page(table: Table) -> str:
    """Write what there is to say of one table."""
    return "\n".join(
        [
            f"## {table.name}",
            "",
            table.meaning,
            "",
            f"- Key: {_named(table.key)}; readable: `{readable_name(table)}`.",
            *_references(table),
            *_indexes(table),
            "",
            "| column | type | what it says | null |",
            "|---|---|---|---|",
            *(
                f"| `{column.name}` | {_type(column)} | {column.meaning} | {column.null} |"
                for column in table.columns
            ),
            "",
        ]
    )


def _type(column: Column) -> str:
    stored = {str: "TEXT", float: "REAL"}.get(column.stored, "INTEGER")
    if column.is_instant:
        return f"instant, {stored}"
    return f"0 or 1, {stored}" if column.type == TRUTH else stored


def _named(columns: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in columns)


def _references(table: Table) -> Iterator[str]:
    for column, other in table.refers.items():
        yield f"- `{column}` refers to `{other}`."


def _indexes(table: Table) -> Iterator[str]:
    for name, columns in table.indexes.items():
        everything = set(columns) == set(table.names)
        listed = (
            _named(columns[:2]) + ", then every other column" if everything else _named(columns)
        )
        yield f"- Index `{table.name}_{name}`: {listed}."


def written() -> str:
    """Write all of docs/tables.md."""
    return "\n".join([START, *map(page, KEPT)])


if __name__ == "__main__":
    sys.exit(settle(PAGE, written, sys.argv[1:]))
