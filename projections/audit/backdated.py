"""`audit backdated`: facts recorded long after they were true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from projections.audit.conditions import WHICH
from projections.audit.event_columns import EVENT, LAG
from projections.audit.events import marks
from projections.audit.query import Query, by, counted, seconds, whom
from projections.reports.groups import many
from projections.reports.inputs import INSTANT, TEXT, TRUTH, Column

_NOT_ASKED = "not asked for, or no candidate's"

COLUMNS: Final = (
    *EVENT[:3],
    LAG,
    *EVENT[3:],
    Column(
        "changed",
        TRUTH,
        "whether, by it, the standing of its candidate is another as of any instant from when it "
        "was true until it was recorded",
        _NOT_ASKED,
    ),
    Column("changed_from", INSTANT, "the first such instant", f"{_NOT_ASKED}, or none"),
    Column("changed_exams", TEXT, "the exams of those standings", f"{_NOT_ASKED}, or none"),
)


def tally(rows: pa.RecordBatch) -> Counter[str]:
    """Count the facts, what they changed, and the longest lag in microseconds."""
    return Counter(
        facts=rows.num_rows,
        judged=counted(pc.is_valid(rows["changed"])),
        changed=counted(rows["changed"]),
    )


def line(tally: Counter[str]) -> str:
    """Return how many there are, and how many changed what had been answered."""
    if not tally["facts"]:
        return "No fact was recorded so long after it was true."
    changed = ""
    if tally["judged"]:
        changed = f"; {tally['changed']:,} changed what had been the answer before"
    return f"{many(tally['facts'], 'fact')} recorded so long after they were true{changed}."


def told(row: Mapping[str, Any]) -> Iterator[str]:
    """Write a fact: how late it was, what it is, and what it changed."""
    yield f"@{row['position']}  {seconds(row['lag_seconds'])} late  {row['type']}  {whom(row)}"
    yield f"true from {row['true_at']}, recorded {row['recorded_at']}{by(row['actor'])}"
    yield f"{row['source']} {row['id']}{marks(row)}"
    if row["changed"]:
        yield f"changed the standing for {row['changed_exams']} from {row['changed_from']} on"
    elif row["changed"] is False:
        yield "changed no standing before it was recorded"


QUERY: Final = Query(
    name="backdated",
    title="Backdated facts",
    says="One row a fact that was recorded more than the threshold after it was true, whoever it "
    "is about; the longest lag first, then by position.",
    takes=WHICH | {"by", "changes"},
    columns=COLUMNS,
    key=("position",),
    tally=tally,
    line=line,
    told=told,
)
