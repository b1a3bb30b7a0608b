"""Retake behaviour: how long candidates stay away, against how long they must."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from projections.reports.drawing import COLOURS, WIDTH, axis, data, upright
from projections.reports.report import (
    DAY,
    Inputs,
    Report,
    counts,
    groups,
    many,
    median,
    micros,
    percent,
    quantile,
    rows,
    share,
    total,
    within,
)
from projections.table import NUMBER, TEXT, WHOLE, Column

COLUMNS = (
    Column("exam", TEXT, "the exam's code"),
    Column("ordinal", WHOLE, "the retake's place in its series: 2, 3 …"),
    Column("retakes", WHOLE, "how many there were"),
    Column("wait_days", NUMBER, "the middle wait before them, in days", "no wait was asked"),
    Column("days_least", NUMBER, "the shortest time from start to start, in days"),
    Column("days_median", NUMBER, "the middle one"),
    Column("days_p90", NUMBER, "the time that nine of ten do not exceed"),
    Column("before_wait", WHOLE, "how many began before the wait ended, by a grant or not"),
    Column("within_a_day", WHOLE, "how many began in the first 24 hours after it"),
    Column("passed", WHOLE, "how many were passed"),
    Column("pass_rate", NUMBER, "passed, of those passed or failed; 0 to 1", "neither"),
)


def make(inputs: Inputs) -> pa.Table:
    """Measure the retakes that began in the period."""
    read = ("exam", "started_at", "outcome", "ordinal", "previous_at", "wait_until")
    sat = within(inputs.table("sittings", *read), "started_at", inputs.period)
    sat = sat.filter(pc.is_valid(sat["previous_at"]))
    made = []
    for (exam, ordinal), some in groups(sat, ["exam", "ordinal"]):
        start, previous = micros(some["started_at"]), micros(some["previous_at"])
        apart = start - previous
        asked = pc.is_valid(some["wait_until"]).to_numpy()
        until = some["wait_until"].cast(pa.int64()).fill_null(0).to_numpy()[asked]
        after = start[asked] - until
        came = counts(some["outcome"])
        passed, failed = came.get("passed", 0), came.get("failed", 0)
        made.append(
            {
                "exam": exam,
                "ordinal": ordinal,
                "retakes": some.num_rows,
                "wait_days": median(until - previous[asked], DAY),
                "days_least": quantile(apart, 0.0, DAY),
                "days_median": median(apart, DAY),
                "days_p90": quantile(apart, 0.9, DAY),
                "before_wait": int(np.count_nonzero(after < 0)),
                "within_a_day": int(np.count_nonzero((after >= 0) & (after < DAY))),
                "passed": passed,
                "pass_rate": share(passed, passed + failed),
            }
        )
    return rows(COLUMNS, made)


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
    import altair as alt

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
    by_exam=True,
    columns=COLUMNS,
    key=("exam", "ordinal"),
    make=make,
    line=line,
    picture=picture,
)
