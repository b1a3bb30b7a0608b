"""Exceptions by reason, and how long a decision took."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from projections.reports import report as of
from projections.reports.drawing import axis, bars, colour, upright
from projections.reports.report import Group, Inputs, Report, key, many, total, value
from projections.table import NUMBER, TEXT, WHOLE

DECISIONS = ["granted", "rejected", "revoked", "open"]


def rows(inputs: Inputs) -> pa.Table:
    """Read the requests made in the period."""
    read = ("reason", "decision", "first_decided_at")
    found = of.in_period(inputs, "exceptions", "requested_at", *read)
    return found.filter(pc.is_valid(found["requested_at"]))


def took(group: Group) -> Any:
    """Return the times to the first decision, in microseconds."""
    decided = group.rows.filter(pc.is_valid(group.rows["first_decided_at"]))
    return np.maximum(
        of.micros(decided["first_decided_at"]) - of.micros(decided["requested_at"]), 0
    )


def oldest(group: Group) -> float | None:
    """Return the age of the oldest request without a decision, in days."""
    waiting = group.rows.filter(pc.equal(group.rows["decision"], "open"))
    ages = group.inputs.as_of - of.micros(waiting["requested_at"])
    return of.quantile(ages, 1.0, of.DAY)


def decided(name: str, meaning: str) -> of.Made:
    """Make the column that counts the requests of which that became."""
    return value(name, WHOLE, meaning, of.among("decision", name))


def line(table: pa.Table) -> str:
    """Return how many were requested and what became of them."""
    if not table.num_rows:
        return "No exception was requested in this period."
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
    says="One row for each reason. A grant that nobody requested is left out.",
    about="requested_at",
    made=(
        key("reason", "the reason stated"),
        value("requests", WHOLE, "how many were made", of.size),
        decided("granted", "how many of them were granted"),
        decided("rejected", "how many were rejected"),
        decided("revoked", "how many were granted, and the grant withdrawn"),
        decided("open", "how many have no decision"),
        value(
            "hours_median", NUMBER, "the middle time to the first decision, hours",
            lambda group: of.median(took(group), of.HOUR), "none decided",
        ),
        value(
            "hours_p90", NUMBER, "the time that nine of ten decisions did not exceed",
            lambda group: of.quantile(took(group), 0.9, of.HOUR), "the same",
        ),
        value(
            "days_open", NUMBER, "the age of the oldest without a decision, in days", oldest,
            "none is open",
        ),
    ),
    rows=rows,
    line=line,
    picture=picture,
)  # fmt: skip
