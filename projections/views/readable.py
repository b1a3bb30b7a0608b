"""Views that print instants as RFC 3339, for reading; the tables beside keep the numbers."""

from __future__ import annotations

from projections.views.tables import OPEN, Kind, Table


def readable_name(table: Table) -> str:
    """Give the name of a table's readable view."""
    return f"{table.name}_readable"


def readable_select(table: Table) -> str:
    """Write the SELECT of a table's readable view: the same columns, instants as text.

    An instant without end is null, like one that is not known.
    """
    columns = [
        f'{_printed(column.name)} AS "{column.name}"'
        if column.kind is Kind.instant
        else f'"{column.name}"'
        for column in table.columns
    ]
    return f'SELECT {", ".join(columns)} FROM "{table.name}"'


def _printed(name: str) -> str:
    """Write the expression that prints an instant, six decimals only where they are not zero."""
    name = f'"{name}"'
    # SQLite divides towards zero: before 1970 the microseconds would count backwards.
    micros = f"(({name} % 1000000 + 1000000) % 1000000)"
    seconds = f"strftime('%Y-%m-%dT%H:%M:%S', ({name} - {micros}) / 1000000, 'unixepoch')"
    fraction = f"CASE {micros} WHEN 0 THEN '' ELSE printf('.%06d', {micros}) END"
    return f"CASE WHEN {name} < {OPEN} THEN {seconds} || {fraction} || 'Z' END"
