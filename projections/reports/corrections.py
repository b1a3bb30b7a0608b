"""Corrections and backdating: what was recorded late, annulled or revoked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from projections.reports import report as of
from projections.reports.drawing import colour, monthly
from projections.reports.report import Group, Inputs, Report, key, many, total, value
from projections.table import INSTANT, NUMBER, WHOLE

KINDS = ["late", "annulment", "revocation"]


def rows(inputs: Inputs) -> pa.Table:
    """Read the corrections to facts of the period, with their months, one for each fact."""
    read = ("position", "kind", "type", "candidate", "true_at", "recorded_at")
    found = inputs.table("corrections", *read)
    # A fact has a row for each exam that it bears on; by position, so they stand together.
    position = found["position"].to_numpy()
    first = np.append(True, position[1:] != position[:-1])[: len(position)]
    found = of.within(found.filter(pa.array(first)), "true_at", inputs.period)
    found = found.append_column("month", of.months(found["true_at"]))
    return found.append_column("known_in", of.months(found["recorded_at"]))


def lags(group: Group) -> Any:
    """Return the times between truth and recording, in microseconds."""
    return np.maximum(of.micros(group.rows["recorded_at"]) - of.micros(group.rows["true_at"]), 0)


def line(table: pa.Table) -> str:
    """Return how many there were, and how many came when their month was over."""
    if not table.num_rows:
        return "No fact of this period was corrected or recorded late."
    parts = []
    for kind in KINDS:
        some = table.filter(pc.equal(table["kind"], kind))
        parts.append(many(total(some, "facts"), f"{kind} fact" if kind == "late" else kind))
    return (
        f"{', '.join(parts)}; {total(table, 'after_month'):,} recorded when the month was over, "
        f"the latest after {pc.max(table['lag_days_most']).as_py():,.1f} days."
    )


def picture(table: pa.Table) -> Any:
    """Draw the corrections of each month."""
    return monthly(
        table,
        "sum(facts)",
        "facts",
        "type",
        colour("kind", "kind", KINDS),
        ["month", "kind", "type", "facts"],
        title_of_months="month in which it was true (UTC)",
    )


REPORT = Report(
    name="corrections",
    title="Corrections and backdating",
    says="One row for each month, kind and type of event. The facts themselves are listed by "
    "`export --table corrections`.",
    about="true_at",
    made=(
        key("month", "the month in which the corrected facts were true, in UTC"),
        key(
            "kind",
            "late: recorded a day or more after it was true; annulment; revocation of a result or "
            "a grant",
        ),
        key("type", "the event's type; of an annulment that of what it annuls"),
        value("facts", WHOLE, "how many there were", of.size),
        value(
            "candidates", WHOLE, "how many candidates they are about",
            lambda group: pc.count_distinct(group.rows["candidate"]).as_py(),
        ),
        value(
            "after_month", WHOLE, "how many were recorded when that month was over",
            lambda group: of.true(pc.greater(group.rows["known_in"], group.key[0])),
        ),
        value(
            "lag_days_median", NUMBER, "the middle time between truth and recording, in days",
            lambda group: of.median(lags(group), of.DAY),
        ),
        value(
            "lag_days_most", NUMBER, "the longest",
            lambda group: of.quantile(lags(group), 1.0, of.DAY),
        ),
        value(
            "last_recorded_at", INSTANT, "when the last of them was recorded",
            lambda group: int(of.micros(group.rows["recorded_at"]).max()),
        ),
    ),
    rows=rows,
    line=line,
    picture=picture,
)  # fmt: skip
