"""Beta results that have not come, and how old they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from projections.reports.drawing import axis, bars, colour, upright
from projections.reports.report import (
    DAY,
    Inputs,
    Report,
    groups,
    many,
    median,
    micros,
    rows,
    total,
    within,
)
from projections.table import INSTANT, NUMBER, TEXT, WHOLE, Column

COLUMNS = (
    Column("exam", TEXT, "the exam's code"),
    Column("pending", WHOLE, "how many beta sittings have no result"),
    Column("overdue", WHOLE, "how many of them should have had one by now: they block no longer"),
    Column("days_median", NUMBER, "the middle age, from the start of the sitting, in days"),
    Column("days_oldest", NUMBER, "the greatest age"),
    Column("oldest_at", INSTANT, "when the oldest began"),
    Column("live_at", INSTANT, "when the exam goes, or went, live", "not known"),
    Column("results_from", INSTANT, "from when results are usual", "not known"),
    Column("results_by", INSTANT, "until when", "not known"),
    Column("overdue_from", INSTANT, "from when a result is overdue", "not known, or never"),
)

DATES = ("live_at", "results_from", "results_by", "overdue_from")


def make(inputs: Inputs) -> pa.Table:
    """Count the beta sittings of the period that are pending at as_of."""
    sat = within(
        inputs.table("sittings", "exam", "started_at", "delivery", "outcome"),
        "started_at",
        inputs.period,
    )
    wanted = pc.and_(pc.equal(sat["delivery"], "beta"), pc.equal(sat["outcome"], "pending"))
    exams = inputs.table("exams", "exam", *DATES)
    dates = {row["exam"]: row for row in exams.to_pylist()}
    since = exams["overdue_from"].cast(pa.int64()).to_pylist()
    overdue = dict(zip(exams["exam"].to_pylist(), since, strict=True))
    made = []
    for (exam,), some in groups(sat.filter(wanted), ["exam"]):
        start = micros(some["started_at"])
        overdue_from = overdue.get(exam)
        late = overdue_from is not None and overdue_from <= inputs.as_of
        known = dates.get(exam, {})
        made.append(
            {
                "exam": exam,
                "pending": some.num_rows,
                "overdue": some.num_rows if late else 0,
                "days_median": median(inputs.as_of - start, DAY),
                "days_oldest": round(float(inputs.as_of - np.min(start)) / DAY, 2),
                "oldest_at": int(np.min(start)),
                **{name: known.get(name) for name in DATES},
            }
        )
    return rows(COLUMNS, made)


def line(table: pa.Table) -> str:
    """Return how many are pending and how many overdue."""
    if not table.num_rows:
        return "No beta result is pending."
    oldest = pc.max(table["days_oldest"]).as_py()
    return (
        f"{many(total(table, 'pending'), 'beta result')} pending, the oldest for {oldest:,.1f} "
        f"days; {total(table, 'overdue'):,} overdue."
    )


def picture(table: pa.Table) -> Any:
    """Draw how many are pending of each exam, those overdue apart."""
    pending = np.array(table["pending"].to_pylist(), dtype=np.int64)
    overdue = np.array(table["overdue"].to_pylist(), dtype=np.int64)
    parts = pa.table(
        {
            "exam": pa.chunked_array([table["exam"].combine_chunks()] * 2, pa.string()),
            "state": pa.array(["expected"] * len(pending) + ["overdue"] * len(overdue)),
            "results": pa.array(np.concatenate((pending - overdue, overdue))),
        }
    )
    return bars(
        parts,
        axis("sum(results)", "beta results pending"),
        upright("exam", "", "nominal", sort="-x"),
        colour("state", "", ["expected", "overdue"]),
        ["exam", "state", "results"],
    )


REPORT = Report(
    name="betas",
    title="Beta results pending",
    says="One row for each exam with beta sittings that have no result.",
    about="started_at",
    by_exam=True,
    columns=COLUMNS,
    key=("exam",),
    make=make,
    line=line,
    picture=picture,
)
