"""`audit backdated`: facts recorded long after they were true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from projections.reports.report import many
from projections.table import INSTANT, TEXT, TRUTH, Column
from replay.audit.changes import CandidateRecord
from replay.audit.conditions import WHICH, Conditions
from replay.audit.events import event_columns, marks
from replay.audit.query import EVENT, LAG, Query, by, counted, seconds, selection, whom
from replay.snapshot import Snapshot

_NOT_ASKED = "not requested, or no candidate's"

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


def text(row: Mapping[str, Any]) -> Iterator[str]:
    """Write a fact: how late it was, what it is, and what it changed."""
    yield f"@{row['position']}  {seconds(row['lag_seconds'])} late  {row['type']}  {whom(row)}"
    yield f"true from {row['true_at']}, recorded {row['recorded_at']}{by(row['actor'])}"
    yield f"{row['source']} {row['id']}{marks(row)}"
    if row["changed"]:
        yield f"changed the standing for {row['changed_exams']} from {row['changed_from']} on"
    elif row["changed"] is False:
        yield "changed no standing before it was recorded"


_SECOND = 1_000_000
_KEPT = 1024
"""Candidates whose facts are kept at hand."""


def backdated(snapshot: Snapshot, terms: Conditions) -> Iterator[pa.RecordBatch]:
    """Yield the backdated facts asked about, the longest lag first, then by position."""
    wanted = selection(snapshot, terms)
    annulments = snapshot.ledger.scans.annulments(wanted, snapshot.position)
    judge = Judge(snapshot) if terms.changes else None
    for batch in snapshot.ledger.scans.select(wanted, order="lag"):
        columns = event_columns(batch, annulments)
        recorded, true = (batch[name].to_numpy() for name in ("recorded_at", "occurred_at"))
        columns.insert(3, pa.array((recorded - true) / _SECOND))
        columns += unjudged(batch.num_rows) if judge is None else judge.columns(batch)
        yield pa.RecordBatch.from_arrays(columns, schema=QUERY.schema)


def unjudged(rows: int) -> list[pa.Array]:
    """Leave open what the facts changed."""
    return [pa.nulls(rows, kind) for kind in (pa.bool_(), INSTANT, pa.string())]


class Judge:
    """Compares facts with the standings of their candidates: a few folds a fact."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Judge by what is known at a snapshot."""
        self._snapshot = snapshot
        self._record = lru_cache(maxsize=_KEPT)(self._read)

    def _read(self, candidate: str) -> CandidateRecord:
        snapshot = self._snapshot
        rows = snapshot.ledger.stream(f"candidate/{candidate}", upto=snapshot.position)
        return CandidateRecord(rows, snapshot.catalogue)

    def columns(self, batch: pa.RecordBatch) -> list[pa.Array]:
        """Return what each fact of a batch changed, as the last three columns."""
        changed: list[bool | None] = []
        first: list[int | None] = []
        exams: list[str | None] = []
        names = ("about", "subject", "position")
        for about, subject, position in zip(*(batch[n].to_pylist() for n in names), strict=True):
            found = self.changes(subject, position) if about == "candidate" else None
            changed.append(None if found is None else bool(found))
            first.append(min(found.values()) if found else None)
            exams.append(" ".join(found) if found else None)
        return [
            pa.array(changed, pa.bool_()),
            pa.array(first, pa.int64()).cast(INSTANT),
            pa.array(exams, pa.string()),
        ]

    def changes(self, candidate: str, position: int) -> dict[str, int]:
        """Return by exam the first instant, before a fact was recorded, as of which it changed."""
        record = self._record(candidate)
        row = record.rows[position]
        found = {
            exam: record.first_change(row, exam, row.recorded_at) for exam in record.exams(row)
        }
        return {exam: first for exam, first in found.items() if first is not None}


QUERY: Final = Query(
    name="backdated",
    title="Backdated facts",
    says="One row a fact that was recorded more than the threshold after it was true, whoever it "
    "is about; the longest lag first, then by position.",
    help="""\
Longer after than the threshold, and not just as long; the latest first.""",
    examples="""
    attempt-ledger audit backdated --by P7D
    attempt-ledger audit backdated --by PT36H --recorded-from 2022-06-01 --changes
    """,
    takes=("by", "changes", *WHICH),
    needs="by",
    default="P7D",
    columns=COLUMNS,
    key=("position",),
    make=backdated,
    tally=tally,
    line=line,
    text=text,
)
