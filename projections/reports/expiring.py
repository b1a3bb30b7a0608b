"""Certifications expiring, by month."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from projections.reports import report as of
from projections.reports.drawing import colour, monthly
from projections.reports.report import Group, Inputs, Report, key, many, total, value
from projections.table import WHOLE


def rows(inputs: Inputs) -> pa.Table:
    """Read the certifications whose end lies in the period, with its month."""
    found = of.in_period(inputs, "certifications", "ends_at", "certification", "renewals")
    found = found.filter(pc.is_valid(found["ends_at"]))
    return found.append_column("month", of.months(found["ends_at"]))


def ended(group: Group) -> int:
    """Count those that have ended by as_of."""
    return of.true(pc.less_equal(group.rows["ends_at"].cast(pa.int64()), group.inputs.as_of))


def line(table: pa.Table) -> str:
    """Return how many end, and how many have ended."""
    if not table.num_rows:
        return "No certification ends in this period."
    expiring, over = total(table, "expiring"), total(table, "ended")
    return (
        f"{many(expiring, 'certification')} {'ends' if expiring == 1 else 'end'} in this period: "
        f"{over:,} ended already, {expiring - over:,} may yet be renewed."
    )


def picture(table: pa.Table) -> Any:
    """Draw how many end in each month."""
    return monthly(
        table,
        "sum(expiring)",
        "certifications ending",
        "certification",
        colour("certification", "certification"),
        ["month", "certification", "expiring"],
    )


REPORT = Report(
    name="expiring",
    title="Certifications expiring",
    says="One row for each month and certification. One that never ends is in none.",
    about="ends_at",
    by_exam=False,
    made=(
        key("month", "the month in which they end, in UTC"),
        key("certification", "the certification's id"),
        value("expiring", WHOLE, "how many candidates' certifications end in it", of.size),
        value(
            "ended", WHOLE,
            "how many of them have ended by as_of; the others may yet be renewed", ended,
        ),
        value(
            "renewed_before", WHOLE, "how many of them had been renewed at least once",
            lambda group: of.true(pc.greater(group.rows["renewals"], 0)),
        ),
    ),
    rows=rows,
    line=line,
    picture=picture,
)  # fmt: skip
