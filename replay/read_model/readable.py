"""Views that print instants as RFC 3339, for reading; the tables beside keep the numbers."""

from __future__ import annotations

from projections.tables import OPEN, Column, Kind, Table


def readable_name(table: Table) -> str:
    """Return the name of a table's readable view."""
    return f"{table.name}_readable"


def readable_select(table: Table) -> str:
    """Write the SELECT of a table's readable view: the same columns, instants as text.

    An instant without end is null, like one that is not known.
    """
    columns = [
        f'{_printed(column)} AS "{column.name}"'
        if column.kind is Kind.instant
        else f'"{column.name}"'
        for column in table.columns
    ]
    return f'SELECT {", ".join(columns)} FROM "{table.name}"'


def _printed(column: Column) -> str:
    """Write the expression that prints an instant, six decimals only where they are not zero.

    Short, since SQLite reads all of them whenever the file is opened.
    """
    name = f'"{column.name}"'
    micros = f"{name}%1000000"
    # SQLite divides towards zero: before 1970 the microseconds would count backwards.
    text = (
        f"strftime('%Y-%m-%dT%H:%M:%S',{name}/1000000-({micros}<0),'unixepoch')"
        f"||iif({micros},printf('.%06d',({micros}+1000000)%1000000),'')||'Z'"
    )
    return f"iif({name}<{OPEN},{text},NULL)" if column.name == "valid_to" else text
