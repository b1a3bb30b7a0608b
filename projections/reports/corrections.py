"""Corrections and backdating: what was recorded late, annulled or revoked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from projections.reports.drawing import bars, colour, month_axis, upright
from projections.reports.report import (
    DAY,
    Inputs,
    Report,
    every_month,
    groups,
    many,
    median,
    micros,
    months,
    quantile,
    rows,
    total,
    within,
)
from projections.table import INSTANT, NUMBER, TEXT, WHOLE, Column

KINDS = ["late", "annulment", "revocation"]

COLUMNS = (
    Column("month", TEXT, "the month in which the corrected facts were true, in UTC"),
    Column(
        "kind",
        TEXT,
        "late: recorded a day or more after it was true; annulment; revocation of a result or a "
        "grant",
    ),
    Column("type", TEXT, "the event's type; of an annulment that of what it annuls"),
    Column("facts", WHOLE, "how many there were"),
    Column("candidates", WHOLE, "how many candidates they are about"),
    Column("after_month", WHOLE, "how many were recorded when that month was over"),
    Column("lag_days_median", NUMBER, "the middle time between truth and recording, in days"),
    Column("lag_days_most", NUMBER, "the longest"),
    Column("last_recorded_at", INSTANT, "when the last of them was recorded"),
)


def make(inputs: Inputs) -> pa.Table:
    """Count the corrections to facts of the period."""
    told = inputs.table(
        "corrections", "position", "kind", "type", "candidate", "true_at", "recorded_at"
    )
    # A fact has a row for each exam that it bears on; by position, so they stand together.
    position = told["position"].to_numpy()
    first = np.append(True, position[1:] != position[:-1])[: len(position)]
    told = within(told.filter(pa.array(first)), "true_at", inputs.period)
    told = told.append_column("month", months(told["true_at"]))
    told = told.append_column("known_in", months(told["recorded_at"]))
    made = []
    for (month, kind, type), some in groups(told, ["month", "kind", "type"]):
        lag = np.maximum(micros(some["recorded_at"]) - micros(some["true_at"]), 0)
        made.append(
            {
                "month": month,
                "kind": kind,
                "type": type,
                "facts": some.num_rows,
                "candidates": pc.count_distinct(some["candidate"]).as_py(),
                "after_month": int(pc.sum(pc.greater(some["known_in"], month)).as_py() or 0),
                "lag_days_median": median(lag, DAY),
                "lag_days_most": quantile(lag, 1.0, DAY),
                "last_recorded_at": int(micros(some["recorded_at"]).max()),
            }
        )
    return rows(COLUMNS, made)


def line(table: pa.Table) -> str:
    """Return how many there were, and how many came when their month was over."""
    if not table.num_rows:
        return "No fact of this period was corrected or recorded late."
    parts = []
    for kind in KINDS:
        some = table.filter(pc.equal(table["kind"], kind))
        parts.append(many(total(some, "facts"), f"{kind} fact" if kind == "late" else kind))
    return (
        f"{', '.join(parts)}; {total(table, 'after_month'):,} recorded when the month was over, "
        f"the latest after {pc.max(table['lag_days_most']).as_py():,.1f} days."
    )


def picture(table: pa.Table) -> Any:
    """Draw the corrections of each month."""
    return bars(
        table,
        month_axis(every_month(table["month"]), "month in which it was true (UTC)"),
        upright("sum(facts)", "facts"),
        colour("kind", "kind", KINDS),
        ["month", "kind", "type", "facts"],
    )


REPORT = Report(
    name="corrections",
    title="Corrections and backdating",
    says="One row for each month, kind and type of event. The facts themselves are listed by "
    "`export --table corrections`.",
    about="true_at",
    by_exam=True,
    columns=COLUMNS,
    key=("month", "kind", "type"),
    make=make,
    line=line,
    picture=picture,
)
