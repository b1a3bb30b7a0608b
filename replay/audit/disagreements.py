"""`audit disagreements`: sittings that sources tell differently, with who says what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from ledger.events import Recorded
from ledger.instants import format_instant
from ledger.intake.odd import SOURCES_DISAGREE
from ledger.models import (
    BetaRescored,
    ExamAttempted,
    ExamFailed,
    ExamPassed,
    SittingMissed,
)
from ledger.store.scans import Selection
from projections.fold.facts import LAST
from projections.reports.report import many
from projections.standing import Moment
from projections.table import TEXT, Column
from replay.audit.conditions import Conditions
from replay.audit.query import (
    ACTOR,
    ID,
    POSITION,
    RECORDED_AT,
    SOURCE,
    TRUE_AT,
    TYPE,
    Query,
    batched,
    by,
    selected,
    selection,
)
from replay.snapshot import Snapshot

COLUMNS: Final = (
    Column("candidate", TEXT, "whose sitting it is"),
    Column("exam", TEXT, "the exam's code"),
    Column("registration_id", TEXT, "the sitting"),
    POSITION, RECORDED_AT, TRUE_AT, TYPE, SOURCE, ID, ACTOR,
    Column("says", TEXT, "what the event says of the sitting"),
    Column("disagreement", TEXT, "all that the sources say differently, in a sentence"),
)  # fmt: skip

_TYPES: Final = tuple(
    each.type for each in (ExamAttempted, ExamPassed, ExamFailed, BetaRescored, SittingMissed)
)
_AT_ONCE: Final = 500


def tally(rows: pa.RecordBatch) -> Counter[str]:
    """Count the events, and the sittings that they are about."""
    names = ("candidate", "exam", "registration_id")
    sittings = zip(*(rows[name].to_pylist() for name in names), strict=True)
    return Counter({f"@{' '.join(each)}": 1 for each in sittings}) + Counter(events=rows.num_rows)


def line(tally: Counter[str]) -> str:
    """Return about how many sittings sources disagree."""
    sittings = sum(1 for name in tally if name.startswith("@"))
    if not sittings:
        return "No sources disagree about a sitting."
    events = many(tally["events"], "event")
    return f"Sources disagree about {many(sittings, 'sitting')}, in {events}."


def text(row: Mapping[str, Any]) -> Iterator[str]:
    """Write what an event says, and who recorded it."""
    sitting = f"{row['candidate']}  {row['exam']}  {row['registration_id']}"
    yield f"@{row['position']}  {sitting}  {row['says']}"
    yield f"{row['source']} {row['id']}, recorded {row['recorded_at']}{by(row['actor'])}"
    yield row["disagreement"]


def says(row: Recorded) -> str:
    """Return what an event says of its sitting."""
    if row.type == ExamAttempted.type:
        delivery = "beta" if row.flag else "live"
        return f"a {delivery} sitting that began on {format_instant(row.occurred_at)}"
    if row.type == BetaRescored.type:
        return "passed" if row.flag else "failed"
    return {ExamPassed.type: "passed", ExamFailed.type: "failed"}.get(row.type, "missed")


def disagreements(snapshot: Snapshot, terms: Conditions) -> Iterator[pa.RecordBatch]:
    """Yield the events of sittings that sources tell differently, by candidate and exam."""
    return batched(QUERY.schema, _rows(snapshot, terms))


def _rows(snapshot: Snapshot, terms: Conditions) -> Iterator[dict[str, Any]]:
    ever = snapshot.at(Moment(LAST, None, snapshot.position))  # whatever the clock says
    for candidate, exam in sorted(_pairs(snapshot, selection(snapshot, terms))):
        standing = ever.standing(candidate, exam)
        problems = [each for each in standing.problems if each.code == SOURCES_DISAGREE]
        if not problems:
            continue
        events = {(row.source, row.id): row for row in snapshot.events(candidate, exam)}
        for problem in problems:
            for cause in problem.because:
                row = events[cause.source, cause.id]
                yield {
                    "candidate": candidate,
                    "exam": exam,
                    "registration_id": row.key,
                    "position": row.position,
                    "recorded_at": row.recorded_at,
                    "true_at": row.occurred_at,
                    "type": row.type,
                    "source": row.source,
                    "id": row.id,
                    "actor": row.actor,
                    "says": says(row),
                    "disagreement": problem.text,
                }


def _pairs(snapshot: Snapshot, wanted: Selection) -> set[tuple[str, str]]:
    """Return the candidates and exams of registrations that several sources speak of."""
    found: set[tuple[str, str]] = set()
    if not snapshot.ledger.has_several_sources():
        return found
    for batch in selected(snapshot, wanted._replace(types=_TYPES)):
        keys = pc.unique(batch["key"].drop_null()).to_pylist()
        for n in range(0, len(keys), _AT_ONCE):
            found.update(snapshot.ledger.of_several_sources(keys[n : n + _AT_ONCE]))
    candidates = None if wanted.streams is None else set(wanted.streams)
    return {
        (candidate, exam)
        for candidate, exam in found
        if wanted.exam in (None, exam)
        and (candidates is None or f"candidate/{candidate}" in candidates)
    }


QUERY: Final = Query(
    name="disagreements",
    title="Sources that disagree",
    says="One row for each event of a sitting of which two sources give different outcomes, starts "
    "or deliveries; by candidate, exam, sitting and position. A source says the outcome by its "
    "last result, the rest by its first attempt.",
    help="""\
Sittings of which two sources say a different outcome, start or delivery: each event that says
so, with its source and who recorded it. What was annulled says nothing.""",
    examples="""
    attempt-ledger audit disagreements
    attempt-ledger audit disagreements --exam AZ-104 --format csv
    """,
    takes=("candidate", "exam"),
    columns=COLUMNS,
    key=("candidate", "exam", "registration_id", "position"),
    make=disagreements,
    tally=tally,
    line=line,
    text=text,
)
