"""A month at a test centre, told line by line, and reports of it at any moment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import scenarios
from example_ledger import CACHE, NOW
from plain_values import When, at
from scenarios import (
    Line,
    annulled,
    attempted,
    beta,
    certification,
    earned,
    exam,
    failed,
    granted,
    passed,
    rejected,
    renewed,
    requested,
    result,
    withdrawn,
)

from ledger.facts import fact_of
from ledger.instants import Period
from ledger.ledger import Ledger
from ledger.outcomes import Appended
from projections.reports.registry import REPORTS
from projections.standing import Moment
from replay.checking import Checked, check
from replay.outputs import Inputs, Output, find_receipt, write
from replay.receipts import INSIDE, beside
from replay.snapshot import HEAD, Engine, Known, Snapshot, snapshot_at

PROGRAM = "attempt-ledger 0, as tested"
MARCH = ("2021-03-01", "2021-04-01")

CATALOGUE: tuple[Line, ...] = (
    exam("AZ-104"),
    exam("AZ-700", beta_opens="2021-02-01", live="2021-04-20"),
    certification("admin", exams=["AZ-104"]),
)

# C-1 fails twice, then comes back six days later instead of fourteen and passes; C-2's result stays
# away; C-3 sits a beta; C-4 fails on the last day of the month.
IN_MARCH: tuple[Line, ...] = (
    failed("AZ-104", on="2021-03-01T09:00Z", reg="R-1"),
    failed("AZ-104", on="2021-03-03T09:00Z", reg="R-2"),
    requested("AZ-104", on="2021-03-04T09:00Z", reg="R-2", request="X-1"),
    rejected("AZ-104", on="2021-03-04T09:00Z", request="X-1", missing=["email"]),
    passed("AZ-104", on="2021-03-09T09:00Z", reg="R-3"),
    earned("admin", on="2021-03-09T12:00Z", expires="2022-03-09"),
    earned("admin", on="2021-03-15", expires="2021-04-15", who="C-9"),
    attempted("AZ-104", on="2021-03-20T09:00Z", reg="R-4", who="C-2"),
    beta("AZ-700", on="2021-03-22T00:00Z", reg="R-5", who="C-3"),
    renewed("admin", on="2021-03-25", expires="2022-04-15", who="C-9"),
    failed("AZ-104", on="2021-03-31T12:00Z", reg="R-6", who="C-4"),
    requested("AZ-104", on="2021-03-31T13:00Z", reg="R-6", request="X-2", who="C-4"),
    requested(
        "AZ-104", on="2021-03-31T14:00Z", reg="R-6", request="X-3", who="C-4", reason="power-cut"
    ),
)

# What was learned in April of March: C-2's result at last, and that C-4 had passed after all.
IN_APRIL: tuple[Line, ...] = (
    granted("AZ-104", on="2021-04-01T13:00Z", request="X-2", who="C-4"),
    withdrawn("AZ-104", on="2021-04-01T20:00Z", request="X-2", who="C-4"),
    result("AZ-104", reg="R-4", on="2021-03-20T10:00Z", passed=True, who="C-2").recorded(
        "2021-04-02T10:00Z"
    ),
    annulled("R-6/result", on="2021-04-03T08:00Z", subject="C-4"),
    result("AZ-104", reg="R-6", on="2021-03-31T12:30Z", passed=True, who="C-4").recorded(
        "2021-04-03T09:00Z"
    ),
)

STORY = (*CATALOGUE, *IN_MARCH, *IN_APRIL)

_SAID = failed("AZ-104", on="2021-04-28T09:00Z", reg="R-8", who="C-8")
_ELSE = passed("AZ-104", on="2021-04-28T09:00Z", reg="R-8", who="C-8")
TROUBLED: tuple[Line, ...] = (
    _SAID,
    Line(tuple(fact._replace(source="urn:other") for fact in _ELSE.facts)),
    scenarios.forgotten("C-8", on="2021-04-29"),
)
"""Two sources disagree about a sitting of C-8, who is forgotten."""


def written(path: Path, lines: Sequence[Line] = STORY) -> Ledger:
    """Make a ledger of a story, after the shipped policies; it keeps when each was recorded."""
    ledger = Ledger.create(path, clock=lambda: NOW)
    tell(ledger, lines)
    return ledger


def tell(ledger: Ledger, lines: Sequence[Line], before: Sequence[Line] = ()) -> None:
    """Record lines of a story that goes on from `before`."""
    rows = scenarios.recorded([*scenarios.SHIPPED, *before, *lines])
    new = rows[ledger.head().position :]
    facts = [fact_of(row)._replace(recorded_at=row.recorded_at) for row in new]
    outcomes = ledger.append(facts, keep_recorded_at=True)
    assert {type(outcome) for outcome in outcomes} == {Appended}


def snapshot(ledger: Ledger) -> Snapshot:
    """Ask about everybody at the head, with compiled code that all tests share."""
    engine = Engine(CACHE, keep_columns=False, small=0)
    return snapshot_at(ledger, NOW, now=NOW, engine=engine)


def known(when: When | None) -> Known:
    """Know what was recorded by an instant; by default everything."""
    return HEAD if when is None else Known(instant=at(when))


def moment(ledger: Ledger, as_of: When, known_at: When | None = None) -> Moment:
    """Make a moment."""
    return snapshot_at(ledger, at(as_of), known(known_at), now=NOW).moment


def inputs(
    asked: Snapshot,
    as_of: When = MARCH[1],
    known_at: When | None = None,
    period: tuple[When | None, When | None] = MARCH,
    exam: str | None = None,
) -> Inputs:
    """Return the inputs of a report."""
    start, end = (None if bound is None else at(bound) for bound in period)
    return Inputs(asked.at(moment(asked.ledger, as_of, known_at)), Period(start, end), exam)


def made(name: str, given: Inputs) -> list[dict[str, Any]]:
    """Return the rows of a report, instants as text."""
    table = REPORTS[name].make(given)
    assert table.schema == REPORTS[name].schema
    return plainly(table)


def put(output: Output, path: Path) -> Path:
    """Write an output, and its receipt beside it where it is not inside."""
    with path.open("wb") as file:
        write(output, file)
    if output.receipt.form not in INSIDE:
        beside(path).write_text(output.settled.to_json())
    return path


def checked(ledger: Ledger, path: Path) -> Checked:
    """Check a file in the way of a process that has only the ledger and the file."""
    return check(snapshot(ledger), path, find_receipt(path), PROGRAM)


def plainly(table: pa.Table) -> list[dict[str, Any]]:
    """Return rows with their instants as RFC 3339 text, seconds only where they are not zero."""
    return [
        {
            name: f"{value:%Y-%m-%dT%H:%M}Z" if hasattr(value, "tzinfo") else value
            for name, value in row.items()
        }
        for row in table.to_pylist()
    ]


def cut(rows: list[dict[str, Any]], *names: str) -> list[tuple[Any, ...]]:
    """Keep some columns of rows."""
    return [tuple(row[name] for name in names) for row in rows]
