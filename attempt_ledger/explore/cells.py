"""A plugin of Datasette's: instants as such in the pages of tables; JSON and CSV keep numbers."""

from __future__ import annotations

from typing import Any

from datasette import hookimpl
from markupsafe import Markup

from attempt_ledger.explore.metadata import DATABASE
from ledger.instants import format_instant
from projections.tables import OPEN, TABLES, Kind

_INSTANTS = {
    (table.name, column.name)
    for table in TABLES
    for column in table.columns
    if column.kind is Kind.instant
}


@hookimpl  # type: ignore[untyped-decorator]
def render_cell(value: Any, column: str, table: str | None, database: str) -> Markup | None:
    """Print an instant, with its number where the mouse rests."""
    if (table, column) not in _INSTANTS or database != DATABASE or type(value) is not int:
        return None
    text = "for ever" if value >= OPEN else format_instant(value)
    return Markup('<span title="{}">{}</span>').format(value, text)
