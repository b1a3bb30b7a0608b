"""Volumes and pass rates by exam and month, first sittings and retakes apart."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from projections.reports.drawing import WIDTH, bars, colour, month_axis, upright
from projections.reports.report import (
    Inputs,
    Report,
    counts,
    every_month,
    groups,
    many,
    months,
    percent,
    rows,
    share,
    total,
    within,
)
from projections.table import NUMBER, TEXT, WHOLE, Column

KINDS = ["first", "retake", "uncounted"]

COLUMNS = (
    Column("month", TEXT, "the month in which the sittings began, in UTC"),
    Column("exam", TEXT, "the exam's code"),
    Column(
        "sitting",
        TEXT,
        "first: the first of a series; retake: a later one; uncounted: one that waits and caps do "
        "not count, as of a beta, or of an exam that the catalogue does not know",
    ),
    Column("sittings", WHOLE, "how many there were"),
    Column("passed", WHOLE, "how many of them were passed"),
    Column("failed", WHOLE, "how many were failed"),
    Column("pending", WHOLE, "how many have no result"),
    Column("revoked", WHOLE, "how many results were revoked"),
    Column("pass_rate", NUMBER, "passed, of those passed or failed; 0 to 1", "neither"),
)


def make(inputs: Inputs) -> pa.Table:
    """Count the sittings that began in the period."""
    read = ("exam", "started_at", "outcome", "ordinal")
    sat = within(inputs.table("sittings", *read), "started_at", inputs.period)
    sat = sat.append_column("month", months(sat["started_at"]))
    retake = pc.if_else(pc.greater(sat["ordinal"], 1), "retake", "first")
    sat = sat.append_column("sitting", pc.fill_null(retake, "uncounted"))
    made = []
    for (month, exam, sitting), some in groups(sat, ["month", "exam", "sitting"]):
        came = counts(some["outcome"])
        passed, failed = came.get("passed", 0), came.get("failed", 0)
        made.append(
            {
                "month": month,
                "exam": exam,
                "sitting": sitting,
                "sittings": some.num_rows,
                "passed": passed,
                "failed": failed,
                "pending": came.get("pending", 0),
                "revoked": came.get("revoked", 0),
                "pass_rate": share(passed, passed + failed),
            }
        )
    return rows(COLUMNS, made)


def line(table: pa.Table) -> str:
    """Return how many sat, and how many passed at first and when retaking."""
    if not table.num_rows:
        return "No sitting began in this period."

    rates = []
    for kind, named in zip(KINDS, ("first sittings", "retakes", "uncounted ones"), strict=True):
        some = table.filter(pc.equal(table["sitting"], kind))
        passed = total(some, "passed")
        if decided := passed + total(some, "failed"):
            rates.append(f"{percent(passed, decided)} of {named}")
    exams = pc.count_distinct(table["exam"]).as_py()
    return (
        f"{many(total(table, 'sittings'), 'sitting')} of {many(exams, 'exam')}; passed of those "
        f"decided: {', '.join(rates) or 'none is'}."
    )


def picture(table: pa.Table) -> Any:
    """Draw the sittings of each month, and how often they were passed."""
    import altair as alt

    month = month_axis(every_month(table["month"]))
    columns = ["month", "exam", "sitting", "sittings", "passed", "failed"]
    volume = bars(
        table, month, upright("sum(sittings)", "sittings"), colour("sitting", "sitting", KINDS),
        columns,
    ).properties(width=WIDTH, height=170)  # fmt: skip
    rate = (
        alt.Chart(volume.data)
        .transform_aggregate(
            passed="sum(passed)", failed="sum(failed)", groupby=["month", "sitting"]
        )
        .transform_calculate(rate="datum.passed / (datum.passed + datum.failed)")
        .transform_filter("datum.passed + datum.failed > 0")
        .mark_line(point=True)
        .encode(
            x=month,
            y=upright("rate", "passed of those decided", axis=alt.Axis(format="%"),
                      scale=alt.Scale(domain=[0, 1])),
            color=colour("sitting", "sitting", KINDS),
        )
        .properties(width=WIDTH, height=130)
    )  # fmt: skip
    return alt.vconcat(volume, rate)


REPORT = Report(
    name="volumes",
    title="Volumes and pass rates",
    says="One row for each month, exam and kind of sitting.",
    about="started_at",
    by_exam=True,
    columns=COLUMNS,
    key=("month", "exam", "sitting"),
    make=make,
    line=line,
    picture=picture,
)
