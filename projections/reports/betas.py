"""Beta results that have not come, and how old they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from projections.reports import report as of
from projections.reports.drawing import axis, bars, colour, upright
from projections.reports.report import Group, Inputs, Report, key, many, total, value
from projections.table import INSTANT, NUMBER, WHOLE

DATES = ("live_at", "results_from", "results_by", "overdue_from")


def rows(inputs: Inputs) -> pa.Table:
    """Read the beta sittings of the period that are pending at as_of, with their exam's dates."""
    sittings = of.in_period(inputs, "sittings", "started_at", "exam", "delivery", "outcome")
    wanted = pc.and_(
        pc.equal(sittings["delivery"], "beta"), pc.equal(sittings["outcome"], "pending")
    )
    exams = inputs.table("exams", "exam", *DATES)
    at = pc.index_in(sittings["exam"], exams["exam"])
    for name in DATES:
        sittings = sittings.append_column(name, exams[name].take(at))
    return sittings.filter(wanted)


def ages(group: Group) -> Any:
    """Return how long they have been awaited, in microseconds."""
    return group.inputs.as_of - of.micros(group.rows["started_at"])


def date(name: str) -> Any:
    """Make what returns a date of a group's exam."""
    return lambda group: group.rows[name].cast(pa.int64())[0].as_py()


def overdue(group: Group) -> int:
    """Count those that should have come by now: all or none of an exam's."""
    since = date("overdue_from")(group)
    return group.rows.num_rows if since is not None and since <= group.inputs.as_of else 0


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
    """Draw how many are pending of each exam, overdue ones separately."""
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
    made=(
        key("exam", "the exam's code"),
        value("pending", WHOLE, "how many beta sittings have no result", of.size),
        value(
            "overdue", WHOLE,
            "how many of them should have had one by now: they block no longer", overdue,
        ),
        value(
            "days_median", NUMBER, "the middle age, from the start of the sitting, in days",
            lambda group: of.median(ages(group), of.DAY),
        ),
        value(
            "days_oldest", NUMBER, "the greatest age",
            lambda group: of.quantile(ages(group), 1.0, of.DAY),
        ),
        value(
            "oldest_at", INSTANT, "when the oldest began",
            lambda group: int(of.micros(group.rows["started_at"]).min()),
        ),
        value(
            "live_at", INSTANT, "when the exam goes, or went, live", date("live_at"), "not known"
        ),
        value(
            "results_from", INSTANT, "from when results are usual", date("results_from"),
            "not known",
        ),
        value("results_by", INSTANT, "until when", date("results_by"), "not known"),
        value(
            "overdue_from", INSTANT, "from when a result is overdue", date("overdue_from"),
            "not known, or never",
        ),
    ),
    rows=rows,
    line=line,
    picture=picture,
)  # fmt: skip
