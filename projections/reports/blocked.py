"""Who waits or is blocked at a moment, by reason."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from projections.reports import report as of
from projections.reports.drawing import axis, bars, colour, upright
from projections.reports.report import Group, Inputs, Report, key, many, total, value
from projections.table import INSTANT, WHOLE

WEEK = 7 * of.DAY


def rows(inputs: Inputs) -> pa.Table:
    """Read the standings that are not eligible at as_of."""
    standings = inputs.table("standings", "exam", "status", "eligible", "eligible_from")
    blocked = standings.filter(pc.invert(standings["eligible"]))
    return blocked.append_column("reason", blocked["status"])


def free(group: Group) -> pa.ChunkedArray:
    """Return when those are free of whom that is known, in microseconds."""
    return group.rows["eligible_from"].drop_null().cast(pa.int64())


def soon(group: Group) -> int:
    """Count who is free within a week."""
    return of.true(pc.less_equal(free(group), group.inputs.as_of + WEEK))


def line(table: pa.Table) -> str:
    """Return how many are blocked, and by what."""
    if not table.num_rows:
        return "Nobody who took an exam is blocked from taking it again."
    by_reason = table.group_by("reason").aggregate([("candidates", "sum")])
    by_count = sorted(
        zip(by_reason["candidates_sum"].to_pylist(), by_reason["reason"].to_pylist(), strict=True),
        key=lambda pair: (-pair[0], pair[1]),
    )
    parts = ", ".join(f"{count:,} {reason}" for count, reason in by_count)
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
        colour("reason", "reason", sorted(of.counts(table["reason"]))),
        ["exam", "reason", "candidates"],
    )


REPORT = Report(
    name="blocked",
    title="Waiting and blocked candidates",
    says="One row for each exam and reason, at one moment; a candidate is counted once an exam.",
    about="",
    made=(
        key("exam", "the exam's code"),
        key("reason", "the first reason that blocks, by precedence"),
        value("candidates", WHOLE, "how many candidates it blocks", of.size),
        value(
            "within_a_week", WHOLE, "how many of them are free at most seven days later", soon
        ),
        value(
            "without_end", WHOLE, "how many are not free at any date that is known",
            lambda group: group.rows.num_rows - len(free(group)),
        ),
        value(
            "first_free_at", INSTANT, "when the first of them is free",
            lambda group: pc.min(free(group)).as_py(), "none is at a known date",
        ),
        value(
            "last_free_at", INSTANT, "when the last of them is free",
            lambda group: pc.max(free(group)).as_py(), "none is at a known date",
        ),
    ),
    rows=rows,
    line=line,
    picture=picture,
)  # fmt: skip
