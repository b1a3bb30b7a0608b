"""Certifications expiring, by month."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from projections.reports.drawing import bars, colour, month_axis, upright
from projections.reports.report import (
    Inputs,
    Report,
    every_month,
    groups,
    many,
    months,
    rows,
    total,
    within,
)
from projections.table import INSTANT, TEXT, WHOLE, Column

COLUMNS = (
    Column("month", TEXT, "the month in which they end, in UTC"),
    Column("certification", TEXT, "the certification's id"),
    Column("expiring", WHOLE, "how many candidates' certifications end in it"),
    Column("ended", WHOLE, "how many of them have ended by as_of; the others may yet be renewed"),
    Column("renewed_before", WHOLE, "how many of them had been renewed at least once"),
)


def make(inputs: Inputs) -> pa.Table:
    """Count the certifications whose end lies in the period."""
    held = inputs.table("certifications", "certification", "renewals", "ends_at")
    held = within(held.filter(pc.is_valid(held["ends_at"])), "ends_at", inputs.period)
    held = held.append_column("month", months(held["ends_at"]))
    now = pa.scalar(inputs.as_of, pa.int64()).cast(INSTANT)
    made = [
        {
            "month": month,
            "certification": certification,
            "expiring": some.num_rows,
            "ended": int(pc.sum(pc.less_equal(some["ends_at"], now)).as_py() or 0),
            "renewed_before": int(pc.sum(pc.greater(some["renewals"], 0)).as_py() or 0),
        }
        for (month, certification), some in groups(held, ["month", "certification"])
    ]
    return rows(COLUMNS, made)


def line(table: pa.Table) -> str:
    """Return how many end, and how many have ended."""
    if not table.num_rows:
        return "No certification ends in this period."
    expiring, ended = total(table, "expiring"), total(table, "ended")
    return (
        f"{many(expiring, 'certification')} {'ends' if expiring == 1 else 'end'} in this period: "
        f"{ended:,} ended already, {expiring - ended:,} may yet be renewed."
    )


def picture(table: pa.Table) -> Any:
    """Draw how many end in each month."""
    return bars(
        table,
        month_axis(every_month(table["month"])),
        upright("sum(expiring)", "certifications ending"),
        colour("certification", "certification"),
        ["month", "certification", "expiring"],
    )


REPORT = Report(
    name="expiring",
    title="Certifications expiring",
    says="One row for each month and certification. One that never ends is in none.",
    about="ends_at",
    by_exam=False,
    columns=COLUMNS,
    key=("month", "certification"),
    make=make,
    line=line,
    picture=picture,
)
