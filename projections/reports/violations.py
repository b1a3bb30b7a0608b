"""Sittings taken while not eligible, by month and what blocked them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from projections.reports import report as of
from projections.reports.drawing import colour, monthly
from projections.reports.report import Group, Inputs, Report, key, many, total, value
from projections.table import NUMBER, WHOLE

FOUND = ["then and now", "only now", "only then"]


def rows(inputs: Inputs) -> pa.Table:
    """Read the violations among the sittings that began in the period, with what blocked them."""
    read = ("exam", "status_then", "status_now", "early_seconds")
    found = of.in_period(inputs, "violations", "started_at", *read)
    now = pc.not_equal(found["status_now"], "eligible")
    then = pc.fill_null(pc.not_equal(found["status_then"], "eligible"), False)
    known = pc.if_else(now, pc.if_else(then, FOUND[0], FOUND[1]), FOUND[2])
    status = pc.if_else(now, found["status_now"], found["status_then"])
    found = found.append_column("found", known).append_column("status", status)
    return found.append_column("month", of.months(found["started_at"]))


def early(group: Group) -> float | None:
    """Return the middle of how much too early they were, in hours."""
    seconds = np.array(group.rows["early_seconds"].drop_null().to_pylist(), dtype=np.float64)
    return of.median((seconds * 1e6).astype(np.int64), of.HOUR)


def line(table: pa.Table) -> str:
    """Return how many there were, and how many only a later fact showed."""
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
    return monthly(
        table,
        "sum(sittings)",
        "sittings while not eligible",
        "exam",
        colour("status", "blocked by", sorted(of.counts(table["status"]))),
        ["month", "exam", "status", "found", "sittings"],
    )


REPORT = Report(
    name="violations",
    title="Sittings while not eligible",
    says="One row for each month, exam, how it is known, and what blocked. The sittings themselves "
    "are listed by `violations`.",
    about="started_at",
    made=(
        key("month", "the month in which the sittings began, in UTC"),
        key("exam", "the exam's code"),
        key(
            "found",
            "then and now: by what was known when it began and by what is known at known_at; only "
            "now: a later fact showed it; only then: a later fact cleared it",
        ),
        key("status", "what blocked it, by what is known at known_at, else then"),
        value("sittings", WHOLE, "how many there were", of.size),
        value(
            "early_hours", NUMBER, "the middle of how much too early they were", early,
            "never eligible",
        ),
    ),
    rows=rows,
    line=line,
    picture=picture,
)  # fmt: skip
