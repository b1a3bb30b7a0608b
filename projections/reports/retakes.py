"""Retake behaviour: how long candidates stay away, against how long they must."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from projections.reports import report as of
from projections.reports.drawing import COLOURS, WIDTH, altair, axis, data, upright
from projections.reports.report import Group, Inputs, Report, key, many, percent, total, value
from projections.table import NUMBER, TEXT, WHOLE


def rows(inputs: Inputs) -> pa.Table:
    """Read the retakes that began in the period."""
    read = ("exam", "outcome", "ordinal", "previous_at", "wait_until")
    found = of.in_period(inputs, "sittings", "started_at", *read)
    return found.filter(pc.is_valid(found["previous_at"]))


def away(group: Group) -> Any:
    """Return the times from start to start, in microseconds."""
    return of.micros(group.rows["started_at"]) - of.micros(group.rows["previous_at"])


def between(start: str, end: str) -> Any:
    """Make what returns the times from one instant to another where a wait was required."""

    def lengths(group: Group) -> Any:
        waited = group.rows.filter(pc.is_valid(group.rows["wait_until"]))
        return of.micros(waited[end]) - of.micros(waited[start])

    return lengths


waits, after = between("previous_at", "wait_until"), between("wait_until", "started_at")


def line(table: pa.Table) -> str:
    """Return how many came back, how soon, and how many too early."""
    if not table.num_rows:
        return "No retake began in this period."
    retakes, soon = total(table, "retakes"), total(table, "within_a_day")
    return (
        f"{many(retakes, 'retake')}; {percent(soon, retakes)} began within a day of the wait's "
        f"end, {total(table, 'before_wait'):,} before it."
    )


def picture(table: pa.Table) -> Any:
    """Draw the middle time between sittings beside the wait."""
    alt = altair()
    columns = ["row", "sitting", "retakes", "wait_days", "days_median", "days_p90"]
    names = [f"{row['exam']} · {row['ordinal']}" for row in table.to_pylist()]
    named = table.append_column("sitting", pa.array(names, TEXT))
    named = named.append_column("row", pa.array(range(len(names)), WHOLE))
    # Not by a list of the names: the library would write them into an expression, which it runs.
    in_order = alt.EncodingSortField(field="row", op="min", order="ascending")
    base = alt.Chart(data(named, columns)).encode(
        y=upright("sitting", "exam · sitting of the series", "nominal", sort=in_order)
    )
    span = base.mark_rule(color="#9fb6cc", strokeWidth=3).encode(
        x=axis("days_median", "days, start to start: the middle to nine in ten (red: the wait)"),
        x2="days_p90",
    )
    middle = base.mark_point(filled=True, size=70, color=COLOURS[0]).encode(x="days_median:Q")
    wait = base.mark_tick(color=COLOURS[3], thickness=3, size=14).encode(x="wait_days:Q")
    return alt.layer(span, middle, wait).properties(width=WIDTH, height=alt.Step(18))


REPORT = Report(
    name="retakes",
    title="Retakes, and the wait before them",
    says="One row for each exam and place in a series, from the second on.",
    about="started_at",
    made=(
        key("exam", "the exam's code"),
        key("ordinal", "the retake's place in its series: 2, 3 …", WHOLE),
        value("retakes", WHOLE, "how many there were", of.size),
        value(
            "wait_days", NUMBER, "the middle wait before them, in days",
            lambda group: of.median(waits(group), of.DAY), "no wait was required",
        ),
        value(
            "days_least", NUMBER, "the shortest time from start to start, in days",
            lambda group: of.quantile(away(group), 0.0, of.DAY),
        ),
        value(
            "days_median", NUMBER, "the middle one",
            lambda group: of.median(away(group), of.DAY),
        ),
        value(
            "days_p90", NUMBER, "the time that nine of ten do not exceed",
            lambda group: of.quantile(away(group), 0.9, of.DAY),
        ),
        value(
            "before_wait", WHOLE, "how many began before the wait ended, by a grant or not",
            lambda group: int(np.count_nonzero(after(group) < 0)),
        ),
        value(
            "within_a_day", WHOLE, "how many began in the first 24 hours after it",
            lambda group: int(np.count_nonzero((after(group) >= 0) & (after(group) < of.DAY))),
        ),
        value("passed", WHOLE, "how many were passed", of.among("outcome", "passed")),
        of.PASS_RATE,
    ),
    rows=rows,
    line=line,
    picture=picture,
)  # fmt: skip
