"""Exceptions by reason, and how long a decision took."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from projections.reports.drawing import axis, bars, colour, upright
from projections.reports.report import (
    DAY,
    HOUR,
    Inputs,
    Report,
    counts,
    groups,
    many,
    median,
    micros,
    quantile,
    rows,
    total,
    within,
)
from projections.table import NUMBER, TEXT, WHOLE, Column

DECISIONS = ["granted", "rejected", "revoked", "open"]

COLUMNS = (
    Column("reason", TEXT, "the reason given"),
    Column("requests", WHOLE, "how many were made"),
    Column("granted", WHOLE, "how many of them were granted"),
    Column("rejected", WHOLE, "how many were rejected"),
    Column("revoked", WHOLE, "how many were granted, and the grant withdrawn"),
    Column("open", WHOLE, "how many have no decision"),
    Column("hours_median", NUMBER, "the middle time to the first decision, hours", "none decided"),
    Column("hours_p90", NUMBER, "the time that nine of ten decisions did not exceed", "the same"),
    Column(
        "days_open", NUMBER, "the age of the oldest without a decision, in days", "none is open"
    ),
)


def make(inputs: Inputs) -> pa.Table:
    """Count the requests made in the period."""
    asked = inputs.table("exceptions", "reason", "decision", "requested_at", "first_decided_at")
    asked = asked.filter(pc.is_valid(asked["requested_at"]))
    asked = within(asked, "requested_at", inputs.period)
    made = []
    for (reason,), some in groups(asked, ["reason"]):
        came = counts(some["decision"])
        decided = some.filter(pc.is_valid(some["first_decided_at"]))
        took = micros(decided["first_decided_at"]) - micros(decided["requested_at"])
        took = np.maximum(took, 0)
        waiting = some.filter(pc.equal(some["decision"], "open"))
        made.append(
            {
                "reason": reason,
                "requests": some.num_rows,
                **{decision: came.get(decision, 0) for decision in DECISIONS},
                "hours_median": median(took, HOUR),
                "hours_p90": quantile(took, 0.9, HOUR),
                "days_open": quantile(inputs.as_of - micros(waiting["requested_at"]), 1.0, DAY),
            }
        )
    return rows(COLUMNS, made)


def line(table: pa.Table) -> str:
    """Return how many were asked for and what became of them."""
    if not table.num_rows:
        return "No exception was asked for in this period."
    parts = ", ".join(f"{total(table, each):,} {each}" for each in DECISIONS)
    return f"{many(total(table, 'requests'), 'request')}: {parts}."


def picture(table: pa.Table) -> Any:
    """Draw what became of the requests, by reason."""
    parts = [
        {"reason": row["reason"], "decision": decision, "requests": row[decision]}
        for row in table.to_pylist()
        for decision in DECISIONS
    ]
    schema = pa.schema([("reason", TEXT), ("decision", TEXT), ("requests", WHOLE)])
    return bars(
        pa.Table.from_pylist(parts, schema=schema),
        axis("sum(requests)", "requests"),
        upright("reason", "", "nominal", sort="-x"),
        colour("decision", "decision", DECISIONS),
        ["reason", "decision", "requests"],
    )


REPORT = Report(
    name="exceptions",
    title="Retake exceptions",
    says="One row for each reason. A grant that nobody asked for is left out.",
    about="requested_at",
    by_exam=True,
    columns=COLUMNS,
    key=("reason",),
    make=make,
    line=line,
    picture=picture,
)
