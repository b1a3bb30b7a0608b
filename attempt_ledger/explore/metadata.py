"""What Datasette says of the views, made from what the tables say of themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from attempt_ledger.explore.questions import QUESTIONS
from projections.tables import TABLES, Column, Kind, Table
from replay.read_model.readable import readable_name

DATABASE: Final = "views"
"""The name of the views in every address: /views/sittings, /views/waiting.json?day=…"""

FACETS: Mapping[str, Sequence[str]] = {
    "exams": ("policy", "stale"),
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

_UNITS: Mapping[Kind, str] = {
    Kind.text: "text",
    Kind.whole: "whole number",
    Kind.truth: "0 or 1",
    Kind.instant: "instant, UTC; as data microseconds since 1970-01-01T00:00Z",
}
_READ_AS: Mapping[Kind, str] = {**_UNITS, Kind.instant: "instant, UTC, RFC 3339"}
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
    for table in TABLES:
        tables[table.name] = {**_described(table, _UNITS), "title": _title(table)}
        tables[readable_name(table)] = {
            **_described(table, _READ_AS),
            "title": f"{_title(table)}, readable",
        }
    return {
        "title": f"Attempt ledger: {ledger}",
        "description": _ABOUT,
        "databases": {
            DATABASE: {
                "title": f"Views of {ledger}",
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


def _described(table: Table, units: Mapping[Kind, str]) -> dict[str, Any]:
    return {
        "description": table.says,
        "columns": {column.name: _says(column, units) for column in table.columns},
        "facets": list(FACETS.get(table.name, ())),
    }


def _says(column: Column, units: Mapping[Kind, str]) -> str:
    null = f"; empty: {column.null}" if column.null else ""
    return f"{column.says} ({units[column.kind]}{null})"


def _title(table: Table) -> str:
    return table.name.replace("_", " ").capitalize()
