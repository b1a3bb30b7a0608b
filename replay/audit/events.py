"""`audit events`: which events, by whom, when recorded, when true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ledger.store.scans import Annulments
from projections.reports.report import many
from projections.table import INSTANT
from replay.audit.conditions import WHICH, Conditions
from replay.audit.query import EVENT, Query, by, counted, selected, selection, whom
from replay.snapshot import Snapshot


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


def text(row: Mapping[str, Any]) -> Iterator[str]:
    """Write an event on two lines."""
    yield f"@{row['position']}  {row['recorded_at']}  {row['type']}  {whom(row)}"
    yield f"true from {row['true_at']}{by(row['actor'])}  {row['source']} {row['id']}{marks(row)}"


def marks(row: Mapping[str, Any]) -> str:
    """Return what an event annuls, and what annulled it."""
    annuls = "" if row["annuls"] is None else f"; annuls @{row['annuls']}"
    return annuls + ("" if row["annulled_by"] is None else f"; annulled by @{row['annulled_by']}")


def events(snapshot: Snapshot, terms: Conditions) -> Iterator[pa.RecordBatch]:
    """Yield the events asked about, by position."""
    wanted = selection(snapshot, terms)
    annulments = snapshot.ledger.scans.annulments(wanted, snapshot.position)
    for batch in selected(snapshot, wanted):
        columns = event_columns(batch, annulments)
        yield pa.RecordBatch.from_arrays(columns, schema=QUERY.schema)


def event_columns(batch: pa.RecordBatch, annulments: Annulments) -> list[pa.Array]:
    """Turn selected events into the columns of `event_columns.EVENT`."""
    return [
        batch["position"],
        batch["recorded_at"].cast(INSTANT),
        batch["occurred_at"].cast(INSTANT),
        batch["type"],
        batch["about"],
        batch["subject"],
        filled(batch["exam"]),
        filled(batch["key"]),
        batch["source"],
        batch["id"],
        filled(batch["actor"]),
        over_zero(batch["annuls"].to_numpy()),
        over_zero(annulments.of(batch["position"].to_numpy())),
    ]


def filled(texts: pa.Array) -> pa.Array:
    """Make null what is empty."""
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def over_zero(positions: npt.NDArray[np.int64]) -> pa.Array:
    """Make null what is no position."""
    return pa.array(positions, mask=positions == 0)


QUERY: Final = Query(
    name="events",
    title="Events",
    says="One row an event, by position. An annulled one is listed like any other, and by which "
    "position it was annulled.",
    help="""\
Intervals are from inclusive, to exclusive. Annulled events are listed too, with the position of
what annulled them. What they say is not in it: `export` and `prove` give it.""",
    examples="""
    attempt-ledger audit events --actor cli --recorded-from 2022-06-01 --recorded-to 2022-07-01
    attempt-ledger audit events --source urn:vue --type ResultRevoked --type EventAnnulled
    attempt-ledger audit events --exam AZ-104 --valid-from 2022-03-01 --output march.csv
    """,
    takes=WHICH,
    columns=EVENT,
    key=("position",),
    make=events,
    tally=tally,
    line=line,
    text=text,
)
