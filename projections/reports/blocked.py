"""Who waits or is blocked at a moment, by reason."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from projections.reports.drawing import axis, bars, colour, upright
from projections.reports.report import Inputs, Report, counts, groups, many, rows, total
from projections.table import INSTANT, TEXT, WHOLE, Column

WEEK = 7 * 86_400_000_000

COLUMNS = (
    Column("exam", TEXT, "the exam's code"),
    Column("reason", TEXT, "the first reason that blocks, by precedence"),
    Column("candidates", WHOLE, "how many candidates it blocks"),
    Column("within_a_week", WHOLE, "how many of them are free at most seven days later"),
    Column("without_end", WHOLE, "how many are not free at any date that is known"),
    Column("first_free_at", INSTANT, "when the first of them is free", "none is at a known date"),
    Column("last_free_at", INSTANT, "when the last of them is free", "none is at a known date"),
)


def make(inputs: Inputs) -> pa.Table:
    """Count the candidates that are not eligible at as_of."""
    stood = inputs.table("standings", "exam", "status", "eligible", "eligible_from")
    made = []
    for (exam, reason), some in groups(
        stood.filter(pc.invert(stood["eligible"])), ["exam", "status"]
    ):
        free = some["eligible_from"].drop_null().cast(pa.int64())
        bounds = pc.min_max(free).as_py()
        soon = pc.less_equal(free, inputs.as_of + WEEK)
        made.append(
            {
                "exam": exam,
                "reason": reason,
                "candidates": some.num_rows,
                "within_a_week": int(pc.sum(soon).as_py() or 0),
                "without_end": some.num_rows - len(free),
                "first_free_at": bounds["min"],
                "last_free_at": bounds["max"],
            }
        )
    return rows(COLUMNS, made)


def line(table: pa.Table) -> str:
    """Return how many are blocked, and by what."""
    if not table.num_rows:
        return "Nobody who sat an exam is blocked from sitting it again."
    by_reason = table.group_by("reason").aggregate([("candidates", "sum")])
    told = sorted(
        zip(by_reason["candidates_sum"].to_pylist(), by_reason["reason"].to_pylist(), strict=True),
        key=lambda pair: (-pair[0], pair[1]),
    )
    parts = ", ".join(f"{count:,} {reason}" for count, reason in told)
    return (
        f"{many(total(table, 'candidates'), 'candidate')} blocked, each counted once an exam: "
        f"{parts}; {total(table, 'within_a_week'):,} free within a week."
    )


def picture(table: pa.Table) -> Any:
    """Draw how many are blocked at each exam."""
    return bars(
        table,
        axis("sum(candidates)", "candidates"),
        upright("exam", "", "nominal", sort="-x"),
        colour("reason", "reason", sorted(counts(table["reason"]))),
        ["exam", "reason", "candidates"],
    )


REPORT = Report(
    name="blocked",
    title="Waiting and blocked candidates",
    says="One row for each exam and reason, at one moment; a candidate is counted once an exam.",
    about="",
    by_exam=True,
    columns=COLUMNS,
    key=("exam", "reason"),
    make=make,
    line=line,
    picture=picture,
)
