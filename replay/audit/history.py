"""`audit history`: a candidate's events, each with what it changed in the standing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyarrow as pa

from ledger.events import Recorded
from projections.catalogue import annulments
from projections.reports.report import many
from projections.table import INSTANT, TEXT, TRUTH, WHOLE, Column
from replay.audit.changes import CandidateRecord
from replay.audit.conditions import Conditions
from replay.audit.events import marks
from replay.audit.playback import Seen
from replay.audit.query import (
    ACTOR,
    ANNULLED_BY,
    ANNULS,
    FORGOTTEN,
    ID,
    KEY,
    POSITION,
    RECORDED_AT,
    SOURCE,
    TRUE_AT,
    TYPE,
    Query,
    batched,
    by,
    counted,
    public_data,
)
from replay.snapshot import Snapshot

_SIDES: Final = (("before", "without the event"), ("after", "with it"))
_NO_EXAM: Final = "it changed no exam's standing"
_SHOWN: Final = (
    Column("status", TEXT, "eligible, or the first reason that blocks", _NO_EXAM),
    Column("reasons", TEXT, "every reason that blocks, with a blank between", "none"),
    Column("waived", TEXT, "the reasons that an exception waives", "none"),
    Column("eligible_from", INSTANT, "the first instant that is eligible", "eligible, or never"),
    Column("sittings_in_series", WHOLE, "the last ordinal", _NO_EXAM),
    Column("period_ends_at", INSTANT, "the end of the current period", "there is none"),
    Column(
        "outcome",
        TEXT,
        "of the sitting that the event is about; of the last where it is about none",
        "there is no such sitting",
    ),
)

COLUMNS: Final = (
    POSITION, RECORDED_AT, TRUE_AT, TYPE, KEY, SOURCE, ID, ACTOR, ANNULS, ANNULLED_BY,
    Column("data", TEXT, "what it says, as JSON; personal fields sealed or erased"),
    Column("as_of", INSTANT, "when the two standings are of: when it was recorded"),
    Column("exam", TEXT, "the exam whose standing they are", _NO_EXAM),
    Column("changed", TRUTH, "whether anything of the following differs"),
    *(
        Column(f"{column.name}_{side}", column.type, f"{label}: {column.meaning}", column.null)
        for column in _SHOWN
        for side, label in _SIDES
    ),
)  # fmt: skip


def rows_of(
    record: CandidateRecord,
    row: Recorded,
    annulled_by: int | None,
    *,
    exam: str | None,
    erased: bool,
) -> Iterator[dict[str, Any]]:
    """Return the rows of one event: one for each exam whose standing it changed, and its own exam.

    The standings are as of when the event was recorded (or was true, if that was a little later):
    what the answer of that day was, and what the event made of it.
    """
    about = record.about(row)
    as_of = max(row.recorded_at, row.occurred_at)
    event = {
        "position": row.position,
        "recorded_at": row.recorded_at,
        "true_at": row.occurred_at,
        "type": row.type,
        "key": about.key,
        "source": row.source,
        "id": row.id,
        "actor": row.actor,
        "annuls": row.annuls,
        "annulled_by": annulled_by,
        "data": public_data(row, erased=erased),
        "as_of": as_of,
        "changed": False,
    }
    some = False
    for name in record.exams(row):
        if exam not in (None, name):
            continue
        _, before, after = record.change(row, name, as_of)
        if before == after and name != about.exam:
            continue
        some = True
        yield event | sides(before, after) | {"exam": name, "changed": before != after}
    if not some:
        yield event


def sides(before: Seen, after: Seen) -> dict[str, Any]:
    """Put two standings beside each other, column by column."""
    return {
        f"{name}_{side}": value
        for side, seen in zip(("before", "after"), (before, after), strict=True)
        for name, value in seen._asdict().items()
    }


def tally(rows: pa.RecordBatch) -> Counter[str]:
    """Count the events and the changes."""
    events = Counter(f"@{position}" for position in rows["position"].to_pylist())
    return events + Counter(changes=counted(rows["changed"]))


def line(tally: Counter[str]) -> str:
    """Return how many events there are, and how many changes they made."""
    events = len([name for name in tally if name.startswith("@")])
    if not events:
        return "Nothing was recorded by then."
    return f"{many(events, 'event')}; {many(tally['changes'], 'change')} of a standing."


def text(row: Mapping[str, Any]) -> Iterator[str]:
    """Write an event, and below it what it changed."""
    yield "  ".join(filter(None, [f"@{row['position']}", row["type"], row["exam"], row["key"]]))
    yield f"true from {row['true_at']}, recorded {row['recorded_at']}{by(row['actor'])}"
    yield f"{row['source']} {row['id']}{marks(row)}"
    yield row["data"]
    if row["exam"] is not None:
        yield f"{row['exam']}: {'; '.join(differences(row)) or 'nothing changed'}"


def differences(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is another with the event than without."""
    for column in _SHOWN:
        before, after = (row[f"{column.name}_{side}"] for side, _ in _SIDES)
        if before != after:
            yield f"{column.name.replace('_', ' ')} {shown(before)} → {shown(after)}"


def shown(value: object) -> str:
    """Write one side of a difference."""
    return "-" if value is None else str(value)


def history(snapshot: Snapshot, terms: Conditions) -> Iterator[pa.RecordBatch]:
    """Yield the annotated history of the candidate asked about, by position and exam."""
    return batched(QUERY.schema, _rows(snapshot, terms))


def _rows(snapshot: Snapshot, terms: Conditions) -> Iterator[dict[str, Any]]:
    candidate, exam = terms.candidate or "", terms.exam
    rows = snapshot.ledger.stream(f"candidate/{candidate}", upto=snapshot.position)
    record = CandidateRecord(rows, snapshot.catalogue)
    annulled = annulments(rows)
    erased = any(row.type == FORGOTTEN for row in rows)
    for row in rows:
        if exam is None or record.about(row).exam in (exam, None):
            yield from rows_of(record, row, annulled.get(row.position), exam=exam, erased=erased)


QUERY: Final = Query(
    name="history",
    title="Annotated history",
    says="One row for each event of a candidate and each exam whose standing it changed, and for "
    "its own exam also where nothing changed; by position, then exam. An event that is about no "
    "exam and changed nothing has one row. The standings are as of when the event was recorded (or "
    "true, if later): once as known just before it, once with it.",
    help="""\
For each exam that it bears on, the standing as of when the event was recorded: as known just
before it, and with it. What is personal is sealed, or erased if the candidate was forgotten.""",
    examples="""
    attempt-ledger audit history C-1001
    attempt-ledger audit history C-1001 --exam AZ-104 --known-at @700 --format json
    """,
    takes=("candidate", "exam"),
    needs="candidate",
    columns=COLUMNS,
    key=("position", "exam"),
    make=history,
    tally=tally,
    line=line,
    text=text,
)
