"""A small population in a real ledger: the example's history, for tests of what asks everybody."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pyarrow as pa
from plain_values import rows_of
from scenarios import SHIPPED, Line, recorded

from ledger.cloudevents import parse_line
from ledger.facts import Fact, fact_of
from ledger.ledger import Ledger
from projections.answers import Standing
from projections.standing import Moment
from replay import compiled
from replay.compiled import kernels_in
from replay.snapshot import Engine, Snapshot

ROOT = Path(__file__).parent.parent
HISTORY = ROOT / "examples" / "history.jsonl"
NOW = 1_735_689_600_000_000  # 2025-01-01T00:00:00Z, after everything in the example
CACHE = Path(os.environ["XDG_CACHE_HOME"]) / "attempt-ledger"
"""Where this account keeps compiled code, as conftest.py has it."""


def facts() -> list[Fact]:
    """Return the example's history as facts, in the order in which they were recorded."""
    return [parse_line(line) for line in HISTORY.read_text().splitlines()]


def ledger_of(path: Path, some: list[Fact]) -> Ledger:
    """Make a ledger of facts that keep the recorded_at they came with."""
    ledger = Ledger.create(path, clock=lambda: NOW)
    ledger.append(some, keep_recorded_at=True)
    return ledger


def ledger_of_lines(path: Path, lines: Sequence[Line]) -> Ledger:
    """Make a ledger of a story's lines, after the shipped policies, each recorded when it says."""
    rows = recorded([*SHIPPED, *lines])
    return ledger_of(path, [fact_of(row) for row in rows])


class Ledgers:
    """Makes ledgers of stories, to be asked about everybody in them; closes them in the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open = ExitStack()
        self._made = 0

    def __enter__(self) -> Ledgers:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def told(self, *lines: Line) -> Snapshot:
        """Record a story and ask about everybody in it."""
        self._made += 1
        ledger = ledger_of_lines(self._folder / f"{self._made}.ledger", lines)
        return bound(self._open.enter_context(ledger))


def bound(ledger: Ledger, **engine: Any) -> Snapshot:
    """Return a ledger at its head, to be asked about everybody with the code that tests share."""
    moment = Moment(NOW, None, ledger.head().position)
    return Snapshot(ledger, moment, Engine(CACHE, **{"keep_columns": False, "small": 0, **engine}))


def head_of(everyone: Snapshot) -> int:
    """Return the last position of the ledger asked about."""
    return everyone.ledger.head().position


def dicts(table: pa.Table) -> list[dict[str, Any]]:
    """Return a table's rows by the names of its columns, instants as microseconds."""
    return [dict(zip(table.schema.names, row, strict=True)) for row in rows_of(table)]


def one_by_one(ledger: Ledger, moment: Moment) -> Iterator[tuple[object, ...]]:
    """Yield the population's rows as the interpreted fold of each candidate gives them."""
    snapshot = Snapshot(ledger, moment)
    for candidate in ledger.candidates(moment.position):
        yield from map(row_of, snapshot.standings(candidate))


def row_of(standing: Standing) -> tuple[object, ...]:
    """Return the row of the population's table that a standing makes."""
    last = standing.sittings[-1]
    return (
        standing.candidate,
        standing.exam,
        standing.status,
        standing.eligible,
        standing.eligible_from,
        standing.sittings_in_series,
        standing.period_ends_at,
        last.started_at,
        last.outcome,
    )


def compiled_quietly() -> Path:
    """Return the shared folder of compiled code; whether anything is compiled is not told."""
    kernels_in(CACHE)
    compiled._compiled(CACHE).once(compiled.COMPILING)
    return CACHE
