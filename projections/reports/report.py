"""What a report is: columns, how they come from tables, a sentence, a picture; and counting."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ledger.instants import Period, format_instant
from projections.table import INSTANT, NUMBER, TEXT, CannotAsk, Column, schema_of

DAY: Final = 86_400_000_000
HOUR: Final = 3_600_000_000
"""In microseconds."""


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


class Group(NamedTuple):
    """The rows that one row of a report is made of."""

    inputs: Inputs
    key: tuple[Any, ...]
    rows: pa.Table


class Made(NamedTuple):
    """A column of a report, and what it comes to for a group; nothing for a part of the key."""

    column: Column
    value: Callable[[Group], Any] | None = None


def key(name: str, meaning: str, type: pa.DataType = TEXT) -> Made:
    """Make a column that tells one row from another."""
    return Made(Column(name, type, meaning))


def value(
    name: str,
    type: pa.DataType,
    meaning: str,
    value: Callable[[Group], Any],
    null: str = "",
    *,
    share: bool = False,
) -> Made:
    """Make a column that is worked out of a group."""
    return Made(Column(name, type, meaning, null, share), value)


class Report(NamedTuple):
    """One report."""

    name: str
    title: str
    says: str
    """One row for what, and what is left out; for the docs and `report list`."""
    about: str
    """The input column whose instants `--from` and `--to` bound; empty: a moment has no period."""
    made: Sequence[Made]
    """Its columns, those of the key first: rows are grouped and sorted by them."""
    rows: Callable[[Inputs], pa.Table]
    """Reads what is counted, with the columns of the key in it."""
    line: Callable[[pa.Table], str]
    """Says in one sentence what its table comes to."""
    picture: Callable[[pa.Table], Any]
    """Draws its table: an Altair chart. Imports altair."""
    by_exam: bool = True
    """Whether it can be asked about one exam alone."""

    @property
    def columns(self) -> Sequence[Column]:
        """Its columns."""
        return [made.column for made in self.made]

    @property
    def key(self) -> Sequence[str]:
        """The columns that tell one row from another."""
        return [made.column.name for made in self.made if made.value is None]

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of its table."""
        return schema_of(self.columns)

    def check(self, start: int | None, end: int | None, exam: str | None) -> None:
        """Check a period (microseconds UTC, None: open) and an exam; raises CannotAsk.

        Every door asks here, in whatever words it takes them.
        """
        if not self.about and (start is not None or end is not None):
            raise CannotAsk(
                f"{self.name} is about one moment: say as of when, and leave out the period"
            )
        if exam is not None and not self.by_exam:
            raise CannotAsk(f"{self.name} is of no single exam: leave out the exam")
        if start is not None and end is not None and start >= end:
            raise CannotAsk(
                f"{format_instant(start)} does not lie before {format_instant(end)}: the period "
                "would hold nothing"
            )

    def make(self, inputs: Inputs) -> pa.Table:
        """Make its table: a row for each group."""
        made = []
        for keys, rows in groups(self.rows(inputs), self.key):
            group, left = Group(inputs, keys, rows), iter(keys)
            made.append(
                {
                    each.column.name: next(left) if each.value is None else each.value(group)
                    for each in self.made
                }
            )
        return pa.Table.from_pylist(made, schema=self.schema)


def size(group: Group) -> int:
    """Count the rows of a group."""
    return int(group.rows.num_rows)


def among(column: str, wanted: Any) -> Callable[[Group], int]:
    """Make what counts the rows of a group with a value in a column."""
    return lambda group: counts(group.rows[column]).get(wanted, 0)


def pass_rate(group: Group) -> float | None:
    """Return how many are passed of those passed or failed."""
    outcomes = counts(group.rows["outcome"])
    passed, failed = outcomes.get("passed", 0), outcomes.get("failed", 0)
    return share(passed, passed + failed)


PASS_RATE: Final = value(
    "pass_rate", NUMBER, "passed, of those passed or failed; 0 to 1", pass_rate, "neither",
    share=True,
)  # fmt: skip


def in_period(inputs: Inputs, table: str, about: str, *columns: str) -> pa.Table:
    """Return columns of a table's rows whose instant `about` lies in the period."""
    return within(inputs.table(table, about, *columns), about, inputs.period)


def within(table: pa.Table, column: str, period: Period) -> pa.Table:
    """Keep the rows whose instant lies in the period: its start inclusive, its end exclusive."""
    if period.start is not None:
        table = table.filter(pc.greater_equal(table[column], _scalar(period.start)))
    if period.end is not None:
        table = table.filter(pc.less(table[column], _scalar(period.end)))
    return table


def _scalar(instant: int) -> pa.Scalar:
    return pa.scalar(instant, pa.int64()).cast(INSTANT)


def micros(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Return the instants of a column as microseconds; it must have no null."""
    values: npt.NDArray[np.int64] = column.cast(pa.int64()).to_numpy()
    return values


def months(column: pa.ChunkedArray) -> pa.Array:
    """Return the month of each instant in UTC, as `2021-03`; null stays null."""
    values = column.cast(pa.int64()).fill_null(0).to_numpy()
    texts = np.datetime_as_string(values.astype("datetime64[us]").astype("datetime64[M]"))
    there = pc.is_valid(column).to_numpy()
    return pa.array(texts, pa.string(), mask=~there) if len(texts) else pa.array([], pa.string())


def groups(table: pa.Table, by: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], pa.Table]]:
    """Yield each combination of values, sorted by code point, nulls last, and its rows in order."""
    if not table.num_rows:
        return
    # A stable sort: the order of the input is part of what a digest is made of.
    place = table.append_column("\0", pa.array(np.arange(table.num_rows)))
    order = [*((name, "ascending") for name in by), ("\0", "ascending")]
    table = place.sort_by(order).drop_columns("\0")
    new = np.zeros(table.num_rows, dtype=bool)
    new[0] = True
    for name in by:
        codes = table[name].combine_chunks().dictionary_encode(null_encoding="encode")
        numbers = codes.indices.to_numpy()
        new[1:] |= numbers[1:] != numbers[:-1]
    starts = np.flatnonzero(new).tolist()
    for start, end in zip(starts, [*starts[1:], table.num_rows], strict=True):
        key = tuple(table[name][start].as_py() for name in by)
        yield key, table.slice(start, end - start)


def counts(column: pa.ChunkedArray) -> dict[Any, int]:
    """Count each value of a column."""
    return {each["values"]: each["counts"] for each in column.value_counts().to_pylist()}


def true(column: pa.ChunkedArray) -> int:
    """Count what is true in a column."""
    return int(pc.sum(column).as_py() or 0)


def share(part: int, whole: int) -> float | None:
    """Return a part of a whole, rounded to four decimals; None of nothing."""
    return round(part / whole, 4) if whole else None


def percent(part: int, whole: int) -> str:
    """Write a part of a whole for people."""
    return f"{100 * part / whole:.1f} %" if whole else "none"


def median(values: npt.NDArray[np.int64], unit: int) -> float | None:
    """Return the middle of some lengths of time, in a unit, to two decimals; None of none."""
    return round(float(np.median(values)) / unit, 2) if len(values) else None


def quantile(values: npt.NDArray[np.int64], q: float, unit: int) -> float | None:
    """Return the least length of time that a share `q` of all do not exceed, in a unit."""
    if not len(values):
        return None
    return round(float(np.quantile(values, q, method="inverted_cdf")) / unit, 2)


def many(count: int, one: str, more: str | None = None) -> str:
    """Write a count and its noun: `1 sitting`, `1,204 sittings`."""
    return f"{count:,} {one if count == 1 else more or f'{one}s'}"


def total(table: pa.Table, column: str) -> int:
    """Add up a column of counts."""
    return int(pc.sum(table[column]).as_py() or 0)


def every_month(texts: pa.ChunkedArray) -> list[str]:
    """Return every month from the first to the last of some: a picture leaves no gap."""
    if not len(texts):
        return []
    bounds = np.array([min(texts.to_pylist()), max(texts.to_pylist())], dtype="datetime64[M]")
    return [str(month) for month in np.arange(bounds[0], bounds[1] + 1)]
