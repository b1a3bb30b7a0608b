"""Volumes and pass rates by exam and month, first sittings and retakes separately."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from projections.reports import report as of
from projections.reports.drawing import (
    WIDTH,
    altair,
    axis,
    colour,
    month_axis,
    monthly,
    upright,
)
from projections.reports.report import Inputs, Report, key, many, percent, total, value
from projections.table import WHOLE

KINDS = ["first", "retake", "uncounted"]


def rows(inputs: Inputs) -> pa.Table:
    """Read the sittings that began in the period, with their month and kind."""
    sittings = of.in_period(inputs, "sittings", "started_at", "exam", "outcome", "ordinal")
    retake = pc.if_else(pc.greater(sittings["ordinal"], 1), "retake", "first")
    sittings = sittings.append_column("sitting", pc.fill_null(retake, "uncounted"))
    return sittings.append_column("month", of.months(sittings["started_at"]))


def line(table: pa.Table) -> str:
    """Return how many sittings there were, and how many passed at first and when retaking."""
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
    alt = altair()
    months = of.every_month(table["month"])
    columns = ["month", "exam", "sitting", "sittings", "passed", "failed"]
    kind = colour("sitting", "sitting", KINDS)
    volume = monthly(table, "sum(sittings)", "sittings", "exam", kind, columns)
    by = "month" if len(months) > 1 else "exam"
    rate = (
        alt.Chart(volume.data)
        .transform_aggregate(passed="sum(passed)", failed="sum(failed)", groupby=[by, "sitting"])
        .transform_calculate(rate="datum.passed / (datum.passed + datum.failed)")
        .transform_filter("datum.passed + datum.failed > 0")
        .properties(width=WIDTH)
    )
    percent_of = {
        "title": "passed of those decided",
        "axis": alt.Axis(format="%"),
        "scale": alt.Scale(domain=[0, 1]),
    }
    if len(months) > 1:
        volume = volume.properties(height=170)
        rate = rate.mark_line(point=True).encode(
            x=month_axis(months), y=upright("rate", **percent_of), color=kind
        )
        return alt.vconcat(volume, rate.properties(height=130))
    rate = rate.mark_point(filled=True, size=80, opacity=1).encode(
        x=axis("rate", **percent_of), y=upright("exam", "", "nominal"), color=kind
    )
    return alt.vconcat(volume, rate.properties(height=alt.Step(20)))


REPORT = Report(
    name="volumes",
    title="Volumes and pass rates",
    says="One row for each month, exam and kind of sitting.",
    about="started_at",
    made=(
        key("month", "the month in which the sittings began, in UTC"),
        key("exam", "the exam's code"),
        key(
            "sitting",
            "first: the first of a series; retake: a later one; uncounted: one that waits and caps "
            "do not count, as of a beta, or of an exam that the catalogue does not know",
        ),
        value("sittings", WHOLE, "how many there were", of.size),
        value("passed", WHOLE, "how many of them were passed", of.among("outcome", "passed")),
        value("failed", WHOLE, "how many were failed", of.among("outcome", "failed")),
        value("pending", WHOLE, "how many have no result", of.among("outcome", "pending")),
        value("revoked", WHOLE, "how many results were revoked", of.among("outcome", "revoked")),
        of.PASS_RATE,
    ),
    rows=rows,
    line=line,
    picture=picture,
)  # fmt: skip
