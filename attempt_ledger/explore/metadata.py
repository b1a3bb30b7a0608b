"""What Datasette says of the views, made from what the tables say of themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa

from attempt_ledger.explore.questions import QUESTIONS
from projections.table import NUMBER, TEXT, TRUTH, WHOLE, Column, Table
from projections.tables import KEPT
from replay.read_model.schema import readable_name

DATABASE: Final = "views"
"""The name of the views in every address: /views/sittings, /views/waiting.json?day=…"""

FACETS: Mapping[str, Sequence[str]] = {
    "exams": ("policy",),
    "policies": ("policy",),
    "certification_exams": ("certification",),
    "sittings": ("exam", "delivery", "outcome", "status"),
    "standings": ("status", "exam", "last_outcome"),
    "exceptions": ("decision", "exam", "reason"),
    "certifications": ("certification",),
    "corrections": ("kind", "type", "exam", "is_status"),
    "problems": ("kind", "exam", "detail"),
}
"""The columns by whose values each table is counted and narrowed down."""

UNITS: Mapping[pa.DataType, str] = {
    TEXT: "text",
    WHOLE: "whole number",
    pa.int32(): "whole number",
    NUMBER: "number",
    TRUTH: "0 or 1",
}
_INSTANT = "instant, UTC; as data microseconds since 1970-01-01T00:00Z"
_READ_AS = "instant, UTC, RFC 3339"
_ABOUT = (
    "What the ledger comes to, as tables: the latest knowledge, up to the position in the table "
    "position. What was known at another time is for the command replay to answer. Nothing here is "
    "personal, and nothing can be changed."
)


def metadata(ledger: str) -> dict[str, Any]:
    """Make Datasette's metadata: titles, units, descriptions, facets and canned queries.

    `ledger` is what the page is to be called by: the name of the ledger's file.
    """
    tables: dict[str, Any] = {"_sqlite_migrations": {"hidden": True}}
    for table in KEPT:
        tables[table.name] = {**_described(table, _INSTANT), "title": _title(table)}
        tables[readable_name(table)] = {
            **_described(table, _READ_AS),
            "title": f"{_title(table)}, readable",
        }
    return {
        "title": f"Attempt ledger: {ledger}",
        "description": _ABOUT,
        "databases": {
            DATABASE: {
                "title": f"ReadModel of {ledger}",
                "description": _ABOUT,
                "tables": tables,
                "queries": {
                    each.name: {
                        "title": each.title,
                        "description": each.says,
                        "params": list(each.asks),
                        "sql": each.sql.strip(),
                        "hide_sql": True,
                    }
                    for each in QUESTIONS
                },
            }
        },
    }


def _described(table: Table, instant: str) -> dict[str, Any]:
    return {
        "description": table.meaning,
        "columns": {column.name: _says(column, instant) for column in table.columns},
        "facets": list(FACETS.get(table.name, ())),
    }


def _says(column: Column, instant: str) -> str:
    null = f"; empty: {column.null}" if column.null else ""
    unit = instant if column.is_instant else UNITS[column.type]
    return f"{column.meaning} ({unit}{null})"


def _title(table: Table) -> str:
    return table.name.replace("_", " ").capitalize()
