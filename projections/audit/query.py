"""What an audit query is, besides how its rows are found: columns, a sentence, and lines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from ledger.instants import format_instant
from projections.reports.inputs import INSTANT, Column, schema_of


class Query(NamedTuple):
    """One audit query; every row is about one event, or about one event and one exam."""

    name: str
    title: str
    says: str
    """One row for what, in which order; for the docs."""
    takes: frozenset[str]
    """The conditions it can be asked with."""
    columns: Sequence[Column]
    key: Sequence[str]
    """The columns that tell one row from another."""
    tally: Callable[[pa.RecordBatch], Counter[str]]
    """Counts what the sentence needs; what it gives of each batch is added up."""
    line: Callable[[Counter[str]], str]
    """Says in one sentence what was found."""
    told: Callable[[Mapping[str, Any]], Iterable[str]]
    """Writes a row, instants as text, as lines for people; those after the first are indented."""

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of its rows."""
        return schema_of(self.columns)


def counted(what: pa.Array) -> int:
    """Count what is true."""
    return int(pc.sum(what).as_py() or 0)


def whom(row: Mapping[str, Any]) -> str:
    """Return whom or what an event is about, exam and registration included."""
    about = "" if row["exam"] in (None, row["subject"]) else row["exam"]
    key = "" if row["key"] in (None, row["subject"]) else row["key"]
    return "  ".join(filter(None, [f"{row['about']} {row['subject']}", about, key]))


def by(actor: str | None) -> str:
    """Return who recorded it, where that was said."""
    return "" if actor is None else f" by {actor}"


def seconds(length: float) -> str:
    """Write a length of time for people.

    >>> seconds(93_784.5), seconds(-60), seconds(0)
    ('1 d 02:03:04.5', '-00:01:00', '00:00:00')
    """
    micros = round(abs(length) * 1_000_000)
    whole, fraction = divmod(micros, 1_000_000)
    days, rest = divmod(whole, 86_400)
    text = f"{rest // 3600:02d}:{rest // 60 % 60:02d}:{rest % 60:02d}"
    text += f".{fraction:06d}".rstrip("0") if fraction else ""
    return f"{'-' if length < 0 else ''}{f'{days} d ' if days else ''}{text}"


def instants(values: Any) -> pa.Array:
    """Make a column of instants of microseconds."""
    return pa.array(values, pa.int64()).cast(INSTANT)


def instant(value: int | None) -> str:
    """Write an instant that may not be there."""
    return "-" if value is None else format_instant(value)
