"""`audit events`: which events, by whom, when recorded, when true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from projections.audit.conditions import WHICH
from projections.audit.event_columns import EVENT
from projections.audit.query import Query, by, counted, whom
from projections.reports.groups import many


def tally(rows: pa.RecordBatch) -> Counter[str]:
    """Count the events, and those that were annulled."""
    return Counter(
        events=rows.num_rows, annulled=counted(pc.is_valid(rows["annulled_by"]))
    )  # fmt: skip


def line(tally: Counter[str]) -> str:
    """Return how many there are, and how many were annulled."""
    if not tally["events"]:
        return "No such event was recorded by then."
    return f"{many(tally['events'], 'event')}, {tally['annulled']:,} of them annulled."


def told(row: Mapping[str, Any]) -> Iterator[str]:
    """Write an event on two lines."""
    yield f"@{row['position']}  {row['recorded_at']}  {row['type']}  {whom(row)}"
    yield f"true from {row['true_at']}{by(row['actor'])}  {row['source']} {row['id']}{marks(row)}"


def marks(row: Mapping[str, Any]) -> str:
    """Return what an event annuls, and what annulled it."""
    annuls = "" if row["annuls"] is None else f"; annuls @{row['annuls']}"
    return annuls + ("" if row["annulled_by"] is None else f"; annulled by @{row['annulled_by']}")


QUERY: Final = Query(
    name="events",
    title="Events",
    says="One row an event, by position. An annulled one is told like any other, and by which "
    "position it was annulled.",
    takes=WHICH,
    columns=EVENT,
    key=("position",),
    tally=tally,
    line=line,
    told=told,
)
