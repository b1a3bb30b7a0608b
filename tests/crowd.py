"""A small population in a real ledger: the example's history, for tests of what asks everybody."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ledger.events import Fact
from ledger.ledger import Ledger
from ledger.wire import parse_line
from projections.answers import Standing
from projections.standing import Moment
from replay.ask import Asker

ROOT = Path(__file__).parent.parent
HISTORY = ROOT / "examples" / "history.jsonl"
NOW = 1_735_689_600_000_000  # 2025-01-01T00:00:00Z, after everything in the example
CACHE = ROOT / ".pytest_cache" / "kernels"
"""Compiled code is shared by all tests and runs: it is named by a digest of its sources."""


def facts() -> list[Fact]:
    """Give the example's history as facts, in the order in which they were recorded."""
    return [parse_line(line) for line in HISTORY.read_text().splitlines()]


def ledger_of(path: Path, some: list[Fact]) -> Ledger:
    """Make a ledger of facts that keep the recorded_at they came with."""
    ledger = Ledger.create(path, clock=lambda: NOW)
    ledger.append(some, keep_recorded_at=True)
    return ledger


def one_by_one(ledger: Ledger, moment: Moment) -> Iterator[tuple[object, ...]]:
    """Give the population's rows as the interpreted fold of each candidate gives them."""
    asker = Asker(ledger)
    for candidate in ledger.candidates(moment.position):
        yield from map(row_of, asker.standings(candidate, moment))


def row_of(standing: Standing) -> tuple[object, ...]:
    """Give the row of the population's table that a standing makes."""
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
