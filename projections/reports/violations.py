"""Sittings taken while not eligible, by month and what blocked them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from projections.reports.drawing import bars, colour, month_axis, upright
from projections.reports.report import (
    HOUR,
    Inputs,
    Report,
    counts,
    every_month,
    groups,
    many,
    median,
    months,
    rows,
    total,
    within,
)
from projections.table import NUMBER, TEXT, WHOLE, Column

FOUND = ["then and now", "only now", "only then"]

COLUMNS = (
    Column("month", TEXT, "the month in which the sittings began, in UTC"),
    Column("exam", TEXT, "the exam's code"),
    Column(
        "found",
        TEXT,
        "then and now: by what was known when it began and by what is known at known_at; only now: "
        "a later fact told; only then: a later fact cleared it",
    ),
    Column("status", TEXT, "what blocked it, by what is known at known_at, else then"),
    Column("sittings", WHOLE, "how many there were"),
    Column("early_hours", NUMBER, "the middle of how much too early they were", "never eligible"),
)


def make(inputs: Inputs) -> pa.Table:
    """Count the violations among the sittings that began in the period."""
    read = ("exam", "started_at", "status_then", "status_now", "early_seconds")
    sat = within(inputs.table("violations", *read), "started_at", inputs.period)
    now = pc.not_equal(sat["status_now"], "eligible")
    then = pc.fill_null(pc.not_equal(sat["status_then"], "eligible"), False)
    found = pc.if_else(now, pc.if_else(then, FOUND[0], FOUND[1]), FOUND[2])
    sat = sat.append_column("found", found).append_column("month", months(sat["started_at"]))
    sat = sat.append_column("status", pc.if_else(now, sat["status_now"], sat["status_then"]))
    made = []
    for (month, exam, how, status), some in groups(sat, ["month", "exam", "found", "status"]):
        early = np.array(some["early_seconds"].drop_null().to_pylist(), dtype=np.float64)
        made.append(
            {
                "month": month,
                "exam": exam,
                "found": how,
                "status": status,
                "sittings": some.num_rows,
                "early_hours": median((early * 1e6).astype(np.int64), HOUR),
            }
        )
    return rows(COLUMNS, made)


def line(table: pa.Table) -> str:
    """Return how many there were, and how many only a later fact told."""
    if not table.num_rows:
        return "Every sitting of this period was taken while eligible."
    by = {how: total(table.filter(pc.equal(table["found"], how)), "sittings") for how in FOUND}
    return (
        f"{many(total(table, 'sittings'), 'sitting')} while not eligible: "
        f"{by[FOUND[0]]:,} then and now, {by[FOUND[1]]:,} only by what was learned since, "
        f"{by[FOUND[2]]:,} cleared since."
    )


def picture(table: pa.Table) -> Any:
    """Draw the violations of each month, by what blocked them."""
    return bars(
        table,
        month_axis(every_month(table["month"])),
        upright("sum(sittings)", "sittings while not eligible"),
        colour("status", "blocked by", sorted(counts(table["status"]))),
        ["month", "status", "found", "sittings"],
    )


REPORT = Report(
    name="violations",
    title="Sittings while not eligible",
    says="One row for each month, exam, how it is known, and what blocked. The sittings themselves "
    "are listed by `violations`.",
    about="started_at",
    by_exam=True,
    columns=COLUMNS,
    key=("month", "exam", "found", "status"),
    make=make,
    line=line,
    picture=picture,
)
