"""A table on a page: some of its rows, each value as a person reads it, with links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import pyarrow as pa

from attempt_ledger.console.address import Address
from attempt_ledger.doctor.findings import span
from projections.fold.facts import LAST
from projections.fold.rules import STATUSES

ROWS: Final = 100
"""So many rows a page shows."""
SHARES: Final = ("rate", "share")
"""What a column's name ends with that is a share of 1, shown as percent."""
SECONDS: Final = "_seconds"
"""What one's name ends with that is a length of time."""


class Cell(NamedTuple):
    """A value as it is shown."""

    text: str
    kind: str = ""
    """How it is set: number, t (an instant), code, or a status."""
    href: str = ""
    title: str = ""


class Heading(NamedTuple):
    """A column's head."""

    name: str
    meaning: str
    kind: str


class Sheet(NamedTuple):
    """What the template writes."""

    headings: Sequence[Heading]
    rows: Sequence[Sequence[Cell]]
    total: int
    page: int
    pages: int


def sheet_of(
    table: pa.Table, address: Address, page: int, meanings: Mapping[str, str] | None = None
) -> Sheet:
    """Make one page of a table; `meanings` say what its columns are."""
    pages = max((table.num_rows + ROWS - 1) // ROWS, 1)
    page = min(page, pages)
    return sheet_of_rows(
        table.slice((page - 1) * ROWS, ROWS), address, table.num_rows, page, pages, meanings
    )


def sheet_of_rows(
    shown: pa.Table, address: Address, count: int, page: int, pages: int,
    meanings: Mapping[str, str] | None = None,
) -> Sheet:  # fmt: skip
    """Make a page of rows that are chosen already."""
    kinds = [_kind(field) for field in shown.schema]
    columns = [
        [_cell(value, field.name, kind, address) for value in _values(column)]
        for field, kind, column in zip(shown.schema, kinds, shown.columns, strict=True)
    ]
    headings = [
        Heading(
            field.name.removesuffix(SECONDS).replace("_", " "),
            (meanings or {}).get(field.name, ""),
            kind,
        )
        for field, kind in zip(shown.schema, kinds, strict=True)
    ]
    return Sheet(headings, list(zip(*columns, strict=True)), count, page, pages)


def _values(column: pa.ChunkedArray) -> list[Any]:
    instants = pa.types.is_timestamp(column.type)
    values: list[Any] = (column.cast(pa.int64()) if instants else column).to_pylist()
    return values


def _kind(field: pa.Field) -> str:
    if pa.types.is_timestamp(field.type):
        return "t"
    if pa.types.is_integer(field.type) or pa.types.is_floating(field.type):
        return "number"
    if field.name in ("candidate", "exam", "registration_id", "request_id", "key", "sha256"):
        return "code"
    return ""


_LINKS: Final = {"candidate": ("/candidate", "id"), "exam": ("/exam", "code"),
                 "policy": ("/policy", "id"), "subject": ("/candidate", "id")}  # fmt: skip


def _cell(value: Any, name: str, kind: str, address: Address) -> Cell:
    if value is None:
        return Cell("", kind)
    if kind == "t":
        if value > LAST:
            return Cell("no end", kind)
        return Cell(address.clock.minute(value), kind, title=address.clock.brief(value))
    if isinstance(value, bool):
        return Cell("yes" if value else "no")
    if name.endswith(SECONDS):
        length, _, _ = span(round(value * 1_000_000)).partition(" and ")  # or it is a wide column
        return Cell(f"{'−' if value <= -1 else ''}{length}", kind, title=f"{value:,.2f} seconds")
    if isinstance(value, float):
        return Cell(f"{value:.1%}" if name.endswith(SHARES) else f"{value:,.2f}", kind)
    if isinstance(value, int):
        return Cell(str(value) if name.endswith("position") else f"{value:,}", kind)
    if isinstance(value, list):
        return Cell(", ".join(map(_listed, value)))
    text = str(value)
    if name == "sha256" or name.endswith("_sha256"):
        return Cell(text[:12], "code", title=text)
    if name in _LINKS and text:
        path, parameter = _LINKS[name]
        return Cell(text, "code", address.to(path, **{parameter: text}))
    if "status" in name and text in STATUSES:
        return Cell(text, f"chip {text}")
    return Cell(text, kind)


def _listed(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(str(each) for each in value.values())
    return str(value)
