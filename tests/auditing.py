"""Ledgers to be audited, and audit queries asked of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from example_ledger import NOW
from plain_values import When, at
from reporting import PROGRAM
from scenarios import Line

from ledger.events import Recorded
from ledger.facts import Fact
from ledger.ledger import Ledger
from ledger.outcomes import Appended
from projections.standing import Moment
from replay.audit.conditions import Conditions
from replay.audit.registry import query_named
from replay.outputs import Output, compute
from replay.receipts import Form, Parameters
from replay.snapshot import Known, Snapshot, snapshot_at

INSTANTS = ("recorded_from", "recorded_to", "valid_from", "valid_to")
ASKED = {"history": {"candidate": "C-1"}, "backdated": {"by": "P7D"}}
"""What a query cannot do without."""


def recorded_by(actor: str, line: Line, source: str | None = None) -> Line:
    """Tell a line that somebody recorded, perhaps in the name of a source."""
    told = {"actor": actor} | ({} if source is None else {"source": source})
    return line._replace(facts=tuple(fact._replace(**told) for fact in line.facts))


def moment(ledger: Ledger, known_at: When | Known | None = None) -> Moment:
    """Know what was recorded by an instant or a position; by default everything."""
    if not isinstance(known_at, Known):
        known_at = Known(instant=None if known_at is None else at(known_at))
    return snapshot_at(ledger, NOW, known_at, now=NOW).moment


def output(
    ledger: Ledger,
    name: str,
    form: Form = "jsonl",
    known_at: When | Known | None = None,
    **said: Any,
) -> Output:
    """Ask a query, with what it cannot do without."""
    said = ASKED.get(name, {}) | said
    given = {key: at(value) if key in INSTANTS else value for key, value in said.items()}
    return compute(
        Snapshot(ledger, moment(ledger, known_at)), "audit", name,
        Parameters(audit=Conditions(**given)),
        form=form, basis="restated" if known_at is None else "known-at", program=PROGRAM,
    )  # fmt: skip


def rows(
    ledger: Ledger, name: str, known_at: When | Known | None = None, **said: Any
) -> list[dict[str, Any]]:
    """Return the rows of a query; instants as microseconds."""
    made = output(ledger, name, known_at=known_at, **said).table
    assert made.schema == query_named(name).schema
    found: list[dict[str, Any]] = []
    for batch in made.to_batches(1000):
        columns = [
            column.cast("int64").to_pylist() if str(column.type).startswith("timestamp") else
            column.to_pylist()
            for column in batch.columns
        ]  # fmt: skip
        found += [
            dict(zip(made.schema.names, row, strict=True)) for row in zip(*columns, strict=True)
        ]
    return found


def ids(ledger: Ledger, name: str = "events", **said: Any) -> list[str]:
    """Name the events that a query finds by their ids, in its order."""
    return [row["id"] for row in rows(ledger, name, **said)]


@contextmanager
def ledger_of_world(facts: Sequence[Fact]) -> Iterator[Ledger]:
    """Make a ledger of a random world's facts, all long before its present, in a passing folder."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Ledger.create(Path(folder) / "a.ledger", clock=lambda: at("2300-01-01")) as ledger,
    ):
        outcomes = ledger.append(facts, keep_recorded_at=True)
        assert {type(outcome) for outcome in outcomes} == {Appended}
        yield ledger


def everything(ledger: Ledger) -> list[Recorded]:
    """Return all that is recorded."""
    return list(ledger.read())
