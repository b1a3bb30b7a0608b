"""What a report is: columns, how they come from the inputs, a sentence, a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import pyarrow as pa

from projections.table import Column, Period, schema_of


class Inputs(Protocol):
    """What a report is made of: tables at one moment, and the period that it is about."""

    @property
    def as_of(self) -> int:
        """The instant whose truth is asked about, microseconds UTC."""

    @property
    def period(self) -> Period:
        """What the report is about."""

    def table(self, name: str, *columns: str) -> pa.Table:
        """Return columns of a table of `projections.tables.TABLES`, of the exams asked about."""


class Report(NamedTuple):
    """One report."""

    name: str
    title: str
    says: str
    """One row for what, and what is left out; for the docs and `report list`."""
    about: str
    """The input column whose instants `--from` and `--to` bound; empty: a moment has no period."""
    by_exam: bool
    """Whether it can be asked about one exam alone."""
    columns: Sequence[Column]
    key: Sequence[str]
    """The columns that tell one row from another; rows are sorted by them."""
    make: Callable[[Inputs], pa.Table]
    line: Callable[[pa.Table], str]
    """Says in one sentence what its table comes to."""
    picture: Callable[[pa.Table], Any]
    """Draws its table: an Altair chart. Imports altair."""

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of its table."""
        return schema_of(self.columns)


def rows(report_columns: Sequence[Column], made: Sequence[dict[str, Any]]) -> pa.Table:
    """Make the table of a report from its rows."""
    return pa.Table.from_pylist(list(made), schema=schema_of(report_columns))
